//! Tests of the router, the promise, the mailroom, the sessions and the components together, on paused time: remote
//! servers and components come and go, links are cut, and every stanza has one outcome, in order.

mod absence;
mod component_client;
mod disk;
mod full_router;
mod incoming_acks;
mod incoming_resumption;
mod links;
mod lost_links;
mod nodes;
mod outcomes;
mod overflow;
mod pauses;
mod receipts;
mod receiver;
mod remotes;
mod schedules;
mod slow_links;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::Arbiter;
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, oneshot, watch},
};
use xmpp::{Domain, DomainPair};

use self::{
    component_client::{attribute, log_in, number, read_answers},
    remotes::{Behaviour, Reachability, Reading, Remotes},
};
use crate::{
    fixture,
    flow::account::Totals,
    observe::recorder::{Recorder, RecorderHandle},
    routing::{
        journal,
        promise::{self, Promise},
        router::{self, Router},
    },
    settings,
    streams::{incoming, outgoing},
};
use mailbox::{Mailbox, Meter, drain, workers::Workers};
use net::stream::Stream;
use status::report;

/// A stanza that arrived at its remote server, or an error answer that came back.
struct Seen {
    remote: String,
    id: usize,
    at: Instant,
    stanza: String,
}

impl Seen {
    /// Whether it is stamped, because it may have arrived before.
    fn is_stamped(&self) -> bool {
        self.stanza.contains("urn:xmpp:delay")
    }
}

/// A node without sockets, and the component that serves its domain.
struct Node {
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    remotes: Remotes,
    component: WriteHalf<DuplexStream>,
    arrived: mpsc::Receiver<Seen>,
    answered: mpsc::Receiver<Seen>,
    /// The stanzas that were sent to each remote domain; the index is the number of the stanza.
    sent: HashMap<String, Vec<Sent>>,
    /// The time for which the remote servers did not read at full speed.
    slow_time: Duration,
}

/// A stanza that was sent.
struct Sent {
    kind: Kind,
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Subscription,
    /// A presence that a newer one replaces.
    State,
    Request,
    Result,
    Error,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Message, Self::Subscription, Self::State, Self::Request, Self::Result, Self::Error];

    fn stanza(self, remote: &str, id: usize) -> String {
        let (name, type_) = match self {
            Self::Message => ("message", "chat"),
            Self::Subscription => ("presence", "subscribe"),
            Self::State => ("presence", "unavailable"),
            Self::Request => ("iq", "get"),
            Self::Result => ("iq", "result"),
            Self::Error => ("message", "error"),
        };
        format!("<{name} type='{type_}' from='a@{OURS}' to='b@{remote}' id='{id}'><n>{id}</n></{name}>")
    }

    /// Whether a stanza of this kind may be answered (RFC 6120 8.3.1).
    fn is_answered(self) -> bool {
        !matches!(self, Self::Result | Self::Error)
    }

    /// The time that a stanza of this kind may wait.
    fn time(self) -> Duration {
        match self {
            Self::Message | Self::Error => bounds().message,
            Self::Subscription | Self::State => bounds().presence,
            Self::Request | Self::Result => bounds().iq,
        }
    }
}

impl Node {
    async fn start(pipe: usize) -> Self {
        Self::start_within(pipe, bounds()).await
    }

    async fn start_within(pipe: usize, bounds: settings::Promise) -> Self {
        Self::start_with(pipe, bounds, Behaviour::default()).await
    }

    async fn start_with(pipe: usize, bounds: settings::Promise, behaviour: Behaviour) -> Self {
        Self::start_beside(pipe, bounds, behaviour, fixture::Beside::default()).await
    }

    async fn start_beside(
        pipe: usize,
        bounds: settings::Promise,
        behaviour: Behaviour,
        beside: fixture::Beside,
    ) -> Self {
        let here = Arbiter::current();
        let meter = Meter::new("recorder", CAPACITY, None);
        let (arrived, arrivals) = mpsc::channel(1_000_000);
        let (dials, cut, counts) = (Arc::default(), watch::Sender::new(0), watch::Sender::default());
        let (behaviour, repeat) = (watch::Sender::new(behaviour), settings::Repeat::default());
        let denied = "denied.example";
        let remotes = Remotes { behaviour, dials, cut, arrived, counts, pipe, repeat, denied };
        let (recording, counted) = (settings::Recording { domains: 100, events: 32 }, Arc::clone(&meter));
        let recorder =
            mailbox::start_on(&here, &meter, "recorder", move |_| Recorder::new(recording, counted));
        let recorder = RecorderHandle::new(recorder);
        let (mut socket, link) = duplex(64 * 1024);
        let setup = fixture::Setup {
            domain: Domain::new(OURS).unwrap(),
            component: (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into()),
            dial: Box::new(remotes.clone()),
            workers: Workers::here(),
            bounds,
            capacity: CAPACITY,
            recorder,
        };
        let (router, promise) = fixture::start_beside(setup, beside);
        let read = log_in(&mut socket).await;
        let ((reader, component), (answers, answered)) = (split(socket), mpsc::channel(1_000_000));
        actix_rt::spawn(read_answers(reader, read, answers));
        Self {
            router,
            promise,
            remotes,
            component,
            arrived: arrivals,
            answered,
            sent: HashMap::new(),
            slow_time: Duration::ZERO,
        }
    }

    /// Sends more numbered messages to a remote domain.
    async fn sends(&mut self, remote: &str, count: usize) {
        self.sends_all(remote, &vec![Kind::Message; count]).await;
    }

    /// Sends more numbered stanzas to a remote domain.
    async fn sends_all(&mut self, remote: &str, kinds: &[Kind]) {
        let sent = self.sent.entry(remote.to_owned()).or_default();
        let stanzas: String = (sent.len()..).zip(kinds).map(|(id, kind)| kind.stanza(remote, id)).collect();
        sent.extend(kinds.iter().map(|&kind| Sent { kind, at: clock::now() }));
        self.component.write_all(stanzas.as_bytes()).await.unwrap();
    }

    /// Sends more numbered messages of [`LONG`] bytes and some more to a remote domain.
    async fn sends_long(&mut self, remote: &str, count: usize) {
        let (sent, filling) = (self.sent.entry(remote.to_owned()).or_default(), "x".repeat(LONG));
        for id in sent.len()..sent.len() + count {
            let stanza = Kind::Message.stanza(remote, id).replace("</n>", &format!("</n><x>{filling}</x>"));
            sent.push(Sent { kind: Kind::Message, at: clock::now() });
            self.component.write_all(stanza.as_bytes()).await.unwrap();
        }
    }

    fn remotes_are_up(&self, up: bool) {
        self.set_reachability(if up { Reachability::Up } else { Reachability::Down });
    }

    fn set_reachability(&self, reachability: Reachability) {
        self.remotes.behaviour.send_modify(|behaviour| behaviour.reachability = reachability);
    }

    /// Has every remote server read slowly, or not at all, for some time.
    async fn remotes_read(&mut self, reading: Reading, time: Duration) {
        self.remotes.behaviour.send_modify(|behaviour| behaviour.reading = reading);
        tokio::time::sleep(time).await;
        self.remotes.behaviour.send_modify(|behaviour| behaviour.reading = Reading::Fast);
        self.slow_time += time;
    }

    fn set_reading(&self, reading: Reading) {
        self.remotes.behaviour.send_modify(|behaviour| behaviour.reading = reading);
    }

    fn set_resumption(&self, resumption: remotes::Resumption) {
        self.remotes.behaviour.send_modify(|behaviour| behaviour.resumption = resumption);
    }

    /// The promise takes on a configuration for the remote domains.
    async fn adopts(&mut self, change: impl FnOnce(&mut Remotes)) {
        change(&mut self.remotes);
        let dial = Box::new(self.remotes.clone());
        assert!(self.promise.signal(promise::Adopt { dial, bounds: bounds() }).is_ok());
        tokio::task::yield_now().await;
    }

    fn cuts_every_link(&self) {
        self.remotes.cut.send_modify(|cuts| *cuts += 1);
    }

    /// A remote server authenticates itself to the node.
    fn remote_authenticates(&self, remote: &str) {
        self.promise.signal(incoming::Authorized { remote: Domain::new(remote).unwrap() }).unwrap();
    }

    async fn operator_retries(&self, remote: &str) -> promise::Retried {
        let (answer, retried) = oneshot::channel();
        self.promise.signal(promise::Retry { remote: Domain::new(remote).unwrap(), answer }).unwrap();
        retried.await.unwrap()
    }

    async fn account(&self) -> Arc<Totals> {
        let (answer, answered) = oneshot::channel();
        self.router.signal(router::ShowFigures { busiest: 0, answer }).unwrap();
        answered.await.unwrap().account
    }

    async fn operator_closes(&self, remote: &str) -> (usize, drain::Completion) {
        let ((token, down), (answer, closed)) = (drain::tokens(), oneshot::channel());
        let remote = Domain::new(remote).unwrap();
        self.router.signal(router::Dismiss { remote, token, answer }).unwrap();
        (closed.await.unwrap(), down)
    }

    /// The number of pairs that the promise knows.
    async fn pairs_known(&self) -> usize {
        let (answer, shown) = oneshot::channel();
        self.promise.signal(promise::Show { of: None, limit: 0, answer }).unwrap();
        shown.await.unwrap().total
    }
}

fn bounds() -> settings::Promise {
    settings::Promise {
        max_stanzas: 1000,
        max_bytes: 1 << 20,
        total_bytes: 1 << 22,
        message: Duration::from_secs(300),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(45),
        backoff_first: Duration::from_secs(1),
        backoff_longest: Duration::from_secs(60),
    }
}

/// Bytes in a long message.
const LONG: usize = 8 * 1024;

const OURS: &str = "a.example";

/// Messages that each mailbox takes.
const CAPACITY: usize = 4096;

const FOOTER: &str = "</stream:stream>";

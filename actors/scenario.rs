//! Router, promise and outgoing sessions together, on paused time: remotes come and go, links are cut, and every stanza
//! has one outcome, in order.

mod links;
mod outcomes;
mod pauses;
mod program;
mod schedules;

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
use xmpp::{
    Domain, DomainPair,
    certificate::TrustStore,
    component::Secret,
    dialback,
    policy::{Bounds, MalformedStanza, Mechanism, Policy, Tls, UnknownRecipient},
    stream::initiating::{Handshake, Open, Output, Plan},
};

use self::program::{log_in, number, place_of, read_answers, take_until};
use crate::{
    dial::{
        attempt::{Dial, PendingDial, Session},
        error::AttemptError,
    },
    flow::ledger::Totals,
    observe::recorder::{Recorder, RecorderHandle},
    routing::{
        promise::{self, Promise},
        router::{self, Router},
        service::{self, Service},
    },
    settings,
    streams::{
        caller,
        component::{self, Component},
        incoming, outgoing,
    },
};
use mailbox::{Mailbox, Meter, Queued, drain, panic_guard::PanicGuard, workers::Workers};
use net::{dns, stream::Stream};

/// Answers nothing; stands where a listener would.
struct Nobody;
impl actix::Actor for Nobody {
    type Context = actix::Context<Self>;
}
impl actix::Handler<Queued<caller::Ended>> for Nobody {
    type Result = ();
    fn handle(&mut self, ended: Queued<caller::Ended>, _: &mut actix::Context<Self>) {
        ended.open();
    }
}
impl actix::Handler<Queued<caller::Proved>> for Nobody {
    type Result = ();
    fn handle(&mut self, proved: Queued<caller::Proved>, _: &mut actix::Context<Self>) {
        proved.open();
    }
}
impl actix::Handler<Queued<caller::Mistaken>> for Nobody {
    type Result = ();
    fn handle(&mut self, mistaken: Queued<caller::Mistaken>, _: &mut actix::Context<Self>) {
        mistaken.open();
    }
}

/// A stanza that was seen, at its remote or on its way back: which, and when.
struct Seen {
    remote: String,
    id: usize,
    at: Instant,
}

/// The remote domains, and the switches by which a test breaks them.
#[derive(Clone)]
struct World {
    weather: watch::Sender<Weather>,
    dials: Arc<AtomicUsize>,
    cut: watch::Sender<u64>,
    arrived: mpsc::Sender<Seen>,
    /// Bytes between the two ends of a link.
    pipe: usize,
}

/// How the remote domains are.
#[derive(Clone, Copy)]
struct Weather {
    reach: Reach,
    reading: Reading,
}

#[derive(Clone, Copy)]
enum Reach {
    Up,
    Away,
    /// No such domain: that is definitive.
    Nowhere,
}

#[derive(Clone, Copy)]
enum Reading {
    Quick,
    Slow,
    Deaf,
}

impl Dial for World {
    fn permits(&self, remote: &Domain) -> bool {
        remote.as_str() != "denied.example"
    }

    fn serves(&self, _: &Domain) -> bool {
        true
    }

    /// Fewer than there are pairs, so that turns are taken.
    fn dials(&self) -> settings::Dials {
        settings::Dials { at_once: 2, hanging: 2, per_address: 2, per_attempt: 2 }
    }

    fn dial(&self, pair: &DomainPair) -> PendingDial {
        let (world, pair) = (self.clone(), pair.clone());
        PendingDial {
            idle_timeout: Duration::from_secs(3600),
            strict: false,
            keepalive: Duration::from_secs(300),
            write_timeout: Duration::from_secs(120),
            begin: Box::new(move |_| Box::pin(world.attempt(pair))),
        }
    }
}

impl World {
    async fn attempt(self, pair: DomainPair) -> Result<Session, AttemptError> {
        self.dials.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(80)).await;
        let reach = self.weather.borrow().reach;
        match reach {
            Reach::Up => {}
            Reach::Away => return Err(AttemptError::Connect(Vec::new())),
            Reach::Nowhere => {
                let domain = pair.remote.to_string();
                return Err(AttemptError::Dns(dns::Failure::NoSuchDomain { domain }));
            }
        }
        let (ours, theirs) = duplex(self.pipe);
        actix_rt::spawn(self.remote(pair.remote.to_string(), theirs));
        let machine = established(&pair);
        let address = ([127, 0, 0, 1], 5269).into();
        Ok(Session {
            expires: None,
            evidence: None,
            route: None,
            stream: Stream::Memory(ours),
            machine,
            trace: crate::flow::trace::Trace::new("nuncio::outgoing"),
            address,
        })
    }

    /// Reads until the link is cut or the stream is closed: what comes behind a closing tag is read by nobody.
    async fn remote(self, remote: String, mut link: DuplexStream) {
        let (mut cut, mut weather) = (self.cut.subscribe(), self.weather.subscribe());
        let mut bytes = BytesMut::new();
        loop {
            let reading = weather.borrow_and_update().reading;
            tokio::select! {
                read = link.read_buf(&mut bytes), if !matches!(reading, Reading::Deaf) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                _ = weather.changed() => continue,
                _ = cut.changed() => return,
            }
            if matches!(reading, Reading::Slow) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let closed = place_of(&bytes, FOOTER);
            bytes.truncate(closed.unwrap_or(bytes.len()));
            while let Some(stanza) = take_until(&mut bytes, "</n></") {
                let (remote, id, at) = (remote.clone(), number(&stanza), clock::now());
                self.arrived.send(Seen { remote, id, at }).await.unwrap();
            }
            if closed.is_some() {
                let _ = link.write_all(FOOTER.as_bytes()).await;
                return;
            }
        }
    }
}

/// A machine that has its negotiation behind it.
fn established(pair: &DomainPair) -> Box<Open> {
    let mut machine = Handshake::session(Plan {
        pair: pair.clone(),
        policy: policy(),
        bounds: Bounds::default(),
        direct_tls: None,
        certificate: false,
    });
    let DomainPair { local, remote } = pair;
    let heard = format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' id='1' from='{remote}' to='{local}' version='1.0'>\
         <stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>\
         <db:result from='{remote}' to='{local}' type='valid'/>"
    );
    while machine.poll().is_some() {}
    machine.receive(BytesMut::from(heard.as_bytes()));
    loop {
        match machine.poll().expect("the negotiation goes through") {
            Output::Completed(open) => return open,
            Output::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
}

fn policy() -> Policy {
    Policy {
        tls: Tls::Disabled,
        auth: vec![Mechanism::Dialback],
        strict_certificates: false,
        dialback_after_external: false,
        dialback_shortcut: false,
        trust: TrustStore(0),
        max_stanza: 100_000,
        max_stanza_unauthenticated: 10_000,
        idle_seconds: 0,
        secret: dialback::Secret::new("secret"),
        unknown_recipient: UnknownRecipient::Close,
        malformed_stanza: MalformedStanza::Bounce,
    }
}

/// A node without sockets, and the program that serves its domain.
struct Node {
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    world: World,
    program: WriteHalf<DuplexStream>,
    arrived: mpsc::Receiver<Seen>,
    answered: mpsc::Receiver<Seen>,
    /// The stanzas to each remote, by their numbers.
    sent: HashMap<String, Vec<Sent>>,
    /// How long remotes have not read as fast as they could, in all.
    dawdled: Duration,
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

    /// Whether it may be answered (RFC 6120 8.3.1).
    fn is_answered(self) -> bool {
        !matches!(self, Self::Result | Self::Error)
    }

    /// How long it may wait.
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
        let here = Arbiter::current();
        let meter = |kind| Meter::new(kind, 4096, None);
        let (arrived, arrivals) = mpsc::channel(1_000_000);
        let weather = watch::Sender::new(Weather { reach: Reach::Up, reading: Reading::Quick });
        let (dials, cut) = (Arc::default(), watch::Sender::new(0));
        let world = World { weather, dials, cut, arrived, pipe };
        let (recording, counted) = (settings::Recording { domains: 100, events: 32 }, meter("recorder"));
        let recorder = mailbox::start_on(&here, &meter("recorder"), "recorder", move |_| {
            Recorder::new(recording, counted)
        });
        let notes = RecorderHandle::new(recorder);
        let (router, router_inbox) = mailbox::open(&meter("router"), "router");
        let (promise, promise_inbox) = mailbox::open(&meter("promise"), "promise");
        let deaths = mpsc::channel(1).0;
        let (vital, dial, own) =
            (PanicGuard::new("promise", deaths.clone()), Box::new(world.clone()), promise.clone());
        let owners = promise::Owners {
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            routes: router.outlet(),
            notes: notes.clone(),
        };
        let outgoing = meter("outgoing");
        promise_inbox.start_on(&here, move || {
            Promise::new(dial, bounds, Workers::here(), outgoing, own, owners, vital)
        });
        let name = Domain::new(OURS).unwrap();
        let vital = PanicGuard::new("service", deaths.clone());
        let owners = service::Owners { answered: router.outlet(), acknowledged: router.outlet() };
        let serving = mailbox::start_on(&here, &meter("service"), "service", move |_| {
            Service::new(Vec::new(), settings::Service::default(), owners, vital)
        });
        let (vital, promising, names) = (
            PanicGuard::new("router", deaths),
            promise.clone(),
            vec![(name.clone(), settings::Conflict::Refuse)],
        );
        router_inbox.start_on(&here, move || Router::new([], names, promising, serving, None, notes, vital));
        let nobody: Mailbox<Nobody> = mailbox::start_on(&here, &meter("listener"), "listener", |_| Nobody);
        let environment = component::Environment {
            names: Arc::new(HashMap::from([(name, Secret::new("secret").into())])),
            max_stanza: 100_000,
            bounds: Bounds::default(),
            write_timeout: Duration::from_secs(120),
            handshake_timeout: Duration::from_secs(30),
            owners: Arc::new(component::Owners {
                routes: router.outlet(),
                refused: router.outlet(),
                claimed: router.outlet(),
                gone: router.outlet(),
                answered: router.outlet(),
                rejected: router.outlet(),
                undelivered: router.outlet(),
            }),
            door: 0,
            ended: nobody.outlet(),
            proved: nobody.outlet(),
            mistaken: nobody.outlet(),
            refusals: crate::streams::component::Refusals::of(std::iter::empty()),
            asker: None,
            bad_stanzas: crate::observe::log_limit::LogLimiter::new(
                "nuncio::component",
                1,
                "more bad stanzas",
            ),
        };
        let (mut program, link) = duplex(64 * 1024);
        let components = meter("component");
        let counted = Arc::clone(&components);
        mailbox::start_on(&here, &components, "component", move |own| {
            let address = ([127, 0, 0, 1], 5347).into();
            Component::new(environment, Stream::Memory(link), address, own, counted)
        });
        let read = log_in(&mut program).await;
        let ((reader, program), (answers, answered)) = (split(program), mpsc::channel(1_000_000));
        actix_rt::spawn(read_answers(reader, read, answers));
        Self {
            router,
            promise,
            world,
            program,
            arrived: arrivals,
            answered,
            sent: HashMap::new(),
            dawdled: Duration::ZERO,
        }
    }

    /// Sends so many more numbered messages to a remote domain.
    async fn sends(&mut self, remote: &str, count: usize) {
        self.sends_all(remote, &vec![Kind::Message; count]).await;
    }

    /// Sends more numbered stanzas to a remote domain.
    async fn sends_all(&mut self, remote: &str, kinds: &[Kind]) {
        let sent = self.sent.entry(remote.to_owned()).or_default();
        let stanzas: String = (sent.len()..).zip(kinds).map(|(id, kind)| kind.stanza(remote, id)).collect();
        sent.extend(kinds.iter().map(|&kind| Sent { kind, at: clock::now() }));
        self.program.write_all(stanzas.as_bytes()).await.unwrap();
    }

    fn remotes_are(&self, up: bool) {
        self.remotes_can_be_reached(if up { Reach::Up } else { Reach::Away });
    }

    fn remotes_can_be_reached(&self, reach: Reach) {
        self.world.weather.send_modify(|weather| weather.reach = reach);
    }

    /// For so long every remote reads slowly, or nothing.
    async fn remotes_dawdle(&mut self, reading: Reading, time: Duration) {
        self.world.weather.send_modify(|weather| weather.reading = reading);
        tokio::time::sleep(time).await;
        self.world.weather.send_modify(|weather| weather.reading = Reading::Quick);
        self.dawdled += time;
    }

    fn cuts_every_link(&self) {
        self.world.cut.send_modify(|cuts| *cuts += 1);
    }

    fn shows_life(&self, remote: &str) {
        self.promise.signal(incoming::Authorized { remote: Domain::new(remote).unwrap() }).unwrap();
    }

    async fn retries(&self, remote: &str) -> promise::Retried {
        let (answer, retried) = oneshot::channel();
        self.promise.signal(promise::Retry { remote: Domain::new(remote).unwrap(), answer }).unwrap();
        retried.await.unwrap()
    }

    async fn account(&self) -> Arc<Totals> {
        let (answer, answered) = oneshot::channel();
        self.router.signal(router::ShowFigures { busiest: 0, answer }).unwrap();
        answered.await.unwrap().account
    }

    async fn closes(&self, remote: &str) -> (usize, drain::Wait) {
        let ((token, down), (answer, closed)) = (drain::tokens(), oneshot::channel());
        let remote = Domain::new(remote).unwrap();
        self.router.signal(router::Dismiss { remote, token, answer }).unwrap();
        (closed.await.unwrap(), down)
    }

    /// Domain pairs of which the promise knows something.
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

const OURS: &str = "a.example";

const FOOTER: &str = "</stream:stream>";

//! A node that only receives: incoming streams in memory, the resumer, and an actor in place of the router.

pub(super) mod configuration;
mod peer;

use std::net::SocketAddr;

use actix::{Actor, Context, Handler};

use self::configuration::{session, settings};
pub(super) use self::{
    configuration::RESUME_TIMEOUT,
    peer::{Peer, message},
};
use super::*;
use crate::{
    dial::remote_policy::RemotePolicies,
    fixture::NullListener,
    flow::{
        batch::Batch,
        journal::{Figures, Keeping, Writer},
        route::{Refuse, Route},
    },
    observe::metrics::MetricsHandle,
    routing::journal::Journal,
    streams::{
        incoming::{Incoming, LogLimits, Owners},
        resumer::{self, Resumer},
    },
};
use mailbox::Queued;

/// The receiving side of a node.
pub(super) struct Receiver {
    environment: incoming::Environment,
    streams: Arc<Meter>,
    resumer: Mailbox<Resumer>,
    router: Mailbox<FakeRouter>,
    taken: mpsc::Receiver<usize>,
    /// The number of connections so far, which gives each an address of its own.
    connections: u16,
}

/// An actor in place of the router: it numbers what it takes, and can be full.
struct FakeRouter {
    taken: mpsc::Sender<usize>,
    /// They fill the mailbox.
    ballast: Vec<Queued<Ballast>>,
    /// What it has taken, if it settles nothing by itself.
    unsettled: Option<Vec<Batch>>,
}

/// A message that stays in the mailbox.
#[derive(Debug)]
struct Ballast;

/// Be no longer full.
#[derive(Debug)]
struct Unload;

/// Panic.
#[derive(Debug)]
struct Panic;

/// Keep what comes, and settle what was taken by this number of reads, the first or the last ones.
#[derive(Debug)]
struct Settle {
    reads: usize,
    is_last_first: bool,
}

impl Receiver {
    pub(super) fn start() -> Self {
        Self::start_with(20_000)
    }

    /// Remembers this many streams that were lost.
    pub(super) fn start_with(resumable: usize) -> Self {
        let here = Arbiter::current();
        let meter = |kind| Meter::new(kind, 4096, None);
        let (noting, taken) = mpsc::channel(1_000_000);
        let router = mailbox::start_on(&here, &Meter::new("router", PLACES, None), "router", |_| {
            FakeRouter { taken: noting, ballast: Vec::new(), unsettled: None }
        });
        let policies = RemotePolicies::new(&settings(&[]));
        let (own, limit) = (policies.clone(), resumable);
        let resumer =
            mailbox::start_on(&here, &meter("resumer"), "resumer", move |_| Resumer::new(own, limit));
        let listener: Mailbox<NullListener> =
            mailbox::start_on(&here, &meter("listener"), "listener", |_| NullListener);
        let environment = incoming::Environment {
            policies,
            tls: net::tls::Tls::new(Vec::new(), &[settings::Trust::Authorities(Vec::new())]).unwrap(),
            owners: Arc::new(Owners { routes: router.outlet(), refused: router.outlet() }),
            verifier: mailbox::open(&meter("verifier"), "verifier").0,
            resumer: resumer.clone(),
            authorized: router.outlet(),
            fingerprints: mailbox::open(&meter("fingerprints"), "fingerprints").0,
            metrics: MetricsHandle::default(),
            socket: 0,
            ended: listener.outlet(),
            authenticated: listener.outlet(),
            log_limits: LogLimits::default(),
            recorder: RecorderHandle::disabled(),
            journal: None,
        };
        Self { environment, streams: meter("incoming"), resumer, router, taken, connections: 0 }
    }

    /// Has the stanzas go to a real router from now on.
    pub(super) fn routes_to(&mut self, router: &Mailbox<Router>) {
        let owners = Owners { routes: router.outlet(), refused: router.outlet() };
        self.environment.owners = Arc::new(owners);
    }

    /// A connection of a remote server that has authenticated by EXTERNAL.
    pub(super) async fn connect(&mut self, remote: &str) -> Peer {
        let (socket, link) = duplex(1 << 20);
        self.connections += 1;
        let address: SocketAddr = ([127, 0, 0, 1], self.connections).into();
        let (environment, session) = (self.environment.clone(), session(remote));
        let stream = mailbox::start_on(&Arbiter::current(), &self.streams, "incoming", move |own| {
            let (stream, since) = (Stream::Tcp(link.into()), clock::now());
            Incoming::new(environment, stream, Some(session), address, since, own)
        });
        let mut peer = Peer::new(socket, stream);
        let header = format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             from='{remote}' to='{OURS}' version='1.0'>"
        );
        peer.writes(&header).await;
        peer.reads("</stream:features>").await;
        peer.writes("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
        peer.reads("<success").await;
        peer.writes(&header).await;
        let features = peer.reads("</stream:features>").await;
        assert!(features.contains("urn:xmpp:sm:3"), "{features}");
        peer
    }

    /// A connection on which acks are on, and the id of the stream.
    pub(super) async fn connect_with_acks(&mut self, remote: &str) -> (Peer, String) {
        let mut peer = self.connect(remote).await;
        peer.writes("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        let enabled = peer.reads_element("enabled").await;
        let id = attribute(&enabled, "id");
        (peer, id)
    }

    /// A connection that asks to resume a stream, and the answer.
    pub(super) async fn resume(&mut self, remote: &str, id: &str) -> (Peer, String) {
        let mut peer = self.connect(remote).await;
        peer.asks_to_resume(id).await;
        let answer = peer.reads_answer().await;
        (peer, answer)
    }

    /// Has the router refuse everything.
    pub(super) async fn is_full(&self) {
        while self.router.tell(Ballast).is_ok() {}
        // Everything that was there is handled, and the ballast is not.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while self.router.tell(Ballast).is_ok() {}
    }

    /// A node with a journal. Its router settles stanzas only by [`Self::settles`].
    pub(super) fn start_with_journal(after: Duration) -> Self {
        let mut node = Self::start();
        let (journal, _): (Mailbox<Journal>, _) = mailbox::open(&Meter::new("journal", 8, None), "journal");
        let writer = Writer::new(0, journal.outlet(), journal.outlet());
        node.environment.journal = Some(Keeping { writer, after });
        node.settles(0);
        node
    }

    /// The disk of the journal is known to hang.
    pub(super) fn journal_hangs(&self) {
        self.figures().show_hanging(true);
    }

    /// Stanzas that were acknowledged before they were settled or written.
    pub(super) fn acknowledged_early(&self) -> u64 {
        self.figures().read().acknowledged_early
    }

    fn figures(&self) -> &Figures {
        self.environment.journal.as_ref().unwrap().writer.figures()
    }

    /// The stanzas of so many reads are settled, or written.
    pub(super) fn settles(&self, reads: usize) {
        self.router.signal(Settle { reads, is_last_first: false }).unwrap();
    }

    /// The same for the last reads.
    pub(super) fn settles_last(&self, reads: usize) {
        self.router.signal(Settle { reads, is_last_first: true }).unwrap();
    }

    /// The actor that holds the stanzas panics.
    pub(super) fn panics(&self) {
        self.router.signal(Panic).unwrap();
    }

    pub(super) fn has_room(&self) {
        self.router.signal(Unload).unwrap();
    }

    /// The numbers of the stanzas that the router has taken since the last call, in order.
    pub(super) fn taken(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.taken.try_recv().ok()).collect()
    }

    /// A reload that forbids some remote domains.
    pub(super) fn forbids(&mut self, remotes: &[&str]) {
        let policies = RemotePolicies::new(&settings(remotes));
        self.resumer.signal(resumer::Adopt { policies, limit: 20_000 }).unwrap();
    }
}

/// Waits until the actors have done everything that needs no time.
pub(super) async fn settled() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

impl Actor for FakeRouter {
    type Context = Context<Self>;
}

impl Handler<Queued<Route>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, route: Queued<Route>, _: &mut Context<Self>) {
        let Route { batches, .. } = route.into_message();
        for stanza in batches.iter().flat_map(|batch| &batch.stanzas) {
            self.taken.try_send(number(std::str::from_utf8(stanza.bytes()).unwrap())).unwrap();
        }
        if let Some(unsettled) = &mut self.unsettled {
            unsettled.extend(batches.into_iter().map(|mut batch| {
                batch.release();
                batch
            }));
        }
    }
}

impl Handler<Queued<Refuse>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, refuse: Queued<Refuse>, _: &mut Context<Self>) {
        refuse.into_message();
    }
}

impl Handler<Queued<incoming::Authorized>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, authorized: Queued<incoming::Authorized>, _: &mut Context<Self>) {
        authorized.into_message();
    }
}

impl Handler<Queued<Ballast>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, ballast: Queued<Ballast>, _: &mut Context<Self>) {
        self.ballast.push(ballast);
    }
}

impl Handler<Queued<Settle>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, settle: Queued<Settle>, _: &mut Context<Self>) {
        let Settle { reads, is_last_first } = settle.into_message();
        let unsettled = self.unsettled.get_or_insert_default();
        let at = if is_last_first { unsettled.len() - reads } else { 0 };
        unsettled.drain(at..at + reads);
    }
}

impl Handler<Queued<Panic>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, panic: Queued<Panic>, _: &mut Context<Self>) {
        panic.into_message();
        panic!("the panic of a test");
    }
}

impl Handler<Queued<Unload>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, unload: Queued<Unload>, _: &mut Context<Self>) {
        unload.into_message();
        self.ballast.clear();
    }
}

/// The places in the mailbox of the router.
const PLACES: usize = 4;

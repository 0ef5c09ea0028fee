//! Router, promise and outgoing sessions together, on paused time: remotes come and go, links are cut, and every stanza
//! has one outcome, in order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::Arbiter;
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, oneshot, watch},
};
use xmpp::{
    Domain, DomainPair,
    component::Secret,
    dialback,
    policy::{Bounds, Mechanism, Policy, Tls, Trust, UnknownRecipient},
    stream::{
        Initiating,
        initiating::{Output, Plan, Purpose},
    },
};

use crate::{
    account::{Outcome, Sheet},
    attempt::{Arrival, Dial, Dialling, Session},
    component::{self, Component},
    drain,
    failure::Failure,
    incoming,
    link::Stream,
    listener,
    mailbox::{self, Mailbox, Meter, Queued},
    promise::{self, Promise},
    recorder::{Notes, Recorder},
    router::{self, Router},
    settings,
    vital::Vital,
    workers::Workers,
};

/// Answers nothing; stands where a listener would.
struct Nobody;
impl actix::Actor for Nobody {
    type Context = actix::Context<Self>;
}
impl actix::Handler<Queued<listener::Ended>> for Nobody {
    type Result = ();
    fn handle(&mut self, ended: Queued<listener::Ended>, _: &mut actix::Context<Self>) {
        ended.open();
    }
}

/// The remote domains, and the switches by which a test breaks them.
#[derive(Clone)]
struct World {
    up: Arc<AtomicBool>,
    dials: Arc<AtomicUsize>,
    cut: watch::Sender<u64>,
    arrived: mpsc::Sender<(String, usize)>,
    /// Bytes between the two ends of a link.
    pipe: usize,
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

    fn dial(&self, pair: &DomainPair) -> Dialling {
        let (world, pair) = (self.clone(), pair.clone());
        Dialling {
            idle_timeout: Duration::from_secs(3600),
            keepalive: Duration::from_secs(300),
            write_timeout: Duration::from_secs(120),
            begin: Box::new(move || Box::pin(world.attempt(pair))),
        }
    }
}

impl World {
    async fn attempt(self, pair: DomainPair) -> Result<Arrival, Failure> {
        self.dials.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(80)).await;
        if !self.up.load(Relaxed) {
            return Err(Failure::Connect(Vec::new()));
        }
        let (ours, theirs) = duplex(self.pipe);
        actix_rt::spawn(self.remote(pair.remote.to_string(), theirs));
        let (machine, established) = established(&pair);
        let address = ([127, 0, 0, 1], 5269).into();
        Ok(Arrival::Session(Box::new(Session {
            expires: None,
            stream: Stream::Memory(ours),
            machine,
            established,
            address,
        })))
    }

    /// Reads until the link is cut.
    async fn remote(self, name: String, mut link: DuplexStream) {
        let mut cut = self.cut.subscribe();
        let mut bytes = BytesMut::new();
        loop {
            tokio::select! {
                read = link.read_buf(&mut bytes) => if !matches!(read, Ok(1..)) { return },
                _ = cut.changed() => return,
            }
            for id in take_ids(&mut bytes) {
                self.arrived.send((name.clone(), id)).await.unwrap();
            }
        }
    }
}

/// The numbers of the whole messages at the front of what was read.
fn take_ids(bytes: &mut BytesMut) -> Vec<usize> {
    let mut ids = Vec::new();
    while let Some(end) = bytes.windows(10).position(|window| window == b"</message>") {
        let message = bytes.split_to(end + 10);
        let text = std::str::from_utf8(&message).unwrap();
        let id = text.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        ids.push(id.parse().unwrap());
    }
    ids
}

/// A machine that has its negotiation behind it.
fn established(pair: &DomainPair) -> (Initiating, xmpp::stream::initiating::Established) {
    let mut machine = Initiating::new(Plan {
        pair: pair.clone(),
        purpose: Purpose::Session,
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
            Output::Established(established) => return (machine, established),
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
        trust: Trust(0),
        max_stanza: 100_000,
        max_stanza_unauthenticated: 10_000,
        idle_seconds: 0,
        secret: dialback::Secret::new("secret"),
        unknown_recipient: UnknownRecipient::Close,
    }
}

/// A node without sockets, and the program that serves its domain.
struct Node {
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    world: World,
    program: DuplexStream,
    arrived: mpsc::Receiver<(String, usize)>,
    sent: HashMap<String, usize>,
    read: BytesMut,
}

impl Node {
    async fn start(pipe: usize) -> Self {
        let here = Arbiter::current();
        let meter = |kind| Meter::new(kind, 4096, None);
        let (arrived, arrivals) = mpsc::channel(1_000_000);
        let (up, dials, cut) = (Arc::new(AtomicBool::new(true)), Arc::default(), watch::Sender::new(0));
        let world = World { up, dials, cut, arrived, pipe };
        let (recording, counted) = (settings::Recording { domains: 100, events: 32 }, meter("recorder"));
        let recorder = mailbox::start_on(&here, &meter("recorder"), "recorder", move |_| {
            Recorder::new(recording, counted)
        });
        let notes = Notes::new(recorder);
        let (router, router_inbox) = mailbox::open(&meter("router"), "router");
        let (promise, promise_inbox) = mailbox::open(&meter("promise"), "promise");
        let deaths = mpsc::channel(1).0;
        let (vital, dial, own) =
            (Vital::new("promise", deaths.clone()), Box::new(world.clone()), promise.clone());
        let owners = promise::Owners {
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            notes: notes.clone(),
        };
        let outgoing = meter("outgoing");
        promise_inbox.start_on(&here, move || {
            Promise::new(dial, bounds(), Workers::here(), outgoing, own, owners, vital)
        });
        let name = Domain::new(OURS).unwrap();
        let (vital, promising, names) = (Vital::new("router", deaths), promise.clone(), vec![name.clone()]);
        router_inbox.start_on(&here, move || {
            Router::new([], names, promising, settings::Service::default(), None, notes, vital)
        });
        let nobody: Mailbox<Nobody> = mailbox::start_on(&here, &meter("listener"), "listener", |_| Nobody);
        let surroundings = component::Surroundings {
            names: Arc::new(HashMap::from([(name, Secret::new("secret"))])),
            max_stanza: 100_000,
            bounds: Bounds::default(),
            write_timeout: Duration::from_secs(120),
            handshake_timeout: Duration::from_secs(30),
            router: router.clone(),
            ended: nobody.outlet(),
        };
        let (program, link) = duplex(64 * 1024);
        let components = meter("component");
        let counted = Arc::clone(&components);
        mailbox::start_on(&here, &components, "component", move |own| {
            let address = ([127, 0, 0, 1], 5347).into();
            Component::new(surroundings, Stream::Memory(link), address, own, counted)
        });
        let (sent, read) = (HashMap::new(), BytesMut::new());
        let mut node = Self { router, promise, world, program, arrived: arrivals, sent, read };
        node.log_in().await;
        node
    }

    async fn log_in(&mut self) {
        let header = format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{OURS}'>"
        );
        self.program.write_all(header.as_bytes()).await.unwrap();
        let answer = self.reads_until("id='").await + &self.reads_until("'").await;
        let id = answer.split("id='").nth(1).unwrap().trim_end_matches('\'');
        let digest = openssl::sha::sha1(format!("{id}secret").as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.program.write_all(format!("<handshake>{digest}</handshake>").as_bytes()).await.unwrap();
        self.reads_until("<handshake").await;
    }

    async fn reads_until(&mut self, end: &str) -> String {
        loop {
            let place = self.read.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(place) = place {
                return String::from_utf8(self.read.split_to(place + end.len()).to_vec()).unwrap();
            }
            assert!(self.program.read_buf(&mut self.read).await.unwrap() > 0, "the node hung up");
        }
    }

    /// Sends so many more numbered messages to a remote domain.
    async fn sends(&mut self, remote: &str, count: usize) {
        let next = self.sent.entry(remote.to_owned()).or_default();
        let numbers = *next..*next + count;
        *next += count;
        let messages: String = numbers
            .map(|id| {
                format!("<message from='a@{OURS}' to='b@{remote}' id='{id}'><body>{id}</body></message>")
            })
            .collect();
        self.program.write_all(messages.as_bytes()).await.unwrap();
    }

    fn remotes_are(&self, up: bool) {
        self.world.up.store(up, Relaxed);
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

    async fn account(&self) -> Arc<Sheet> {
        let (answer, answered) = oneshot::channel();
        self.router.signal(router::ShowFigures { busiest: 0, answer }).unwrap();
        answered.await.unwrap().account
    }

    /// Waits until nothing waits any more, and looks at what became of everything.
    async fn outcomes(mut self) -> Outcomes {
        let mut bounced: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let account = self.account().await;
        let total: usize = self.sent.values().sum();
        while account.taken().stanzas < total as u64 || account.waiting().stanzas > 0 {
            self.take_answers(&mut bounced, Duration::from_millis(100)).await;
        }
        // Answers may still be on their way to the program.
        self.take_answers(&mut bounced, Duration::from_secs(5)).await;
        let mut arrived: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        while let Ok((remote, id)) = self.arrived.try_recv() {
            arrived.entry(remote).or_default().push(id);
        }
        Outcomes { sent: self.sent.clone(), arrived, bounced, account }
    }

    /// Takes the error answers that come within the time.
    async fn take_answers(&mut self, bounced: &mut BTreeMap<String, Vec<usize>>, within: Duration) {
        let end = tokio::time::Instant::now() + within;
        while tokio::time::timeout_at(end, self.program.read_buf(&mut self.read)).await.is_ok() {}
        while let Some(place) = self.read.windows(10).position(|window| window == b"</message>") {
            let answer = self.read.split_to(place + 10);
            let text = String::from_utf8(answer.to_vec()).unwrap();
            let attribute = |name: &str| {
                let rest = text.split(&format!("{name}=")).nth(1).unwrap();
                rest.split(rest.chars().next().unwrap()).nth(1).unwrap().to_owned()
            };
            assert_eq!(attribute("type"), "error", "{text}");
            let remote = attribute("from").replace("b@", "");
            bounced.entry(remote).or_default().push(attribute("id").parse().unwrap());
        }
    }
}

struct Outcomes {
    sent: HashMap<String, usize>,
    arrived: BTreeMap<String, Vec<usize>>,
    bounced: BTreeMap<String, Vec<usize>>,
    account: Arc<Sheet>,
}

impl Outcomes {
    fn arrived(&self, remote: &str) -> Vec<usize> {
        self.arrived.get(remote).cloned().unwrap_or_default()
    }

    fn bounced(&self, remote: &str) -> Vec<usize> {
        self.bounced.get(remote).cloned().unwrap_or_default()
    }

    /// What holds whatever happens.
    fn adds_up(&self) {
        let account = &self.account;
        assert_eq!((account.difference(), account.waiting().stanzas), (0, 0), "{account:?}");
        let mut missing = 0;
        for (remote, sent) in &self.sent {
            let (arrived, bounced) = (self.arrived(remote), self.bounced(remote));
            assert!(
                arrived.is_sorted_by(|one, next| one < next),
                "{remote}: out of order or twice: {arrived:?}"
            );
            let mut outcomes = [arrived, bounced].concat();
            outcomes.sort_unstable();
            assert!(outcomes.is_sorted_by(|one, next| one < next), "{remote}: two outcomes: {outcomes:?}");
            missing += sent - outcomes.len();
        }
        let uncertain = account.settled(Outcome::Uncertain).stanzas as usize;
        assert!(missing <= uncertain, "{missing} missing, {uncertain} in doubt: {account:?}");
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

#[actix::test]
async fn what_arrives_while_a_link_is_being_handed_over_keeps_its_order() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..200 {
        node.sends("b.example", 7).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..1400).collect::<Vec<_>>());
}

#[actix::test]
async fn ten_thousand_stanzas_into_a_cold_link_wait_outside_and_all_arrive() {
    tokio::time::pause();
    let mut node = Node::start(4096).await;
    for _ in 0..100 {
        node.sends("b.example", 100).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example").len(), 10_000);
}

#[actix::test]
async fn a_remote_that_comes_back_gets_what_waited_within_the_pause_then_running() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    node.remotes_are(true);
    let back = tokio::time::Instant::now();
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..500).collect::<Vec<_>>());
    assert!(back.elapsed() < Duration::from_secs(60 + 7), "{:?}", back.elapsed());
}

#[actix::test]
async fn a_sign_of_life_ends_the_pause_at_once() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    node.remotes_are(true);
    let dials = node.world.dials.load(Relaxed);
    node.shows_life("b.example");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.world.dials.load(Relaxed), dials + 1, "one probe, at once");
    assert_eq!(node.account().await.waiting().stanzas, 0);
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn an_operator_ends_a_pause_with_one_probe_also_when_nothing_waits() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0, "expired");
    let dials = node.world.dials.load(Relaxed);
    let retried = node.retries("b.example").await;
    assert_eq!((retried.begun.len(), retried.under_way.len()), (1, 0));
    let again = node.retries("b.example").await;
    assert_eq!((again.begun.len(), again.under_way.len()), (0, 1), "it is being made");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.world.dials.load(Relaxed), dials + 1, "one probe, at once");
    assert!(node.retries("unknown.example").await.begun.is_empty());
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn a_link_that_an_operator_closes_loses_nothing_and_is_made_again_at_once() {
    tokio::time::pause();
    // A narrow pipe, so that much is to be written when it is closed.
    let mut node = Node::start(512).await;
    for _ in 0..10 {
        node.sends("b.example", 100).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (token, down) = drain::tokens();
        let (answer, closed) = oneshot::channel();
        let remote = Domain::new("b.example").unwrap();
        node.router.signal(router::Dismiss { remote, token, answer }).unwrap();
        assert_eq!(closed.await.unwrap(), 1);
        node.sends("b.example", 50).await;
        assert!(down.within(Duration::from_secs(6)).await, "the link is down");
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..1_500).collect::<Vec<_>>());
}

#[actix::test]
async fn each_pause_is_followed_by_one_probe_and_not_by_a_herd() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    for _ in 0..100 {
        node.sends("b.example", 5).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let dials = node.world.dials.load(Relaxed);
    assert!((3..=40).contains(&dials), "{dials} attempts in 100 s");
    node.remotes_are(true);
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn what_waits_too_long_is_answered_within_a_second_of_its_time() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 50).await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(node.account().await.waiting().stanzas, 50);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0);
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.bounced("b.example"), (0..50).collect::<Vec<_>>());
    assert_eq!(outcomes.account.settled(Outcome::Expired).stanzas, 50);
}

#[actix::test]
async fn a_link_that_dies_gives_back_what_it_had_not_written() {
    tokio::time::pause();
    // A narrow pipe, so that much is left when it breaks.
    let mut node = Node::start(512).await;
    for _ in 0..20 {
        for _ in 0..10 {
            node.sends("b.example", 25).await;
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(90)).await;
        node.cuts_every_link();
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert!(outcomes.bounced.is_empty(), "{} were answered", outcomes.bounced("b.example").len());
}

// RFC 6120 3.3: also when nothing waits at the moment of the cut.
#[actix::test]
async fn a_link_that_is_cut_as_soon_as_it_stands_is_made_again_after_growing_pauses() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..1200 {
        node.sends("b.example", 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.cuts_every_link();
    }
    let dials = node.world.dials.load(Relaxed);
    assert!((4..=40).contains(&dials), "{dials} attempts in two minutes");
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn a_denied_domain_is_answered_at_once_and_never_dialled() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.sends("denied.example", 10).await;
    let dials = Arc::clone(&node.world.dials);
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.bounced("denied.example").len(), 10);
    assert_eq!(dials.load(Relaxed), 0);
}

/// Arrivals, failures, recoveries, cuts and time, in an order that a seed decides.
#[actix::test]
async fn any_schedule_of_failures_adds_up() {
    tokio::time::pause();
    for seed in 1..=SCHEDULES {
        let mut random = Random(seed);
        let mut node = Node::start(if random.below(2) == 0 { 700 } else { 64 * 1024 }).await;
        for _ in 0..60 {
            let remote = ["b.example", "c.example", "d.example"][random.below(3)];
            match random.below(10) {
                0 => node.remotes_are(false),
                1 | 2 => node.remotes_are(true),
                3 => node.cuts_every_link(),
                4 => node.shows_life(remote),
                5 => tokio::time::sleep(Duration::from_secs(random.below(20) as u64)).await,
                6 => tokio::time::sleep(Duration::from_millis(random.below(100) as u64)).await,
                _ => node.sends(remote, 1 + random.below(60)).await,
            }
        }
        node.remotes_are(true);
        node.outcomes().await.adds_up();
    }
}

/// xorshift64: schedules that come again with their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ (self.0 >> 3) ^ 0x5bd1;
        (self.0 >> 20) as usize % end
    }
}

const OURS: &str = "a.example";

/// A few seconds' worth; more with more patience.
const SCHEDULES: u64 = 8;

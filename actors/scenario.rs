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
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, oneshot, watch},
    time::Instant,
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
impl actix::Handler<Queued<listener::Proved>> for Nobody {
    type Result = ();
    fn handle(&mut self, proved: Queued<listener::Proved>, _: &mut actix::Context<Self>) {
        proved.open();
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
    up: Arc<AtomicBool>,
    dials: Arc<AtomicUsize>,
    cut: watch::Sender<u64>,
    arrived: mpsc::Sender<Seen>,
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

    /// Reads until the link is cut or the stream is closed: what comes behind a closing tag is read by nobody.
    async fn remote(self, remote: String, mut link: DuplexStream) {
        let mut cut = self.cut.subscribe();
        let mut bytes = BytesMut::new();
        loop {
            tokio::select! {
                read = link.read_buf(&mut bytes) => if !matches!(read, Ok(1..)) { return },
                _ = cut.changed() => return,
            }
            let closed = place_of(&bytes, FOOTER);
            bytes.truncate(closed.unwrap_or(bytes.len()));
            while let Some(stanza) = take_until(&mut bytes, "</n></") {
                let (remote, id, at) = (remote.clone(), number(&stanza), Instant::now());
                self.arrived.send(Seen { remote, id, at }).await.unwrap();
            }
            if closed.is_some() {
                let _ = link.write_all(FOOTER.as_bytes()).await;
                return;
            }
        }
    }
}

/// Reads the answers that come to the program, as they come.
async fn read_answers(mut program: ReadHalf<DuplexStream>, mut read: BytesMut, answered: mpsc::Sender<Seen>) {
    loop {
        while let Some(answer) = take_until(&mut read, "</error></") {
            assert_eq!(attribute(&answer, "type"), "error", "{answer}");
            let remote = attribute(&answer, "from").replace("b@", "");
            answered.send(Seen { remote, id: number(&answer), at: Instant::now() }).await.unwrap();
        }
        if !matches!(program.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
    }
}

fn place_of(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

/// Takes the stanza whose end tag begins with the end of `end`, if it is there whole.
fn take_until(bytes: &mut BytesMut, end: &str) -> Option<String> {
    let name = place_of(bytes, end)? + end.len();
    let rest = bytes[name..].iter().position(|byte| *byte == b'>')?;
    Some(String::from_utf8(bytes.split_to(name + rest + 1).to_vec()).unwrap())
}

fn number(stanza: &str) -> usize {
    let text = stanza.split("<n>").nth(1).and_then(|rest| rest.split("</n>").next());
    text.unwrap_or_else(|| panic!("{stanza}")).parse().unwrap()
}

fn attribute(stanza: &str, name: &str) -> String {
    let rest = stanza.split(&format!(" {name}=")).nth(1).unwrap();
    rest.split(rest.chars().next().unwrap()).nth(1).unwrap().to_owned()
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
    program: WriteHalf<DuplexStream>,
    arrived: mpsc::Receiver<Seen>,
    answered: mpsc::Receiver<Seen>,
    /// The stanzas to each remote, by their numbers.
    sent: HashMap<String, Vec<Sent>>,
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
    Request,
    Result,
    Error,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Message, Self::Subscription, Self::Request, Self::Result, Self::Error];

    fn stanza(self, remote: &str, id: usize) -> String {
        let (name, type_) = match self {
            Self::Message => ("message", "chat"),
            Self::Subscription => ("presence", "subscribe"),
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
            Self::Subscription => bounds().presence,
            Self::Request | Self::Result => bounds().iq,
        }
    }
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
            door: 0,
            ended: nobody.outlet(),
            proved: nobody.outlet(),
            strangers: crate::quiet::Quiet::new("nuncio::component", 1, "more strangers"),
        };
        let (mut program, link) = duplex(64 * 1024);
        let components = meter("component");
        let counted = Arc::clone(&components);
        mailbox::start_on(&here, &components, "component", move |own| {
            let address = ([127, 0, 0, 1], 5347).into();
            Component::new(surroundings, Stream::Memory(link), address, own, counted)
        });
        let read = log_in(&mut program).await;
        let ((reader, program), (answers, answered)) = (split(program), mpsc::channel(1_000_000));
        actix_rt::spawn(read_answers(reader, read, answers));
        Self { router, promise, world, program, arrived: arrivals, answered, sent: HashMap::new() }
    }

    /// Sends so many more numbered messages to a remote domain.
    async fn sends(&mut self, remote: &str, count: usize) {
        self.sends_all(remote, &vec![Kind::Message; count]).await;
    }

    /// Sends more numbered stanzas to a remote domain.
    async fn sends_all(&mut self, remote: &str, kinds: &[Kind]) {
        let sent = self.sent.entry(remote.to_owned()).or_default();
        let stanzas: String = (sent.len()..).zip(kinds).map(|(id, kind)| kind.stanza(remote, id)).collect();
        sent.extend(kinds.iter().map(|&kind| Sent { kind, at: Instant::now() }));
        self.program.write_all(stanzas.as_bytes()).await.unwrap();
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

    /// Waits until nothing waits any more, and looks at what became of everything.
    async fn outcomes(mut self) -> Outcomes {
        let account = self.account().await;
        let total: usize = self.sent.values().map(Vec::len).sum();
        while account.taken().stanzas < total as u64 || account.waiting().stanzas > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Answers may still be on their way to the program.
        tokio::time::sleep(Duration::from_secs(5)).await;
        // A pause has an end, and the memory of it.
        tokio::time::sleep(bounds().backoff_longest + Duration::from_secs(70)).await;
        assert_eq!(self.pairs_known().await, 0, "nothing waits, so nothing is known of any pair");
        let (arrived, bounced) = (sort(&mut self.arrived), sort(&mut self.answered));
        Outcomes { sent: self.sent, arrived, bounced, account }
    }
}

/// Says who we are, and returns what was read beyond the answer.
async fn log_in(program: &mut DuplexStream) -> BytesMut {
    let header = format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{OURS}'>"
    );
    program.write_all(header.as_bytes()).await.unwrap();
    let mut read = BytesMut::new();
    let answer = reads_until(program, &mut read, " id='").await + &reads_until(program, &mut read, "'").await;
    let id = answer.split("id='").nth(1).unwrap().trim_end_matches('\'');
    let digest = openssl::sha::sha1(format!("{id}secret").as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    program.write_all(format!("<handshake>{digest}</handshake>").as_bytes()).await.unwrap();
    reads_until(program, &mut read, "<handshake").await;
    read
}

async fn reads_until(program: &mut DuplexStream, read: &mut BytesMut, end: &str) -> String {
    loop {
        if let Some(place) = place_of(read, end) {
            return String::from_utf8(read.split_to(place + end.len()).to_vec()).unwrap();
        }
        assert!(program.read_buf(read).await.unwrap() > 0, "the node hung up");
    }
}

/// What was seen, by remote domain, in the order in which it was seen.
fn sort(seen: &mut mpsc::Receiver<Seen>) -> BTreeMap<String, Vec<Seen>> {
    let mut sorted: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    while let Ok(one) = seen.try_recv() {
        sorted.entry(one.remote.clone()).or_default().push(one);
    }
    sorted
}

struct Outcomes {
    sent: HashMap<String, Vec<Sent>>,
    arrived: BTreeMap<String, Vec<Seen>>,
    bounced: BTreeMap<String, Vec<Seen>>,
    account: Arc<Sheet>,
}

impl Outcomes {
    fn arrived(&self, remote: &str) -> Vec<usize> {
        self.arrived.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    fn bounced(&self, remote: &str) -> Vec<usize> {
        self.bounced.get(remote).into_iter().flatten().map(|seen| seen.id).collect()
    }

    /// What holds whatever happens.
    fn adds_up(&self) {
        let account = &self.account;
        assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
        let mut missing = 0;
        for (remote, sent) in &self.sent {
            let (arrived, bounced) = (self.arrived(remote), self.bounced(remote));
            assert!(
                arrived.is_sorted_by(|one, next| one < next),
                "{remote}: out of order or twice: {arrived:?}"
            );
            for id in &bounced {
                assert!(sent[*id].kind.is_answered(), "{remote}: an answer to an answer: {id}");
            }
            for seen in
                [&self.arrived, &self.bounced].into_iter().filter_map(|seen| seen.get(remote)).flatten()
            {
                let Sent { kind, at } = &sent[seen.id];
                let late = seen.at.duration_since(*at).saturating_sub(kind.time());
                assert!(late <= AT_MOST_LATE, "{remote}: {kind:?} {} was {late:?} late", seen.id);
            }
            let mut outcomes = [arrived, bounced].concat();
            outcomes.sort_unstable();
            assert!(outcomes.is_sorted_by(|one, next| one < next), "{remote}: two outcomes: {outcomes:?}");
            missing += sent.len() - outcomes.len();
        }
        let of = |outcome| account.settled(outcome).stanzas as usize;
        let allowed = of(Outcome::Uncertain) + of(Outcome::Dropped);
        assert!(missing <= allowed, "{missing} missing, {allowed} in doubt or dropped: {account:?}");
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
    let back = Instant::now();
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..500).collect::<Vec<_>>());
    let last = outcomes.arrived["b.example"].last().unwrap().at.duration_since(back);
    assert!(last < bounds().backoff_longest + Duration::from_secs(2), "{last:?}");
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
        let (links, down) = node.closes("b.example").await;
        assert_eq!(links, 1);
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

/// Arrivals of every kind, failures, recoveries, cuts, an operator's hand and time, in an order that a seed decides.
#[actix::test]
async fn any_schedule_of_failures_adds_up() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let mut node = Node::start(if random.below(2) == 0 { 700 } else { 64 * 1024 }).await;
        for _ in 0..80 {
            let remote = ["b.example", "c.example", "d.example"][random.below(3)];
            match random.below(12) {
                0 => node.remotes_are(false),
                1 | 2 => node.remotes_are(true),
                3 => node.cuts_every_link(),
                4 => node.shows_life(remote),
                5 => tokio::time::sleep(Duration::from_secs(random.below(20) as u64)).await,
                6 => tokio::time::sleep(Duration::from_millis(random.below(100) as u64)).await,
                7 if random.below(4) == 0 => tokio::time::sleep(Duration::from_secs(200)).await,
                8 => drop(node.closes(remote).await),
                _ => {
                    let kinds: Vec<Kind> =
                        (0..=random.below(60)).map(|_| Kind::ALL[random.below(5)]).collect();
                    node.sends_all(remote, &kinds).await;
                }
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

const FOOTER: &str = "</stream:stream>";

/// How much longer than its time anything may wait: a second, and what it was held up outside before it was read.
const AT_MOST_LATE: Duration = Duration::from_secs(1 + 4);

/// A few seconds' worth; more with `NUNCIO_SCHEDULES`.
const SCHEDULES: u64 = 8;

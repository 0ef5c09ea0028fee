//! A node that only receives: incoming streams in memory, the resumer, and an actor in place of the router.

use std::net::SocketAddr;

use actix::{Actor, Context, Handler};
use xmpp::{
    Domain, acks,
    certificate::{Certificate, Name, TrustStore},
    dialback,
    policy::{Bounds, MalformedStanza, Mechanism, Pattern, Policy, Tls, UnknownRecipient},
};

use super::{component_client::place_of, *};
use crate::{
    dial::remote_policy::RemotePolicies,
    fixture::NullListener,
    flow::route::{Refuse, Route},
    observe::metrics::MetricsHandle,
    settings::Settings,
    streams::{
        incoming::{Drain, Incoming, LogLimits, Owners},
        resumer::{self, Resumer},
    },
};
use mailbox::Queued;
use net::tls;

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

/// A connection of a remote server.
pub(super) struct Peer {
    socket: DuplexStream,
    read: BytesMut,
    pub(super) stream: Mailbox<Incoming>,
}

/// An actor in place of the router: it numbers what it takes, and can be full.
struct FakeRouter {
    taken: mpsc::Sender<usize>,
    /// They fill the mailbox.
    ballast: Vec<Queued<Ballast>>,
}

/// A message that stays in the mailbox.
#[derive(Debug)]
struct Ballast;

/// Be no longer full.
#[derive(Debug)]
struct Unload;

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
            FakeRouter { taken: noting, ballast: Vec::new() }
        });
        let (policies, counted) = (RemotePolicies::new(&settings(&[])), meter("resumer"));
        let (own, limit) = (policies.clone(), resumable);
        let resumer = mailbox::start_on(&here, &meter("resumer"), "resumer", move |_| {
            Resumer::new(own, limit, counted)
        });
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
        };
        Self { environment, streams: meter("incoming"), resumer, router, taken, connections: 0 }
    }

    /// A connection of a remote server that has authenticated by EXTERNAL.
    pub(super) async fn connect(&mut self, remote: &str) -> Peer {
        let (socket, link) = duplex(1 << 20);
        self.connections += 1;
        let address: SocketAddr = ([127, 0, 0, 1], self.connections).into();
        let (environment, session) = (self.environment.clone(), session(remote));
        let counted = Arc::clone(&self.streams);
        let stream = mailbox::start_on(&Arbiter::current(), &self.streams, "incoming", move |own| {
            let (stream, since) = (Stream::Memory(link), clock::now());
            Incoming::new(environment, stream, Some(session), address, since, own, counted)
        });
        let mut peer = Peer { socket, read: BytesMut::new(), stream };
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

impl Peer {
    pub(super) async fn writes(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends numbered messages.
    pub(super) async fn sends(&mut self, remote: &str, numbers: std::ops::Range<usize>) {
        let stanzas: String = numbers.map(|number| message(remote, number)).collect();
        self.writes(&stanzas).await;
    }

    pub(super) async fn asks_for_ack(&mut self) {
        self.writes("<r xmlns='urn:xmpp:sm:3'/>").await;
    }

    /// Asks for an ack, and gives its count.
    pub(super) async fn count(&mut self) -> String {
        self.asks_for_ack().await;
        attribute(&self.reads_element("a").await, "h")
    }

    pub(super) async fn asks_to_resume(&mut self, id: &str) {
        self.writes(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    }

    /// The answer to a request to resume: `resumed 5`, `failed 5` or `failed`, and for the last the condition.
    pub(super) async fn reads_answer(&mut self) -> String {
        let answer = self.reads("urn:xmpp:sm:3").await + &self.reads(">").await;
        match answer.contains("<resumed") {
            true => format!("resumed {}", attribute(&answer, "h")),
            false => {
                let rest = self.reads("</failed>").await;
                match answer.contains(" h=") {
                    true => format!("failed {}", attribute(&answer, "h")),
                    false => format!("failed {}", rest.trim_start_matches('<').split(' ').next().unwrap()),
                }
            }
        }
    }

    /// Reads up to a text.
    pub(super) async fn reads(&mut self, end: &str) -> String {
        loop {
            if let Some(place) = place_of(&self.read, end) {
                return String::from_utf8(self.read.split_to(place + end.len()).to_vec()).unwrap();
            }
            let read = self.socket.read_buf(&mut self.read).await.unwrap();
            let so_far = String::from_utf8_lossy(&self.read);
            assert!(read > 0, "the node closed the connection after {so_far}, without {end}");
        }
    }

    /// Reads up to the start tag of an element, and gives the tag.
    pub(super) async fn reads_element(&mut self, name: &str) -> String {
        self.reads(&format!("<{name} ")).await;
        self.reads(">").await
    }

    /// All that comes until the node closes the connection. Answers its closing tag.
    pub(super) async fn reads_end(mut self) -> String {
        let mut text = self.reads("</stream:stream>").await;
        let _ = self.socket.write_all(FOOTER.as_bytes()).await;
        while self.socket.read_buf(&mut self.read).await.is_ok_and(|read| read > 0) {}
        text.push_str(&String::from_utf8_lossy(&self.read));
        text
    }

    /// Asserts that nothing comes for some time.
    pub(super) async fn reads_nothing_for(&mut self, time: Duration) {
        assert!(self.read.is_empty(), "{:?}", self.read);
        let read = tokio::time::timeout(time, self.socket.read_buf(&mut self.read)).await;
        assert!(read.is_err(), "{read:?}: {:?}", self.read);
    }

    /// The node stops.
    pub(super) fn is_drained(&self) {
        let drain = Drain { within: Duration::from_secs(10), token: drain::tokens().0 };
        self.stream.signal(drain).unwrap();
    }
}

/// A numbered message.
pub(super) fn message(remote: &str, number: usize) -> String {
    format!("<message from='b@{remote}' to='a@{OURS}' type='chat' id='{number}'><n>{number}</n></message>")
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
        for stanza in route.into_message().batches.into_iter().flat_map(|batch| batch.stanzas) {
            self.taken.try_send(number(std::str::from_utf8(stanza.bytes()).unwrap())).unwrap();
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

impl Handler<Queued<Unload>> for FakeRouter {
    type Result = ();

    fn handle(&mut self, unload: Queued<Unload>, _: &mut Context<Self>) {
        unload.into_message();
        self.ballast.clear();
    }
}

/// A TLS session in which the peer has shown a valid certificate for its domain.
fn session(remote: &str) -> tls::Session {
    let certificate = Certificate {
        names: vec![Name::Dns(remote.to_owned())],
        problems: vec![None],
        constraints: vec![None],
        fingerprint: "1".to_owned(),
        issuer: "an authority".to_owned(),
        expires: "2036-01-01".to_owned(),
    };
    tls::Session {
        certificate: Some(certificate),
        peer_chain: None,
        expires: None,
        protocol: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        alpn: None,
        sni: None,
    }
}

/// The settings of a node that serves one domain, and denies some remote domains.
fn settings(denied: &[&str]) -> Settings {
    let second = Duration::from_secs(1);
    let policy = Policy {
        tls: Tls::Required,
        auth: vec![Mechanism::External],
        strict_certificates: false,
        dialback_after_external: false,
        dialback_shortcut: false,
        trust: TrustStore(0),
        max_stanza: 100_000,
        max_stanza_unauthenticated: 10_000,
        idle_seconds: 0,
        secret: dialback::Secret::new("secret"),
        unknown_recipient: UnknownRecipient::Bounce,
        malformed_stanza: MalformedStanza::Bounce,
        acks: Some(acks::Offer { resume_for: Some(RESUME_TIMEOUT) }),
    };
    let remote = settings::Remote {
        policy,
        connect_timeout: 30 * second,
        handshake_timeout: 30 * second,
        attempt_timeout: 30 * second,
        idle_timeout: 3600 * second,
        keepalive: 300 * second,
        element_timeout: 60 * second,
        write_timeout: 120 * second,
        max_rate: None,
        address: None,
        direct_tls: false,
        acks: true,
        resume_timeout: RESUME_TIMEOUT,
        ack_timeout: 30 * second,
        repeat: settings::Repeat::Messages,
    };
    let limits = settings::Limits {
        max_connections: 1000,
        max_connections_unauthenticated: 1000,
        max_attempts_per_address: 1000,
        max_handshake: 65_536,
        components: settings::ComponentLimits { connections: 10, unproved_per_address: 10 },
        stream: Bounds::default(),
        verifications: settings::Verifications { at_once: 1, per_address: 1, waiting: 1 },
        dials: settings::Dials { at_once: 1, hanging: 1, per_address: 1, per_attempt: 1 },
        recording: settings::Recording { domains: 0, events: 0 },
        resumable: 20_000,
    };
    Settings {
        workers: 1,
        shutdown_timeout: 30 * second,
        log_mailboxes: None,
        listen: settings::Listen::default(),
        domains: vec![settings::LocalDomain { name: Domain::new(OURS).unwrap(), identity: None }],
        components: Vec::new(),
        trust: Vec::new(),
        remote,
        overrides: Vec::new(),
        allow: vec![Pattern::Any],
        deny: denied.iter().map(|name| Pattern::parse(name).unwrap()).collect(),
        max_connections_per_address: 1000,
        limits,
        promise: bounds(),
        dns: settings::Dns { nameservers: Vec::new(), timeout: second },
        service: settings::Service::default(),
    }
}

/// How long a lost stream can be resumed.
pub(super) const RESUME_TIMEOUT: Duration = Duration::from_secs(120);

/// The places in the mailbox of the router.
const PLACES: usize = 4;

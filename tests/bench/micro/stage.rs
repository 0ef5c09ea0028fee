//! Microbenchmark: the actors on the path of a stanza: router to component, and promise to a new session.
//! Sockets are plain TCP on loopback and remote domains are stubs, so that only the actors are measured.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use bytes::BytesMut;
use criterion::{Criterion, Throughput};
use xmpp::{Domain, DomainPair, Stanza, stanza::Origin};

use actors::{
    fixture::{self, SECRET, Setup},
    parts::{Batch, Dial, Ingress, Lost, PendingDial, RecorderHandle, Route, router::Router},
    settings,
};
use mailbox::{Mailbox, workers::Workers};
use net::stream::Stream;

/// Measures the time from a message to the router until the component has read all of it.
pub(crate) fn measure_the_router_hop(criterion: &mut Criterion) {
    let mut stage = Stage::set();
    let mut group = criterion.benchmark_group("router");
    for count in [1, 64] {
        let stanzas = stanzas("b.example", OURS, count);
        let mut answer = vec![0; stanzas.iter().map(|stanza| stanza.bytes().len()).sum()];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} stanzas to a component"), |bencher| {
            bencher.iter(|| {
                stage.route(stanzas.clone(), Ingress::Remote);
                stage.component.read_exact(&mut answer).expect("the stanzas");
            });
        });
    }
}

/// Measures the time from a message to the router, for a new domain, until the remote server has read it all.
pub(crate) fn measure_the_handover(criterion: &mut Criterion) {
    let stage = Stage::set();
    let mut group = criterion.benchmark_group("promise");
    let mut number = 0;
    group.throughput(Throughput::Elements(10));
    group.bench_function("10 stanzas to a new domain, handed over", |bencher| {
        bencher.iter(|| {
            number += 1;
            let stanzas = stanzas(OURS, &format!("d{number}.example"), 10);
            let mut answer = vec![0; stanzas.iter().map(|stanza| stanza.bytes().len()).sum()];
            stage.route(stanzas, Ingress::Local);
            let (mut remote, _) = stage.remotes.accept().expect("a connection");
            remote.read_exact(&mut answer).expect("the stanzas");
        });
    });
}

/// A node with one component, in its own thread.
struct Stage {
    router: Mailbox<Router>,
    /// The component's end of its connection.
    component: TcpStream,
    /// Listener for all remote domains.
    remotes: TcpListener,
}

impl Stage {
    fn set() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (remotes, listener) =
            (TcpListener::bind(loopback).expect("a port"), TcpListener::bind(loopback).expect("a port"));
        let at = remotes.local_addr().expect("an address");
        let mut component = TcpStream::connect(listener.local_addr().expect("an address")).expect("a socket");
        let (socket, _) = listener.accept().expect("a socket");
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                ready.send(start(socket, at)).expect("a waiting receiver");
                std::future::pending::<()>().await;
            });
        });
        let router = is_ready.recv().expect("a node");
        log_in(&mut component);
        Self { router, component, remotes }
    }

    fn route(&self, stanzas: Vec<Stanza>, ingress: Ingress) {
        let (from, to) = (stanzas[0].from_domain().clone(), stanzas[0].to_domain().clone());
        let batches = vec![Batch::between(from, to, stanzas)];
        self.router.tell(Route { batches, ingress }).expect("a router with room");
    }
}

/// Starts the actors on the current arbiter: one component at `socket`, all remote domains at `remotes`.
fn start(socket: TcpStream, remotes: SocketAddr) -> Mailbox<Router> {
    socket.set_nonblocking(true).expect("a socket");
    let address = socket.peer_addr().expect("an address");
    let stream = Stream::Tcp(tokio::net::TcpStream::from_std(socket).expect("a runtime").into());
    let (router, _) = fixture::start(Setup {
        domain: Domain::new(OURS).expect("a domain"),
        component: (stream, address),
        dial: Box::new(World { remotes }),
        workers: Workers::start(1).1,
        bounds: bounds(),
        capacity: 65_536,
        recorder: RecorderHandle::disabled(),
    });
    router
}

fn log_in(component: &mut TcpStream) {
    write!(
        component,
        "<stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{OURS}'>"
    )
    .expect("a socket");
    let header = read_until(component, " id='", ">");
    let id = header.split(" id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id");
    let digest = openssl::sha::sha1(format!("{id}{SECRET}").as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    write!(component, "<handshake>{digest}</handshake>").expect("a socket");
    read_until(component, "<handshake", ">");
}

fn read_until(component: &mut TcpStream, begin: &str, end: &str) -> String {
    let mut text = String::new();
    while text.find(begin).is_none_or(|at| !text[at..].contains(end)) {
        let mut byte = [0];
        component.read_exact(&mut byte).expect("an answer");
        text.push(byte[0].into());
    }
    text
}

/// Dialer that connects every remote domain to one address, with an established session.
struct World {
    remotes: SocketAddr,
}

impl Dial for World {
    fn serves(&self, _: &Domain) -> bool {
        true
    }

    fn permits(&self, _: &Domain) -> bool {
        true
    }

    fn dials(&self) -> settings::Dials {
        settings::Dials { at_once: 256, hanging: 0, per_address: 256, per_attempt: 1 }
    }

    fn dial(&self, pair: &DomainPair, lost: Option<Lost>) -> PendingDial {
        let (address, pair) = (self.remotes, pair.clone());
        let dial = fixture::dial(move || async move {
            let stream = tokio::net::TcpStream::connect(address).await.expect("a remote");
            Ok(fixture::session(&pair, Stream::Tcp(stream.into()), address))
        });
        PendingDial { lost, ..dial }
    }
}

fn bounds() -> settings::Promise {
    settings::Promise {
        max_stanzas: 1000,
        max_bytes: 4 << 20,
        total_bytes: 256 << 20,
        message: Duration::from_secs(300),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(45),
        backoff_first: Duration::from_secs(1),
        backoff_longest: Duration::from_secs(300),
    }
}

fn stanzas(from: &str, to: &str, count: usize) -> Vec<Stanza> {
    let scope = vec![(String::new(), "jabber:server".to_owned())];
    let origin = Origin { namespace: "jabber:server", scope, lang: None };
    let mut framer = xmpp::framer::Framer::new(xmpp::framer::Limits::default());
    let mut text =
        String::from("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>");
    for number in 0..count {
        text += &format!(
            "<message from='romeo@{from}' to='juliet@{to}' id='{number}' type='chat'><body>{}</body></message>",
            "x".repeat(200)
        );
    }
    let mut bytes = BytesMut::from(text.as_bytes());
    let mut stanzas = Vec::new();
    while let Some(frame) = framer.next(&mut bytes).expect("stanzas") {
        if let xmpp::framer::Frame::Element(element) = frame {
            stanzas.push(Stanza::admit(element, &origin).expect("a stanza"));
        }
    }
    stanzas
}

const OURS: &str = "a.example";

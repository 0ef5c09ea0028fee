//! The load of an attack: a thousand idle connections and two hundred with forged dialback keys, beside a healthy link (RFC 6120,
//! section 13.12).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

use crate::support::{
    Auth, Certificate, Component, HEADER, INBOX, Network, Node, Server, Setup, Tls, connect_from,
};

// rows: E24 E25 E27
#[test]
fn a_thousand_idle_streams_and_many_forged_keys_cost_little() {
    withstands(Ground::Clear);
}

// rows: E24 E25 E27
#[test]
fn a_thousand_idle_tls_streams_and_many_forged_keys_cost_little() {
    withstands(Ground::Secured);
}

/// How the attackers connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Without TLS, so that two lines of text lead to dialback.
    Clear,
    /// Direct TLS; every attacker completes the handshake.
    Secured,
}

fn withstands(ground: Ground) {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let network = Network::new();
    let healthy = Node::start(&network, ground.setup("healthy.example"));
    let setup = ground.setup("nuncio.example").set("log_mailboxes", "\"0s\"");
    let node = Node::start(&network, setup.set("s2s.handshake_timeout", ground.handshake_timeout()));
    let mut asker = node.outbox();
    median(&mut asker, healthy.domain(), 20);
    let quiet = median(&mut asker, healthy.domain(), 200);
    let (before, lines_before) = (node.process().status("VmHWM"), node.process().lines().len());

    let (over, began) = (Arc::<AtomicBool>::default(), Instant::now());
    let sources: Vec<Ipv4Addr> = (0..40).map(|_| network.address()).collect();
    let target = SocketAddr::from((node.address(), ground.port()));
    let mut idle: Vec<_> = (0..1000).map(|number| ground.connects(sources[number % 20], target)).collect();
    let mut attackers = vec![opens_tags(idle.split_off(600), &over), drips(idle.split_off(300), &over)];
    let liars = sources[20..].to_vec();
    attackers.extend((0..4).map(|part| lies(ground, liars.clone(), target, part, &over)));
    let attacked = median(&mut asker, healthy.domain(), 200);
    node.eventually_logs(&["more streams ended without authentication"]);
    node.eventually_logs(&["more dialback keys were received"]);
    over.store(true, Ordering::Relaxed);
    let lies: usize = attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum();
    // The node still answers: each of these requests gets its result.
    median(&mut asker, healthy.domain(), 5);

    let peak = node.process().status("VmHWM");
    let lines = node.process().lines().len() - lines_before;
    println!(
        "{ground:?}: {lies} lies; peak memory {before} KiB before, {peak} KiB after; median latency {quiet:?} quiet, \
         {attacked:?} attacked, ratio {:.2}; {lines} lines in the log",
        attacked.as_secs_f64() / quiet.as_secs_f64()
    );
    assert!(peak - before < MEMORY, "{} KiB for an attack", peak - before);
    // Repeated events are summed up every few seconds.
    let most = LINES * (1 + began.elapsed().as_secs() as usize / LINES_WITHIN);
    assert!(lines < most, "{lines} lines in the log:\n{}", node.process().lines().join("\n"));
}

impl Ground {
    fn setup(self, domain: &str) -> Setup {
        let setup = Setup::of(domain).auth(Auth::Dialback);
        match self {
            Self::Clear => setup.certificate(Certificate::Missing).tls(Tls::Optional),
            Self::Secured => setup.direct_tls(),
        }
    }

    /// Long enough that all are connected at the same time.
    fn handshake_timeout(self) -> &'static str {
        match self {
            Self::Clear => "\"4s\"",
            Self::Secured => "\"12s\"",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Clear => 5269,
            Self::Secured => 5270,
        }
    }

    fn connects(self, source: Ipv4Addr, target: SocketAddr) -> Box<dyn Line> {
        let socket = connect_from(source, target);
        if self == Self::Clear {
            return Box::new(socket);
        }
        let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        connector.set_alpn_protos(b"\x0bxmpp-server").unwrap();
        Box::new(connector.build().connect(INBOX, socket).expect("TLS with a stranger"))
    }
}

/// A connection of an attacker.
trait Line: Read + Write + Send {
    fn socket(&self) -> &TcpStream;

    /// Closes the sending side.
    fn ends(&mut self);
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn ends(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Line for SslStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref()
    }

    fn ends(&mut self) {
        let _ = self.shutdown();
        let _ = self.get_ref().shutdown(Shutdown::Write);
    }
}

/// Sends a byte a second on each connection until the attack is over.
fn drips(mut lines: Vec<Box<dyn Line>>, over: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        for byte in HEADER.bytes() {
            for line in &mut lines {
                let _ = line.write_all(&[byte]);
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(Duration::from_secs(1));
        }
        0
    })
}

/// Opens nested elements on each connection until the attack is over.
fn opens_tags(mut lines: Vec<Box<dyn Line>>, over: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        for line in &mut lines {
            let _ = line.write_all(HEADER.as_bytes());
        }
        while !over.load(Ordering::Relaxed) {
            for line in &mut lines {
                let _ = line.write_all(b"<a xmlns='urn:x' b='c'>");
            }
            thread::sleep(Duration::from_millis(100));
        }
        0
    })
}

/// Sends keys for invented domains, on fifty connections at a time, and returns their number.
fn lies(
    ground: Ground,
    sources: Vec<Ipv4Addr>,
    target: SocketAddr,
    part: usize,
    over: &Arc<AtomicBool>,
) -> JoinHandle<usize> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let mut count = 0;
        while !over.load(Ordering::Relaxed) {
            let mut lines: Vec<_> =
                (0..50).map(|number| ground.connects(sources[number % sources.len()], target)).collect();
            for (number, line) in lines.iter_mut().enumerate() {
                let keys: String = (0..40)
                    .map(|key| {
                        count += 1;
                        let name = format!("x{part}-{number}-{key}-{count}.made-up.example");
                        format!("<db:result from='{name}' to='{INBOX}'>a lie</db:result>")
                    })
                    .collect();
                let _ = line.write_all(format!("{HEADER}{keys}").as_bytes());
            }
            for line in &mut lines {
                line.ends();
                let _ = line.socket().set_read_timeout(Some(Duration::from_millis(500)));
                let _ = line.read_to_end(&mut Vec::new());
            }
            thread::sleep(Duration::from_millis(500));
        }
        count
    })
}

/// The median time of so many pings.
fn median(asker: &mut Component, domain: &str, count: usize) -> Duration {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            let pong = asker.asks(domain, "<ping xmlns='urn:xmpp:ping'/>");
            assert!(pong.is("iq", "result"), "{pong}");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[count / 2]
}

/// KiB that the node may use for the whole attack.
const MEMORY: u64 = 96 * 1024;

/// The most log lines in so many seconds of an attack.
const LINES: usize = 150;
const LINES_WITHIN: usize = 30;

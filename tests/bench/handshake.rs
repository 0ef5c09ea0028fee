//! Lower bound for a cold link: the CPU cost of a TLS handshake with certificates checked on both ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use openssl::ssl::{SslAcceptor, SslConnector, SslFiletype, SslMethod, SslVerifyMode, SslVersion};

use crate::arguments::{Arguments, Work};
use crate::results::{Figure, Results};
use crate::servers::Kind;
use crate::support::{Identity, Network};

/// Measures the cost of a handshake, both ends together, in every round.
pub(crate) fn run(network: &Network, arguments: &Arguments, results: &mut Results) {
    if !arguments.wants(Work::Handshake) {
        return;
    }
    let identity = network.authority.issue(&["a.example", "*.a.example"]);
    let count = if arguments.quick { 100 } else { 1000 };
    for round in 0..arguments.rounds {
        let each = measure(network, &identity, count) / f64::from(count) * 1e3;
        eprintln!("round {round}: a mutual TLS handshake costs both ends {each:.3} CPU-ms");
        results.add(Figure::HandshakeCost, Kind::Bare, each);
    }
}

/// Returns the processor seconds of `count` handshakes.
fn measure(network: &Network, identity: &Identity, count: u32) -> f64 {
    let (authority, files) = (network.file_of(&network.authority), network.files(identity));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate_chain_file(&files.certificate).unwrap();
    acceptor.set_private_key_file(&files.key, SslFiletype::PEM).unwrap();
    acceptor.set_ca_file(&authority).unwrap();
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    acceptor.set_min_proto_version(Some(SslVersion::TLS1_3)).unwrap();
    acceptor.set_session_cache_mode(openssl::ssl::SslSessionCacheMode::OFF);
    acceptor.set_num_tickets(0).unwrap();
    let acceptor = acceptor.build();
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_certificate_chain_file(&files.certificate).unwrap();
    connector.set_private_key_file(&files.key, SslFiletype::PEM).unwrap();
    connector.set_ca_file(&authority).unwrap();
    let connector = connector.build();

    let listener = TcpListener::bind((network.address(), 5269)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let before = thread_seconds();
            for _ in 0..count {
                let (socket, _) = listener.accept().unwrap();
                socket.set_nodelay(true).unwrap();
                let mut stream = acceptor.accept(socket).unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(b"b").unwrap();
            }
            thread_seconds() - before
        });
        let before = thread_seconds();
        for _ in 0..count {
            let socket = TcpStream::connect(address).unwrap();
            socket.set_nodelay(true).unwrap();
            let mut stream = connector.connect("b.a.example", socket).unwrap();
            stream.write_all(b"a").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        thread_seconds() - before + server.join().unwrap()
    })
}

/// Processor seconds of the calling thread, with a resolution of 1 ns (Linux,
/// Documentation/scheduler/sched-stats.rst).
fn thread_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds as f64 / 1e9
}

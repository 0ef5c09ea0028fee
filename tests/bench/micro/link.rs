//! Microbenchmark: one TLS link, from a write at one end until the owner at the other end has all bytes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use actix::{Actor, Arbiter, Context, Handler};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use testkit::Authority;
use tokio::sync::mpsc::UnboundedSender;
use xmpp::{Domain, DomainPair};

use crate::script::Script;
use actors::{
    parts::link::{Event, Link},
    settings::{Identity, Trust},
};
use mailbox::{Meter, Queued};
use net::{stream::Stream, tls::Tls};

/// Measures single stanzas, and the chunks that occur under load.
pub(crate) fn measure(criterion: &mut Criterion) {
    let (link, arrived) = connected();
    let mut group = criterion.benchmark_group("link");
    for count in [1_usize, 200] {
        let script = Script::messages("a.example", "b.example");
        let mut bytes = Vec::new();
        (0..count as u64).for_each(|number| script.write(number, &mut bytes));
        let length = bytes.len();
        let pieces: Vec<Bytes> = bytes.chunks(length / count).map(Bytes::copy_from_slice).collect();
        group.throughput(Throughput::ElementsAndBytes { elements: count as u64, bytes: length as u64 });
        group.bench_function(format!("{count} stanzas over TLS"), |bencher| {
            bencher.iter(|| {
                link.send(pieces.clone()).expect("the writing end");
                let mut missing = length;
                let mut written = false;
                while missing > 0 || !written {
                    match arrived.recv().expect("both ends") {
                        Came::Bytes(bytes) => missing -= bytes,
                        Came::Written => written = true,
                    }
                }
            });
        });
    }
}

/// Events of a link that its owner reports.
enum Came {
    Bytes(usize),
    Written,
}

/// Owner of one end of the link.
struct Owner(Sender<Came>);

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<Queued<Event>> for Owner {
    type Result = ();

    fn handle(&mut self, event: Queued<Event>, _: &mut Context<Self>) {
        let came = match event.into_message() {
            Event::Received { bytes, .. } => Came::Bytes(bytes.len()),
            Event::Written => Came::Written,
            _ => return,
        };
        // The receiver is gone when the benchmark ends.
        let _ = self.0.send(came);
    }
}

/// Connects two ends, each on its own arbiter. Returns the sender to the writing end, and the events of both.
fn connected() -> (UnboundedSender<Vec<Bytes>>, Receiver<Came>) {
    let (came, comes) = mpsc::channel();
    let (made, is_made) = mpsc::channel();
    thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let tls = tls(&Authority::new("authority").expect("an authority"));
            let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let other = Arbiter::new();
            let (accepting, events) = (tls.clone(), came.clone());
            let listener = listener.into_std().expect("a socket");
            other.spawn_fn(move || {
                drop(actix_rt::spawn(async move {
                    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                    let (socket, _) = listener.accept().await.expect("a connection");
                    socket.set_nodelay(true).expect("a socket");
                    let (stream, _) = accepting.accept(socket, None, true).await.expect("TLS");
                    let _link = link(Stream::Tls(Box::new(stream)), events);
                    std::future::pending::<()>().await;
                }));
            });
            let socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
            socket.set_nodelay(true).expect("a socket");
            let [local, remote] = ["a.example", "b.example"].map(|name| Domain::new(name).expect("a domain"));
            let (stream, _) = tls.connect(socket, &DomainPair { local, remote }, true).await.expect("TLS");
            let link = link(Stream::Tls(Box::new(stream)), came);
            let (chunks, mut written) = tokio::sync::mpsc::unbounded_channel();
            made.send(chunks).expect("a waiting receiver");
            while let Some(chunk) = written.recv().await {
                link.write(chunk);
            }
        });
    });
    (is_made.recv().expect("a link"), comes)
}

fn link(stream: Stream, events: Sender<Came>) -> Link {
    let meter = Meter::new("owner", 1024, None);
    let owner = mailbox::start_on(&Arbiter::current(), &meter, "owner", move |_| Owner(events));
    Link::start(stream, owner.outlet())
}

fn tls(authority: &Authority) -> Tls {
    let identity = |name: &str| {
        let testkit::Identity { chain, key, .. } = authority.issue(&[name]);
        let identity = Identity { chain, key };
        (Domain::new(name).expect("a domain"), Some(identity))
    };
    let identities = ["a.example", "b.example"].map(identity).to_vec();
    Tls::new(identities, &[Trust::Authorities(Vec::new())]).expect("TLS")
}

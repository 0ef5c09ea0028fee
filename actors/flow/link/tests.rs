//! Links over TCP: what has arrived is read, whatever becomes of the connection.

use actix::{Actor, Arbiter, Context as ActorContext, Handler};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;
use mailbox::{Meter, Queued};
use net::network::Socket;

/// An owner that passes the events of its link on.
struct Owner(Sender<Event>);

impl Actor for Owner {
    type Context = ActorContext<Self>;
}

impl Handler<Queued<Event>> for Owner {
    type Result = ();

    fn handle(&mut self, event: Queued<Event>, _: &mut ActorContext<Self>) {
        self.0.try_send(event.into_message()).unwrap();
    }
}

/// A link over TCP with its events, and the connection of the peer.
async fn link() -> (Link, Receiver<Event>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let (sender, events) = channel(16);
    let owner =
        mailbox::start_on(&Arbiter::current(), &Meter::new("owner", 100, None), "owner", |_| Owner(sender));
    (Link::start(Stream::Tcp(Socket::from(socket)), owner.outlet()), events, peer)
}

fn received(event: Event) -> (BytesMut, ReadPermit) {
    match event {
        Event::Received { bytes, permit } => (bytes, permit),
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn what_arrived_before_a_reset_is_read_although_a_write_fails() {
    let (link, mut events, mut peer) = link().await;
    peer.write_all(b"first").await.unwrap();
    let (first, permit) = received(events.recv().await.unwrap());
    assert_eq!(&first[..], b"first");
    // The owner is busy with the first read, so the second one waits in the kernel.
    peer.write_all(b"<a xmlns='urn:xmpp:sm:3' h='1'/>").await.unwrap();
    peer.set_zero_linger().unwrap();
    drop(peer);
    link.write(vec![Bytes::from_static(b"<message/>")]);
    assert!(matches!(events.recv().await, Some(Event::PeerEnded { end: PeerEnd::Broken, written: 0 })));
    drop(permit);
    let (second, permit) = received(events.recv().await.unwrap());
    assert_eq!(&second[..], b"<a xmlns='urn:xmpp:sm:3' h='1'/>");
    drop(permit);
    match events.recv().await.unwrap() {
        Event::Ended { written: 0, error: Some(_) } => {}
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn the_end_of_a_connection_that_is_not_read_is_reported_and_its_data_follows() {
    let (link, mut events, mut peer) = link().await;
    peer.write_all(b"first").await.unwrap();
    let (_, permit) = received(events.recv().await.unwrap());
    link.watch_end();
    peer.write_all(b"second").await.unwrap();
    // Data is not the end.
    let early = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
    assert!(early.is_err(), "{early:?}");
    drop(peer);
    assert!(matches!(events.recv().await, Some(Event::PeerEnded { end: PeerEnd::Closed, .. })));
    drop(permit);
    let (second, permit) = received(events.recv().await.unwrap());
    assert_eq!(&second[..], b"second");
    drop(permit);
    assert!(matches!(events.recv().await, Some(Event::Eof)));
}

//! The fixture of most tests of one link: a node, and a scripted server `peer.example` with a valid certificate.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::{Auth, Component, Identity, Listener, Network, Node, Peer, SOON, Server, Setup};

pub(crate) struct Fixture {
    pub(crate) network: Network,
    pub(crate) node: Node,
    pub(crate) identity: Identity,
}

impl Fixture {
    /// With the node `nuncio.example`, which accepts certificates only.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Setup::of("nuncio.example").auth(Auth::External))
    }

    /// With that node.
    #[track_caller]
    pub(crate) fn with(setup: Setup) -> Self {
        let network = Network::new();
        let node = Node::start(&network, setup);
        let identity = network.authority.issue(&["peer.example"]);
        Self { network, node, identity }
    }

    /// A stream from `peer.example` to the node's component `inbox.`, authenticated by certificate.
    #[track_caller]
    pub(crate) fn peer(&self) -> Peer {
        self.peer_to(INBOX)
    }

    /// A stream from `peer.example` to a local domain, authenticated by certificate.
    #[track_caller]
    pub(crate) fn peer_to(&self, domain: &str) -> Peer {
        Peer::authenticates(self.node.address(), "peer.example", domain, &self.identity)
    }

    /// Publishes `peer.example` and listens there.
    pub(crate) fn listens(&self) -> Listener {
        let address = self.network.address();
        self.network.publish("peer.example", address);
        Listener::at(address)
    }

    /// Checks that a legitimate stanza, sent now, is the first that arrives at `inbox`.
    #[track_caller]
    pub(crate) fn nothing_arrived_at(&self, inbox: &mut Component) {
        let mut peer = self.peer();
        peer.sends(&message("valid"));
        let first = inbox.next(SOON).expect("the valid stanza");
        assert_eq!(first.attribute("id"), "valid", "{first}");
    }

    /// Sends bytes to the server port and returns the answer until the node closes the connection.
    #[track_caller]
    pub(crate) fn answer_to(&self, bytes: &[u8]) -> String {
        let mut stream = connect_from(self.network.address(), (self.node.address(), 5269).into());
        // The node may close the connection before the end.
        let _ = stream.write_all(bytes);
        read_to_end(&mut stream)
    }
}

/// Connects from the address `source`.
pub(crate) fn connect_from(source: Ipv4Addr, target: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&target.into()).expect("a server that listens");
    socket.into()
}

/// Reads until the other side closes or resets the connection.
#[track_caller]
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                answer.extend_from_slice(&buffer[..length]);
                if answer.ends_with(b"</stream:stream>") {
                    // As servers do: the other side waits for it.
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8(answer).expect("UTF-8")
}

/// A message from `peer.example` to the node's component `inbox.`.
pub(crate) fn message(id: &str) -> String {
    format!("<message from='romeo@peer.example' to='juliet@{INBOX}' id='{id}'><body>hello</body></message>")
}

/// A stream header of `peer.example`.
pub(crate) const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='peer.example' \
     to='inbox.nuncio.example'>";

/// The receiving component.
pub(crate) const INBOX: &str = "inbox.nuncio.example";

//! After our closing tag the connection stays open until the peer answers it, so that a peer that is still writing can
//! read the stream error (RFC 6120, section 4.4).

use std::time::Duration;

use openssl::ssl::ShutdownState;

use crate::support::{
    Auth, Event, INBOX, Identity, Listener, Network, Node, Nothing, Peer, Server, Setup, Wire, eventually,
};

/// Observations of a peer on a connection that the node closes with a stream error; the peer answers after a moment.
struct Parting {
    error: String,
    /// The connection was open until the peer answered.
    waited: bool,
    /// TLS was closed with close_notify.
    notified: bool,
}

/// Reads an error, keeps writing, and answers the closing tag after that.
fn parts(peer: &mut Peer) -> Parting {
    let error = peer.expects("error");
    peer.expects_closed();
    peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    peer.sends(&"<message from='a@peer.example' to='b@nuncio.example'/>".repeat(1000));
    let waited = matches!(peer.next(Duration::from_millis(100)), Err(Nothing::Late));
    peer.sends("</stream:stream>");
    peer.expects_end();
    let notified = !peer.is_secured() || peer.secured().get_shutdown().contains(ShutdownState::RECEIVED);
    Parting { error: error.to_string(), waited, notified }
}

/// On a busy machine a pause of 100 ms may last longer than the node waits, but not every time.
fn holds(what: &str, condition: &str, mut ended: impl FnMut() -> Peer) {
    eventually(what, || {
        let parting = parts(&mut ended());
        assert!(parting.error.contains(condition), "{what}: {}", parting.error);
        assert!(parting.notified, "{what}: no close_notify");
        parting.waited.then_some(())
    });
}

fn strict() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External).set("s2s.strict_certificates", "true")
}

fn other_name(network: &Network) -> Identity {
    network.authority.issue(&["somebody-else.example"])
}

// rows: B17 B18
#[test]
fn a_server_with_a_refused_certificate_reads_the_error() {
    let network = Network::new();
    let node = Node::start(&network, strict());
    let identity = other_name(&network);
    holds("the caller is waited for", "policy-violation", || {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls("peer.example", INBOX, Some(&identity));
        peer
    });
}

#[test]
fn a_server_refused_in_clear_text_reads_the_error() {
    let network = Network::new();
    let node = Node::start(&network, strict());
    holds("the caller is waited for", "not-well-formed", || {
        let mut peer = Peer::dials(node.address());
        peer.sends_header("peer.example", INBOX, "");
        peer.expects_header();
        peer.expects("features");
        peer.sends("<a></b>");
        peer
    });
}

#[test]
fn an_authenticated_server_reads_why_its_stream_ends() {
    let network = Network::new();
    let node = Node::start(&network, strict());
    let identity = network.authority.issue(&["peer.example"]);
    holds("the caller is waited for", "not-well-formed", || {
        let mut peer = Peer::authenticates(node.address(), "peer.example", INBOX, &identity);
        peer.sends("<a></b>");
        peer
    });
}

#[test]
fn a_server_that_we_dialed_and_refuse_reads_why() {
    let network = Network::new();
    let node = Node::start(&network, strict());
    let identity = other_name(&network);
    let (mut inbox, mut number) = (node.inbox(), 0);
    holds("the server is waited for", "policy-violation", || {
        number += 1;
        let (domain, address) = (format!("peer{number}.example"), network.address());
        network.publish(&domain, address);
        let listener = Listener::at(address);
        inbox.sends_message(&domain, "refused", "");
        let mut peer = listener.accepts();
        peer.answers_to_tls(&domain, &identity);
        peer
    });
}

#[test]
fn a_component_with_a_wrong_secret_reads_why() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    eventually("the component is waited for", || {
        let stream = std::net::TcpStream::connect((node.address(), 5347)).unwrap();
        let mut wire = Wire::new(stream);
        wire.send(&format!(
            "<stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{INBOX}'>"
        ));
        assert!(matches!(wire.next(SOON), Ok(Event::Opened(_))));
        wire.send("<handshake>wrong</handshake>");
        match wire.next(SOON) {
            Ok(Event::Element(error)) => drop(error.expect("not-authorized")),
            other => panic!("{other:?}"),
        }
        assert!(matches!(wire.next(SOON), Ok(Event::Closed)));
        let waited = matches!(wire.next(Duration::from_millis(100)), Err(Nothing::Late));
        wire.send("</stream:stream>");
        assert!(matches!(wire.next(SOON), Err(Nothing::Ended)));
        waited.then_some(())
    });
}

#[test]
fn a_peer_that_never_answers_is_not_waited_for_long() {
    let network = Network::new();
    let node = Node::start(&network, strict());
    let identity = network.authority.issue(&["peer.example"]);
    let mut peer = Peer::authenticates(node.address(), "peer.example", INBOX, &identity);
    peer.sends("<a></b>");
    peer.expects("error");
    peer.expects_closed();
    peer.expects_end();
    assert!(peer.secured().get_shutdown().contains(ShutdownState::RECEIVED));
}

const SOON: Duration = Duration::from_secs(30);

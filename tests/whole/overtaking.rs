//! Targets that make no progress: the next one is tried beside them, and the first to authenticate wins.

use std::{net::IpAddr, time::Duration};

use super::fixture::{
    EXTERNAL, Identity, Listener, Network, Node, PROCEED, Peer, STARTTLS, Setup, log_has, paused, sleep,
    timed,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    ClosedPort,
    ClosesAtOnce,
    DropsPackets,
    Silent,
    StopsAfterHeader,
    NeverAnswersStartTls,
}

#[test]
fn a_first_target_with_a_fault_delays_a_stanza_by_less_than_six_seconds_and_is_preferred_when_it_is_well() {
    use Fault::{ClosedPort, ClosesAtOnce, DropsPackets, NeverAnswersStartTls, Silent, StopsAfterHeader};
    for fault in [ClosedPort, ClosesAtOnce, DropsPackets, Silent, StopsAfterHeader, NeverAnswersStartTls] {
        paused(async |network| {
            let scene = Scene::set(network).await;
            let (near, mut far) = (scene.near.inbox().await, scene.far.inbox().await);
            let faulty = (fault != ClosedPort).then(|| Listener::at(network, scene.first));
            network.internet.switch(scene.first, fault != DropsPackets);
            near.sends_message(REMOTE, "cold", "");
            let play = async {
                match &faulty {
                    Some(listener) if fault != DropsPackets => plays(listener, fault).await,
                    _ => None,
                }
            };
            let ((peer, _), took) = timed(async { tokio::join!(play, far.receives_id("cold")) }).await;
            assert!(took < Duration::from_secs(6), "{fault:?}: {took:?}");
            if let Some(reason) = reason(fault) {
                assert!(log_has(&["overtaken", "at=server.first.example:5269", reason]), "{fault:?}");
            }
            if let Some(mut peer) = peer {
                peer.expects_closed().await;
                peer.finishes().await;
            }
            // The link is closed when it is idle, and the next attempt begins with the first target.
            sleep(Duration::from_secs(2 * 3600)).await;
            network.internet.switch(scene.first, true);
            let well = faulty.unwrap_or_else(|| Listener::at(network, scene.first));
            near.sends_message(REMOTE, "again", "");
            scene.accepts(&well).await.expects_message("again").await;
        });
    }
}

/// Why the log says that the target was overtaken.
fn reason(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::ClosedPort | Fault::ClosesAtOnce => None,
        Fault::DropsPackets => Some("no answer from 198.18.0.3:5269 within 3 s"),
        Fault::Silent => Some("within 3 s while we were waiting for the stream header"),
        Fault::StopsAfterHeader => Some("within 3 s while we were waiting for the stream features"),
        Fault::NeverAnswersStartTls => Some("within 3 s while we were waiting for the answer to STARTTLS"),
    }
}

/// The steps of a server with a fault. Gives the connection that it keeps.
async fn plays(listener: &Listener, fault: Fault) -> Option<Peer> {
    let mut peer = listener.accepts().await;
    if fault == Fault::ClosesAtOnce {
        return None;
    }
    peer.expects_header().await;
    if fault != Fault::Silent {
        peer.sends_header(REMOTE, INBOX, "id='1'").await;
    }
    if fault == Fault::NeverAnswersStartTls {
        peer.sends_features(STARTTLS).await;
        peer.expects("starttls").await;
    }
    Some(peer)
}

#[test]
fn a_machine_with_two_silent_addresses_delays_a_stanza_by_less_than_six_seconds() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let (near, mut far) = (scene.near.inbox().await, scene.far.inbox().await);
        let other = network.address();
        network.publish_host("server.first.example", other);
        let silent = [scene.first, other].map(|address| Listener::at(network, address));
        near.sends_message(REMOTE, "cold", "");
        let (_, took) = timed(far.receives_id("cold")).await;
        assert!(took < Duration::from_secs(6), "{took:?}");
        for listener in &silent {
            let mut peer = listener.accepts().await;
            peer.expects_header().await;
            peer.expects_closed().await;
        }
    });
}

#[test]
fn a_slow_target_wins_if_it_authenticates_first() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let near = scene.near.inbox().await;
        network.internet.switch(scene.far.address(), false);
        let slow = Listener::at(network, scene.first);
        near.sends_message(REMOTE, "cold", "");
        let mut peer = slow.accepts().await;
        sleep(Duration::from_secs(8)).await;
        assert_eq!(network.attempts(scene.far.address()), 1, "the second target is tried");
        peer.answers_to_external(REMOTE, &scene.identity).await;
        peer.expects_message("cold").await;
    });
}

#[test]
fn no_more_than_three_connections_are_open_beside_each_other() {
    paused(async |network| {
        let near = Node::start(network, Setup::of("nuncio.example").external()).await;
        let silent: Vec<Listener> =
            (0..6).map(|number| publish(network, number, network.address())).collect();
        let mut inbox = near.inbox().await;
        inbox.sends_request(REMOTE, "request");
        let began = clock::now();
        let dialled = || silent.iter().filter(|at| network.attempts(at.address()) > 0).count();
        sleep(Duration::from_millis(2900)).await;
        assert_eq!(dialled(), 1);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(dialled(), 3);
        // The first connection ends after 30 s, and the next one begins.
        sleep(Duration::from_secs(8)).await;
        assert_eq!(dialled(), 4);
        let answer = inbox.receives_id("request").await;
        answer.expect("error").expect("remote-server-timeout");
        let took = clock::since(began);
        assert!(took <= Duration::from_secs(91), "the time of the attempt: {took:?}");
    });
}

#[test]
fn only_the_connection_that_authenticates_first_asks_for_the_lost_stream() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let near = scene.near.inbox().await;
        network.internet.switch(scene.far.address(), false);
        let second = publish(network, 5, network.address());
        let first = Listener::at(network, scene.first);
        near.sends_message(REMOTE, "1", "");
        let mut peer = first.accepts().await;
        peer.answers_to_tls(REMOTE, &scene.identity).await;
        peer.takes_external_and_offers(REMOTE, SM).await;
        peer.expects("enable").await;
        peer.sends(&format!("<enabled xmlns='{NS}' id='kept' resume='true'/>")).await;
        peer.expects_message("1").await;
        drop(peer);
        // The stream is lost with an unacknowledged stanza. The server that has it is slow now.
        let mut slow = first.accepts().await;
        slow.answers_to_tls(REMOTE, &scene.identity).await;
        slow.sends_features(EXTERNAL).await;
        slow.expects("auth").await;
        let mut fast = second.accepts().await;
        fast.answers_to_tls(REMOTE, &scene.identity).await;
        fast.takes_external_and_offers(REMOTE, SM).await;
        assert_eq!(fast.expects("resume").await.attribute("previd"), "kept");
        slow.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        slow.expects_closed().await;
        slow.finishes().await;
        fast.sends(&format!(
            "<failed xmlns='{NS}'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        ))
        .await;
        fast.expects("enable").await;
        fast.sends(&format!("<enabled xmlns='{NS}'/>")).await;
        fast.expects_message("1").await;
    });
}

#[test]
fn a_connection_without_tls_does_not_win_once_the_remote_had_tls_on_another() {
    paused(async |network| {
        let setup = Setup::of("nuncio.example").dialback().set("s2s.tls", "\"optional\"");
        let scene = Scene::of(network, setup).await;
        network.internet.switch(scene.far.address(), false);
        let (first, clear) = (Listener::at(network, scene.first), publish(network, 5, network.address()));
        let mut inbox = scene.near.inbox().await;
        inbox.sends_request(REMOTE, "request");
        let mut secured = first.accepts().await;
        secured.expects_header().await;
        secured.sends_header(REMOTE, INBOX, "id='1'").await;
        secured.sends_features(STARTTLS).await;
        secured.expects("starttls").await;
        // This connection begins in clear text, as nobody knows yet that the remote has TLS.
        let mut stripped = clear.accepts().await;
        stripped.expects_header().await;
        stripped.sends_header(REMOTE, INBOX, "id='2'").await;
        stripped.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>").await;
        stripped.expects("result").await;
        secured.sends(PROCEED).await;
        secured.secures_as_server(&scene.identity).await;
        secured.expects_header().await;
        stripped.sends(&format!("<db:result from='{REMOTE}' to='{INBOX}' type='valid'/>")).await;
        stripped.expects_closed().await;
        inbox.receives_id("request").await.expect("error").expect("remote-server-timeout");
        assert!(!log_has(&["authenticated", "mechanism=dialback"]));
    });
}

/// The node `nuncio.example`, and a domain with two targets: the first at an address of its own, the second a node that
/// is well.
struct Scene {
    near: Node,
    far: Node,
    /// The address of the first target.
    first: IpAddr,
    identity: Identity,
}

impl Scene {
    async fn set(network: &Network) -> Self {
        Self::of(network, Setup::of("nuncio.example").external()).await
    }

    async fn of(network: &Network, setup: Setup) -> Self {
        let far = Node::start(network, Setup::of("other.example").external()).await;
        let near = Node::start(network, setup).await;
        let first = network.address();
        let service = format!("_xmpp-server._tcp.{REMOTE}");
        network.dns.clear(&service);
        network.dns.srv(&service, 0, 0, 5269, "server.first.example");
        network.publish_host("server.first.example", first);
        network.dns.srv(&service, 1, 0, 5269, &format!("server.{REMOTE}"));
        Self { near, far, first, identity: network.authority.issue(&[REMOTE]) }
    }

    /// The first target authenticates the node.
    async fn accepts(&self, listener: &Listener) -> Peer {
        let mut peer = listener.accepts().await;
        peer.answers_to_external(REMOTE, &self.identity).await;
        peer
    }
}

/// Publishes a further target, and listens there.
fn publish(network: &Network, priority: u16, address: IpAddr) -> Listener {
    let host = format!("server{priority}.more.example");
    network.dns.srv(&format!("_xmpp-server._tcp.{REMOTE}"), priority, 0, 5269, &host);
    network.publish_host(&host, address);
    Listener::at(network, address)
}

const REMOTE: &str = "inbox.other.example";
const INBOX: &str = "inbox.nuncio.example";
const NS: &str = "urn:xmpp:sm:3";
const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";

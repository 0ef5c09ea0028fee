//! The question of a node about a stream that was lost (XEP-0198 section 5): where it is asked, and how long the node waits.

use std::time::Duration;

use super::{
    fixture::{Element, Event, Listener, Network, Peer, Setup, eventually_logs, log_has, paused, timed},
    scene::{INBOX, PEER, Scene, quick},
};

/// The features of a peer that acknowledges stanzas.
const OFFER: &str = "<sm xmlns='urn:xmpp:sm:3'/>";

/// The node connects, and asks for acknowledgements or for a lost stream. Gives its request too.
async fn accepts(scene: &Scene<'_>, listener: &Listener) -> (Peer, Element) {
    let mut peer = listener.accepts().await;
    peer.answers_to_tls(PEER, &scene.identity).await;
    peer.takes_external_and_offers(PEER, OFFER).await;
    match peer.next(DAY).await {
        Ok(Event::Element(request)) => (peer, request),
        other => panic!("{other:?}"),
    }
}

/// The node sends a message on a stream that it can resume, and loses the connection.
async fn loses_a_message(scene: &Scene<'_>, listener: &Listener) {
    let inbox = scene.node.inbox().await;
    inbox.sends_message(PEER, "1", "");
    let (mut peer, request) = accepts(scene, listener).await;
    assert_eq!(request.name, "enable");
    peer.sends("<enabled xmlns='urn:xmpp:sm:3' id='lost' resume='true'/>").await;
    peer.expects_message("1").await;
}

/// Answers that the peer has handled the message.
async fn resumes(peer: &mut Peer) {
    peer.sends("<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='1'/>").await;
}

/// Waits until the message is acknowledged.
async fn is_acknowledged(scene: &Scene<'_>) {
    while scene.node.account().await.acknowledged().stanzas < 1 {
        super::fixture::sleep(Duration::from_millis(100)).await;
    }
    let account = scene.node.account().await;
    assert_eq!((account.repeated().stanzas, account.bounces().map(|(_, count)| count).sum::<u64>()), (0, 0));
}

/// Reads a figure of the node.
async fn resumptions(scene: &Scene<'_>, result: &str) -> String {
    let scrape = scene.node.scrape().await;
    let name = format!("nuncio_resumptions_total{{role=\"sender\",result=\"{result}\"}} ");
    let line = scrape.lines().find_map(|line| line.strip_prefix(&*name));
    line.unwrap_or_else(|| panic!("no {name} in {scrape}")).to_owned()
}

// rows: H7
#[test]
fn a_question_without_an_answer_ends_after_five_seconds_and_is_not_repeated() {
    paused(async |network| {
        let scene = Scene::of(network, quick()).await;
        let listener = scene.listens();
        loses_a_message(&scene, &listener).await;
        let (mut silent, request) = accepts(&scene, &listener).await;
        assert_eq!((request.name.as_str(), request.attribute("previd")), ("resume", "lost"));
        let ((), took) = timed(silent.expects_end()).await;
        assert!(took >= Duration::from_secs(5) && took < Duration::from_millis(5500), "{took:?}");
        let (mut peer, request) = accepts(&scene, &listener).await;
        assert_eq!(request.name, "enable");
        peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>").await;
        peer.expects_message("1").await;
        assert!(log_has(&["WARN", "does not answer the question about the lost stream"]));
        assert_eq!(resumptions(&scene, "refused").await, "1");
    });
}

// rows: H7
#[test]
fn a_peer_that_cannot_answer_now_is_asked_again() {
    for condition in ["resource-constraint", "conflict"] {
        paused(async |network| {
            let scene = Scene::of(network, quick()).await;
            let listener = scene.listens();
            loses_a_message(&scene, &listener).await;
            let (mut busy, request) = accepts(&scene, &listener).await;
            assert_eq!(request.name, "resume");
            busy.sends(&format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
                 </stream:stream>"
            ))
            .await;
            busy.waits_for_the_end().await;
            let (mut peer, request) = accepts(&scene, &listener).await;
            assert_eq!(
                (request.name.as_str(), request.attribute("previd")),
                ("resume", "lost"),
                "{condition}"
            );
            resumes(&mut peer).await;
            is_acknowledged(&scene).await;
            assert_eq!(resumptions(&scene, "resumed").await, "1");
            assert_eq!(resumptions(&scene, "refused").await, "0");
        });
    }
}

// rows: H7
#[test]
fn the_address_of_the_lost_link_is_asked_first() {
    paused(async |network| {
        let scene = Scene::of(network, Setup::of("nuncio.example").external()).await;
        let [first, second] = [publishes(network, "first", 1), publishes(network, "second", 2)];
        let listener = Listener::at(network, second);
        loses_a_message(&scene, &listener).await;
        assert_eq!((network.attempts(first), network.attempts(second)), (1, 1));
        // The target with the better priority is up by now, and does not know the stream.
        let _better = Listener::at(network, first);
        let (mut peer, request) = accepts(&scene, &listener).await;
        assert_eq!(request.name, "resume");
        assert_eq!((network.attempts(first), network.attempts(second)), (1, 2));
        resumes(&mut peer).await;
        is_acknowledged(&scene).await;
    });
}

/// Publishes a host of the peer at a new address.
fn publishes(network: &Network, name: &str, priority: u16) -> std::net::IpAddr {
    let (host, address) = (format!("{name}.{PEER}"), network.address());
    network.dns.srv(&format!("_xmpp-server._tcp.{PEER}"), priority, 0, 5269, &host);
    network.publish_host(&host, address);
    address
}

// H4: in both directions, and for the operator.
#[test]
fn the_log_says_whether_stanzas_are_acknowledged() {
    paused(async |network| {
        let scene = Scene::of(network, quick()).await;
        let listener = scene.listens();
        loses_a_message(&scene, &listener).await;
        eventually_logs(&["INFO", "outgoing acks enabled", PEER, "acks=resumable"]).await;
        let mut peer = scene.peer().await;
        peer.sends("<enable xmlns='urn:xmpp:sm:3'/>").await;
        peer.expects("enabled").await;
        assert!(log_has(&["INFO", "incoming acks enabled", INBOX, PEER, "acks=yes"]));
    });
}

const DAY: Duration = Duration::from_secs(24 * 3600);

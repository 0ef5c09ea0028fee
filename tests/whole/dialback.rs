//! Dialback with servers that are slow or short of resources.

use std::time::Duration;

use super::{
    fixture::{Listener, Network, Node, Peer, Setup, paused, sleep, timed},
    scene::{INBOX, PEER},
};

// rows: F17
#[test]
fn a_silent_authority_is_reported_before_the_handshake_timeout() {
    paused(async |network| {
        let node = Node::start(network, dialback()).await;
        let _silent = Listener::of(network, "silent.example");
        let mut dialling = Peer::dials(network, &node).await;
        dialling.sends_header("silent.example", INBOX, "").await;
        dialling.expects_header().await;
        dialling.expects("features").await.expect("dialback");
        dialling.sends(&format!("<db:result from='silent.example' to='{INBOX}'>key</db:result>")).await;
        let (answer, took) = timed(dialling.expects("result")).await;
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (INBOX, "silent.example"));
        let error = answer.expect("error");
        assert_eq!(
            (error.attribute("type"), error.namespace.as_str()),
            ("wait", "jabber:server"),
            "{answer}"
        );
        error.expect("remote-server-timeout");
        assert!(took <= Duration::from_secs(30), "{took:?}");
        dialling.expects_error("connection-timeout").await;
    });
}

// rows: F23
#[test]
fn resource_constraint_leads_to_retries_on_new_connections_until_the_stanza_is_answered() {
    paused(async |network| {
        let node = Node::start(network, dialback()).await;
        let listener = Listener::of(network, PEER);
        let mut inbox = node.inbox().await;
        inbox.sends_message(PEER, "in the end", "");
        is_short_of_resources(&listener).await;
        let mut peer = listener.accepts().await;
        is_asked(&mut peer).await;
        peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}' type='valid'/>")).await;
        peer.expects_message("in the end").await;
        drop(peer);
        sleep(Duration::from_secs(60)).await;

        inbox.sends_message(PEER, "never", "");
        let (answer, attempts) = tokio::join!(inbox.receives_id("never"), short_for_a_while(&listener));
        assert_eq!(answer.expect("error").attribute("type"), "wait", "{answer}");
        answer.expect("error").expect("remote-server-timeout");
        assert!((5..=20).contains(&attempts), "{attempts} attempts in five minutes");
    });
}

#[test]
fn a_burst_to_a_remote_that_answers_keys_slowly_arrives_in_order() {
    paused(async |network: &Network| {
        let node = Node::start(network, dialback()).await;
        let listener = Listener::of(network, PEER);
        let inbox = node.inbox().await;
        for number in 0..500 {
            inbox.sends_message(PEER, &number.to_string(), "");
        }
        let mut peer = listener.accepts().await;
        is_asked(&mut peer).await;
        sleep(Duration::from_secs(25)).await;
        peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}' type='valid'/>")).await;
        for number in 0..500 {
            peer.expects_message(&number.to_string()).await;
        }
        assert_eq!(network.attempts(listener.address()), 1);
    });
}

/// Answers every attempt of ten minutes; returns the number.
async fn short_for_a_while(listener: &Listener) -> usize {
    let mut attempts = 0;
    let all = async {
        loop {
            is_short_of_resources(listener).await;
            attempts += 1;
        }
    };
    let _: Result<(), _> = tokio::time::timeout(Duration::from_secs(600), all).await;
    attempts
}

async fn is_short_of_resources(listener: &Listener) {
    let mut peer = listener.accepts().await;
    is_asked(&mut peer).await;
    peer.sends(&format!(
        "<db:result from='{PEER}' to='{INBOX}' type='error'><error type='wait'>\
         <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
    ))
    .await;
    actix_rt::spawn(async move { peer.waits_for_the_end().await });
}

/// Answers a stream of the node up to its key.
async fn is_asked(peer: &mut Peer) {
    peer.expects_header().await;
    peer.sends_header(PEER, INBOX, "id='1'").await;
    peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>").await;
    peer.expects("result").await;
}

/// A node without TLS, so that scripts consist of dialback only.
fn dialback() -> Setup {
    Setup::of("nuncio.example").dialback().without_certificate().set("s2s.tls", "\"optional\"")
}

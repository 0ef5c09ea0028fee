//! Peers that go silent: each stage of a negotiation has its end.

use std::time::Duration;

use super::fixture::{
    Behaviour, EXTERNAL, Element, Identity, Listener, Node, Nothing, PROCEED, Peer, STARTTLS, Setup,
    eventually_logs, header, paused, sleep, timed,
};

// rows: E27
#[test]
fn a_stream_that_does_not_authenticate_in_time_is_closed() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").external()).await;
        let header = header(PEER, INBOX, "");
        let starttls = format!("{header}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        for (stage, said) in [
            ("silence", ""),
            ("part of a header", &header[..40]),
            ("a header", &header),
            ("part of an element", &starttls[..starttls.len() - 10]),
            ("no TLS", &starttls),
        ] {
            let mut peer = Peer::dials(network, &node).await;
            peer.sends(said).await;
            let (answer, took) = timed(everything(&mut peer)).await;
            // No stream error can be sent during a TLS handshake.
            let told = answer.contains("<connection-timeout ") || stage == "no TLS";
            assert!(told, "{stage}: {answer}");
            assert!(ends_in_time(took), "{stage}: closed after {took:?}");
        }
        eventually_logs(&["closed", "not authenticated in time"]).await;
    });
}

// rows: E27
#[test]
fn a_byte_from_time_to_time_does_not_extend_the_time_to_authenticate() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").external()).await;
        let mut peer = Peer::dials(network, &node).await;
        let (mut answer, mut drips) = (String::new(), 0);
        for byte in header(PEER, INBOX, "").chars() {
            peer.sends(&byte.to_string()).await;
            drips += 1;
            match peer.hears(Duration::from_secs(1)).await {
                Ok(heard) => answer.push_str(&heard),
                Err(Nothing::Late) => {}
                Err(Nothing::Ended) => break,
            }
            if answer.contains("</stream:stream>") {
                break;
            }
        }
        assert!(answer.contains("<connection-timeout "), "{answer}");
        assert!((29..=32).contains(&drips), "closed after {drips} s");
    });
}

// rows: E27
#[test]
fn a_peer_that_is_silent_after_tls_is_closed_in_time() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").external()).await;
        let identity = network.authority.issue(&[PEER]);
        let mut peer = Peer::dials(network, &node).await;
        peer.starts_tls(PEER, INBOX, Some(&identity)).await;
        peer.expects("features").await;
        let ((), took) = timed(peer.expects_error("connection-timeout")).await;
        assert!(ends_in_time(took), "closed after {took:?}");
    });
}

// rows: I7
#[test]
fn waiting_for_the_first_byte_or_for_tls_has_a_timeout() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").external()).await;
        let mut silent = Peer::dials(network, &node).await;
        let mut stalled = Peer::dials(network, &node).await;
        stalled.sends("\u{16}").await;
        let mut liar = Peer::dials(network, &node).await;
        liar.sends("\u{16}<stream:stream xmlns='jabber:server'>").await;
        liar.waits_for_the_end().await;
        let ((), took) = timed(stalled.expects_end()).await;
        assert!(ends_in_time(took), "closed after {took:?}");
        silent.expects_header().await;
        silent.expects("error").await.expect("connection-timeout");
        silent.expects_closed().await;
        // The port still takes peers that begin with TLS.
        let identity = network.authority.issue(&[PEER]);
        let mut direct = Peer::dials(network, &node).await;
        direct.begins_with_tls(INBOX, &identity).await;
        direct.sends_header(PEER, INBOX, "").await;
        direct.expects_header().await;
        direct.expects("features").await;
    });
}

#[test]
fn a_server_that_is_silent_in_any_stage_costs_the_attempt_its_time_and_no_more() {
    for stage in 0..=6 {
        paused(async |network| {
            let node = Node::start(network, Setup::of("nuncio.example").external()).await;
            let identity = network.authority.issue(&[PEER]);
            Listener::of(network, PEER).plays(async move |peer| silent_server(peer, stage, &identity).await);
            let (answer, took) = timed(answer_to_request(&node)).await;
            answer.expect("error").expect("remote-server-timeout");
            assert!(ends_in_time(took), "stage {stage}: answered after {took:?}");
        });
    }
}

/// Goes silent after so many steps of a negotiation.
async fn silent_server(mut peer: Peer, stage: usize, identity: &Identity) {
    let wait = Duration::from_secs(3600);
    if stage > 0 {
        peer.expects_header().await;
        peer.sends_header(PEER, INBOX, "id='1'").await;
    }
    if stage > 1 {
        peer.sends_features(STARTTLS).await;
        peer.expects("starttls").await;
    }
    if stage > 2 {
        peer.sends(PROCEED).await;
    }
    if stage > 3 {
        peer.secures_as_server(identity).await;
        peer.expects_header().await;
    }
    if stage > 4 {
        peer.sends_header(PEER, INBOX, "id='2'").await;
    }
    if stage > 5 {
        peer.sends_features(EXTERNAL).await;
        peer.expects("auth").await;
    }
    sleep(wait).await;
}

#[test]
fn a_host_that_is_off_costs_the_attempt_the_time_to_connect() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").external()).await;
        let address = network.address();
        network.publish(PEER, address);
        network.internet.switch(address, false);
        let (answer, took) = timed(answer_to_request(&node)).await;
        answer.expect("error").expect("remote-server-timeout");
        assert_eq!(took.as_secs(), 10, "{took:?}");
    });
}

#[test]
fn a_name_server_that_is_silent_costs_the_attempt_the_time_of_the_dns() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").set("dns.timeout", "\"7s\"")).await;
        network.dns.behaves(PEER, Behaviour::Silence);
        let (answer, took) = timed(answer_to_request(&node)).await;
        answer.expect("error").expect("remote-server-timeout");
        assert_eq!(took.as_secs(), 7, "{took:?}");
    });
}

/// The answer to a request of the component `inbox.` to the peer.
async fn answer_to_request(node: &Node) -> Element {
    let mut inbox = node.inbox().await;
    inbox.sends_request(PEER, "request");
    inbox.receives_id("request").await
}

/// Everything that the node sends until it closes the connection.
async fn everything(peer: &mut Peer) -> String {
    let mut answer = String::new();
    while let Ok(heard) = peer.hears(Duration::from_secs(3600)).await {
        answer.push_str(&heard);
    }
    answer
}

/// Whether this is the default of `handshake_timeout`, with the time to close the connection.
fn ends_in_time(took: Duration) -> bool {
    (Duration::from_secs(29)..Duration::from_secs(40)).contains(&took)
}

const PEER: &str = "peer.example";
const INBOX: &str = "inbox.nuncio.example";

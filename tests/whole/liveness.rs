//! Open streams over time: keepalive, idleness, slow elements and expired certificates.

use std::time::Duration;

use super::{
    fixture::{Event, Identity, Listener, Nothing, PROCEED, Peer, STARTTLS, Setup, paused, timed},
    scene::{INBOX, PEER, Scene, message, quick},
};

// rows: B20 B21
#[test]
fn a_silent_link_is_checked_now_and_then_and_never_while_it_is_negotiated() {
    paused(async |network| {
        let scene = Scene::of(network, quick().set("s2s.keepalive", "\"5s\"")).await;
        let listener = scene.listens();
        let inbox = scene.node.inbox().await;
        inbox.sends_message(PEER, "1", "");

        // During a negotiation, for longer than `keepalive`.
        let mut peer = listener.accepts().await;
        peer.expects_header().await;
        peer.sends_header(PEER, INBOX, "id='1'").await;
        assert_eq!(peer.hears(NEGOTIATED).await, Err(Nothing::Late));
        peer.sends_features(STARTTLS).await;
        peer.expects("starttls").await;
        assert_eq!(peer.hears(NEGOTIATED).await, Err(Nothing::Late));
        peer.sends(PROCEED).await;
        peer.secures_as_server(&scene.identity).await;
        peer.expects_header().await;
        peer.sends_header(PEER, INBOX, "id='2'").await;
        assert_eq!(peer.hears(NEGOTIATED).await, Err(Nothing::Late));
        peer.takes_external(PEER).await;
        peer.expects("message").await;

        // An established link is checked once per interval, on both sides, for hours.
        let mut theirs = scene.peer().await;
        let [ours, theirs] = [&mut peer, &mut theirs].map(|peer| timed(hears_white_space(peer, 100)));
        let (ours, theirs) = tokio::join!(ours, theirs);
        for (checks, took) in [ours, theirs] {
            assert_eq!(checks.trim(), "", "{checks:?}");
            assert!(took >= 99 * KEEPALIVE, "{} checks in {took:?}", checks.len());
            assert!(
                took <= 100 * (KEEPALIVE + Duration::from_secs(2)),
                "{} checks in {took:?}",
                checks.len()
            );
        }
        inbox.sends_message(PEER, "2", "");
        peer.expects_message("2").await;
    });
}

async fn hears_white_space(peer: &mut Peer, bytes: usize) -> String {
    let mut heard = String::new();
    while heard.len() < bytes {
        heard.push_str(&peer.hears(2 * KEEPALIVE).await.expect("a sign of life"));
    }
    heard
}

// rows: B17 B22
#[test]
fn stanzas_behind_our_closing_tag_are_still_delivered() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let mut inbox = scene.node.inbox().await;
        let mut peer = scene.peer().await;
        // Idleness is not an error, so there is no stream error.
        let ((), took) = timed(peer.expects_closed()).await;
        assert!((HOUR..HOUR + Duration::from_secs(301)).contains(&took), "idle after {took:?}");
        for number in 0..10 {
            peer.sends(&message(&number.to_string())).await;
        }
        peer.sends("</stream:stream>").await;
        peer.expects_end().await;
        for number in 0..10 {
            inbox.receives_id(&number.to_string()).await;
        }
    });
}

// rows: B22
#[test]
fn our_idle_stream_is_closed_without_an_error_and_reopened_when_needed() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let listener = scene.listens();
        let inbox = scene.node.inbox().await;
        inbox.sends_message(PEER, "1", "");
        let mut peer = scene.accepts(&listener).await;
        peer.expects_message("1").await;
        let ((), took) = timed(peer.expects_closed()).await;
        assert!((HOUR..HOUR + Duration::from_secs(301)).contains(&took), "idle after {took:?}");
        peer.sends("</stream:stream>").await;
        peer.expects_end().await;
        inbox.sends_message(PEER, "2", "");
        scene.accepts(&listener).await.expects_message("2").await;
    });
}

// rows: E27
#[test]
fn an_element_sent_too_slowly_ends_an_authenticated_stream() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let mut inbox = scene.node.inbox().await;
        let mut peer = scene.peer().await;
        let dripping = message("never whole").replace("hello", &"x".repeat(1000));
        let (mut told, began) = (None, clock::now());
        for byte in dripping.chars().take(1000) {
            peer.sends(&byte.to_string()).await;
            if let Ok(event) = peer.next(Duration::from_secs(1)).await {
                told = Some(event);
                break;
            }
        }
        let Some(Event::Element(error)) = told else { panic!("{told:?}") };
        assert!(error.child("connection-timeout").is_some(), "{error}");
        // The default of `element_timeout`, and the interval in which it is checked.
        let took = clock::since(began).as_secs();
        assert!((120..=180).contains(&took), "after {took} s");

        // Whole elements may arrive at any pace.
        let mut peer = scene.peer().await;
        for number in 0..4 {
            let text = message(&number.to_string());
            let (first, second) = text.split_at(text.len() / 2);
            peer.sends(first).await;
            assert!(peer.next(Duration::from_secs(60)).await.is_err());
            peer.sends(second).await;
            inbox.receives_id(&number.to_string()).await;
        }
    });
}

// rows: E26
#[test]
fn a_peer_is_held_to_its_rate_and_loses_nothing() {
    paused(async |network| {
        let limit = "[[remote]]\nname = \"peer.example\"\nmax_rate = \"1 KiB\"";
        let scene = Scene::of(network, quick().block(limit)).await;
        let mut inbox = scene.node.inbox().await;
        let mut peer = scene.peer().await;
        let began = clock::now();
        actix_rt::spawn(async move {
            for number in 0..50 {
                let body = format!("<body>{}", "x".repeat(10 * 1024));
                peer.sends(&message(&number.to_string()).replace("<body>", &body)).await;
            }
            peer.waits_for_the_end().await;
        });
        for number in 0..50 {
            assert_eq!(inbox.next().await.expect("a stanza").attribute("id"), number.to_string());
        }
        // 500 KiB at 1 KiB a second, less the burst of one second and the size of one read.
        let took = clock::since(began).as_secs();
        assert!((430..=520).contains(&took), "500 KiB came through in {took} s");
    });
}

// rows: D19
#[test]
fn a_stream_ends_with_the_certificate_it_rests_on() {
    paused(async |network| {
        let scene = Scene::of(network, Setup::of("nuncio.example")).await;
        let listener = scene.listens();
        let mut inbox = scene.node.inbox().await;
        let identity = network.authority.certificate(&[PEER]).expires_in(600).issue();
        let mut proved = scene.peer_with(&identity).await;
        // Dialback rests on DNS and does not depend on the certificate.
        let mut other = Peer::dials(network, &scene.node).await;
        other.starts_tls(PEER, INBOX, Some(&identity)).await;
        other.expects("features").await;
        other.sends(&format!("<db:result from='{PEER}' to='{INBOX}'>a key</db:result>")).await;
        is_called_back(&listener, &identity).await;
        assert_eq!(other.expects("result").await.attribute("type"), "valid");
        proved.sends(&message("while it is good")).await;
        inbox.receives_id("while it is good").await;

        let (error, took) = timed(proved.expects("error")).await;
        error.expect("reset");
        assert!(error.expect("text").text().contains("expired"), "{error}");
        assert!((590..=910).contains(&took.as_secs()), "{took:?}");
        // Stanzas still count until the peer closes its side too.
        proved.sends(&message("on its way")).await;
        inbox.receives_id("on its way").await;
        proved.expects_closed().await;
        proved.sends("</stream:stream>").await;
        proved.expects_end().await;
        other.sends(&message("by dialback")).await;
        inbox.receives_id("by dialback").await;
    });
}

// rows: D19
#[test]
fn a_stream_of_ours_ends_with_the_certificate_that_it_rests_on() {
    paused(async |network| {
        let scene = Scene::of(network, Setup::of("nuncio.example")).await;
        let listener = scene.listens();
        let inbox = scene.node.inbox().await;
        let identity = network.authority.certificate(&[PEER]).expires_in(600).issue();
        inbox.sends_message(PEER, "while it is good", "");
        let mut peer = listener.accepts().await;
        peer.answers_to_external(PEER, &identity).await;
        peer.expects_message("while it is good").await;

        let error = peer.expects("error").await;
        error.expect("reset");
        assert!(error.expect("text").text().contains("expired"), "{error}");
        peer.expects_closed().await;
        // The next stanza waits for a new stream with the next certificate.
        inbox.sends_message(PEER, "after it", "");
        peer.sends("</stream:stream>").await;
        scene.accepts(&listener).await.expects_message("after it").await;
    });
}

// rows: D19 F27
#[test]
fn a_stream_ends_with_the_certificate_that_spared_a_call_back() {
    paused(async |network| {
        let setup = Setup::of("nuncio.example").set("s2s.dialback_shortcut", "true");
        let scene = Scene::of(network, setup).await;
        let listener = scene.listens();
        let identity = network.authority.certificate(&[PEER]).expires_in(600).issue();
        let mut peer = Peer::dials(network, &scene.node).await;
        peer.starts_tls(PEER, INBOX, Some(&identity)).await;
        peer.expects("features").await;
        peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}'>a key</db:result>")).await;
        assert_eq!(peer.expects("result").await.attribute("type"), "valid");
        peer.expects("error").await.expect("reset");
        peer.expects_closed().await;
        // After its closing tag the node sends nothing, not even white space, until it stops waiting for ours.
        let after = peer.hears(HOUR).await;
        assert!(matches!(after, Err(Nothing::Ended)), "{after:?}");
        assert_eq!(network.attempts(listener.address()), 0, "the peer was called back");
    });
}

// rows: D19
#[test]
fn a_stream_of_ours_ends_with_the_certificate_that_the_policy_wants_good() {
    paused(async |network| {
        let setup = Setup::of("nuncio.example").dialback().set("s2s.strict_certificates", "true");
        let scene = Scene::of(network, setup).await;
        let listener = scene.listens();
        let identity = network.authority.certificate(&[PEER]).expires_in(600).issue();
        let inbox = scene.node.inbox().await;
        inbox.sends_message(PEER, "while it is good", "");
        let mut peer = listener.accepts().await;
        peer.answers_to_tls(PEER, &identity).await;
        peer.sends_features(DIALBACK).await;
        peer.expects("result").await;
        peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}' type='valid'/>")).await;
        peer.expects_message("while it is good").await;
        let error = peer.expects("error").await;
        error.expect("reset");
        assert!(error.expect("text").text().contains("expired"), "{error}");
        peer.expects_closed().await;
    });
}

/// Answers a verification request over TLS: valid.
async fn is_called_back(listener: &Listener, identity: &Identity) {
    let mut peer = listener.accepts().await;
    peer.answers_to_tls(PEER, identity).await;
    peer.sends_features(DIALBACK).await;
    let id = peer.expects("verify").await.attribute("id").to_owned();
    peer.sends(&format!("<db:verify from='{PEER}' to='{INBOX}' id='{id}' type='valid'/>")).await;
    actix_rt::spawn(async move { peer.waits_for_the_end().await });
}

const KEEPALIVE: Duration = Duration::from_secs(5);

/// Longer than `keepalive` and its rounding.
const NEGOTIATED: Duration = Duration::from_secs(8);

/// The default of `idle_timeout`.
const HOUR: Duration = Duration::from_secs(3600);

const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

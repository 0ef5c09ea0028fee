//! Limits that show after a time: connections, queues, and timeouts that a reload changes.

use std::time::Duration;

use super::{
    fixture::{Behaviour, Event, Node, Nothing, Peer, Setup, header, paused, sleep, timed},
    scene::{INBOX, PEER, Scene, quick},
};

// rows: E25
#[test]
fn all_addresses_together_get_so_many_connections() {
    paused(async |network| {
        let scene = Scene::of(network, quick().set("limits.max_connections", "8")).await;
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(Peer::dials(network, &scene.node).await);
        }
        let refused = Peer::dials(network, &scene.node).await.hears(Duration::from_secs(1)).await.unwrap();
        assert!(refused.contains("<resource-constraint "), "{refused}");
        // Idle connections are closed.
        sleep(Duration::from_secs(45)).await;
        let mut served = Peer::dials(network, &scene.node).await;
        served.sends_header(PEER, INBOX, "").await;
        served.expects_header().await;
        served.expects("features").await;
    });
}

// rows: E15
#[test]
fn every_request_to_a_black_hole_has_exactly_one_outcome() {
    paused(async |network| {
        let scene = Scene::of(network, Setup::of("nuncio.example").set("promise.max_stanzas", "500")).await;
        let hole = network.address();
        network.publish("hole.example", hole);
        network.internet.switch(hole, false);
        let mut sender = scene.node.inbox().await;
        for number in 0..10_000 {
            let kind = ["get", "result", "set", "error"][number % 4];
            sender.sends(&format!(
                "<iq type='{kind}' from='{INBOX}' to='hole.example' id='{number}'><x xmlns='urn:x'/></iq>"
            ));
        }
        let mut outcomes = vec![0; 10_000];
        for _ in 0..5_000 {
            let answer = sender.next().await.expect("an outcome for each");
            assert!(answer.is("iq", "error"), "{answer}");
            outcomes[answer.attribute("id").parse::<usize>().unwrap()] += 1;
        }
        let wrong: Vec<_> = (0..10_000).filter(|number| outcomes[*number] != 1 - number % 2).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        // No further answer arrives, however long one waits.
        sleep(Duration::from_secs(600)).await;
        sender.sends_request("nuncio.example", "last");
        assert_eq!(sender.next().await.expect("an answer").attribute("id"), "last");
    });
}

/// Each is answered, and the answers to a peer that does not read would fill the memory.
#[test]
fn requests_for_acks_on_our_stream_are_read_at_a_limited_rate() {
    const REQUESTS: usize = 3_000;
    paused(async |network| {
        let scene = Scene::of(network, quick()).await;
        let listener = scene.listens();
        let inbox = scene.node.inbox().await;
        inbox.sends_message(PEER, "1", "");
        let mut peer = listener.accepts().await;
        peer.answers_to_tls(PEER, &scene.identity).await;
        peer.takes_external_and_offers(PEER, "<sm xmlns='urn:xmpp:sm:3'/>").await;
        peer.expects("enable").await;
        peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>").await;
        peer.expects("message").await;
        let asked = async {
            for _ in 0..REQUESTS {
                peer.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
                is_answered(&mut peer).await;
            }
        };
        // 1,000 a second, after a burst of as many.
        let ((), took) = timed(asked).await;
        assert!(took >= Duration::from_millis(1900), "{REQUESTS} requests in {took:?}");
        inbox.sends_message(PEER, "2", "");
        peer.expects_message("2").await;
    });
}

/// Waits for an ack. Requests of the node are answered meanwhile.
async fn is_answered(peer: &mut Peer) {
    loop {
        match peer.next(Duration::from_secs(60)).await {
            Ok(Event::Element(element)) if element.name == "a" => return,
            Ok(Event::Element(element)) if element.name == "r" => {
                peer.sends("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
            }
            other => panic!("no ack: {other:?}"),
        }
    }
}

// rows: E29
#[test]
fn a_peer_that_proved_nothing_is_sent_no_stanza() {
    paused(async |network| {
        let setup = Setup::of("nuncio.example").without_certificate().set("s2s.tls", "\"optional\"");
        let node = Node::start(network, setup).await;
        network.dns.behaves(PEER, Behaviour::Silence);
        let sender = node.inbox().await;
        for number in 0..10 {
            sender.sends_message(PEER, &number.to_string(), "");
        }
        let mut peer = Peer::dials(network, &node).await;
        peer.sends(&header(PEER, INBOX, "")).await;
        peer.expects_header().await;
        let mut seen = Vec::new();
        while let Ok(Event::Element(element)) = peer.next(Duration::from_secs(60)).await {
            seen.push(element.name.clone());
        }
        assert_eq!(seen, ["features", "error"]);
    });
}

#[test]
fn stanzas_beyond_the_queue_limit_bounce() {
    paused(async |network| {
        network.dns.behaves("mute.example", Behaviour::Silence);
        let node = Node::start(network, quick().set("promise.max_stanzas", "10")).await;
        let mut sender = node.inbox().await;
        for number in 0..15 {
            sender.sends_message("mute.example", &number.to_string(), "");
        }
        for number in 10..15 {
            let answer = sender.next().await.expect("an answer in a moment");
            assert_eq!(answer.attribute("id"), number.to_string(), "{answer}");
            let error = answer.expect("error");
            assert_eq!(error.attribute("type"), "wait", "{answer}");
            error.expect("resource-constraint");
        }
        for number in 0..10 {
            let answer = sender.receives_id(&number.to_string()).await;
            answer.expect("error").expect("remote-server-timeout");
        }
    });
}

#[test]
fn an_open_stream_adopts_new_timeouts() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let mut peer = scene.peer().await;
        scene.node.reloads(network, &quick().set("s2s.idle_timeout", "\"2m\"")).await;
        // Only white space until then; the timeout at the start was an hour.
        let ((), took) = timed(peer.expects_closed()).await;
        assert!((120..=420).contains(&took.as_secs()), "{took:?}");
    });
}

// rows: F17
#[test]
fn verification_answers_do_not_reveal_whether_a_port_is_silent_or_closed() {
    paused(async |network| {
        let setup = Setup::of("nuncio.example").dialback().without_certificate();
        let node = Node::start(network, setup.set("s2s.tls", "\"optional\"")).await;
        let (off, closed) = (network.address(), network.address());
        network.publish("off.example", off);
        network.internet.switch(off, false);
        network.publish("closed.example", closed);
        network.dns.behaves("broken.example", Behaviour::ServerFailure);
        network.dns.behaves("mute.example", Behaviour::Silence);
        let mut told = Vec::new();
        for domain in ["off.example", "closed.example", "broken.example", "mute.example"] {
            let mut peer = Peer::dials(network, &node).await;
            peer.sends_header(domain, INBOX, "").await;
            peer.expects_header().await;
            peer.expects("features").await;
            peer.sends(&format!("<db:result from='{domain}' to='{INBOX}'>key</db:result>")).await;
            let answer = peer.expects("result").await;
            told.push(answer.expect("error").to_string().replace(domain, "DOMAIN"));
            assert_ne!(peer.next(Duration::from_millis(1)).await, Err(Nothing::Ended));
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:#?}");
    });
}

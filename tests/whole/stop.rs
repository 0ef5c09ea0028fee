//! The stop of a node that has to wait for others.

use std::time::Duration;

use super::{
    fixture::{
        Behaviour, DAY, Event, Network, Node, Peer, Setup, eventually_logs, log_has, paused, sleep, timed,
    },
    scene::{INBOX, PEER},
};

#[test]
fn queued_stanzas_are_answered() {
    paused(async |network| {
        network.dns.behaves("mute.example", Behaviour::Silence);
        let node = Node::start(network, Setup::of("nuncio.example").set("dns.timeout", "\"60s\"")).await;
        let mut sender = node.inbox().await;
        for number in 0..500 {
            sender.sends_message("mute.example", &number.to_string(), "");
        }
        sleep(Duration::from_secs(1)).await;
        let (account, took) = timed(node.stops()).await;
        assert_eq!(account.waiting().stanzas, 0);
        assert!(took < Duration::from_secs(10), "{took:?}");
        let answers = sender.rest().await;
        assert_eq!(answers.len(), 500);
        for (number, answer) in answers.iter().enumerate() {
            assert_eq!(answer.attribute("id"), number.to_string());
            assert!(answer.is("message", "error"), "{answer}");
        }
    });
}

#[test]
fn streams_that_do_not_close_end_within_shutdown_timeout() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        let deaf = node.deaf_inbox().await;
        let (_, took) = timed(node.stops()).await;
        assert!((1..=10).contains(&took.as_secs()), "{took:?}");
        drop(deaf);
    });
}

#[test]
fn stanzas_are_read_for_a_part_of_shutdown_timeout() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        let mut chatterer = node.deaf_inbox().await;
        actix_rt::spawn(async move {
            loop {
                chatterer.send(&format!("<presence from='{INBOX}' to='nuncio.example'/>")).await;
                sleep(Duration::from_millis(10)).await;
            }
        });
        let (_, took) = timed(node.stops()).await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        eventually_logs(&["disconnected", "the component did not close its stream"]).await;
    });
}

#[test]
fn stanzas_of_a_component_behind_our_stream_error_are_not_taken() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        let mut component = node.deaf_inbox().await;
        let sends = async {
            match component.next(DAY).await {
                Ok(Event::Element(error)) => drop(error.expect("system-shutdown")),
                other => panic!("{other:?}"),
            }
            for number in 0..10 {
                let to = format!("from='a@{INBOX}' to='b@nowhere.example' id='{number}'");
                component.send(&format!("<message {to}/>")).await;
                sleep(Duration::from_millis(10)).await;
            }
            component.send("</stream:stream>").await;
        };
        let (account, ()) = tokio::join!(node.stops(), sends);
        assert_eq!(account.taken().stanzas, 0);
        assert!(log_has(&["disconnected", "stanzas_in=0", "ignored=10"]));
    });
}

#[test]
fn a_component_that_never_pauses_gets_an_answer_to_each_stanza_that_is_taken() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        let mut sender = node.inbox().await;
        let flood = async {
            for number in 0_u64.. {
                sender.sends_message("nowhere.example", &number.to_string(), "");
                sleep(Duration::from_millis(1)).await;
            }
        };
        let account = tokio::select! {
            account = node.stops() => account,
            () = flood => panic!("the flood has no end"),
        };
        let (taken, answered) =
            (account.taken().stanzas, account.bounces().map(|(_, count)| count).sum::<u64>());
        assert!(taken > 1000, "{taken}");
        assert_eq!(answered, taken);
        assert_eq!(sender.rest().await.len() as u64, answered);
    });
}

// rows: B35
#[test]
fn a_header_that_arrives_during_shutdown_gets_system_shutdown() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        // The peer never answers the closing tag, so the node has to wait.
        let deaf = node.deaf_inbox().await;
        let mut silent = Peer::dials(network, &node).await;
        let late = async {
            sleep(Duration::from_secs(1)).await;
            silent.sends_header(PEER, "nuncio.example", "").await;
            silent.expects_header().await;
            // The node's features may have been sent before.
            match silent.next(Duration::from_secs(60)).await.expect("an element") {
                Event::Element(features) if features.name == "features" => {
                    silent.expects_error("system-shutdown").await;
                }
                Event::Element(error) => drop(error.expect("system-shutdown")),
                other => panic!("{other:?}"),
            }
        };
        tokio::join!(node.stops(), late);
        drop(deaf);
    });
}

#[test]
fn nodes_that_are_linked_both_ways_end_without_a_warning_in_every_order() {
    for order in [vec![0_usize], vec![1], vec![0, 1], vec![1, 0]] {
        paused(async |network| {
            let nodes = [start(network, "a.example").await, start(network, "b.example").await];
            let [mut one, mut other] = [nodes[0].inbox().await, nodes[1].inbox().await];
            one.sends_message(other.name(), "there", "");
            other.receives_id("there").await;
            other.sends_message(one.name(), "back", "");
            one.receives_id("back").await;
            // The first one, the second one, or both at once in either order; then the remaining one.
            match order[..] {
                [first, second] => drop(tokio::join!(nodes[first].stops(), nodes[second].stops())),
                _ => {
                    nodes[order[0]].stops().await;
                    nodes[1 - order[0]].stops().await;
                }
            }
            assert!(!log_has(&["WARN", "may not have arrived"]), "{order:?}");
        });
    }
}

async fn start(network: &Network, domain: &str) -> Node {
    Node::start(network, Setup::of(domain)).await
}

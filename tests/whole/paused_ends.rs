//! Connections that end while reading from them is paused: the end is noticed at once, and what was sent before arrives.

use std::time::Duration;

use testkit::SECRET;

use super::{
    fixture::{Component, Node, Setup, Wire, eventually_logs, paused, sleep, timed},
    scene::{Scene, message, quick},
};

#[test]
fn a_component_that_ends_above_its_rate_connects_again_at_once_and_loses_nothing() {
    for tls in [false, true] {
        paused(async |network| {
            let node = Node::start(network, limited()).await;
            let mut inbox = node.inbox().await;
            let mut first = connects(&node, network, tls).await;
            first.send(&(0..STANZAS).map(numbered).collect::<String>()).await;
            inbox.receives_id("0").await;
            drop(first);
            let (mut second, took) = timed(connects(&node, network, tls)).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
            second.send(&numbered(STANZAS)).await;
            for number in 1..=STANZAS {
                let stanza = inbox.next().await.unwrap();
                assert_eq!(stanza.attribute("id"), number.to_string());
            }
        });
    }
}

#[test]
fn stanzas_for_a_component_that_ended_above_its_rate_wait_for_its_next_connection() {
    paused(async |network| {
        let node = Node::start(network, limited()).await;
        let mut inbox = node.inbox().await;
        let mut first = connects(&node, network, false).await;
        first.send(&(0..STANZAS).map(numbered).collect::<String>()).await;
        inbox.receives_id("0").await;
        drop(first);
        sleep(Duration::from_secs(1)).await;
        eventually_logs(&["nuncio::component", "disconnected", "name=bot.nuncio.example"]).await;
        inbox.sends_message(BOT, "while it is away", "");
        sleep(Duration::from_secs(1)).await;
        let mut second = Component::over(connects(&node, network, false).await, BOT);
        second.receives_id("while it is away").await;
    });
}

#[test]
fn a_component_that_connects_again_still_owes_the_time_of_what_it_sent() {
    paused(async |network| {
        let node = Node::start(network, limited()).await;
        let mut inbox = node.inbox().await;
        let mut first = connects(&node, network, false).await;
        first.send(&(0..STANZAS).map(numbered).collect::<String>()).await;
        inbox.receives_id("0").await;
        drop(first);
        let mut second = connects(&node, network, false).await;
        second.send(&numbered(STANZAS)).await;
        inbox.receives_id(&STANZAS.to_string()).await;
        second.send(&numbered(STANZAS + 1)).await;
        let (_, took) = timed(inbox.receives_id(&(STANZAS + 1).to_string())).await;
        assert!(took > Duration::from_secs(STANZAS as u64 / RATE / 2), "{took:?}");
    });
}

#[test]
fn a_server_that_ends_above_its_rate_is_noticed_at_once_and_loses_nothing() {
    paused(async |network| {
        let limit = "[[remote]]\nname = \"peer.example\"\nmax_rate = \"1 KiB\"";
        let scene = Scene::of(network, quick().block(limit)).await;
        let mut inbox = scene.node.inbox().await;
        let mut peer = scene.peer().await;
        let all: String = (0..STANZAS).map(|number| message(&number.to_string())).collect();
        peer.sends(&all).await;
        inbox.receives_id("0").await;
        drop(peer);
        let rest = async {
            for number in 1..STANZAS {
                assert_eq!(inbox.next().await.unwrap().attribute("id"), number.to_string());
            }
            eventually_logs(&["nuncio::incoming", "closed", "the peer closed the connection"]).await;
        };
        // At the rate it would take minutes.
        let ((), took) = timed(rest).await;
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

/// A node with a component that is read slowly, at two sockets.
fn limited() -> Setup {
    let setup = Setup::of("nuncio.example").component(&format!("name = \"{BOT}\"\nmax_rate = {RATE}"));
    setup.set("listen.component_tls", "[\"{ip}:5348\"]")
}

async fn connects(node: &Node, network: &super::fixture::Network, tls: bool) -> Wire {
    let mut wire = node.wire_from(network, node.address(), if tls { 5348 } else { 5347 }).await;
    if tls {
        wire.secure_as_client(None, BOT).await.unwrap();
    }
    Component::shake_hands(wire, BOT, SECRET).await.unwrap()
}

fn numbered(number: usize) -> String {
    format!("<message from='a@{BOT}' to='u@inbox.nuncio.example' id='{number}'><body>number</body></message>")
}

const BOT: &str = "bot.nuncio.example";

/// More than two reads of them.
const STANZAS: usize = 2000;

/// Stanzas per second: the first read pauses for several seconds.
const RATE: u64 = 70;

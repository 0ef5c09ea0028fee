//! Rules of one component: remote addresses, rate, and service discovery.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::fixture::{Component, Element, Network, Node, Setup, paused, timed};

#[test]
fn a_denied_address_cannot_write_to_a_component_nor_get_anything_from_it() {
    paused(async |network| {
        let file = List::new("# spammers\ntester@inbox.other.example  # the worst\n\n*.evil.example\n");
        let keys = |more: &str| format!("name = \"bot.one.example\"\ndeny_file = {:?}\n{more}", file.path());
        let setup = |more: &str| {
            let setup = Setup::of("one.example").certified_for(&["bot.one.example"]);
            setup.component(&keys(more))
        };
        let (one, mut far) = start(network, setup("")).await;
        let mut bot = one.component("bot.one.example").await;

        far.sends_message("u@bot.one.example", "denied", "");
        far.receives_id("denied").await.expect("error").expect("not-allowed");
        far.sends_message_from("inbox.other.example", "u@bot.one.example", "of another user");
        assert!(!bot.receives_id("of another user").await.is("message", "error"));
        bot.sends_message("tester@inbox.other.example/anywhere", "denied too", "");
        bot.receives_id("denied too").await.expect("error").expect("not-allowed");
        bot.sends_message("user@inbox.other.example", "permitted", "");
        far.receives_id("permitted").await;
        assert_eq!(refused(&one).await, 2);
        // The other component has no rules.
        let mut inbox = one.inbox().await;
        far.sends_message("u@inbox.one.example", "to the other", "");
        inbox.receives_id("to the other").await;

        one.reloads(network, &setup("deny_error = \"service-unavailable\"")).await;
        far.sends_message("u@bot.one.example", "still denied", "");
        far.receives_id("still denied").await.expect("error").expect("service-unavailable");

        file.write("*.evil.example\n");
        one.reloads(network, &setup("")).await;
        far.sends_message("u@bot.one.example", "permitted now", "");
        bot.receives_id("permitted now").await;
    });
}

#[test]
fn only_allowed_addresses_reach_a_component_and_local_ones_always_do() {
    paused(async |network| {
        let allowed =
            "name = \"bot.one.example\"\nallow = [\"friend@inbox.other.example\", \"*.friends.example\"]";
        let setup = Setup::of("one.example").certified_for(&["bot.one.example"]).component(allowed);
        let (one, mut far) = start(network, setup).await;
        let (mut bot, mut inbox) = (one.component("bot.one.example").await, one.inbox().await);
        far.sends_message("u@bot.one.example", "stranger", "");
        far.receives_id("stranger").await.expect("error").expect("not-allowed");
        far.sends("<message from='friend@inbox.other.example' to='u@bot.one.example' id='friend'/>");
        bot.receives_id("friend").await;
        inbox.sends_message("u@bot.one.example", "local", "");
        bot.receives_id("local").await;
        bot.sends_message("u@inbox.one.example", "back", "");
        inbox.receives_id("back").await;
        // What may not be answered is dropped.
        far.sends("<message type='error' from='tester@inbox.other.example' to='u@bot.one.example'/>");
        far.sends("<message from='friend@inbox.other.example' to='u@bot.one.example' id='behind'/>");
        assert_eq!(bot.next().await.unwrap().attribute("id"), "behind");
    });
}

#[test]
fn service_discovery_shows_titles_and_not_what_is_hidden() {
    paused(async |network| {
        let setup = Setup::of("one.example")
            .component("names = [\"irc.one.example\", \"chat.one.example\"]\ntitle = \"IRC & more\"")
            .component("name = \"bot.one.example\"\nhidden = true")
            .component("name = \"*.rooms.one.example\"");
        let (_one, mut far) = start(network, setup).await;
        far.sends(
            "<iq type='get' id='items' from='tester@inbox.other.example' to='one.example'>\
             <query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
        );
        let answer = far.receives_id("items").await;
        let items =
            answer.expect("query").children().map(|item| (item.attribute("jid"), item.attribute("name")));
        let mut items: Vec<(&str, &str)> = items.collect();
        items.sort_unstable();
        let expected = [
            ("chat.one.example", "IRC & more"),
            ("inbox.one.example", ""),
            ("irc.one.example", "IRC & more"),
        ];
        assert_eq!(items, expected);
    });
}

#[test]
fn a_component_above_its_rate_is_read_slowly_and_loses_nothing() {
    const STANZAS: usize = 2000;
    for rate in ["100", "\"60 KB\""] {
        paused(async |network| {
            let setup =
                Setup::of("one.example").component(&format!("name = \"bot.one.example\"\nmax_rate = {rate}"));
            let one = Node::start(network, setup).await;
            let (bot, mut inbox) = (one.component("bot.one.example").await, one.inbox().await);
            let all = async {
                for number in 0..STANZAS {
                    bot.sends_message("u@inbox.one.example", &number.to_string(), &"x".repeat(480));
                }
                for number in 0..STANZAS {
                    let stanza: Element = inbox.next().await.unwrap();
                    assert_eq!(stanza.attribute("id"), number.to_string());
                }
            };
            let ((), took) = timed(all).await;
            // One read of 64 KiB passes before it counts.
            assert!((15..22).contains(&took.as_secs()), "{rate}: {took:?}");
        });
    }
}

#[test]
fn a_component_that_is_read_slowly_does_not_lose_its_name_for_a_late_answer() {
    paused(async |network| {
        let setup = Setup::of("one.example").component("name = \"bot.one.example\"\nmax_rate = 70");
        let one = Node::start(network, setup).await;
        let (bot, mut inbox) = (one.component("bot.one.example").await, one.inbox().await);
        let message = |number: usize| {
            format!(
                "<message from='tester@bot.one.example' to='u@inbox.one.example' id='{number:04}'><body/></message>"
            )
        };
        bot.sends(&(0..1000).map(message).collect::<String>());
        inbox.receives_id("0000").await;
        // The first read holds 64 KiB, about 700 stanzas. So the answer to the ping is read 9 s later.
        let (error, took) = timed(one.refused_component("bot.one.example")).await;
        error.expect("conflict");
        assert!(took > Duration::from_secs(5), "{took:?}");
        for number in 1..1000 {
            inbox.receives_id(&format!("{number:04}")).await;
        }
    });
}

/// A node, and the component of another one.
async fn start(network: &Network, setup: Setup) -> (Node, Component) {
    let one = Node::start(network, setup.external()).await;
    network.publish("bot.one.example", one.address());
    let other = Node::start(network, Setup::of("other.example").external()).await;
    (one, other.inbox().await)
}

/// The stanzas that the rules of components have refused.
async fn refused(node: &Node) -> u64 {
    let scrape = node.scrape().await;
    let line =
        scrape.lines().find_map(|line| line.strip_prefix("nuncio_stanzas_refused_total{reason=\"denied\"} "));
    line.expect("a figure").parse().unwrap()
}

/// A file with addresses. It is removed when dropped.
struct List(PathBuf);

impl List {
    fn new(content: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let list = Self(std::env::temp_dir().join(format!("nuncio-list-{}-{number}", std::process::id())));
        list.write(content);
        list
    }

    fn write(&self, content: &str) {
        fs::write(&self.0, content).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = fs::remove_file(&self.0);
    }
}

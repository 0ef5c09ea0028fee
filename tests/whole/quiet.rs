//! The log of a node that has nothing to do.

use std::time::Duration;

use super::fixture::{Node, Setup, log_lines, paused, sleep};

#[test]
fn an_idle_node_writes_at_most_500_lines_in_a_day() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").set("log_mailboxes", "\"10s\"")).await;
        let heartbeat = node.heartbeat().await;
        let inbox = node.inbox().await;
        inbox.sends_request("nuncio.example", "1");
        // Whoever watches an idle node must not make it write lines: the service manager, a monitoring system and a
        // component that keeps its connection alive. All of them act at the time of a line, too.
        let watchdog = async {
            loop {
                heartbeat.beat().await;
                sleep(Duration::from_secs(30)).await;
            }
        };
        let scrapes = async {
            loop {
                node.scrape().await;
                sleep(Duration::from_secs(150)).await;
            }
        };
        let keepalives = async {
            loop {
                inbox.sends(" ");
                sleep(Duration::from_secs(60)).await;
            }
        };
        tokio::select! {
            () = watchdog => {}
            () = scrapes => {}
            () = keepalives => {}
            () = sleep(Duration::from_secs(24 * 3600)) => {}
        }
        let lines = log_lines();
        let count =
            |words: &[&str]| lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count();
        assert!(lines.len() <= 500, "{} lines: {:#?}", lines.len(), &lines[lines.len() - 20..]);
        assert!(
            (287..=288).contains(&count(&["nuncio::mailbox", "mailbox idle="])),
            "one every five minutes"
        );
        let idle = lines.iter().rfind(|line| line.contains("mailbox idle=")).unwrap();
        assert!(idle.ends_with(" since=5m"), "{idle}");
        for kind in
            ["router", "promise", "mailroom", "component", "service", "listener", "metrics", "resolver"]
        {
            let actor = format!("actor={kind} ");
            assert!((1..=2).contains(&count(&["nuncio::mailbox", &actor])), "{kind} has one line, or two");
            assert!(idle.contains(kind), "{kind} is idle: {idle}");
        }
        assert!((1..=2).contains(&count(&["nuncio::account", "domain=*"])), "the account has not changed");

        // SIGUSR1 writes all of them.
        node.reports().await;
        sleep(Duration::from_millis(100)).await;
        let all = &log_lines()[lines.len()..];
        for kind in ["actor=router ", "actor=resolver ", "actor=component ", "nuncio::account "] {
            assert!(all.iter().any(|line| line.contains(kind)), "no {kind}in {all:#?}");
        }
    });
}

#[test]
fn a_kind_that_works_has_a_line_in_each_interval_and_is_not_called_idle() {
    paused(async |network| {
        let node = Node::start(network, Setup::of("nuncio.example").set("log_mailboxes", "\"10s\"")).await;
        let mut inbox = node.inbox().await;
        for number in 0..150 {
            let id = number.to_string();
            inbox.sends_request("nuncio.example", &id);
            inbox.receives_id(&id).await;
            sleep(Duration::from_secs(5)).await;
        }
        let lines = log_lines();
        for kind in ["router", "component", "service"] {
            let actor = format!("actor={kind} ");
            let own = lines.iter().filter(|line| line.contains(&actor)).count();
            assert!((74..=75).contains(&own), "{own} lines of {kind} in 750 s");
            let idle = lines.iter().filter(|line| line.contains("mailbox idle="));
            assert!(idle.clone().count() > 0 && !idle.clone().any(|line| line.contains(kind)), "{kind}");
        }
        let accounts =
            lines.iter().filter(|line| line.contains("nuncio::account") && line.contains("domain=*"));
        assert!((74..=75).contains(&accounts.count()));
    });
}

#[test]
fn stanzas_over_an_open_link_make_lines_of_four_kinds_only() {
    paused(async |network| {
        let setup = |domain| Setup::of(domain).set("log_mailboxes", "\"10s\"");
        let near = Node::start(network, setup("near.example")).await;
        let far = Node::start(network, setup("far.example")).await;
        let (inbox, mut outbox) = (near.inbox().await, far.inbox().await);
        for number in 0..1200 {
            let id = number.to_string();
            inbox.sends_message(outbox.name(), &id, "hello");
            outbox.receives_id(&id).await;
            sleep(Duration::from_secs(1)).await;
        }
        let lines = log_lines();
        let count =
            |kind: &str| lines.iter().filter(|line| line.contains(&format!("mailbox actor={kind} "))).count();
        // Both nodes have a router and a component; one has the outgoing side of the link, and one the incoming.
        for (kind, nodes) in [("router", 2), ("component", 2), ("outgoing", 1), ("incoming", 1)] {
            assert!((119 * nodes..=120 * nodes).contains(&count(kind)), "{} lines of {kind}", count(kind));
        }
        for kind in
            ["promise", "mailroom", "service", "resolver", "dial_limit", "verifier", "recorder", "listener"]
        {
            assert!(count(kind) <= 4, "{} lines of {kind}: {:#?}", count(kind), of_kind(&lines, kind));
        }
    });
}

/// The lines of a kind.
fn of_kind<'a>(lines: &'a [String], kind: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(&format!("mailbox actor={kind} "))).collect()
}

//! SIGHUP reloads configuration, keys and certificates; open streams continue unless the new configuration forbids them.

use std::{fs, time::Duration};

use crate::support::{
    Component, Event, INBOX, Listener, Network, Node, Peer, Server, Setup, eventually, message,
};

#[test]
fn a_new_certificate_is_used_for_new_links_and_no_stanza_is_lost() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let before = shown_serial(&node);
    let (mut near, mut far) = (node.inbox(), other.inbox());
    let out = floods(&near, far.name());
    let back = floods(&far, near.name());
    for _ in 0..COUNT / 10 {
        near.receives("a message of the flood", |_| true);
    }
    node.reconfigures(&network, &Setup::of("nuncio.example"));
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    let after = shown_serial(&node);
    assert_ne!(before, after);
    for number in 0..COUNT {
        assert_eq!(far.receives("the flood", |_| true).attribute("id"), number.to_string());
    }
    for number in COUNT / 10..COUNT {
        assert_eq!(near.receives("the flood", |_| true).attribute("id"), number.to_string());
    }
    out.join().unwrap();
    back.join().unwrap();
    let lines = node.process().lines();
    assert!(!lines.iter().any(|line| line.contains(" closed pair=")), "a link was dropped");
}

#[test]
fn a_broken_file_changes_nothing_and_the_log_names_the_line() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let before = shown_serial(&node);
    let whole = fs::read_to_string(node.file()).unwrap();
    for (broken, line, words) in [
        (format!("wrokers = 3\n{whole}"), 1, "did you mean \"workers\"?"),
        (
            whole.replace("[s2s]", "[s2s"),
            whole.lines().position(|line| line == "[s2s]").unwrap() + 1,
            "not TOML",
        ),
    ] {
        fs::write(node.file(), broken).unwrap();
        node.process().signal("HUP");
        node.eventually_logs(&["error", &format!("nuncio.toml:{line}"), words]);
    }
    fs::remove_file(node.file()).unwrap();
    node.process().signal("HUP");
    node.eventually_logs(&["error", "nuncio.toml", "does not exist"]);
    node.eventually_logs(&["error", "reload failed: the node keeps its configuration"]);
    assert_eq!(shown_serial(&node), before);
    let answer = node.inbox().asks("nuncio.example", PING);
    assert!(answer.is("iq", "result"), "{answer}");
}

#[test]
fn a_newly_denied_domain_loses_its_links_and_queued_stanzas_bounce() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let (address, closed) = (network.address(), network.address());
    network.publish("denied.example", address);
    network.publish("away.denied.example", closed);
    let (listener, identity) = (Listener::at(address), network.authority.issue(&["denied.example"]));
    let mut inbox = node.inbox();
    inbox.sends_message("denied.example", "before", "");
    let mut outgoing = listener.accepts();
    outgoing.answers_to_external("denied.example", &identity);
    assert_eq!(outgoing.expects("message").attribute("id"), "before");
    let mut incoming = Peer::authenticates(node.address(), "denied.example", INBOX, &identity);
    let friend = network.authority.issue(&["peer.example"]);
    let mut allowed = Peer::authenticates(node.address(), "peer.example", INBOX, &friend);
    inbox.sends_message("away.denied.example", "waits", "");
    node.eventually_logs(&["no link", "away.denied.example"]);

    let denying = Setup::of("nuncio.example").set("s2s.deny", "[\"denied.example\", \"*.denied.example\"]");
    node.reconfigures(&network, &denying);
    let error = outgoing.expects("error");
    error.expect("policy-violation");
    outgoing.expects_closed();
    outgoing.sends("</stream:stream>");
    let error = incoming.expects("error");
    error.expect("policy-violation");
    incoming.expects_closed();
    inbox.receives_id("waits").expect("error").expect("not-allowed");
    inbox.sends_message("denied.example", "after", "");
    inbox.receives_id("after").expect("error").expect("not-allowed");
    allowed.sends(&message("still"));
    inbox.receives_id("still");

    // And allowed again.
    let reloads = || node.process().lines().iter().filter(|line| line.contains("node reloaded")).count();
    let before = reloads();
    node.reconfigures(&network, &Setup::of("nuncio.example"));
    eventually("the node reloads again", || (reloads() > before).then_some(()));
    inbox.sends_message("denied.example", "again", "");
    let mut again = listener.accepts();
    again.answers_to_external("denied.example", &identity);
    assert_eq!(again.expects("message").attribute("id"), "again");
}

// rows: F16
#[test]
fn a_key_under_verification_is_worth_nothing_once_its_pair_is_forbidden() {
    let network = Network::new();
    let setup = || Setup::of("nuncio.example");
    let node = Node::start(&network, setup().component("goes.nuncio.example"));
    let mut inbox = node.inbox();
    let address = network.address();
    network.publish("denied.example", address);
    let listener = Listener::at(address);
    let identity = network.authority.issue(&["peer.example"]);
    let asked = network.authority.issue(&["denied.example"]);
    // The stream belongs to another domain, which is not affected.
    let mut peer = Peer::dials(node.address());
    peer.starts_tls("peer.example", INBOX, Some(&identity));
    peer.expects("features");
    let pairs = [("denied.example", INBOX), ("peer.example", "goes.nuncio.example")];
    let address = network.address();
    network.publish("peer.example", address);
    let own = Listener::at(address);
    let questions = pairs.map(|(from, to)| {
        peer.sends(&format!("<db:result from='{from}' to='{to}'>a key</db:result>"));
        let (listener, identity) =
            if from == "denied.example" { (&listener, &asked) } else { (&own, &identity) };
        let mut called = listener.accepts();
        called.answers_to_tls(from, identity);
        called.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        let id = called.expects("verify").attribute("id").to_owned();
        (called, id)
    });

    node.reconfigures(&network, &setup().set("s2s.deny", "[\"denied.example\"]"));
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    for condition in ["not-allowed", "item-not-found"] {
        let refusal = peer.expects("result");
        assert_eq!(refusal.attribute("type"), "error", "{refusal}");
        refusal.expect("error").expect(condition);
    }
    for ((mut called, id), (from, to)) in questions.into_iter().zip(pairs) {
        called.sends(&format!("<db:verify from='{from}' to='{to}' id='{id}' type='valid'/>"));
        called.expects_closed();
    }
    peer.sends(&message("too late").replace("peer.example", "denied.example"));
    peer.expects_error("not-authorized");
    let mut friend = Peer::authenticates(node.address(), "peer.example", INBOX, &identity);
    friend.sends(&message("first"));
    assert_eq!(inbox.receives("anything", |_| true).attribute("id"), "first");
}

#[test]
fn components_and_domains_come_and_go() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let (mut stays, mut goes) = (node.inbox(), node.outbox());
    assert_eq!(refused(&node, "new.nuncio.example"), "host-unknown");

    let mut setup = Setup::of("nuncio.example").component("new.nuncio.example");
    setup.components.retain(|name| name != "outbox.nuncio.example");
    node.reconfigures(&network, &setup.block("[[domain]]\nname = \"second.example\""));
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    goes.expects_end();
    node.eventually_logs(&["disconnected", "outbox.nuncio.example", "closed by us: host-gone"]);
    assert_eq!(refused(&node, "outbox.nuncio.example"), "host-unknown");
    let mut new = Component::connect(node.address(), "new.nuncio.example");
    stays.sends_message("someone@new.nuncio.example", "hello", "");
    new.receives_id("hello");
    let answer = stays.asks("second.example", PING);
    assert!(answer.is("iq", "result"), "{answer}");
}

#[test]
fn a_component_whose_name_was_removed_hears_so_also_if_the_name_is_back_before_it_closes() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let reloads = || node.process().lines().iter().filter(|line| line.contains("node reloaded")).count();
    let mut slow = Component::connect_deaf(node.address(), OUTBOX);
    let mut without = Setup::of("nuncio.example");
    without.components.retain(|name| name != OUTBOX);
    node.reconfigures(&network, &without);
    match slow.next(Duration::from_secs(20)) {
        Ok(Event::Element(error)) => assert!(error.child("host-gone").is_some(), "{error}"),
        other => panic!("{other:?}"),
    }
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    node.reconfigures(&network, &Setup::of("nuncio.example"));
    // It goes on as long as it sends something.
    while reloads() < 2 {
        slow.send(&format!("<message from='a@{OUTBOX}' to='b@{INBOX}'/>"));
        let _ = slow.next(Duration::from_millis(20));
    }
    let line = node.eventually_logs(&["disconnected", OUTBOX]);
    assert!(line.contains("closed by us: host-gone") && !line.contains("secret"), "{line}");
    Component::connect(node.address(), OUTBOX);
}

#[test]
fn log_level_and_limits_are_applied_and_restarts_are_asked_for() {
    let network = Network::new();
    let quiet = || Setup::of("nuncio.example").environment("RUST_LOG", "");
    let node = Node::start(&network, quiet().set("log", "\"info\""));
    let setup = quiet().set("log", "\"debug\"").set("limits.max_attempts_per_address", "1");
    node.reconfigures(&network, &setup.set("workers", "1"));
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    node.eventually_logs(&["warn", "restart", "key=workers"]);
    let mut first = Peer::dials(node.address());
    first.sends_header("peer.example", "nuncio.example", "");
    first.expects_header();
    let mut second = Peer::dials(node.address());
    second.expects_header();
    second.expects_error("policy-violation");
    node.eventually_logs(&["debug", "nuncio::incoming", "accepted"]);
}

#[test]
fn the_node_answers_while_it_reads_a_long_list_and_a_signal_meanwhile_is_not_lost() {
    let network = Network::new();
    let block =
        "[[component]]\nname = \"bot.nuncio.example\"\nsecret = \"secret\"\ndeny_file = \"denied.txt\"";
    let file = |node: &Node| node.file().with_file_name("denied.txt");
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut inbox = node.inbox();
    let addresses: String =
        (0..100_000).map(|number| format!("user{number}@spam{number}.example\n")).collect();
    fs::write(file(&node), addresses).unwrap();
    let reloads = || node.process().lines().iter().filter(|line| line.contains("node reloaded")).count();
    node.reconfigures(&network, &Setup::of("nuncio.example").block(block));
    node.eventually_logs(&["nuncio::node", "reloading"]);
    let mut answers = 0;
    while reloads() == 0 {
        assert!(inbox.asks("nuncio.example", PING).is("iq", "result"));
        answers += 1;
        if answers == 3 {
            node.process().signal("HUP");
        }
    }
    assert!(answers > 5, "{answers} answers during the reload");
    eventually("one further reload", || (reloads() == 2).then_some(()));
}

/// The serial number of the certificate that the node presents now.
fn shown_serial(node: &Node) -> String {
    let mut peer = Peer::dials(node.address());
    peer.starts_tls("peer.example", "nuncio.example", None);
    peer.certified_serial()
}

fn floods(from: &Component, to: &str) -> std::thread::JoinHandle<usize> {
    let (from_name, to) = (from.name().to_owned(), to.to_owned());
    from.floods(COUNT, move |number| {
        format!("<message from='a@{from_name}' to='b@{to}' id='{number}'><body>{number}</body></message>")
    })
}

#[track_caller]
fn refused(node: &Node, name: &str) -> String {
    Component::try_connect(node.address(), name, crate::support::SECRET).err().expect("a refusal")
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

const OUTBOX: &str = "outbox.nuncio.example";

const COUNT: usize = 10_000;

//! Errors from a peer: stanza errors and stream errors on streams that we opened, and errors during negotiation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Auth, Certificate, Component, Identity, Listener, Network, Node, Peer, Prosody, Purpose, Server, Setup,
    Tenant, eventually, plays,
};

/// Stanzas of other senders behind each bad one.
const OTHERS: usize = 20;

#[test]
fn an_error_from_ejabberd_on_our_stream_reaches_the_sender() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    let setup = Setup::of(&ejabberd.neighbour("nuncio")).auth(Auth::External);
    let node = Node::start(ejabberd.network(), setup);
    let (mut sender, mut inbox) = (node.outbox(), ejabberd.inbox());
    // ejabberd 23.01 has no character of Unicode 12 or later in its tables for resources.
    for (id, resource) in [("new-1", "\u{1fae0}"), ("new-2", "a\u{1fae0}b"), ("new-3", "\u{1fabf}")] {
        let to = format!("user@{}/{resource}", inbox.name());
        sender.sends_message(&to, id, "hello");
        let ids = send_others(&mut sender, inbox.name(), id);
        let answer = sender.receives_id(id);
        assert!(answer.is("message", "error"), "{answer}");
        let error = answer.expect("error");
        let names_the_address =
            ["jid-malformed", "bad-request"].iter().any(|name| error.child(name).is_some());
        assert!(names_the_address, "{error}");
        assert_eq!(answer.attribute("from"), to);
        receives_all(&mut inbox, &ids);
    }
    assert!(!node.process().logged(&["nuncio::outgoing", "closed"]), "the link did not stay");
    stops_without_a_difference(&node, true);
}

#[test]
fn stanzas_on_our_stream_are_answers_or_dropped() {
    let (_network, node, mut peer, mut sender) = linked();
    sender.sends_message("user@peer.example/x", "first", "hello");
    peer.expects("message");
    let own = sender.name().to_owned();
    let answer = |kind: &str, id: &str| {
        format!(
            "<{kind} type='error' id='{id}' from='user@peer.example/x' to='tester@{own}'><error type='modify'>\
             <jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{kind}>"
        )
    };
    for (nth, stray) in [
        format!("<message from='user@peer.example' to='tester@{own}' id='stray'><body>x</body></message>"),
        format!("<iq type='result' from='user@peer.example' to='tester@{own}' id='stray'/>"),
        format!(
            "<iq type='get' from='peer.example' to='{own}' id='stray'><ping xmlns='urn:xmpp:ping'/></iq>"
        ),
        answer("message", "stray").replace("user@peer.example", "user@other.example"),
        answer("message", "stray").replace(&own, "inbox.nuncio.example"),
        answer("message", "stray").replace(&own, "other.example"),
        answer("iq", "stray").replace("user@peer.example/x", "@"),
        answer("presence", "stray").replace(&format!("tester@{own}"), ""),
        "<message type='error'/>".to_owned(),
        "<x xmlns='urn:example'/>".to_owned(),
        answer("message", "stray").replacen("<message", "<message xmlns='jabber:client'", 1),
    ]
    .iter()
    .enumerate()
    {
        // More than a peer sends by mistake, in one write.
        peer.sends(&stray.repeat(10));
        peer.sends(&answer(["message", "iq", "presence"][nth % 3], &format!("answer-{nth}")));
        let first = sender.next(Duration::from_secs(30)).expect("the answer");
        assert_eq!(first.attribute("id"), format!("answer-{nth}"), "{stray}");
        let ids: Vec<String> = (0..OTHERS).map(|other| format!("other-{nth}-{other}")).collect();
        ids.iter().for_each(|id| sender.sends_message("user@peer.example", id, "hello"));
        for id in &ids {
            assert_eq!(peer.expects("message").attribute("id"), id, "{stray}");
        }
    }
    assert!(node.process().logged(&["dropped: the peer sent", "peer.example"]), "not told");
    peer.sends("</stream:stream>");
    let closed = node.eventually_logs(&["nuncio::outgoing", "closed", "stanzas_in=11", "dropped_in=110"]);
    assert!(closed.contains(&format!("stanzas_out={}", 2 + 11 * OTHERS)), "{closed}");
    stops_without_a_difference(&node, true);
}

// XEP-0478 is not announced by this version, so the node cannot know the limit.
#[test]
fn a_stanza_too_long_for_prosody_bounces_and_so_do_requests_beside_it() {
    let network = Network::new();
    let limit = "s2s_stanza_size_limit = 131072";
    let prosody = Prosody::start_with(&network, Setup::of("prosody.example").auth(Auth::External), limit);
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let (mut sender, mut inbox) = (node.outbox(), prosody.inbox());
    sender.sends_message(inbox.name(), "warm", "hello");
    inbox.receives_id("warm");
    let (own, to) = (sender.name().to_owned(), inbox.name().to_owned());
    let small: String = (0..10)
        .map(|id| {
            format!("<message from='tester@{own}' to='user@{to}' id='small-{id}'><body>x</body></message>")
        })
        .collect();
    sender.sends(&format!(
        "<message from='tester@{own}' to='user@{to}' id='large'><body>{}</body></message>{small}\
         <iq type='get' from='tester@{own}' to='user@{to}' id='question'><ping xmlns='urn:xmpp:ping'/></iq>",
        "x".repeat(300_000)
    ));
    let answer = sender.receives_id("large");
    assert!(answer.is("message", "error"), "{answer}");
    let error = answer.expect("error");
    error.expect("policy-violation");
    assert!(error.expect("text").text().contains("XML stanza is too big"), "not in its own words: {error}");
    let question = sender.receives_id("question");
    question.expect("error").expect("remote-server-timeout");
    assert!(question.expect("error").expect("text").text().contains("may have arrived"), "{question}");
    // The link is reopened.
    sender.sends_message(inbox.name(), "after", "hello");
    inbox.receives_id("after");
    stops_without_a_difference(&node, false);
}

#[test]
fn a_stream_error_about_content_is_answered_where_the_stanza_is_known() {
    for condition in [
        "bad-format",
        "bad-namespace-prefix",
        "host-unknown",
        "improper-addressing",
        "invalid-from",
        "invalid-namespace",
        "invalid-xml",
        "not-well-formed",
        "policy-violation",
        "restricted-xml",
        "unsupported-encoding",
        "unsupported-stanza-type",
    ] {
        let (_network, node, listener, identity) = fixture(Auth::External);
        let mut sender = node.outbox();
        // A single stanza is the one in question, whatever its length.
        sender.sends_message("user@peer.example", "alone", "hello");
        let mut peer = listener.accepts();
        peer.answers_to_external("peer.example", &identity);
        peer.expects("message");
        peer.sends(&ends_with(condition));
        let answer = sender.receives_id("alone");
        answer.expect("error").expect("policy-violation");
        let text = answer.expect("error").expect("text").text();
        assert!(text.contains(&format!("{condition} (so be it)")), "{text}");
        stops_without_a_difference(&node, false);
    }
}

#[test]
fn after_a_size_error_the_long_stanza_and_unread_requests_bounce() {
    for (end, answered) in [
        (Some("policy-violation"), &["long", "behind"][..]),
        (Some("not-well-formed"), &["before", "behind"]),
        (Some("system-shutdown"), &[]),
        (None, &[]),
    ] {
        let (_network, node, mut peer, mut sender) = linked();
        let own = sender.name().to_owned();
        let request = |id: &str| {
            format!(
                "<iq type='get' from='tester@{own}' to='peer.example' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
            )
        };
        sender.sends(&format!(
            "<message from='tester@{own}' to='user@peer.example' id='short'/>{}\
             <message from='tester@{own}' to='user@peer.example' id='long'><body>{}</body></message>{}\
             <iq type='result' from='tester@{own}' to='peer.example' id='result'/>",
            request("before"),
            "x".repeat(50_000),
            request("behind")
        ));
        for name in ["message", "iq", "message", "iq", "iq"] {
            peer.expects(name);
        }
        match end {
            Some(condition) => peer.sends(&ends_with(condition)),
            None => peer.resets(),
        }
        node.eventually_logs(&["nuncio::outgoing", "closed", "peer.example"]);
        let status = node.terminate(Duration::from_secs(30));
        assert!(status.success(), "{status}");
        let answers = sender.expects_end();
        let ids: Vec<&str> = answers.iter().map(|answer| answer.attribute("id")).collect();
        assert_eq!(ids, answered, "{end:?}");
        for request in answers.iter().filter(|answer| answer.name == "iq") {
            let error = request.expect("error");
            error.expect("remote-server-timeout");
            assert!(error.expect("text").text().contains("may have arrived"), "{request}");
            assert!(request.child("ping").is_some(), "{request}");
        }
        adds_up(&node, false);
    }
}

#[test]
fn dialback_follows_on_another_connection_when_external_ends_the_stream() {
    // With a valid certificate of the peer, and with an invalid one.
    for names in ["peer.example", "elsewhere.example"] {
        let (network, node, listener, _) = fixture(Auth::Both);
        let identity = network.authority.issue(&[names]);
        let mut sender = node.outbox();
        if names == "peer.example" {
            sender.sends_message("user@peer.example", "first", "hello");
            refuses_external(&mut listener.accepts(), &identity);
        } else {
            sender.sends_message("user@peer.example", "first", "hello");
        }
        let mut peer = listener.accepts();
        takes_dialback(&mut peer, &identity);
        assert_eq!(peer.expects("message").attribute("id"), "first");
        node.eventually_logs(&["authenticated", "peer.example", "mechanism=dialback"]);
    }
}

#[test]
fn dialback_on_a_new_connection_does_not_wait_for_the_old_one() {
    let network = Network::new();
    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let setup = Setup::of("nuncio.example").auth(Auth::Both).set("limits.max_dials_per_address", "1");
    let node = Node::start(&network, setup);
    let identity = network.authority.issue(&["peer.example"]);
    let mut sender = node.outbox();
    sender.sends_message("user@peer.example", "first", "hello");
    refuses_external(&mut listener.accepts(), &identity);
    let mut peer = listener.accepts();
    takes_dialback(&mut peer, &identity);
    assert_eq!(peer.expects("message").attribute("id"), "first");
}

#[test]
fn a_refused_external_is_reported_when_dialback_fails_too() {
    let (network, node, listener, _) = fixture(Auth::Both);
    let identity = network.authority.issue(&["peer.example"]);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    plays(listener, move |mut peer| {
        if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            refuses_external(&mut peer, &identity);
        } else {
            peer.answers_to_tls("peer.example", &identity);
            peer.sends_features(BOTH);
            peer.expects("result");
            peer.sends("</stream:stream>");
            peer.waits_for_the_end();
        }
    });
    let mut sender = node.outbox();
    sender.sends_message("user@peer.example", "first", "hello");
    let answer = sender.receives_id("first");
    let text = answer.expect("error").expect("text").text();
    assert_eq!(text, "peer.example refused our certificate (not-authorized: not known here)");
    node.eventually_logs(&["dialback on another connection failed", "peer.example"]);
    assert_eq!(connections.load(Ordering::Relaxed), 2, "one connection for each mechanism");
}

#[test]
fn a_policy_without_dialback_makes_no_second_connection() {
    let (network, node, listener, _) = fixture(Auth::External);
    let identity = network.authority.issue(&["peer.example"]);
    let mut sender = node.outbox();
    sender.sends_message("user@peer.example", "first", "hello");
    refuses_external(&mut listener.accepts(), &identity);
    let answer = sender.receives_id("first");
    answer.expect("error").expect("remote-server-timeout");
    assert!(listener.accepted().is_none(), "a second connection");
}

#[test]
fn a_policy_that_refuses_us_over_tls_is_asked_twice() {
    let (network, node, listener, _) = fixture(Auth::External);
    let identity = network.authority.issue(&["peer.example"]);
    let mut sender = node.outbox();
    sender.sends_message("user@peer.example", "first", "hello");
    for _ in 0..2 {
        let mut peer = listener.accepts();
        peer.answers_to_tls("peer.example", &identity);
        peer.sends(&ends_with("policy-violation"));
    }
    let answer = sender.receives_id("first");
    let text = answer.expect("error").expect("text").text();
    assert_eq!(text, "peer.example closed the stream: policy-violation (so be it)");
    // When the peer stops refusing, the next message arrives.
    let mut peer = eventually("another attempt", || {
        sender.sends_message("user@peer.example", "again", "hello");
        std::thread::sleep(Duration::from_millis(200));
        listener.accepted()
    });
    peer.answers_to_external("peer.example", &identity);
    peer.expects("message");
}

#[test]
fn a_refusal_that_may_pass_is_waited_out() {
    type Script = fn(&mut Peer);
    let scripts: [(&str, Script); 7] = [
        ("policy-violation", |peer| {
            peer.sends_header("peer.example", "nuncio.example", "id='1'");
            peer.sends(&ends_with("policy-violation"));
        }),
        ("resource-constraint", |peer| {
            peer.sends_header("peer.example", "nuncio.example", "id='1'");
            peer.sends(&ends_with("resource-constraint"));
        }),
        ("system-shutdown behind a header without a version", |peer| {
            peer.sends(&format!("{OLD}{}", ends_with("system-shutdown")));
        }),
        ("system-shutdown some time after a header without a version", |peer| {
            peer.sends(OLD);
            peer.expects_closed();
            peer.sends(&ends_with("system-shutdown"));
        }),
        ("host-unknown without a header", |peer| peer.sends(&ends_with("host-unknown"))),
        ("system-shutdown behind a header of clients", |peer| {
            peer.sends(&OLD.replace("jabber:server'", "jabber:client' version='1.0'"));
            peer.sends(&ends_with("system-shutdown"));
        }),
        ("the end of the connection", |_| {}),
    ];
    for (what, script) in scripts {
        let (network, node, listener, _) = fixture(Auth::External);
        let identity = network.authority.issue(&["peer.example"]);
        let mut sender = node.outbox();
        sender.sends_message("user@peer.example", "waits", "hello");
        let mut first = listener.accepts();
        first.expects_header();
        script(&mut first);
        drop(first);
        let line = node.eventually_logs(&["no link", "peer.example"]);
        assert!(line.contains("answered=0"), "{what}: {line}");
        if let Some(condition) = what.split(' ').next().filter(|word| word.contains('-')) {
            assert!(line.contains(condition), "{what}: {line}");
        }
        let mut second = eventually("another attempt", || listener.accepted());
        second.answers_to_external("peer.example", &identity);
        assert_eq!(second.expects("message").attribute("id"), "waits", "{what}");
    }
}

/// A stream header of a server from before XMPP 1.0.
const OLD: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' from='peer.example' id='old'>";

/// Features that offer both EXTERNAL and dialback.
const BOTH: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism>\
    </mechanisms><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

/// A stream error with a text, and the closing tag.
fn ends_with(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>so be it</text></stream:error></stream:stream>"
    )
}

/// A node and a scripted server that listens as `peer.example`.
fn fixture(auth: Auth) -> (Network, Node, Listener, Identity) {
    let network = Network::new();
    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let node = Node::start(&network, Setup::of("nuncio.example").auth(auth));
    let identity = network.authority.issue(&["peer.example"]);
    (network, node, listener, identity)
}

/// The same with an open link from the component `outbox.`, on which an IQ result was sent.
fn linked() -> (Network, Node, Peer, Component) {
    let (network, node, listener, identity) = fixture(Auth::External);
    let mut sender = node.outbox();
    let own = sender.name().to_owned();
    sender.sends(&format!("<iq type='result' id='opens' from='{own}' to='peer.example'/>"));
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &identity);
    peer.expects("iq");
    (network, node, peer, sender)
}

/// Negotiates up to EXTERNAL, refuses it, and closes stream and connection.
fn refuses_external(peer: &mut Peer, identity: &Identity) {
    peer.answers_to_tls("peer.example", identity);
    peer.sends_features(BOTH);
    peer.expects("auth");
    peer.sends(
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>not known here</text></failure>\
         </stream:stream>",
    );
    peer.waits_for_the_end();
}

/// Offers both, and accepts any dialback key.
fn takes_dialback(peer: &mut Peer, identity: &Identity) {
    peer.answers_to_tls("peer.example", identity);
    peer.sends_features(BOTH);
    let result = peer.expects("result");
    let (from, to) = (result.attribute("to").to_owned(), result.attribute("from").to_owned());
    peer.sends(&format!("<db:result from='{from}' to='{to}' type='valid'/>"));
}

/// Sends stanzas of other senders, and returns their ids.
fn send_others(sender: &mut Component, to: &str, prefix: &str) -> Vec<String> {
    let ids: Vec<String> = (0..OTHERS).map(|nth| format!("{prefix}-other-{nth}")).collect();
    ids.iter().for_each(|id| sender.sends_message(to, id, "hello"));
    ids
}

/// Expects these stanzas in order, and no others.
fn receives_all(inbox: &mut Component, ids: &[String]) {
    for id in ids {
        let stanza = inbox.next(Duration::from_secs(30)).expect("a stanza of somebody else");
        assert_eq!(stanza.attribute("id"), id);
    }
}

/// Stops the node. Its account must balance; if `certain`, no stanza may be in doubt.
fn stops_without_a_difference(node: &Node, certain: bool) {
    let status = node.terminate(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    adds_up(node, certain);
}

fn adds_up(node: &Node, certain: bool) {
    node.eventually_logs(&["nuncio::account", "domain=*"]);
    let lines = node.process().lines();
    let account = lines.iter().rfind(|line| line.contains("domain=*")).expect("an account");
    assert!(account.contains(" waiting=0 ") && account.contains("difference=0"), "{account}");
    assert!(!certain || account.contains(" uncertain=0 "), "{account}");
}

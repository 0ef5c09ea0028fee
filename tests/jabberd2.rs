//! Nuncio with jabberd2 2.7, which without TLS uses the protocol from before XMPP 1.0.

use std::time::Duration;

use crate::support::{Certificate, Component, Element, Jabberd2, Network, Node, Server, Setup, Tls};

// rows: B10 F1
#[test]
fn carries_stanzas_in_both_directions_without_tls() {
    let network = Network::new();
    let peer = Jabberd2::start(&network, clear("jabberd.example"));
    let node = Node::start(&network, clear("nuncio.example"));
    federate(&node, &peer, "protocol=- ");
}

// rows: F1
#[test]
fn carries_stanzas_in_both_directions_over_tls_by_dialback() {
    let network = Network::new();
    let peer = Jabberd2::start(&network, Setup::of("jabberd.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    federate(&node, &peer, "protocol=TLSv1.3");
}

// rows: B10
#[test]
fn carries_stanzas_both_ways_if_one_side_has_no_tls() {
    let optional = |domain: &str| Setup::of(domain).tls(Tls::Optional);
    for (ours, theirs) in [
        (optional("nuncio.example"), clear("jabberd.example")),
        (clear("nuncio.example"), optional("jabberd.example")),
    ] {
        let network = Network::new();
        let peer = Jabberd2::start(&network, theirs);
        let node = Node::start(&network, ours);
        federate(&node, &peer, "protocol=- ");
    }
}

// rows: C1
#[test]
fn carries_nothing_without_tls_where_the_node_requires_it() {
    let network = Network::new();
    let peer = Jabberd2::start(&network, clear("jabberd.example"));
    // COMPAT: jabberd2 2.7.0 without TLS does not answer <starttls/>.
    let node = Node::start(&network, Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"3s\""));
    let (mut here, mut there) = (node.inbox(), peer.outbox());
    there.sends_message(&format!("tester@{}", here.name()), "in", "x");
    node.eventually_logs(&["refused", "outbox.jabberd.example", "requires TLS"]);
    let answer = here.asks(there.name(), "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.is("iq", "error"), "{answer}");
    assert!(here.next(QUIET).is_none(), "nothing arrived");
    assert!(!node.process().logged(&["authenticated"]));
}

fn clear(domain: &str) -> Setup {
    Setup::of(domain).certificate(Certificate::Missing).tls(Tls::Disabled)
}

/// Each direction begins with its own pair of domains, so that neither finds a link of the other; then they swap.
#[track_caller]
fn federate(node: &Node, peer: &Jabberd2, protocol: &str) {
    let (mut inbox, mut their_inbox) = (node.inbox(), peer.inbox());
    exchange(&mut inbox, &mut their_inbox);
    let (mut outbox, mut their_outbox) = (node.outbox(), peer.outbox());
    exchange(&mut their_outbox, &mut outbox);
    exchange(&mut their_inbox, &mut inbox);
    exchange(&mut outbox, &mut their_outbox);
    for (ours, theirs) in [(&inbox, &their_inbox), (&outbox, &their_outbox)] {
        let pair = format!("{} > {}", ours.name(), theirs.name());
        for role in ["nuncio::incoming", "nuncio::outgoing"] {
            node.eventually_logs(&[role, &pair, "authenticated", "mechanism=dialback", protocol]);
        }
    }
}

/// One component sends a message and the other answers it.
#[track_caller]
fn exchange(one: &mut Component, other: &mut Component) {
    let id = format!("{} to {}", one.name(), other.name());
    let body = "Grüße, 世界 🚀 &lt;b&gt; &amp;amp; \"'";
    one.sends(&format!(
        "<message from='jürgen@{}/Büro 1' to='juliet@{}/&lt;' id='{id}' type='chat' xml:lang='de'><body>{body}</body>\
         <x xmlns='urn:example:payload' a='&lt;&amp;é'><z/>t</x></message>",
        one.name(),
        other.name(),
    ));
    let arrived = other.receives_id(&id);
    assert_eq!(arrived.attribute("from"), format!("jürgen@{}/Büro 1", one.name()));
    assert_eq!(arrived.attribute("to"), format!("juliet@{}/<", other.name()));
    assert_eq!((arrived.attribute("type"), arrived.attribute("xml:lang")), ("chat", "de"));
    let sent = Element::parse(&format!("<body>{body}</body>"));
    // COMPAT: jabberd2 2.7.0 sends stanzas to components in another namespace than that of the stream.
    assert_eq!(arrived.expect("body").text(), sent.text());
    let payload = "<x xmlns='urn:example:payload' a='&lt;&amp;é'><z/>t</x>";
    assert_eq!(arrived.expect("x"), &Element::parse(payload));

    other.sends(&format!(
        "<iq type='result' id='{id}' from='{}' to='jürgen@{}/Büro 1'/>",
        other.name(),
        one.name()
    ));
    assert!(one.receives_id(&id).is("iq", "result"));
}

/// How long the test waits for data that must not arrive.
const QUIET: Duration = Duration::from_millis(200);

//! A bad stanza costs one stanza, not the stream: every reason, on server streams and on component streams.

use std::time::Duration;

use xmpp::stanza::Reason;

use crate::support::{
    Auth, Component, Element, Event, Fixture, INBOX, Listener, Network, Node, Peer, Server, Setup,
};

/// A bad stanza and the condition of its answer; "" if there is no answer.
type Bad = (&'static str, &'static str);

/// Bad stanzas of `peer.example` to `inbox.nuncio.example`. A reason without a row does not compile.
fn of_a_server(reason: Reason) -> &'static [Bad] {
    match reason {
        Reason::NotAStanza => &[
            ("<foo/>", ""),
            ("<foo xmlns='jabber:client' from='romeo@peer.example' to='juliet@inbox.nuncio.example'/>", ""),
            ("<iq xmlns='urn:x' type='get' from='romeo@peer.example' to='juliet@inbox.nuncio.example'/>", ""),
            ("<r xmlns='urn:xmpp:sm:2'/>", ""),
        ],
        Reason::Namespace => &[(
            "<iq xmlns='jabber:client' type='get' from='romeo@peer.example' to='juliet@inbox.nuncio.example'/>",
            "bad-request",
        )],
        Reason::NoTo => {
            &[("<presence from='romeo@peer.example'/>", "bad-request"), ("<presence type='error'/>", "")]
        }
        Reason::NoFrom => &[("<iq type='get' to='juliet@inbox.nuncio.example'/>", "")],
        Reason::BadTo => &[
            ("<message from='romeo@peer.example/♥' to='ju liet@inbox.nuncio.example'/>", "jid-malformed"),
            ("<iq type='set' from='romeo@peer.example' to='x@y@z'><q xmlns='urn:q'/></iq>", "jid-malformed"),
            ("<presence from='romeo@peer.example' to='\u{ff20}@inbox.nuncio.example'/>", "jid-malformed"),
            ("<message type='error' from='romeo@peer.example' to=''/>", ""),
        ],
        Reason::BadFrom => &[
            ("<message from='ro meo@peer.example' to='juliet@inbox.nuncio.example'/>", ""),
            ("<message from='romeo@peer.example/\u{85}' to='juliet@inbox.nuncio.example'/>", ""),
        ],
        Reason::NotProved => {
            &[("<message from='romeo@peer.example' to='juliet@outbox.nuncio.example'/>", "not-authorized")]
        }
        Reason::NotServed => {
            &[("<message from='romeo@peer.example' to='juliet@third.example'/>", "item-not-found")]
        }
        Reason::Displaced => &[(DISPLACED, "policy-violation")],
        // The rules of a component deny addresses; these components have none.
        Reason::Denied => &[],
        // These occur on component streams only, or cannot be caused from the wire.
        Reason::ForeignFrom | Reason::TooLarge | Reason::Unreadable => &[],
    }
}

/// Bad stanzas of the component `inbox.nuncio.example`. A reason without a row does not compile.
fn of_a_component(reason: Reason) -> &'static [Bad] {
    match reason {
        Reason::NotAStanza => &[("<foo/>", ""), ("<handshake/>", "")],
        Reason::NoTo => &[
            ("<presence from='inbox.nuncio.example'/>", "bad-request"),
            ("<iq type='get' from='u@inbox.nuncio.example'/>", "bad-request"),
            ("<message from='u@inbox.nuncio.example'/>", "bad-request"),
            ("<iq type='result' from='u@inbox.nuncio.example'/>", ""),
        ],
        Reason::NoFrom => &[("<message to='juliet@outbox.nuncio.example'/>", "bad-request")],
        Reason::BadTo => &[
            ("<message from='u@inbox.nuncio.example' to='a b@x.example'/>", "jid-malformed"),
            ("<presence from='u@inbox.nuncio.example' to='x@y@z'/>", "jid-malformed"),
        ],
        Reason::BadFrom => &[
            (
                "<message from='19:x%thread.skype@inbox.nuncio.example/u' to='juliet@outbox.nuncio.example'/>",
                "jid-malformed",
            ),
            (
                "<presence from='a@b@inbox.nuncio.example' to='juliet@outbox.nuncio.example'/>",
                "jid-malformed",
            ),
        ],
        Reason::ForeignFrom => &[
            (
                "<message from='user@evil/x@inbox.nuncio.example' to='juliet@outbox.nuncio.example'/>",
                "forbidden",
            ),
            ("<iq type='get' from='outbox.nuncio.example' to='juliet@outbox.nuncio.example'/>", "forbidden"),
        ],
        Reason::TooLarge => &[(LARGE, "policy-violation")],
        Reason::Namespace => &[(
            "<message xmlns:a='jabber:server' xmlns:b='jabber:component:accept' a:x='' b:x='' \
             from='u@inbox.nuncio.example' to='juliet@outbox.nuncio.example'/>",
            "bad-request",
        )],
        Reason::Displaced => &[(DISPLACED, "policy-violation")],
        // The rules of a component deny addresses; these components have none.
        Reason::Denied => &[],
        // These occur on server streams only, or cannot be caused from the wire.
        Reason::NotProved | Reason::NotServed | Reason::Unreadable => &[],
    }
}

/// Placeholders for long stanzas.
const LARGE: &str = "large";
const DISPLACED: &str = "displaced";

fn written(bad: &str, namespace: &str, addresses: &str) -> String {
    match bad {
        LARGE => format!("<message {addresses}>{}</message>", "x".repeat(530_000)),
        DISPLACED => format!(
            "<s:message xmlns:s='{namespace}' xmlns='urn:{}' {addresses}>{}</s:message>",
            "x".repeat(700),
            "<a/>".repeat(100)
        ),
        short => short.to_owned(),
    }
}

// rows: B24 B26 E1 E3 E5 E8 E10
#[test]
fn a_bad_stanza_on_a_server_stream_costs_one_stanza() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example").auth(Auth::External).set("s2s.unknown_recipient", "\"bounce\""),
    );
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    let mut answered: Vec<(String, Peer)> = Vec::new();
    let (mut good, mut refused) = (0, 0);
    for (reason, bad, condition) in rows(of_a_server) {
        let addresses = format!("from='romeo@peer.example' to='juliet@{INBOX}'");
        let bad = written(bad, "jabber:server", &addresses);
        let behind: String = (good..good + BEHIND).map(|id| from_others("peer.example", INBOX, id)).collect();
        peer.sends(&(bad.clone() + &behind));
        arrive_in_order(&mut inbox, good, &bad);
        good += BEHIND;
        refused += 1;
        if condition.is_empty() {
            continue;
        }
        // Each pair of domains has its own link. The answer comes from the addressed domain if the sender is authenticated
        // for it, or if it is another local domain.
        let from = if reason == Reason::NotProved { "outbox.nuncio.example" } else { INBOX };
        let answer = answer_of(&fixture, &listener, &mut answered, from);
        is_an_answer(&answer, condition, &bad);
        assert!(answer.attribute("to").starts_with("romeo@peer.example"), "{bad}: {answer}");
        assert!(answer.attribute("from").ends_with(from), "{bad}: {answer}");
    }
    peer.sends("</stream:stream>");
    peer.expects_closed();
    let closed = fixture.node.eventually_logs(&[
        "nuncio::incoming",
        "closed",
        &format!("stanzas_in={good} "),
        &format!("refused={refused} "),
    ]);
    assert!(closed.contains("reason=closed"), "{closed}");
    nobody_is_unaccounted_for(&fixture.node);
}

// rows: B24 B26 E1 E3 E5 E8 E10 K3
#[test]
fn a_bad_stanza_on_a_component_stream_costs_one_stanza() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut outbox = node.outbox();
    let mut inbox = node.inbox();
    let (mut good, mut refused) = (0, 0);
    for (_, bad, condition) in rows(of_a_component) {
        let addresses = format!("from='u@{INBOX}' to='juliet@outbox.nuncio.example'");
        let bad = written(bad, "jabber:component:accept", &addresses);
        let behind: String =
            (good..good + BEHIND).map(|id| from_others(INBOX, "outbox.nuncio.example", id)).collect();
        inbox.sends(&(bad.clone() + &behind));
        arrive_in_order(&mut outbox, good, &bad);
        good += BEHIND;
        refused += 1;
        if !condition.is_empty() {
            let answer = inbox.next(SOON).unwrap_or_else(|| panic!("no answer to {bad}"));
            is_an_answer(&answer, condition, &bad);
            assert!(answer.attribute("to").ends_with(INBOX), "{bad}: {answer}");
        }
    }
    assert!(!inbox.has_received(), "an answer to what may have none");
    inbox.sends("</stream:stream>");
    assert!(inbox.expects_end().is_empty());
    node.eventually_logs(&[
        "nuncio::component",
        "disconnected",
        INBOX,
        &format!("stanzas_in={good} "),
        &format!("refused={refused} "),
    ]);
    nobody_is_unaccounted_for(&node);
}

// rows: E10
#[test]
fn stanzas_read_together_with_a_bad_one_are_delivered() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    let run: String = (0..BEHIND).map(|id| from_others("peer.example", INBOX, id)).collect();
    peer.sends(&(run.clone() + "<!-- -->"));
    peer.expects_error("restricted-xml");
    arrive_in_order(&mut inbox, 0, "a comment");
    fixture.node.eventually_logs(&["nuncio::incoming", "closed", &format!("stanzas_in={BEHIND} ")]);

    let mut outbox = fixture.node.outbox();
    let run: String = (0..BEHIND).map(|id| from_others(INBOX, "outbox.nuncio.example", id)).collect();
    inbox.sends(&(run + "<!-- -->"));
    arrive_in_order(&mut outbox, 0, "a comment");
    fixture.node.eventually_logs(&["nuncio::component", "disconnected", &format!("stanzas_in={BEHIND} ")]);
}

// rows: E5
#[test]
fn names_that_deployed_servers_have_are_relayed_byte_for_byte() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    for (id, (local, resource)) in [
        ("romeo", "foo·bar"),
        ("romeo", "مـــحمد"),
        ("romeo", "a\u{200b}b"),
        ("he♥rt", "x"),
        ("#a♥b%irc.example.net", "\u{1fae0}"),
        ("ro\u{ad}meo", "\u{202e}"),
    ]
    .iter()
    .enumerate()
    {
        peer.sends(&format!(
            "<message from='{local}@peer.example/{resource}' to='{local}@{INBOX}/{resource}' id='{id}'/>"
        ));
        let arrived = inbox.receives_id(&id.to_string());
        assert_eq!(arrived.attribute("from"), format!("{local}@peer.example/{resource}"));
        assert_eq!(arrived.attribute("to"), format!("{local}@{INBOX}/{resource}"));
    }
}

// rows: B24 K3
#[test]
fn a_component_that_writes_jabber_client_is_understood() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let (mut inbox, mut outbox) = (node.inbox(), node.outbox());
    for namespace in ["jabber:client", "jabber:server", "jabber:component:accept"] {
        for (id, form) in [
            format!("<message xmlns='{namespace}' A><body>x</body></message>"),
            format!("<c:message xmlns:c='{namespace}' A><c:body>x</c:body></c:message>"),
            format!("<message xmlns='{namespace}' A><body xmlns='{namespace}'>x</body></message>"),
        ]
        .iter()
        .enumerate()
        {
            let addresses = format!("from='u@{INBOX}' to='v@outbox.nuncio.example' id='{namespace} {id}'");
            inbox.sends(&form.replace(" A", &format!(" {addresses}")));
            let arrived = outbox.receives_id(&format!("{namespace} {id}"));
            assert_eq!(arrived.namespace, "jabber:component:accept", "{form}: {arrived}");
            assert_eq!(arrived.expect("body").namespace, "jabber:component:accept", "{form}: {arrived}");
        }
    }
}

/// Tries all rows of a table.
fn rows(table: fn(Reason) -> &'static [Bad]) -> Vec<(Reason, &'static str, &'static str)> {
    let of = |reason: &Reason| {
        let reason = *reason;
        table(reason).iter().map(move |(bad, condition)| (reason, *bad, *condition))
    };
    Reason::ALL.iter().flat_map(of).collect()
}

fn from_others(from: &str, to: &str, id: usize) -> String {
    format!("<message from='other{id}@{from}' to='juliet@{to}' id='{id}'><body>hello</body></message>")
}

#[track_caller]
fn arrive_in_order(component: &mut Component, first: usize, behind: &str) {
    for id in first..first + BEHIND {
        let stanza = component.next(SOON).unwrap_or_else(|| panic!("{id} is lost behind {behind}"));
        assert_eq!(stanza.attribute("id"), id.to_string(), "behind {behind}: {stanza}");
    }
}

#[track_caller]
fn is_an_answer(answer: &Element, condition: &str, bad: &str) {
    assert_eq!(answer.attribute("type"), "error", "{bad}: {answer}");
    assert!(answer.expect("error").child(condition).is_some(), "{bad}: {answer}");
}

/// The next stanza on the node's link from `local`; accepts the link first if there is none.
#[track_caller]
fn answer_of(
    fixture: &Fixture,
    listener: &Listener,
    links: &mut Vec<(String, Peer)>,
    local: &str,
) -> Element {
    if !links.iter().any(|(from, _)| from == local) {
        let mut called = listener.accepts();
        let header = called.answers_to_external("peer.example", &fixture.identity);
        assert_eq!(header.attribute("from"), local);
        links.push((local.to_owned(), called));
    }
    let (_, link) = links.iter_mut().find(|(from, _)| from == local).expect("a link");
    match link.next(SOON) {
        Ok(Event::Element(answer)) => answer,
        other => panic!("no answer from {local}: {other:?}"),
    }
}

#[track_caller]
fn nobody_is_unaccounted_for(node: &Node) {
    let status = node.terminate(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    let account = node.eventually_logs(&["nuncio::account", "domain=*"]);
    let last = node.process().lines().into_iter().rfind(|line| line.contains("domain=*")).unwrap_or(account);
    assert!(last.contains(" waiting=0 ") && last.contains("difference=0"), "{last}");
}

/// Stanzas of other senders behind each bad one.
const BEHIND: usize = 20;

const SOON: Duration = Duration::from_secs(60);

//! Tests of stanzas that the peer sends on a stream that we opened.
use super::{negotiation::established, *};
use crate::{
    stanza::Reason,
    stream::tests::bad::{examples, written},
};

/// An error of that kind from `b.example` to `a.example`.
fn error(kind: &str) -> String {
    format!(
        "<{kind} type='error' id='1' from='u@b.example/x' to='v@a.example'><error type='modify'>\
         <jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{kind}>"
    )
}

#[test]
fn an_error_between_the_domains_of_the_pair_is_an_answer() {
    for kind in ["message", "presence", "iq"] {
        let mut peer = established();
        assert_eq!(peer.sends(&error(kind)), "");
        assert_eq!(peer.last(), format!("[answer {}]", error(kind)));
        let other = error(kind)
            .replace("type='error' id", "type='&#x65;rror' id")
            .replace("u@b.example", "B.Example");
        assert_eq!(peer.sends(&other), "");
        assert!(peer.last().starts_with("[answer "), "{}", peer.last());
        assert!(peer.stream.is_established());
    }
}

// rows: E3 E5
#[test]
fn other_elements_of_the_peer_are_dropped() {
    let wrong_name =
        |from: &str, to: &str| error("message").replace("u@b.example/x", from).replace("v@a.example", to);
    for (stray, told) in [
        ("<message from='u@b.example' to='v@a.example'/>".to_owned(), "a stanza that is no error"),
        (
            "<iq type='result' id='1' from='b.example' to='a.example'/>".to_owned(),
            "a stanza that is no error",
        ),
        (
            "<iq type='get' id='1' from='b.example' to='a.example'><q xmlns='q'/></iq>".to_owned(),
            "a stanza that is no error",
        ),
        (wrong_name("u@c.example", "v@a.example"), "a stanza between other domains"),
        (wrong_name("u@x.b.example", "v@a.example"), "a stanza between other domains"),
        (wrong_name("u@b.example", "v@c.example"), "a stanza between other domains"),
        (wrong_name("a.example", "b.example"), "a stanza between other domains"),
        (wrong_name("@", "v@a.example"), "a stanza that cannot be read"),
        (wrong_name("u@b.example", "v@"), "a stanza that cannot be read"),
        (wrong_name("u@b.example", ""), "a stanza that cannot be read"),
        ("<message type='error'/>".to_owned(), "a stanza that cannot be read"),
        ("<message/>".to_owned(), "a stanza that cannot be read"),
        (
            error("message").replacen("<message", "<message xmlns='jabber:client'", 1),
            "a stanza that cannot be read",
        ),
        (error("message").replacen("<message", "<message xmlns='urn:x'", 1), "a stanza that cannot be read"),
        ("<x xmlns='urn:example'/>".to_owned(), "an element that is no stanza"),
        ("<x xmlns='jabber:client'/>".to_owned(), "an element that is no stanza"),
        (format!("<x xmlns='urn:example'>{}</x>", "y".repeat(300_000)), "an element that is no stanza"),
        (
            format!("<stream:features>{}</stream:features>", "y".repeat(300_000)),
            "an element that is no stanza",
        ),
        (
            format!("<message from='u@b.example' to='v@a.example'>{}</message>", "<a/>".repeat(5000)),
            "a stanza that is no error",
        ),
    ] {
        let mut peer = established();
        for _ in 0..2 * open::ELEMENTS {
            assert_eq!(peer.sends(&stray), "", "{stray}");
            assert_eq!(peer.last(), format!("[dropped: {told}]"), "{stray}");
        }
        peer.sends(&error("iq"));
        assert!(peer.last().starts_with("[answer "), "{}", peer.last());
        assert!(peer.stream.is_established());
    }
}

// rows: E1 E3 E5
#[test]
fn a_bad_stanza_on_a_stream_of_ours_costs_one_stanza() {
    let mut tried = 0;
    for (bad, _) in Reason::ALL.iter().flat_map(|reason| examples(*reason)) {
        // It answers nothing, for any address.
        let bad = written(bad);
        let behind: String = (0..20).map(|id| error("iq").replace("id='1'", &format!("id='{id}'"))).collect();
        let mut peer = established();
        peer.events.clear();
        assert_eq!(peer.sends(&format!("{bad}{behind}")), "", "{bad}");
        let answers: Vec<_> = peer.events.iter().filter(|event| event.starts_with("[answer ")).collect();
        assert_eq!(answers.len(), 20, "{bad}");
        let in_order = answers.iter().enumerate().all(|(id, answer)| answer.contains(&format!("id='{id}'")));
        assert!(in_order, "{bad}");
        assert!(peer.stream.is_established(), "{bad}");
        tried += 1;
    }
    assert!(tried > 35, "{tried}");
}

#[test]
fn stray_elements_that_have_to_be_read_are_limited() {
    for stray in ["<error xmlns='urn:example'/>", "<stream:features/>"] {
        let mut peer = established();
        assert_eq!(peer.sends(&stray.repeat(open::ELEMENTS / 2)), "");
        assert!(peer.stream.is_established());
        assert!(peer.sends(&stray.repeat(open::ELEMENTS)).starts_with("<stream:error><policy-violation "));
    }
}

#[test]
fn an_answer_may_be_as_long_as_the_stanza_that_it_answers() {
    let body = "y".repeat(policy().max_stanza - 1000);
    let mut peer = established();
    let long = error("message").replacen("<error", &format!("<body>{body}</body><error"), 1);
    assert_eq!(peer.sends(&long), "");
    assert!(peer.last().starts_with("[answer "), "no answer");
    let body = "y".repeat(policy().max_stanza + 10_000);
    let longer = error("message").replacen("<error", &format!("<body>{body}</body><error"), 1);
    assert!(peer.sends(&longer).starts_with("<stream:error><policy-violation "), "no bound");
}

#[test]
fn answers_are_taken_until_the_stream_is_over() {
    let mut peer = established();
    peer.stream.close(None);
    peer.gets();
    assert_eq!(peer.sends(&error("iq")), "");
    assert!(peer.last().starts_with("[answer "), "{}", peer.last());
    peer.sends("<message/></stream:stream>");
    assert_eq!(peer.last(), "[closed]");
}

#[test]
fn no_answer_is_taken_during_the_handshake() {
    let mut peer = Peer::secured(plan(policy()));
    peer.opens(DIALBACK);
    assert!(peer.sends(&error("iq")).starts_with("<stream:error><not-authorized "));
}

#[test]
fn a_header_that_declares_much_has_no_answer_taken() {
    let mut peer = Peer::secured(plan(policy()));
    let wide = format!("version='1.0' xmlns:x='urn:{}'", "x".repeat(900));
    peer.sends(&format!("{}<stream:features>{DIALBACK}</stream:features>", header(&wide)));
    peer.sends("<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' type='valid'/>");
    assert!(peer.stream.is_established());
    assert_eq!(peer.sends(&error("iq")), "");
    assert_eq!(peer.last(), "[dropped: a stanza that cannot be read]");
}

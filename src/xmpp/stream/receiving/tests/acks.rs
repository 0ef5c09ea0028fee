//! Acks that a remote server requests: when it may, and which stanzas count.
use super::*;
use crate::acks::Offer;
use std::time::Duration;

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
pub(super) const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
pub(super) const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const OFFER: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const TOO_EARLY: &str = "<failed xmlns='urn:xmpp:sm:3'>\
    <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

/// Terms with acks, and streams that can be resumed for two minutes.
pub(super) fn resumable() -> Policy {
    Policy { acks: Some(Offer { resume_for: Some(Duration::from_secs(120)) }), ..policy() }
}

fn node_with(policy: Policy) -> Arc<Rules> {
    rules(&["a.example", "also.example"], policy, true)
}

/// A peer that has proved itself by EXTERNAL. Gives the features that follow.
fn external(policy: Policy) -> (Peer, String) {
    let mut peer = Peer::secured(node_with(policy), trusted());
    peer.opens();
    peer.sends(AUTH);
    let features = peer.opens();
    peer.events.clear();
    (peer, features)
}

/// A peer that has proved itself by dialback over TLS.
fn dialback(policy: Policy) -> Peer {
    let mut peer = Peer::secured(node_with(policy), None);
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer.events.clear();
    peer
}

/// A peer that has requested acks.
pub(super) fn enabled(enable: &str) -> Peer {
    let mut peer = external(resumable()).0;
    let answer = peer.sends(enable);
    assert!(answer.starts_with("<enabled xmlns='urn:xmpp:sm:3'"), "{answer}");
    peer.events.clear();
    peer
}

/// As [`external`], for the tests of resumption.
pub(super) fn authenticated() -> Peer {
    external(resumable()).0
}

pub(super) fn stanzas(count: usize) -> String {
    (1..=count).map(|id| format!("<message id='{id}' from='u@b.example' to='v@a.example'/>")).collect()
}

impl Peer {
    /// The router accepts so many stanzas. Gives what the peer gets for it.
    pub(super) fn handled(&mut self, stanzas: u32) -> String {
        self.stream.opened().handled(stanzas);
        self.gets()
    }

    /// The ack that the driver sends now.
    pub(super) fn acknowledged(&mut self) -> String {
        self.stream.opened().acknowledge();
        self.gets()
    }

    fn stanzas(&self) -> usize {
        self.events.iter().filter(|event| event.starts_with("[stanza ")).count()
    }
}

pub(super) fn ack(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

// H11
#[test]
fn offers_acks_after_sasl_and_beside_dialback_within_tls() {
    assert!(external(resumable()).1.contains(OFFER));
    assert!(Peer::secured(node_with(resumable()), None).opens().contains(OFFER));
    let clear = Policy { tls: Tls::Optional, ..resumable() };
    let features = Peer::new(node_with(clear)).opens();
    assert!(features.contains("urn:xmpp:features:dialback") && !features.contains(OFFER), "{features}");
    assert!(!external(policy()).1.contains(OFFER));
    assert!(!Peer::secured(node_with(policy()), None).opens().contains(OFFER));
    let external_only = Policy { auth: vec![External], ..resumable() };
    let features = Peer::secured(node_with(external_only), trusted()).opens();
    assert!(!features.contains(OFFER), "it follows SASL: {features}");
}

// H1
#[test]
fn refuses_acks_before_authentication_and_grants_them_afterwards() {
    let mut peer = Peer::secured(node_with(resumable()), None);
    peer.opens();
    assert_eq!(peer.sends(ENABLE), TOO_EARLY);
    assert_eq!(peer.sends("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"), TOO_EARLY);
    for ignored in [REQUEST, &ack(3), "<enabled xmlns='urn:xmpp:sm:3'/>", "<failed xmlns='urn:xmpp:sm:3'/>"] {
        assert_eq!(peer.sends(ignored), "", "{ignored}");
    }
    peer.is_verified("a.example", "b.example");
    assert_eq!(peer.sends(ENABLE), "<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.events.last().unwrap(), "[acks enabled, not resumable]");
    assert!(peer.stream.opened().has_acks());
}

// H1: a request in the same write as the key
#[test]
fn a_key_that_is_not_verified_is_no_authentication() {
    let mut peer = Peer::secured(node_with(resumable()), None);
    peer.opens();
    let answer = peer.sends(&format!("<db:result from='b.example' to='a.example'>key</db:result>{ENABLE}"));
    assert_eq!(answer, TOO_EARLY);
}

// H2, H21
#[test]
fn a_second_request_for_acks_ends_the_stream() {
    let mut peer = enabled(ENABLE);
    let answer = peer.sends(ENABLE);
    assert!(answer.starts_with(&ack(0)), "{answer}");
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
}

// H13, H25
#[test]
fn a_stream_that_can_be_resumed_has_an_id_of_its_own() {
    for resume in ["true", "1"] {
        let (mut peer, _) = external(resumable());
        let answer = peer.sends(&format!("<enable xmlns='urn:xmpp:sm:3' resume='{resume}' max='abc'/>"));
        assert_eq!(answer, "<enabled xmlns='urn:xmpp:sm:3' id='id3' resume='true' max='120'/>");
        assert_eq!(peer.events, ["[acks enabled, resumable as id3]"], "the headers have id1 and id2");
    }
    let without = Policy { acks: Some(Offer { resume_for: None }), ..policy() };
    for (policy, resume) in [(resumable(), "false"), (resumable(), "yes"), (without, "true")] {
        let (mut peer, _) = external(policy);
        let answer = peer.sends(&format!("<enable xmlns='urn:xmpp:sm:3' resume='{resume}'/>"));
        assert_eq!(answer, "<enabled xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(peer.events, ["[acks enabled, not resumable]"]);
    }
}

// H3
#[test]
fn stanzas_before_the_request_for_acks_do_not_count() {
    for first in [0, 5, 6] {
        let mut peer = dialback(resumable());
        peer.sends(&format!("{}{ENABLE}{}{REQUEST}", stanzas(5), stanzas(3)));
        assert_eq!(peer.stanzas(), 8);
        assert_eq!(peer.events.last().unwrap(), "[ack due]");
        assert_eq!(peer.handled(first), "");
        assert_eq!(peer.handled(8 - first), "");
        assert_eq!(peer.acknowledged(), ack(3), "{first} were handled at first");
    }
}

// H3, H14
#[test]
fn the_count_has_what_is_handled_and_nothing_else() {
    let mut peer = enabled(ENABLE);
    assert_eq!(peer.sends(&format!("{}{REQUEST}", stanzas(1000))), "");
    assert_eq!((peer.stanzas(), peer.stream.opened().unhandled()), (1000, 1000));
    peer.handled(400);
    assert_eq!(peer.acknowledged(), ack(400), "the router is full");
    peer.handled(600);
    assert_eq!(peer.acknowledged(), ack(1000));
    // Elements that are no stanzas are in no count.
    peer.sends(" <db:verify from='b.example' to='a.example' id='1'>k</db:verify> <foo/>");
    peer.sends("<message xmlns='urn:example' from='u@b.example' to='v@a.example'/>");
    assert_eq!(peer.events.last().unwrap(), "[dropped not-a-stanza]");
    assert_eq!(peer.stream.opened().unhandled(), 0);
    assert_eq!(peer.acknowledged(), ack(1000));
}

// H14
#[test]
fn a_stanza_that_is_answered_counts_in_its_turn() {
    let lenient = Policy { unknown_recipient: crate::policy::UnknownRecipient::Bounce, ..resumable() };
    let (mut peer, _) = external(lenient);
    peer.sends(ENABLE);
    for refused in [
        "<message from='u@b.example' to='@'/>",
        "<message xmlns='jabber:client' from='u@b.example' to='v@a.example'/>",
        "<message from='u@b.example' to='v@third.example'/>",
        "<message from='u@b.example' to='v@also.example'/>",
        "<iq type='result' from='u@b.example'/>",
    ] {
        let before = peer.stream.opened().handled_count();
        peer.sends(&format!("{}{refused}{}", stanzas(1), stanzas(1)));
        assert_eq!(peer.stream.opened().unhandled(), 3, "{refused}");
        peer.handled(1);
        assert_eq!(peer.acknowledged(), ack(before + 1), "{refused}");
        peer.handled(2);
        assert_eq!(peer.acknowledged(), ack(before + 3), "{refused}");
    }
}

// H3
#[test]
fn the_count_goes_on_at_zero_after_the_largest_number() {
    let mut peer = authenticated();
    peer.sends("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>");
    assert!(peer.stream.opened().resumed(Claim::Continue { handled: u32::MAX - 2 }));
    peer.sends(&stanzas(5));
    peer.handled(2);
    assert_eq!(peer.acknowledged(), ack(u32::MAX));
    peer.handled(3);
    assert_eq!(peer.acknowledged(), ack(2));
}

// H4
#[test]
fn each_request_is_reported_at_its_place() {
    let mut peer = enabled(ENABLE);
    assert_eq!(peer.sends(&format!("{REQUEST}{}{REQUEST}{}{REQUEST}{REQUEST}", stanzas(1), stanzas(1))), "");
    let kinds: Vec<_> = peer.events.iter().map(|event| event.split([' ', ']']).next().unwrap()).collect();
    assert_eq!(kinds, ["[ack", "[stanza", "[ack", "[stanza", "[ack", "[ack"]);
    peer.handled(2);
    assert_eq!(peer.acknowledged(), ack(2), "one answer is enough");
}

#[test]
fn a_request_behind_stanzas_is_no_work_and_others_are() {
    let mut peer = enabled(ENABLE);
    peer.stream.take_unproductive();
    for _ in 0..10 {
        peer.sends(&format!("{}{REQUEST}", stanzas(2)));
        peer.handled(2);
    }
    assert_eq!(peer.stream.take_unproductive(), 0);
    peer.sends(&REQUEST.repeat(10));
    assert_eq!(peer.stream.take_unproductive(), 10);
    peer.sends(&ack(0).repeat(10));
    assert_eq!(peer.stream.take_unproductive(), 10);
}

// H24
#[test]
fn elements_without_a_request_do_not_end_the_stream() {
    let unrequested = [
        ack(0),
        ack(7),
        REQUEST.to_owned(),
        "<enabled xmlns='urn:xmpp:sm:3'/>".to_owned(),
        "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='1'/>".to_owned(),
        "<failed xmlns='urn:xmpp:sm:3'/>".to_owned(),
        format!("<new xmlns='urn:xmpp:sm:3'>{}</new>", "<a/>".repeat(300)),
    ];
    let (mut peer, _) = external(resumable());
    for element in unrequested.iter().chain(&unrequested) {
        assert_eq!(peer.sends(element), "", "{element}");
    }
    let told = "[refused: <a/> of acks, which answers nothing that was requested here]";
    assert_eq!(peer.events, [told], "once for all");
    // Those that nothing can be wrong with, once there are acks.
    let mut peer = enabled(ENABLE);
    for element in unrequested.iter().filter(|element| **element != ack(7) && **element != REQUEST) {
        assert_eq!(peer.sends(element), "", "{element}");
    }
    assert_eq!(peer.events.len(), 1, "{:?}", peer.events);
    assert_eq!(peer.sends("<a xmlns='urn:xmpp:sm:3' h='many'/>"), "");
    assert!(peer.stream.opened().has_acks());
}

// H9: nothing of ours leaves on this stream
#[test]
fn an_ack_of_stanzas_that_were_not_sent_ends_the_stream() {
    let mut peer = enabled(ENABLE);
    let answer = peer.sends(&ack(1));
    assert!(
        answer.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='1' send-count='0'/>"),
        "{answer}"
    );
    assert!(answer.contains("<undefined-condition "), "{answer}");
    assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
}

#[test]
fn a_policy_without_acks_does_not_know_their_elements() {
    let (mut peer, _) = external(policy());
    for element in [ENABLE, REQUEST, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"] {
        assert_eq!(peer.sends(element), "");
        assert_eq!(peer.events.last().unwrap(), "[dropped not-a-stanza]");
    }
    // A stream that has them keeps them under other rules.
    let mut peer = enabled(ENABLE);
    assert_eq!(peer.stream.adopt(node_with(policy())), None);
    peer.sends(&format!("{}{REQUEST}", stanzas(1)));
    peer.handled(1);
    assert_eq!(peer.acknowledged(), ack(1));
}

#[test]
fn a_stream_with_acks_does_not_begin_again() {
    let mut peer = Peer::secured(node_with(resumable()), trusted());
    peer.opens();
    peer.is_verified("a.example", "b.example");
    assert_eq!(peer.sends(ENABLE), "<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.sends(AUTH), "");
    assert_eq!(peer.events.last().unwrap(), "[dropped not-a-stanza]");
}

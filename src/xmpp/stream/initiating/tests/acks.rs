//! Acks on a stream that we opened: when they are requested, and what counts in each direction.
use super::*;
use crate::acks::{Options, Previous, TooHigh};
use std::time::Duration;

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const OFFER: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const FOOTER: &str = "</stream:stream>";
const ERROR: &str = "<message type='error' from='u@b.example' to='v@a.example'/>";
const ESTABLISHED: &str = "[established by EXTERNAL over TLS]";

/// Wants acks, and streams that can be resumed.
pub(super) fn wanting(resume: Option<Previous>) -> Plan {
    Plan { acks: Options { enabled: true, resume, resumable: true }, ..plan(policy()) }
}

/// Authenticates by EXTERNAL. Gives what follows the features.
pub(super) fn external(plan: Plan, before: &str, features: &str) -> (Peer, String) {
    let mut peer = Peer::secured(plan);
    peer.opens(&format!("{EXTERNAL}{before}"));
    peer.sends(SUCCESS);
    let answer = peer.opens(features);
    (peer, answer)
}

/// Authenticates by dialback over TLS. Gives what follows the verdict.
pub(super) fn dialback(plan: Plan, features: &str) -> (Peer, String) {
    let mut peer = Peer::new(Plan { direct_tls: Some(secured(None)), ..plan });
    peer.gets();
    let answer = peer.opens(&format!("{DIALBACK}{features}"));
    assert!(answer.starts_with("<db:result "), "{answer}");
    let valid = "<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' type='valid'/>";
    let answer = peer.sends(valid);
    (peer, answer)
}

/// A stream with acks that can be resumed as `x`.
fn acknowledged() -> Peer {
    let (mut peer, _) = external(wanting(None), "", OFFER);
    assert_eq!(peer.sends("<enabled xmlns='urn:xmpp:sm:3' resume='true' id='x' max='60'/>"), "");
    assert_eq!(peer.last(), "[acks on, resumable as x]");
    peer.events.clear();
    peer
}

pub(super) fn ack(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

// H11, H12
#[test]
fn requests_acks_once_and_only_where_they_are_offered_now() {
    let old = "<sm xmlns='urn:xmpp:sm:2'/>";
    for (before, after, requested) in [
        ("", OFFER, true),
        ("", &format!("{old}{OFFER}"), true),
        (OFFER, OFFER, true),
        ("", "", false),
        (OFFER, "", false),
        ("", old, false),
        ("", "<sm xmlns='urn:xmpp:sm:4'/>", false),
    ] {
        let (mut peer, answer) = external(wanting(None), before, after);
        assert_eq!(answer, if requested { ENABLE } else { "" }, "{before} {after}");
        assert_eq!(peer.last(), ESTABLISHED);
        let acks = if requested { Acks::Requested } else { Acks::Off };
        let open = peer.stream.opened();
        assert_eq!((open.acks(), open.resumption()), (&acks, Resumption::NotAsked));
        assert_eq!(peer.sends(&ERROR.repeat(3)), "");
    }
    for (features, requested) in [(OFFER, ENABLE), ("", ""), (old, "")] {
        let (peer, answer) = dialback(wanting(None), features);
        assert_eq!(answer, requested);
        assert_eq!(peer.last(), "[established by dialback over TLS]");
    }
    let (peer, answer) = external(plan(policy()), OFFER, OFFER);
    assert_eq!((&*answer, peer.last()), ("", ESTABLISHED), "not wanted");
    let mut plain = wanting(None);
    plain.acks.resumable = false;
    assert_eq!(external(plain, "", OFFER).1, "<enable xmlns='urn:xmpp:sm:3'/>");
}

// H12: a verification has nothing that needs acks
#[test]
fn a_verification_requests_none() {
    let request =
        dialback::Request { pair: pair("a.example", "b.example"), id: "id7".to_owned(), key: "k".to_owned() };
    let mut peer = Peer::asked(Plan { direct_tls: Some(secured(trusted())), ..wanting(None) }, request);
    peer.gets();
    let answer = peer.opens(&format!("{DIALBACK}{OFFER}"));
    assert!(answer.starts_with("<db:verify ") && !answer.contains("sm:3"), "{answer}");
}

// H13
#[test]
fn a_stream_can_be_resumed_if_the_peer_gives_both_permission_and_id() {
    for (attributes, resumable) in [
        ("resume='true' id='x'", Some(None)),
        ("resume='1' id='x' max='90' location='c.example'", Some(Some(90))),
        ("resume='true' id='x' max='99999999999'", Some(None)),
        ("resume='true'", None),
        ("id='x'", None),
        ("resume='false' id='x'", None),
        ("", None),
    ] {
        let (mut peer, _) = external(wanting(None), "", OFFER);
        assert_eq!(peer.sends(&format!("<enabled xmlns='urn:xmpp:sm:3' {attributes}/>")), "");
        let resumable = resumable
            .map(|max: Option<u64>| Resumable { id: "x".to_owned(), max: max.map(Duration::from_secs) });
        assert_eq!(peer.stream.opened().acks(), &Acks::On { resumable }, "{attributes}");
    }
}

#[test]
fn a_refused_request_costs_nothing() {
    let (mut peer, _) = external(wanting(None), "", OFFER);
    let failed = "<failed xmlns='urn:xmpp:sm:3'>\
        <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    assert_eq!(peer.sends(failed), "");
    assert_eq!(peer.last(), "[acks refused: unexpected-request]");
    assert_eq!(peer.stream.opened().acks(), &Acks::Off);
    peer.sends(ERROR);
    assert!(peer.last().starts_with("[answer "), "{}", peer.last());
    peer.stream.close(None);
    assert_eq!(peer.gets(), FOOTER, "no ack");
}

// H4, H9
#[test]
fn each_ack_of_the_peer_is_reported_until_the_stream_is_over() {
    let mut peer = acknowledged();
    assert_eq!(peer.sends(&format!("{}{}{}", ack(1), ack(u32::MAX), ack(0))), "");
    assert_eq!(peer.events, ["[acknowledged 1]", "[acknowledged 4294967295]", "[acknowledged 0]"]);
    peer.stream.close(None);
    assert_eq!(peer.gets(), format!("{}{FOOTER}", ack(0)));
    peer.sends(&format!("{}{FOOTER}{}", ack(7), ack(8)));
    assert_eq!(peer.events[3..], ["[acknowledged 7]", "[closed]"]);
}

// H9: the driver has the ledger
#[test]
fn a_count_that_is_too_high_is_answered_as_the_standard_requires() {
    let mut peer = acknowledged();
    peer.stream.close(Some(TooHigh { h: 10, sent: 8 }.into()));
    let answer = peer.gets();
    assert!(answer.starts_with(&format!("{}<stream:error><undefined-condition ", ack(0))), "{answer}");
    assert!(
        answer.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/>"),
        "{answer}"
    );
}

// H3, H4
#[test]
fn stanzas_of_the_peer_count_from_the_answer_on() {
    let (mut peer, _) = external(wanting(None), "", OFFER);
    peer.sends(&ERROR.repeat(5));
    assert_eq!(peer.sends(REQUEST), "", "there is no count yet");
    peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.sends(&format!("{}{REQUEST}", ERROR.repeat(3))), ack(3));
    // What is dropped was sent all the same.
    let dropped = [
        "<message from='u@b.example' to='v@a.example'/>",
        "<iq type='error' from='u@c.example' to='v@a.example'/>",
        "<presence/>",
        "<message xmlns='jabber:client' type='error' from='u@b.example' to='v@a.example'/>",
    ];
    assert_eq!(peer.sends(&format!("{}{REQUEST}", dropped.concat())), ack(7));
    // These are no stanzas.
    let others = "<x/><message xmlns='urn:x'/><db:result xmlns:db='jabber:server:dialback'/>";
    assert_eq!(peer.sends(&format!("{others}{REQUEST}{} ", ack(0))), ack(7));
    assert_eq!(peer.stream.opened().handled_count(), 7);
}

// H4
#[test]
fn one_ack_answers_all_requests_of_a_read() {
    let mut peer = acknowledged();
    assert_eq!(peer.sends(&format!("{}{ERROR}{}", REQUEST.repeat(500), REQUEST.repeat(500))), ack(1));
    assert_eq!(peer.sends(REQUEST), ack(1));
}

// H5, H15, H16
#[test]
fn a_last_ack_goes_before_our_closing_tag_and_nothing_is_taken_behind_it() {
    let mut peer = acknowledged();
    assert_eq!(peer.sends(&format!("{ERROR}{FOOTER}")), format!("{}{FOOTER}", ack(1)));
    assert_eq!(peer.last(), "[closed]");

    let mut peer = acknowledged();
    let shutdown =
        "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(peer.sends(&format!("{ERROR}{}{shutdown}", ack(4))), format!("{}{FOOTER}", ack(1)));
    assert_eq!(peer.events[1..], ["[acknowledged 4]", "[closed by the peer: system-shutdown]"]);

    let mut peer = acknowledged();
    let answer = peer.sends(&format!("{ERROR}<!-- -->"));
    assert!(answer.starts_with(&format!("{}<stream:error><restricted-xml ", ack(1))), "{answer}");

    let mut peer = acknowledged();
    peer.sends(ERROR);
    peer.stream.close(None);
    assert_eq!(peer.gets(), format!("{}{FOOTER}", ack(1)));
    let events = peer.events.len();
    assert_eq!(peer.sends(&format!("{ERROR}{REQUEST}<message/><x/>{ERROR}")), "");
    assert_eq!(peer.events.len(), events, "{:?}", peer.events);
    assert_eq!(peer.stream.opened().handled_count(), 1);
}

// H24
#[test]
fn elements_that_were_not_requested_do_not_end_the_stream() {
    let enabled = "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='y'/>";
    let long = format!("<enabled xmlns='urn:xmpp:sm:3'>{}</enabled>", "<a/>".repeat(300));
    let longer = format!("<failed xmlns='urn:xmpp:sm:3'>{}</failed>", "x".repeat(100_000));
    let mut on = acknowledged();
    let mut off = external(plan(policy()), "", OFFER).0;
    let mut requested = external(wanting(None), "", OFFER).0;
    for element in [enabled, "<failed xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3'/>", &long, &longer]
    {
        for _ in 0..2 * open::ELEMENTS {
            assert_eq!(on.sends(element), "");
            assert!(on.last().starts_with("[dropped: "), "{}", on.last());
            assert_eq!(off.sends(element), "");
            assert_eq!(off.last(), "[dropped: an element that is no stanza]");
        }
    }
    for element in [&ack(1), "<resumed xmlns='urn:xmpp:sm:3'/>", &long, &longer] {
        assert_eq!(requested.sends(element), "");
        assert_eq!(requested.last(), "[dropped: an element that is no stanza]");
    }
    for peer in [&mut on, &mut off, &mut requested] {
        peer.sends(ERROR);
        assert!(peer.last().starts_with("[answer "), "{}", peer.last());
    }
    let resumable = Some(Resumable { id: "x".to_owned(), max: Some(Duration::from_secs(60)) });
    assert_eq!(on.stream.opened().acks(), &Acks::On { resumable });
}

#[test]
fn elements_of_acks_do_not_end_a_handshake() {
    let mut peer = Peer::secured(wanting(None));
    assert_eq!(peer.opens(&format!("{EXTERNAL}{OFFER}")).split(' ').next(), Some("<auth"));
    for element in [REQUEST, &ack(1), "<enabled xmlns='urn:xmpp:sm:3'/>"] {
        assert_eq!(peer.sends(element), "");
    }
    peer.sends(SUCCESS);
    assert_eq!(peer.opens(OFFER), ENABLE);
}

// H9
#[test]
fn an_ack_without_a_valid_count_is_dropped() {
    for h in ["", "h=''", "h='-1'", "h='+1'", "h=' 1'", "h='1 '", "h='4294967296'", "h='\u{661}'", "h='1.0'"]
    {
        let mut peer = acknowledged();
        assert_eq!(peer.sends(&format!("<a xmlns='urn:xmpp:sm:3' {h}/>")), "");
        assert_eq!(peer.events, ["[dropped: an acknowledgement without a valid count]"], "{h}");
        peer.sends(&ack(1));
        assert_eq!(peer.last(), "[acknowledged 1]");
    }
}

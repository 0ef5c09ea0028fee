//! The request to continue a stream that was lost, behind authentication.
use super::{
    acks::{ack, dialback, external, wanting},
    *,
};
use crate::acks::Previous;
use std::time::Duration;

const OFFER: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' previd='lost' h='2'/>";
const ERROR: &str = "<message type='error' from='u@b.example' to='v@a.example'/>";
const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const ESTABLISHED: &str = "[established by EXTERNAL over TLS]";

fn lost() -> Plan {
    wanting(Some(Previous { id: "lost".to_owned(), handled: 2, max: Some(Duration::from_secs(60)) }))
}

/// The request is made, and waits for the answer.
fn asked() -> Peer {
    let (peer, answer) = external(lost(), "", OFFER);
    assert_eq!(answer, RESUME);
    assert_eq!(peer.stream.stage(), Stage::Resumption);
    assert_ne!(peer.last(), ESTABLISHED);
    peer
}

// H7
#[test]
fn a_resumed_stream_goes_on_with_both_counts() {
    let mut peer = asked();
    // The peer sends again what we had not counted.
    let resumed = format!("<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='7'/>{ERROR}{REQUEST}");
    assert_eq!(peer.sends(&resumed), ack(3));
    assert_eq!(peer.stream.opened().resumption(), Resumption::Resumed { h: 7 });
    let resumable = Some(Resumable { id: "lost".to_owned(), max: Some(Duration::from_secs(60)) });
    assert_eq!(peer.stream.opened().acks(), &Acks::On { resumable });
    peer.sends(&ack(9));
    assert_eq!(peer.last(), "[acknowledged 9]");
}

// H7
#[test]
fn a_stream_is_resumed_after_dialback_too() {
    let (mut peer, answer) = dialback(lost(), OFFER);
    assert_eq!(answer, RESUME);
    assert_eq!(peer.sends("<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='7'/>"), "");
    assert_eq!(peer.last(), "[established by dialback over TLS]");
    assert_eq!(peer.stream.opened().resumption(), Resumption::Resumed { h: 7 });
}

// H18
#[test]
fn a_refusal_with_a_count_is_as_good_and_acks_begin_again() {
    for (h, resumption) in [
        ("h='7'", Resumption::Counted { h: 7 }),
        ("h='4294967295'", Resumption::Counted { h: u32::MAX }),
        ("", Resumption::Unknown),
        ("h='-7'", Resumption::Unknown),
        ("h='4294967296'", Resumption::Unknown),
    ] {
        let mut peer = asked();
        let failed = format!(
            "<failed xmlns='urn:xmpp:sm:3' {h}>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        assert_eq!(peer.sends(&failed), ENABLE);
        assert_eq!(peer.last(), ESTABLISHED);
        assert_eq!(peer.stream.opened().resumption(), resumption, "{h}");
        assert_eq!(peer.stream.opened().acks(), &Acks::Requested);
        peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(peer.sends(&format!("{ERROR}{REQUEST}")), ack(1), "a new count");
    }
}

#[test]
fn an_answer_that_cannot_be_used_leaves_a_stream_without_acks() {
    for (attributes, fault) in [
        ("previd='lost'", "no 'h'"),
        ("h='7'", "no 'previd'"),
        ("previd='other' h='7'", "a 'previd' that is not the requested one"),
        ("previd='lost' h='x'", "a 'h' that is not a number from 0 to 4294967295"),
    ] {
        let mut peer = asked();
        assert_eq!(peer.sends(&format!("<resumed xmlns='urn:xmpp:sm:3' {attributes}/>")), "", "no <enable/>");
        assert_eq!(peer.last(), format!("[acks refused: its <resumed/> has {fault}]"));
        assert_eq!(peer.stream.opened().resumption(), Resumption::Unknown);
        assert_eq!(peer.stream.opened().acks(), &Acks::Off);
        assert!(peer.stream.is_established());
    }
}

// H12
#[test]
fn a_peer_that_offers_no_acks_is_not_asked() {
    let (mut peer, answer) = external(lost(), OFFER, "");
    assert_eq!((&*answer, peer.last()), ("", ESTABLISHED));
    assert_eq!(peer.stream.opened().resumption(), Resumption::NotAsked);
}

// H24
#[test]
fn other_elements_are_no_answer() {
    let mut peer = asked();
    for element in [REQUEST, &ack(1), "<enabled xmlns='urn:xmpp:sm:3'/>", "<x xmlns='urn:xmpp:sm:3'/>"] {
        assert_eq!(peer.sends(element), "");
        assert_eq!(peer.stream.stage(), Stage::Resumption);
    }
    peer.sends("<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='7'/>");
    assert_eq!(peer.last(), ESTABLISHED);
}

#[test]
fn a_peer_that_closes_instead_has_ended_the_attempt() {
    let mut peer = asked();
    assert_eq!(peer.sends("</stream:stream>"), "</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example closed the stream without giving a reason]");
}

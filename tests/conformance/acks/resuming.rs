//! The node asks for the count after it lost a link.

use super::{accepts, acknowledges, ids, sends, sends_nothing, setup, stamp};
use crate::support::{Component, Event, Fixture, Peer, SM, SOON, Server, figure, is_request};

// rows: H7
#[test]
fn after_each_of_twenty_cuts_exactly_the_rest_is_sent() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let (mut sent, mut handled, mut first) = (0, 0, 0);
    for cut in 0..=CUTS {
        // These arrive at the node while the link is interrupted or in use.
        sends(&mut inbox, sent..sent + BLOCK);
        sent += BLOCK;
        let mut peer = accepts(&fixture, &listener);
        let asked = peer.expects_enable_or_resume();
        if asked.name == "enable" {
            // Nothing was sent and unacknowledged, so there is nothing to ask for.
            peer.sends(&format!("<enabled xmlns='{SM}' id='from {handled}' resume='true'/>"));
            first = handled;
        } else {
            assert_eq!(asked.attribute("previd"), format!("from {first}"));
            peer.resumed(asked.attribute("previd"), count(handled - first));
        }
        // The place of the cut differs: before the last block, and behind each of its stanzas. So nothing is sent more than
        // twice.
        let reached = if cut < CUTS { sent - BLOCK + cut % (BLOCK + 1) } else { sent };
        while handled < reached {
            match peer.next(SOON) {
                Ok(Event::Element(request)) if is_request(&request) => {
                    peer.acknowledges(count(handled - first));
                }
                Ok(Event::Element(stanza)) => {
                    assert_eq!(stanza.attribute("id"), handled.to_string(), "{stanza}");
                    assert_eq!(stamp(&stanza), None, "{stanza}");
                    handled += 1;
                }
                other => panic!("{other:?} after\n{}", peer.transcript()),
            }
        }
        if cut < CUTS {
            peer.resets();
        } else {
            peer.acknowledges(count(sent - first));
            sends_nothing(&mut peer);
            nothing_in_doubt(&fixture, &mut inbox, sent);
        }
    }
}

// rows: H18
#[test]
fn a_failure_with_a_count_settles_what_it_counts() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..10);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    assert_eq!(peer.expects_stanzas(10), ids(0..10));
    peer.acknowledges(2);
    peer.resets();
    sends(&mut inbox, 10..12);
    let mut peer = accepts(&fixture, &listener);
    peer.expects_resume("kept");
    peer.failed("h='6'", "item-not-found");
    peer.takes_enable("id='next' resume='true'");
    takes_unstamped(&mut peer, 6, 6);
    // The counts of the new stream begin at 0.
    peer.acknowledges(6);
    sends_nothing(&mut peer);
    nothing_in_doubt(&fixture, &mut inbox, 12);
    // The next interruption asks for the new stream.
    sends(&mut inbox, 12..13);
    takes_unstamped(&mut peer, 12, 1);
    peer.resets();
    let mut peer = accepts(&fixture, &listener);
    peer.expects_resume("next");
    peer.resumed("next", 7);
    sends_nothing(&mut peer);
    nothing_in_doubt(&fixture, &mut inbox, 13);
}

// rows: H13 H17
#[test]
fn a_failure_without_a_count_leaves_the_fate_unknown() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(3);
    acknowledges(&fixture, &mut peer, 1);
    peer.resets();
    let mut peer = accepts(&fixture, &listener);
    peer.expects_resume("kept");
    peer.failed("", "item-not-found");
    peer.takes_enable("");
    for id in ids(1..3) {
        let stanza = peer.expects_stanza();
        assert_eq!(stanza.attribute("id"), id);
        assert!(stamp(&stanza).is_some(), "{stanza}");
    }
    peer.acknowledges(2);
    let account = fixture.node.settled_account();
    assert_eq!(figure(&account, "repeated"), 2, "{account}");
}

// rows: H13
#[test]
fn without_both_id_and_resume_nothing_is_asked() {
    for attributes in ["resume='true'", "id='kept'", "id='kept' resume='false'", "id='' resume='true'", ""] {
        let fixture = Fixture::with(setup());
        let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
        sends(&mut inbox, 0..2);
        let mut peer = accepts(&fixture, &listener);
        peer.takes_enable(attributes);
        peer.expects_stanzas(2);
        acknowledges(&fixture, &mut peer, 1);
        peer.resets();
        sends(&mut inbox, 2..3);
        let mut peer = accepts(&fixture, &listener);
        // Anything else than `<enable/>` fails the test.
        peer.takes_enable(attributes);
        assert_eq!(peer.expects_stanzas(2), ids(1..3), "{attributes:?}");
        peer.acknowledges(2);
        fixture.node.settled_account();
    }
}

// rows: H7
#[test]
fn a_second_loss_before_the_answer_asks_for_the_same_stream_again() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..5);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(5);
    peer.resets();
    for _ in 0..2 {
        let mut peer = accepts(&fixture, &listener);
        peer.expects_resume("kept");
        peer.resets();
    }
    let mut peer = accepts(&fixture, &listener);
    peer.expects_resume("kept");
    peer.resumed("kept", 3);
    takes_unstamped(&mut peer, 3, 2);
    peer.acknowledges(5);
    nothing_in_doubt(&fixture, &mut inbox, 5);
}

// rows: H7
#[test]
fn a_request_to_resume_without_an_answer_is_not_repeated() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(3);
    peer.resets();
    let mut silent = accepts(&fixture, &listener);
    silent.expects_resume("kept");
    // The node gives up on this stream. No stanza was sent on it.
    silent.waits_for_the_end();
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    for id in ids(0..3) {
        let stanza = peer.expects_stanza();
        assert_eq!(stanza.attribute("id"), id);
        assert!(stamp(&stanza).is_some(), "{stanza}");
    }
    peer.acknowledges(3);
    fixture.node.settled_account();
}

// rows: H7
#[test]
fn with_a_resume_timeout_of_zero_nothing_is_asked() {
    let fixture = Fixture::with(setup().set("s2s.resume_timeout", "\"0s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..2);
    let mut peer = accepts(&fixture, &listener);
    peer.expects("enable");
    peer.sends("<enabled xmlns='urn:xmpp:sm:3' id='kept' resume='true'/>");
    peer.expects_stanzas(2);
    acknowledges(&fixture, &mut peer, 1);
    peer.resets();
    sends(&mut inbox, 2..3);
    let mut peer = accepts(&fixture, &listener);
    peer.expects("enable");
    peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.expects_stanzas(2), ids(1..3));
    peer.acknowledges(2);
    fixture.node.settled_account();
}

// rows: H9
#[test]
fn a_count_on_resumption_that_is_too_high_is_not_believed() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(3);
    acknowledges(&fixture, &mut peer, 2);
    peer.resets();
    let mut peer = accepts(&fixture, &listener);
    peer.expects_resume("kept");
    peer.resumed("kept", 4);
    let before = peer.reads_to_closing_tag();
    let error = before.iter().find(|element| element.name == "error").expect("a stream error");
    error.expect("handled-count-too-high");
    peer.finishes();
    // The third message is not lost.
    let mut peer = accepts(&fixture, &listener);
    if peer.expects_enable_or_resume().name == "resume" {
        peer.failed("", "item-not-found");
        peer.takes_enable("");
    } else {
        peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>");
    }
    assert_eq!(peer.expects_stanzas(1), ids(2..3));
    peer.acknowledges(1);
    fixture.node.settled_account();
}

/// Expects so many messages from number `first` on, none of which has a delay stamp.
#[track_caller]
fn takes_unstamped(peer: &mut Peer, first: usize, how_many: usize) {
    for number in first..first + how_many {
        let stanza = peer.expects_stanza();
        assert_eq!(stanza.attribute("id"), number.to_string(), "{stanza}");
        assert_eq!(stamp(&stanza), None, "{stanza}");
    }
}

/// Checks that all stanzas were acknowledged, and that the component got no answer.
#[track_caller]
fn nothing_in_doubt(fixture: &Fixture, inbox: &mut Component, sent: usize) {
    let account = fixture.node.settled_account();
    assert_eq!(figure(&account, "acknowledged"), sent, "{account}");
    assert_eq!((figure(&account, "uncertain"), figure(&account, "repeated")), (0, 0), "{account}");
    assert!(!inbox.has_received(), "something was answered");
}

fn count(number: usize) -> u32 {
    number.try_into().unwrap()
}

const CUTS: usize = 20;

/// Messages between two cuts.
const BLOCK: usize = 10;

//! A peer that continues a stream that was lost.
use super::{
    acks::{ENABLE, REQUEST, ack, authenticated, enabled, resumable, stanzas},
    *,
};

const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' previd='lost' h='0'/>";

fn failed(condition: &str, h: &str) -> String {
    format!(
        "<failed xmlns='urn:xmpp:sm:3'{h}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    )
}

fn claims(peer: &mut Peer, claim: Claim) -> String {
    assert_eq!(peer.sends(RESUME), "");
    assert_eq!(peer.events.last().unwrap(), "[resume lost after 0]");
    let goes_on = peer.stream.opened().resumed(claim);
    assert_eq!(goes_on, matches!(claim, Claim::Continue { .. }));
    peer.gets()
}

// H7, H19
#[test]
fn a_stream_goes_on_with_its_count() {
    let mut peer = authenticated();
    let answer = claims(&mut peer, Claim::Continue { handled: 41 });
    assert_eq!(answer, "<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='41'/>");
    peer.sends(&format!("{}{REQUEST}", stanzas(2)));
    peer.handled(2);
    assert_eq!(peer.acknowledged(), ack(43));
    // H21
    let answer = peer.sends(ENABLE);
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
}

// H18, H19
#[test]
fn a_stream_that_cannot_go_on_has_its_count_if_that_is_known() {
    for (claim, answer) in [
        (Claim::Expired { handled: 41 }, failed("item-not-found", " h='41'")),
        (Claim::Unknown, failed("item-not-found", "")),
        (Claim::Unexpected, failed("unexpected-request", "")),
    ] {
        let mut peer = authenticated();
        assert_eq!(claims(&mut peer, claim), answer);
        assert!(!peer.stream.opened().has_acks());
        assert_eq!(peer.sends(RESUME), failed("unexpected-request", ""), "one attempt for each stream");
        assert_eq!(peer.sends(ENABLE), "<enabled xmlns='urn:xmpp:sm:3'/>");
        peer.sends(&stanzas(1));
        peer.handled(1);
        assert_eq!(peer.acknowledged(), ack(1), "a new count");
    }
}

// `<failed/>` would say that the lost stream is over: the peer would forget it, and send again what has arrived.
#[test]
fn a_request_without_an_answer_ends_its_stream_and_not_the_lost_one() {
    for (claim, condition) in [(Claim::Overtaken, "conflict"), (Claim::NotYet, "resource-constraint")] {
        let mut peer = authenticated();
        peer.sends(&format!("{RESUME}{}", stanzas(2)));
        assert!(!peer.stream.opened().resumed(claim));
        let end = peer.gets();
        assert!(end.starts_with(&format!("<stream:error><{condition} ")), "{end}");
        assert!(end.ends_with("</stream:stream>") && !end.contains("<failed"), "{end}");
        let ended = peer.events.last().unwrap();
        assert!(ended.starts_with(&format!("[closed by us: {condition}")), "{ended}");
        assert_eq!(peer.events.len(), 2, "the stanzas behind the request are not taken: {:?}", peer.events);
    }
}

// H20
#[test]
fn nothing_is_read_before_the_answer() {
    for split in [false, true] {
        let mut peer = authenticated();
        let input = format!("{RESUME}{}{REQUEST}</stream:stream>", stanzas(2));
        match split {
            true => assert_eq!(peer.dribbles(input.as_bytes()), ""),
            false => assert_eq!(peer.sends(&input), ""),
        }
        assert_eq!(peer.events, ["[resume lost after 0]"]);
        assert!(peer.stream.opened().resumed(Claim::Continue { handled: 7 }));
        assert_eq!(peer.gets(), "<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='7'/>");
        assert_eq!(peer.events.len(), 4, "{:?}", peer.events);
        assert_eq!(peer.handled(2), format!("{}</stream:stream>", ack(9)));
    }
}

// H3
#[test]
fn stanzas_before_the_claim_do_not_count() {
    let mut peer = authenticated();
    peer.sends(&stanzas(3));
    claims(&mut peer, Claim::Continue { handled: 10 });
    peer.sends(&stanzas(1));
    peer.handled(4);
    assert_eq!(peer.acknowledged(), ack(11));
}

#[test]
fn a_driver_can_close_instead_of_an_answer() {
    let mut peer = authenticated();
    peer.sends(RESUME);
    peer.stream.close(None);
    assert_eq!(peer.gets(), "</stream:stream>");
    assert!(!peer.stream.opened().resumed(Claim::Continue { handled: 1 }));
    assert_eq!(peer.stream.opened().handled_count(), 0);
    assert_eq!(peer.sends("</stream:stream>"), "");
    assert_eq!(peer.events.last().unwrap(), "[closed]");
}

#[test]
fn a_request_that_makes_no_sense_is_refused_and_the_stream_goes_on() {
    let mut peer = enabled(ENABLE);
    assert_eq!(peer.sends(RESUME), failed("unexpected-request", ""), "the stream has acks");
    for attributes in ["", "previd='x'", "h='0'", "previd='' h='0'", "previd='x' h='-1'", "previd='x' h=' 0'"]
    {
        let mut peer = authenticated();
        let answer = peer.sends(&format!("<resume xmlns='urn:xmpp:sm:3' {attributes}/>"));
        assert_eq!(answer, failed("bad-request", ""), "{attributes}");
        assert!(peer.events[0].starts_with("[refused: <resume/> of acks has "), "{:?}", peer.events);
        assert_eq!(peer.events.len(), 1);
        assert_eq!(peer.sends(RESUME), "", "it may try again");
    }
    let long = format!("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='0'/>", "x".repeat(4001));
    assert_eq!(authenticated().sends(&long), failed("bad-request", ""));
}

// H9
#[test]
fn a_count_of_stanzas_that_were_not_sent_ends_the_stream() {
    let mut peer = authenticated();
    let answer = peer.sends("<resume xmlns='urn:xmpp:sm:3' previd='lost' h='1'/>");
    assert!(
        answer.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='1' send-count='0'/>"),
        "{answer}"
    );
}

#[test]
fn a_node_that_resumes_nothing_says_so() {
    let mut peer = authenticated();
    let without = Some(crate::acks::Offer { resume_for: None });
    let rules = rules(&["a.example", "also.example"], Policy { acks: without, ..resumable() }, true);
    assert_eq!(peer.stream.adopt(rules), None);
    assert_eq!(peer.sends(RESUME), failed("feature-not-implemented", ""));
    assert_eq!(peer.sends(ENABLE), "<enabled xmlns='urn:xmpp:sm:3'/>");
}

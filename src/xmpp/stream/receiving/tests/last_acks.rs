//! The last ack before our closing tag: it counts all that was accepted, and nothing is accepted behind it.
use super::{
    acks::{ENABLE, REQUEST, ack, authenticated, enabled, stanzas},
    *,
};
use crate::stream::Condition;

const FOOTER: &str = "</stream:stream>";

/// Three stanzas are with the driver. The closing tag waits until it has handled them, and counts them.
fn waits_for_the_driver(peer: &mut Peer, answer: &str, ends: &str) {
    assert_eq!(answer, "");
    let events = peer.events.len();
    assert!(peer.stream.opened().is_closing());
    assert_eq!(peer.stream.stage(), Stage::ClosingTag);
    assert_eq!(peer.sends(&stanzas(1)), "", "nothing more is read");
    assert_eq!(peer.handled(2), "");
    assert_eq!(peer.events.len(), events);
    assert_eq!(peer.handled(1), format!("{}{ends}", ack(3)));
}

// H5, H15
#[test]
fn the_peer_closes() {
    let mut peer = enabled(ENABLE);
    let answer = peer.sends(&format!("{}{FOOTER}", stanzas(3)));
    waits_for_the_driver(&mut peer, &answer, FOOTER);
    assert_eq!(peer.events.last().unwrap(), "[closed]");
    let mut peer = enabled(ENABLE);
    assert_eq!(peer.sends(FOOTER), format!("{}{FOOTER}", ack(0)), "at once when nothing is left");
}

// H15
#[test]
fn the_peer_ends_with_an_error() {
    let mut peer = enabled(ENABLE);
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let answer = peer.sends(&format!("{}{error}{FOOTER}", stanzas(3)));
    waits_for_the_driver(&mut peer, &answer, FOOTER);
    assert_eq!(peer.events.last().unwrap(), "[closed by the peer: reset]");
}

// H14, H15
#[test]
fn the_peer_violates_the_protocol() {
    let mut peer = enabled(ENABLE);
    let answer = peer.sends(&format!("{}<message from='u@c.example' to='v@a.example'/>", stanzas(3)));
    assert_eq!(answer, "");
    peer.handled(2);
    let answer = peer.handled(1);
    assert!(answer.starts_with(&format!("{}<stream:error>", ack(3))), "{answer}");
    peer.ends_with(&format!("<stream:stream >{answer}"), "invalid-from");
    for (fault, condition) in [("<a", ""), ("\u{0}", "not-well-formed"), (ENABLE, "policy-violation")] {
        let mut peer = enabled(ENABLE);
        let answer = peer.sends(&format!("{}{fault}", stanzas(1)));
        assert_eq!(answer, "");
        let answer = peer.handled(1);
        assert_eq!(
            answer.starts_with(&format!("{}<stream:error><{condition}", ack(1))),
            !condition.is_empty()
        );
    }
}

// H15
#[test]
fn a_command_for_tls_out_of_place_ends_the_stream() {
    let mut peer = enabled(ENABLE);
    let answer = peer.sends(&format!("{}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", stanzas(3)));
    let failure = format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{FOOTER}");
    waits_for_the_driver(&mut peer, &answer, &failure);
}

// H15
#[test]
fn the_driver_closes() {
    let mut peer = enabled(ENABLE);
    peer.sends(&stanzas(3));
    peer.stream.close(None);
    let answer = peer.gets();
    waits_for_the_driver(&mut peer, &answer, FOOTER);
    assert!(!peer.events.iter().any(|event| event == "[closed]"), "the peer's closing tag is missing");
    assert_eq!(peer.sends(FOOTER), "");
    assert_eq!(peer.events.last().unwrap(), "[closed]");

    let mut peer = enabled(ENABLE);
    peer.stream.close(Some(Error::new(Condition::SystemShutdown, "")));
    let answer = peer.gets();
    assert!(answer.starts_with(&format!("{}<stream:error><system-shutdown", ack(0))), "{answer}");
}

// H16
#[test]
fn nothing_is_accepted_behind_the_last_ack() {
    let mut peer = enabled(ENABLE);
    peer.sends(&stanzas(2));
    peer.handled(2);
    peer.stream.close(None);
    assert_eq!(peer.gets(), format!("{}{FOOTER}", ack(2)));
    let events = peer.events.len();
    let refused = "<message from='u@b.example' to='@'/><message from='u@c.example' to='v@a.example'/>";
    assert_eq!(peer.sends(&format!("{}{refused}{REQUEST}{}", stanzas(2), ack(0))), "");
    assert_eq!(peer.acknowledged(), "");
    assert_eq!(peer.events.len(), events, "neither delivered nor answered: {:?}", peer.events);
    assert_eq!(peer.stream.opened().handled_count(), 2);
    peer.sends(FOOTER);
    assert_eq!(peer.events.last().unwrap(), "[closed]");
}

// H16, H20
#[test]
fn a_driver_can_stop_accepting_and_close_later() {
    let mut peer = enabled(ENABLE);
    peer.sends(&stanzas(3));
    peer.stream.opened().stop_accepting();
    assert_eq!(peer.sends(&stanzas(4)), "");
    assert_eq!(peer.stream.opened().unhandled(), 3, "those that were output before");
    peer.handled(3);
    assert_eq!(peer.acknowledged(), ack(3));
    peer.sends(&format!("{}{REQUEST}", stanzas(1)));
    assert_eq!(peer.events.last().unwrap(), "[ack due]");
    assert_eq!(peer.acknowledged(), ack(3), "the count is final");
    peer.stream.close(Some(Error::new(Condition::Conflict, "")));
    assert!(peer.gets().starts_with(&format!("{}<stream:error><conflict", ack(3))));
}

// H16
#[test]
fn stanzas_that_the_router_has_no_room_for_are_given_up() {
    let mut peer = enabled(ENABLE);
    peer.sends(&stanzas(5));
    peer.handled(2);
    peer.stream.close(None);
    assert_eq!(peer.gets(), "");
    peer.stream.opened().give_up_unhandled();
    assert_eq!(peer.gets(), format!("{}{FOOTER}", ack(2)));
    assert_eq!((peer.stream.opened().unhandled(), peer.stream.opened().handled_count()), (0, 2));
}

// B17
#[test]
fn a_stream_without_acks_takes_stanzas_until_the_closing_tag_of_the_peer() {
    let mut peer = authenticated();
    peer.sends(&stanzas(1));
    peer.stream.opened().stop_accepting();
    peer.stream.close(None);
    assert_eq!(peer.gets(), FOOTER, "nothing waits for the driver");
    let events = peer.events.len();
    peer.sends(&stanzas(2));
    assert_eq!(peer.events.len(), events + 2);
    peer.sends(FOOTER);
    assert_eq!(peer.events.last().unwrap(), "[closed]");
}

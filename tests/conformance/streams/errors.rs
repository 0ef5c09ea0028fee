//! Stream errors, sent and received (RFC 6120, section 4.9).

use super::{Fixture, PEER, message, setup};
use crate::support::{Event, SOON, Server};

// rows: B29 B32
#[test]
fn after_a_stream_error_only_the_closing_tag_is_sent() {
    let fixture = Fixture::with(setup().set("promise.backoff", "[\"100ms\", \"1s\"]"));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();

    let mut theirs = fixture.authenticated();
    theirs.sends(&error("<reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
    theirs.expects_closed();
    theirs.expects_end();

    inbox.sends_message(PEER, "1", "");
    let mut ours = fixture.accepts(&listener);
    ours.expects("message");
    let made_up = "<tired xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><nap xmlns='urn:example:nap'/>";
    ours.sends(&error(made_up));
    ours.expects_closed();
    ours.expects_end();
    // An undefined condition is treated as an error.
    fixture.node.eventually_logs(&["closed", "undefined-condition", "nap"]);

    // The next stanza is delivered.
    inbox.sends_message(PEER, "2", "");
    let mut ours = fixture.accepts(&listener);
    assert_eq!(ours.expects("message").attribute("id"), "2");
}

// rows: B29
#[test]
fn after_an_error_of_ours_the_stream_and_its_connection_end() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();

    let mut theirs = fixture.authenticated();
    theirs.sends(&format!("<broken></wrong>{}", message("behind the error")));
    theirs.expects_error("not-well-formed");

    inbox.sends_message(PEER, "1", "");
    let mut ours = fixture.accepts(&listener);
    ours.expects("message");
    ours.sends("<!-- no comment -->");
    ours.expects_error("restricted-xml");
    fixture.receives_only_a_valid_stanza(&mut inbox);
}

// rows: B36
#[test]
fn errors_about_too_many_streams_are_survived() {
    let fixture = Fixture::with(setup().set("promise.backoff", "[\"100ms\", \"1s\"]"));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    for condition in ["conflict", "resource-constraint"] {
        inbox.sends_message(PEER, condition, "");
        let mut ours = fixture.accepts(&listener);
        assert_eq!(ours.expects("message").attribute("id"), condition);
        ours.sends(&error(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>")));
        ours.expects_closed();
        fixture.node.eventually_logs(&["closed by the peer", condition]);
    }
    inbox.sends_message(PEER, "last", "");
    let mut ours = fixture.accepts(&listener);
    assert_eq!(ours.expects("message").attribute("id"), "last");
}

// rows: B36
#[test]
fn connections_past_the_cap_are_turned_away_and_the_others_live_on() {
    let fixture = Fixture::with(setup().set("limits.max_connections", "2"));
    let mut inbox = fixture.node.inbox();
    let (mut first, mut second) = (fixture.authenticated(), fixture.authenticated());
    let mut third = fixture.dials();
    while let Ok(event) = third.next(SOON) {
        if let Event::Element(error) = event {
            assert!(error.child("resource-constraint").is_some(), "{error}");
        }
    }
    fixture.node.eventually_logs(&["too many connections"]);
    for (peer, id) in [(&mut first, "1"), (&mut second, "2")] {
        peer.sends(&message(id));
        inbox.receives_id(id);
    }
}

fn error(condition: &str) -> String {
    format!("<stream:error>{condition}</stream:error></stream:stream>")
}

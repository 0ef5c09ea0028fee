//! Stream errors, sent and received (RFC 6120, section 4.9).

use super::{PEER, Stage, message, setup};
use crate::support::{Event, SOON, Server};

// rows: B29 B32
#[test]
fn after_a_stream_error_only_the_closing_tag_is_sent() {
    let stage = Stage::with(setup().set("promise.backoff", "[\"100ms\", \"1s\"]"));
    let listener = stage.listens();
    let mut inbox = stage.node.inbox();

    let mut theirs = stage.authenticated();
    theirs.sends(&error("<reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
    theirs.expects_closed();
    theirs.expects_end();

    inbox.sends_message(PEER, "1", "");
    let mut ours = stage.accepts(&listener);
    ours.expects("message");
    let made_up = "<tired xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><nap xmlns='urn:example:nap'/>";
    ours.sends(&error(made_up));
    ours.expects_closed();
    ours.expects_end();
    // An undefined condition is treated as an error.
    stage.node.eventually_logs(&["closed", "undefined-condition", "nap"]);

    // The next stanza is delivered.
    inbox.sends_message(PEER, "2", "");
    let mut ours = stage.accepts(&listener);
    assert_eq!(ours.expects("message").attribute("id"), "2");
}

// rows: B29
#[test]
fn after_an_error_of_ours_the_stream_and_its_connection_end() {
    let stage = Stage::set();
    let listener = stage.listens();
    let mut inbox = stage.node.inbox();

    let mut theirs = stage.authenticated();
    theirs.sends(&format!("<broken></wrong>{}", message("behind the error")));
    theirs.expects_error("not-well-formed");

    inbox.sends_message(PEER, "1", "");
    let mut ours = stage.accepts(&listener);
    ours.expects("message");
    ours.sends("<!-- no comment -->");
    ours.expects_error("restricted-xml");
    stage.receives_only_the_truth(&mut inbox);
}

// rows: B36
#[test]
fn errors_about_too_many_streams_are_survived() {
    let stage = Stage::with(setup().set("promise.backoff", "[\"100ms\", \"1s\"]"));
    let listener = stage.listens();
    let mut inbox = stage.node.inbox();
    for condition in ["conflict", "resource-constraint"] {
        inbox.sends_message(PEER, condition, "");
        let mut ours = stage.accepts(&listener);
        assert_eq!(ours.expects("message").attribute("id"), condition);
        ours.sends(&error(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>")));
        ours.expects_closed();
        stage.node.eventually_logs(&["closed by the peer", condition]);
    }
    inbox.sends_message(PEER, "last", "");
    let mut ours = stage.accepts(&listener);
    assert_eq!(ours.expects("message").attribute("id"), "last");
}

// rows: B36
#[test]
fn connections_past_the_cap_are_turned_away_and_the_others_live_on() {
    let stage = Stage::with(setup().set("limits.max_connections", "2"));
    let mut inbox = stage.node.inbox();
    let (mut first, mut second) = (stage.authenticated(), stage.authenticated());
    let mut third = stage.dials();
    while let Ok(event) = third.next(SOON) {
        if let Event::Element(error) = event {
            assert!(error.child("resource-constraint").is_some(), "{error}");
        }
    }
    stage.node.eventually_logs(&["too many connections"]);
    for (peer, id) in [(&mut first, "1"), (&mut second, "2")] {
        peer.sends(&message(id));
        inbox.receives_id(id);
    }
}

fn error(condition: &str) -> String {
    format!("<stream:error>{condition}</stream:error></stream:stream>")
}

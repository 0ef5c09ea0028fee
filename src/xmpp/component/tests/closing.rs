//! The end of the stream of a component.

use super::*;

#[test]
fn no_answer_is_sent_behind_our_closing_tag() {
    let mut component = Component::served();
    component.stream.close(None);
    component.gets();
    assert_eq!(component.sends("<message from='u@echo.example' to='@'/>"), "");
    assert_eq!(component.events, ["dropped bad-to"]);
}

#[test]
fn a_component_stream_closes_from_either_side() {
    let mut component = Component::served();
    assert_eq!(component.sends("</stream:stream>"), "</stream:stream>");
    assert_eq!(component.events, ["closed"]);

    let mut component = Component::served();
    component.stream.close(Some(Error::new(crate::stream::Condition::SystemShutdown, "")));
    assert!(component.gets().ends_with("</stream:stream>"));
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    assert_eq!(component.sends("</stream:stream>"), "");
    assert_eq!(component.events, ["closed by us: system-shutdown"]);

    let mut component = Component::served();
    component.stream.close(None);
    assert_eq!(component.gets(), "</stream:stream>");
    assert_eq!(component.sends(&format!("{stanza}</stream:stream>")), "");
    assert_eq!(component.events, [stanza, "closed"], "without an error, stanzas under way are taken");

    let mut component = Component::new();
    component.stream.close(None);
    assert!(component.gets().starts_with("<?xml"));
}

#[test]
fn nothing_is_taken_behind_our_stream_error() {
    let mut component = Component::served();
    component.stream.close(Some(Error::new(crate::stream::Condition::SystemShutdown, "")));
    component.gets();
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    let refused = "<message from='other.example' to='b.example'/><foo/>";
    assert_eq!(component.sends(&format!("{stanza}{refused}")), "");
    assert_eq!(component.stream.opened().ignored(), 3);
    assert_eq!(component.stream.take_unproductive(), 3, "a flood of them is read slowly");
    assert_eq!(component.sends("</stream:stream>"), "");
    assert_eq!(component.events, ["closed by us: system-shutdown"]);
}

#[test]
fn a_driver_can_stop_taking_stanzas_and_close_later() {
    let mut component = Component::served();
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    component.sends(stanza);
    component.stream.opened().stop_accepting();
    assert_eq!(component.sends(stanza), "");
    component.stream.opened().stop_accepting();
    assert_eq!(component.stream.opened().ignored(), 1);
    component.stream.close(None);
    assert_eq!(component.sends("</stream:stream>"), "</stream:stream>");
    assert_eq!(component.events, [stanza, "closed"]);
}

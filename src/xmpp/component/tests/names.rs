//! A component with several names, with a wildcard, and with rules for remote addresses.

use super::*;
use crate::{policy::Addresses, stanza::Denial};

fn message(from: &str) -> String {
    format!("<message from='u@{from}' to='v@b.example'/>")
}

/// The names from which a component may send, of some.
fn may_send_from(component: &mut Component, names: &[&'static str]) -> Vec<&'static str> {
    let mut accepted = Vec::new();
    for name in names {
        component.events.clear();
        assert_eq!(component.sends(&message(name)), "");
        if component.events == [message(name)] {
            accepted.push(*name);
        } else {
            assert!(component.events[0].contains("<forbidden "), "{name}: {:?}", component.events);
        }
    }
    accepted
}

#[test]
fn a_component_sends_from_each_of_its_names() {
    for announced in ["many.example", "more.example", "rooms.example", "a.rooms.example"] {
        let mut component = Component::served_as(announced);
        let names = [
            "many.example",
            "more.example",
            "rooms.example",
            "a.rooms.example",
            "b.a.rooms.example",
            "echo.example",
            "a.many.example",
        ];
        let accepted = may_send_from(&mut component, &names);
        assert_eq!(accepted, ["many.example", "more.example", "a.rooms.example", "b.a.rooms.example"]);
    }
}

#[test]
fn a_component_may_open_its_stream_with_any_of_its_names() {
    for (announced, claimed) in [
        ("many.example", "many.example"),
        ("more.example", "many.example"),
        ("rooms.example", "many.example"),
        ("x.rooms.example", "many.example"),
        ("all.example", "*.all.example"),
        ("y.all.example", "*.all.example"),
    ] {
        let mut component = Component::new();
        let answer = component.sends(&header("jabber:component:accept", &format!("to='{announced}'")));
        assert!(answer.contains(&format!("from='{announced}'")), "{answer}");
        component.sends(&handshake("id1"));
        assert_eq!(component.events, [format!("claimed {claimed}")]);
    }
}

#[test]
fn an_exact_name_belongs_to_its_own_component_and_not_to_the_wildcard() {
    let names =
        configured(&[("*.all.example", &["*.all.example"]), ("bot.all.example", &["bot.all.example"])]);
    for (announced, accepted) in [("all.example", "x.all.example"), ("bot.all.example", "bot.all.example")] {
        let mut component = Component::among(&names);
        component.sends(&header("jabber:component:accept", &format!("to='{announced}'")));
        component.sends(&handshake("id1"));
        component.stream.accept();
        component.gets();
        let names = ["x.all.example", "bot.all.example", "all.example"];
        assert_eq!(may_send_from(&mut component, &names), [accepted], "{announced}");
    }
}

#[test]
fn a_reload_gives_and_takes_names_of_an_open_stream() {
    let mut component = Component::served_as("many.example");
    let names = ["many.example", "more.example", "new.example"];
    assert_eq!(may_send_from(&mut component, &names), ["many.example", "more.example"]);
    let reload =
        |component: &mut Component, names| component.stream.opened().adopt(names, 20_000, &Bounds::default());
    reload(&mut component, configured(&[("many.example", &["many.example", "new.example"])]));
    assert_eq!(may_send_from(&mut component, &names), ["many.example", "new.example"]);
    reload(&mut component, configured(&[("other.example", &["other.example", "many.example"])]));
    assert_eq!(
        may_send_from(&mut component, &names),
        ["many.example", "new.example"],
        "until the driver ends it"
    );
}

#[test]
fn the_answer_to_the_node_itself_may_come_from_the_domain_above_a_wildcard() {
    let mut component = Component::served_as("all.example");
    let answer = |id| format!("<iq type='result' id='{id}' from='all.example' to='node.example'/>");
    component.sends(&answer("1"));
    assert_eq!(component.events.drain(..).collect::<Vec<_>>(), ["dropped foreign-from"]);
    component.stream.opened().expect_answer("1".to_owned());
    component.sends(&(answer("2") + &answer("1")));
    assert_eq!(component.events, ["dropped foreign-from".to_owned(), answer("1")]);
}

#[test]
fn a_component_writes_only_to_the_addresses_that_its_rules_permit() {
    let mut deny = Addresses::default();
    deny.add("*.evil.example").unwrap();
    deny.add("u@b.example").unwrap();
    let local = Arc::new([(domain("own.evil.example"), ())].into_iter().collect());
    let access = Access { allow: Addresses::all(), deny, denial: Denial::PolicyViolation, local };
    let name = domain("echo.example");
    let configured =
        Configured { access: Some(Arc::new(access)), ..Configured::new(name.clone(), Secret::new("secret")) };
    let mut component = Component::among(&Arc::new([(name, configured)].into_iter().collect()));
    component.sends(&header("jabber:component:accept", "to='echo.example'"));
    component.sends(&handshake("id1"));
    component.stream.accept();
    component.gets();
    for (to, permitted) in [
        ("v@b.example", true),
        ("u@b.example/r", false),
        ("x.evil.example", false),
        ("own.evil.example", true),
    ] {
        component.events.clear();
        let stanza = format!("<message from='echo.example' to='{to}'/>");
        component.sends(&stanza);
        if permitted {
            assert_eq!(component.events, [stanza]);
        } else {
            assert!(component.events[0].contains("<policy-violation "), "{:?}", component.events);
        }
    }
}

//! The answers of the node to requests for its own domains.

use super::*;
use crate::framer::{Frame, Framer};
use bytes::BytesMut;
use stanza::Origin;

fn ask(attributes: &str, payload: &str) -> Option<String> {
    let contact = [("abuse-addresses".to_owned(), vec!["mailto:abuse@a.example".to_owned()])];
    let listed = |name: &str, title: Option<&str>| Listed {
        address: Domain::new(name).unwrap(),
        title: title.map(str::to_owned),
    };
    let components = [listed("echo.a.example", Some("Echo <1>")), listed("xn--bcher-kva.example", None)];
    let facts = Facts {
        version: "1.2.3",
        os: None,
        uptime: 77,
        utc: "2026-11-22T10:00:00Z",
        components: &components,
        contact: &contact,
    };
    let request = format!("<iq xmlns='jabber:server' from='u@b.example/r' {attributes}>{payload}</iq>");
    let scope = vec![(String::new(), SERVER.to_owned())];
    let Ok(Some(Frame::Element(request))) =
        Framer::inside(scope.clone()).next(&mut BytesMut::from(&*request))
    else {
        panic!("{request}");
    };
    let request = Stanza::admit(request, &Origin { namespace: SERVER, scope, lang: None }).unwrap();
    let answer = answer(&request, &facts)?;
    assert_eq!((answer.from(), answer.to()), (request.to(), request.from()));
    Some(String::from_utf8(answer.bytes().to_vec()).unwrap().replace('"', "'"))
}

fn get(payload: &str) -> String {
    ask("to='a.example' type='get' id='1'", payload).unwrap()
}

const ADDRESSED: &str = "id='1' to='u@b.example/r' from='a.example'";

// K5, E18
#[test]
fn a_ping_comes_back() {
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    assert_eq!(get(ping), format!("<iq type='result' {ADDRESSED}/>"));
    let resource = ask("to='a.example/x' type='get' id='1'", ping).unwrap();
    assert!(resource.starts_with("<iq type='result'"), "{resource}");
}

// K6, K7
#[test]
fn discovery_gives_identity_and_features() {
    let info = get("<query xmlns='http://jabber.org/protocol/disco#info'/>");
    for part in [
        "<identity category='server' type='im' name='Nuncio'/>",
        "<feature var='http://jabber.org/protocol/disco#info'/>",
        "<feature var='urn:xmpp:ping'/>",
        "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>",
        "<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@a.example</value></field>",
    ] {
        assert!(info.contains(part), "{part} in {info}");
    }
    let items = get("<query xmlns='http://jabber.org/protocol/disco#items'/>");
    assert!(
        items.contains("<item jid='echo.a.example' name='Echo &lt;1&gt;'/><item jid='bücher.example'/>"),
        "{items}"
    );
    for namespace in [ns::DISCO_INFO, ns::DISCO_ITEMS] {
        let node = get(&format!("<query xmlns='{namespace}' node='x'/>"));
        assert!(node.contains("<error type='cancel'><item-not-found "), "{node}");
    }
}

// K7
#[test]
fn version_time_and_uptime_are_answered() {
    let version = get("<query xmlns='jabber:iq:version'/>");
    assert!(version.contains("<name>Nuncio</name><version>1.2.3</version></query>"), "{version}");
    let time = get("<time xmlns='urn:xmpp:time'/>");
    assert!(time.contains("<tzo>+00:00</tzo><utc>2026-11-22T10:00:00Z</utc>"), "{time}");
    let last = get("<query xmlns='jabber:iq:last'/>");
    assert!(last.contains("seconds='77'"), "{last}");
}

// E6
#[test]
fn a_request_that_is_none_is_a_bad_request() {
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    for (attributes, payload) in [
        ("to='a.example' type='get'", ping.to_owned()),
        ("to='a.example' id='1'", ping.to_owned()),
        ("to='a.example' id='1' type='ask'", ping.to_owned()),
        ("to='a.example' id='1' type='get'", String::new()),
        ("to='a.example' id='1' type='set'", ping.repeat(2)),
    ] {
        let answer = ask(attributes, &payload).unwrap();
        assert!(answer.contains("<error type='modify'><bad-request "), "{attributes}: {answer}");
        assert!(answer.starts_with("<iq ") && answer.contains(" type='error'"), "{answer}");
    }
}

// E7, E8, E18, E19
#[test]
fn every_request_gets_one_answer_and_no_answer_gets_any() {
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    for (attributes, payload) in [
        ("to='a.example' type='get' id='1'", "<query xmlns='jabber:iq:roster'/>"),
        ("to='a.example' type='set' id='1'", ping),
        ("to='nobody@a.example' type='get' id='1'", ping),
        ("to='nobody@a.example/r' type='get' id='1'", ping),
    ] {
        let answer = ask(attributes, payload).unwrap();
        assert!(answer.contains("<error type='cancel'><service-unavailable "), "{attributes}: {answer}");
        assert!(answer.contains(" id='1'") && answer.contains(" to='u@b.example/r' "), "{answer}");
    }
    assert_eq!(ask("to='a.example' type='result' id='1'", ""), None);
    assert_eq!(ask("to='a.example' type='error' id='1'", ping), None);
}

// E27
#[test]
fn a_request_that_costs_much_is_refused_unread() {
    let holding = |payload: &str| {
        let ping = format!("<ping xmlns='urn:xmpp:ping'>{payload}</ping>");
        ask("to='a.example' type='get' id='1'", &ping).unwrap()
    };
    for cheap in ["x".repeat(60_000), "<a/>".repeat(200)] {
        assert!(holding(&cheap).starts_with("<iq type='result'"), "{} bytes", cheap.len());
    }
    for costly in ["x".repeat(70_000), "<a/>".repeat(300)] {
        let answer = holding(&costly);
        assert!(answer.contains("<error type='modify'><policy-violation "), "{answer:.300}");
        assert!(answer.len() < costly.len() + 500, "the answer is longer than the request");
    }
    // A namespace is not said more often than the sender did.
    let uri = "u".repeat(1000);
    let prefixed = format!("<q xmlns='urn:q' xmlns:p='{uri}'>{}</q>", "<p:a/>".repeat(100));
    let answer = ask("to='a.example' type='get' id='1'", &prefixed).unwrap();
    assert!(answer.contains("<service-unavailable ") && answer.len() < 2500, "{} bytes", answer.len());
}

//! Stanzas: read, forwarded unchanged, refused, and answered with an error.

mod namespaces;

use super::*;
use crate::framer::{Frame, Framer, Limits};
use crate::xml::{Element, ns};
use bytes::BytesMut;

const STREAM: &str = "xmlns:stream='http://etherx.jabber.org/streams'";

/// Admits the first element of a stream with these attributes on its header.
fn admitted_on(
    header: &str,
    namespace: &'static str,
    lang: Option<&str>,
    stanza: &str,
) -> Result<Stanza, Rejection> {
    // What is admitted has bounds of its own, of which these would hide one.
    let mut framer =
        Framer::new(Limits { namespace: usize::MAX, namespaces: usize::MAX, ..Limits::default() });
    let mut buffer = BytesMut::from(format!("<stream:stream {STREAM} {header}>{stanza}").as_str());
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
    match framer.next(&mut buffer) {
        Ok(Some(Frame::Element(element))) => {
            let bytes = element.bytes.clone();
            let origin = Origin { namespace, scope: framer.scope().to_vec(), lang: lang.map(str::to_owned) };
            let stanza = Stanza::admit(element, &origin)?;
            check_places(&stanza);
            check_meaning(&bytes, &origin, &stanza);
            if stanza.bytes == bytes {
                assert_eq!(stanza.bytes.as_ptr(), bytes.as_ptr(), "copied without need");
            }
            Ok(stanza)
        }
        other => panic!("{stanza}: {other:?}"),
    }
}

/// The start tag must say the same to whoever reads the bytes as to whoever asks the stanza.
fn check_places(stanza: &Stanza) {
    let Ok(element) = stanza.element() else { return assert!(Element::is_too_long(&stanza.bytes)) };
    assert!(element.is(stanza.kind.as_str(), ns::SERVER));
    assert_eq!(element.attribute("to"), Some(&*stanza.to()));
    assert_eq!(element.attribute("from"), Some(&*stanza.from()));
    assert_eq!(element.attribute("id"), stanza.id().as_deref());
    assert_eq!(element.attribute("type"), stanza.type_());
}

/// The stanza must say what it said on its stream, to a server and to a component.
fn check_meaning(bytes: &[u8], origin: &Origin, stanza: &Stanza) {
    let read = |bytes: &[u8], scope: &[(String, String)]| {
        let mut element = Element::parse(bytes, scope).unwrap();
        element.attributes.sort();
        element
    };
    if Element::is_too_long(bytes) {
        return;
    }
    let mut before = Element::parse(bytes, &origin.scope).unwrap();
    if let (None, Some(lang)) = (before.lang(), &origin.lang) {
        before = before.with_lang(lang);
    }
    respell(&mut before);
    before.attributes.sort();
    let on = |namespace: &str| [(String::new(), namespace.to_owned())];
    let to_component = stanza.bytes_for_component();
    if origin.namespace == ns::COMPONENT && before.namespace != ns::COMPONENT {
        // It is taken for a stanza in its stream's own namespace; what is payload stays. See `namespaces`.
        return;
    }
    if origin.namespace == ns::COMPONENT {
        // Nothing at all changes from one component to another.
        let after = read(to_component.as_ref().unwrap_or(&stanza.bytes), &on(ns::COMPONENT));
        assert_eq!(after, before, "{stanza:?}");
    } else {
        assert_eq!(to_component, None);
    }
    rename(&mut before, origin.namespace);
    before.attributes.sort();
    assert_eq!(read(&stanza.bytes, &on(ns::SERVER)), before, "{stanza:?}");
}

/// Spells the domains of the addresses as streams are authenticated for them.
fn respell(element: &mut Element) {
    for (namespace, name, address) in &mut element.attributes {
        if namespace.is_empty() && ["to", "from"].contains(&name.as_str()) {
            let jid = jid::Jid::parse(address).unwrap();
            let domain = Domain::new(jid.domain).unwrap();
            *address = jid::Jid { domain: &domain.wire(), ..jid }.to_string();
        }
    }
}

/// Puts all that is in `namespace` into that of servers.
fn rename(element: &mut Element, namespace: &str) {
    let content = |uri: &mut String| {
        if uri == namespace {
            ns::SERVER.clone_into(uri);
        }
    };
    content(&mut element.namespace);
    element.attributes.iter_mut().for_each(|(uri, _, _)| content(uri));
    for child in &mut element.children {
        if let xml::Node::Element(child) = child {
            rename(child, namespace);
        }
    }
}

fn from_server(stanza: &str) -> Result<Stanza, Rejection> {
    admitted_on("xmlns='jabber:server' xmlns:db='jabber:server:dialback'", ns::SERVER, None, stanza)
}

fn from_component(stanza: &str) -> Result<Stanza, Rejection> {
    admitted_on("xmlns='jabber:component:accept'", ns::COMPONENT, None, stanza)
}

#[track_caller]
fn assert_becomes(admitted: Result<Stanza, Rejection>, expected: &str) {
    assert_eq!(admitted.unwrap().bytes, expected);
}

fn error() -> Error {
    Error {
        type_: ErrorType::Cancel,
        condition: Condition::RemoteServerNotFound,
        text: "b.example <does> not exist".into(),
    }
}

const ERROR: &str = "<error type=\"cancel\"><remote-server-not-found xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/>\
                     <text xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\" xml:lang=\"en\">b.example &lt;does&gt; not exist</text></error>";

#[test]
fn an_ordinary_stanza_goes_on_as_it_came() {
    let text = "<message to='j@b.example/r' from=\"a.example\" type='chat' id='&quot;1'>\
                <body>hi</body><x xmlns='jabber:client'/><y xmlns=''/></message >";
    let stanza = from_server(text).unwrap();
    assert_eq!(stanza.bytes, text);
    assert_eq!(stanza.kind(), Kind::Message);
    assert_eq!((stanza.from_domain().as_str(), stanza.to_domain().as_str()), ("a.example", "b.example"));
    assert_eq!(stanza.pair().to_string(), "a.example > b.example");
    assert_eq!((&*stanza.to(), stanza.id().as_deref()), ("j@b.example/r", Some("\"1")));
    assert_eq!(from_component(text).unwrap().bytes, text);
    let text = "<message to='j@bücher.example/r' from=\"münchen.example\"/>";
    assert_becomes(from_server(text), text);
}

// E28
#[test]
fn a_domain_goes_on_as_it_is_spelled_where_a_stream_is_authenticated_for_it() {
    for (spelled, wire) in [
        ("j@B.example/R", "j@b.example/R"),
        ("a.example.", "a.example"),
        ("J@XN--BCHER-KVA.example./R&amp;&apos;&quot;", "J@bücher.example/R&amp;&apos;&quot;"),
        ("BÜCHER.example/xn--bcher-kva.example", "bücher.example/xn--bcher-kva.example"),
        ("ju&#x308;@xn--bcher-kva&#46;example", "ju\u{308}@bücher.example"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
    ] {
        let end = "id='1' type='error'><x xmlns='u' to='B.example'/></message>";
        for origin in [from_server, from_component] {
            assert_becomes(
                origin(&format!("<message to='{spelled}' xmlns:p='v' from=\"a.example\" {end}")),
                &format!("<message to='{wire}' xmlns:p='v' from=\"a.example\" {end}"),
            );
            assert_becomes(
                origin(&format!("<message to='b.example' from=\"{spelled}\" {end}")),
                &format!("<message to='b.example' from=\"{wire}\" {end}"),
            );
        }
        // Beside other edits, in any order.
        for (header, head) in [
            ("", format!("from='A.example' xmlns='jabber:server' to='{spelled}'")),
            ("", format!("to='{spelled}' xmlns='jabber:server' from='A.example'")),
            ("xmlns:p='v' xmlns='jabber:server'", format!("p:a='1' to='{spelled}' from='A.example'")),
        ] {
            let stanza =
                admitted_on(header, ns::SERVER, Some("de"), &format!("<iq type='get' {head} id='1'/>"));
            let stanza = stanza.unwrap();
            assert_eq!(&*stanza.to(), xml::unescape(wire), "{head}");
            assert_eq!(&*stanza.from(), "a.example", "{head}");
            let answer = stanza.bounce(&error()).unwrap();
            assert_eq!((&*answer.to(), &*answer.from()), ("a.example", &*xml::unescape(wire)), "{head}");
        }
    }
    // What a component says of its content namespace is found again behind an address of another length.
    let stanza = from_component(
        "<message to='j@XN--BCHER-KVA.example' from='A.example'><f xmlns='u'>\
         <message xmlns='jabber:component:accept' to='X.example'/></f></message>",
    );
    let stanza = stanza.unwrap();
    let says = |namespace| {
        format!(
            "<message to='j@bücher.example' from='a.example'><f xmlns='u'>\
             <message xmlns='{namespace}' to='X.example'/></f></message>"
        )
    };
    assert_eq!(stanza.bytes, says(ns::SERVER));
    assert_eq!(stanza.bytes_for_component().unwrap(), says(ns::COMPONENT));
    let own = Element::new("iq", "").with("to", "xn--bcher-kva.example").with("from", "A.example");
    assert_becomes(Stanza::from_element(&own), "<iq to=\"bücher.example\" from=\"a.example\"/>");
}

// E28
#[test]
fn no_spelling_is_taken_for_that_of_the_stanza_before() {
    let mut framer = Framer::inside(vec![(String::new(), ns::SERVER.into())]);
    let mut intake =
        Intake::new(Origin { namespace: ns::SERVER, scope: framer.scope().to_vec(), lang: None });
    for to in [
        "bücher.example",
        "xn--bcher-kva.example",
        "xn--bcher-kva.example",
        "b.example",
        "B.example",
        "b.example",
    ] {
        let Ok(Some(Frame::Element(element))) =
            framer.next(&mut BytesMut::from(&*format!("<iq to='{to}' from='a'/>")))
        else {
            panic!("{to}")
        };
        let stanza = intake.admit(element).unwrap();
        assert_eq!(stanza.to(), stanza.to_domain().wire(), "{to}");
    }
}

#[test]
fn refuses_elements_that_are_no_stanzas() {
    let on = |text: &str| from_server(text).unwrap_err();
    assert_eq!(on("<foo to='b' from='a'/>"), Rejection::UnsupportedStanzaType);
    assert_eq!(on("<message xmlns='urn:x' to='b' from='a'/>"), Rejection::UnsupportedStanzaType);
    assert_eq!(on("<message xmlns='' to='b' from='a'/>"), Rejection::UnsupportedStanzaType);
    assert_eq!(on("<stream:message to='b' from='a'/>"), Rejection::UnsupportedStanzaType);
    assert_eq!(on("<message xmlns='jabber:client' to='b' from='a'/>"), Rejection::InvalidNamespace);
    assert_eq!(on("<c:message xmlns:c='jabber:client' to='b' from='a'/>"), Rejection::InvalidNamespace);
    assert_eq!(on("<message xmlns='jabber:component:accept' to='b' from='a'/>"), Rejection::InvalidNamespace);
    assert_eq!(
        admitted_on("", ns::SERVER, None, "<message to='b' from='a'/>").unwrap_err(),
        Rejection::UnsupportedStanzaType
    );
}

#[test]
fn refuses_a_stanza_without_sound_addresses() {
    let on = |text: &str| from_server(text).unwrap_err();
    assert_eq!(on("<message from='a'/>"), Rejection::Missing(Address::To));
    assert_eq!(on("<message to='b'/>"), Rejection::Missing(Address::From));
    for broken in ["", "@b", "a@", "b/", "a b@c", "a..b", "\u{202e}.b", "a@b&#x202e;"] {
        let to = on(&format!("<message to='{broken}' from='a'/>"));
        assert!(matches!(to, Rejection::Malformed(Address::To, _)), "{broken}: {to:?}");
        let from = on(&format!("<message to='b' from='{broken}'/>"));
        assert!(matches!(from, Rejection::Malformed(Address::From, _)), "{broken}: {from:?}");
    }
    assert_eq!(from_server("<message to='&#98;' from='a'/>").unwrap().to_domain().as_str(), "b");
}

#[test]
fn makes_stanzas_of_the_nodes_own() {
    for namespace in ["", ns::SERVER] {
        let element = Element::new("iq", namespace)
            .with("type", "result")
            .with("to", "j@b.example")
            .with("from", "a.example")
            .with_child(Element::new("ping", "urn:xmpp:ping").with_child(Element::new("x", "")))
            .with_child(Element::new("y", namespace));
        assert_becomes(
            Stanza::from_element(&element),
            "<iq type=\"result\" to=\"j@b.example\" from=\"a.example\"><ping xmlns=\"urn:xmpp:ping\"><x xmlns=\"\"/></ping><y/></iq>",
        );
    }
    assert!(matches!(Stanza::from_element(&Element::new("iq", "")), Err(Rejection::Missing(_))));
    let odd = Element::new("iq", "").with("to", "b").with("from", "a").with("id", "\0");
    assert_eq!(Stanza::from_element(&odd).unwrap().id().as_deref(), Some("\u{fffd}"));
}

#[test]
fn an_error_answers_everything_but_errors_and_results() {
    let cases = [
        ("message", None, true),
        ("message", Some("chat"), true),
        ("message", Some("error"), false),
        ("message", Some("result"), true),
        ("message", Some("&#101;rror"), false),
        ("presence", None, true),
        ("presence", Some("subscribe"), true),
        ("presence", Some("error"), false),
        ("iq", Some("get"), true),
        ("iq", Some("set"), true),
        ("iq", None, true),
        ("iq", Some("result"), false),
        ("iq", Some("error"), false),
    ];
    for (name, type_, answered) in cases {
        let type_ = type_.map(|value| format!(" type='{value}'")).unwrap_or_default();
        let text =
            format!("<{name} from='a.example/x'{type_} id='i' to=\"j@b.example\"><q xmlns='u'/></{name}>");
        let mut framer = Framer::inside(vec![(String::new(), ns::SERVER.into())]);
        let Ok(Some(Frame::Element(element))) = framer.next(&mut BytesMut::from(text.as_str())) else {
            panic!("{text}")
        };
        let origin = Origin { namespace: ns::SERVER, scope: framer.scope().to_vec(), lang: None };
        let stanza = Stanza::admit(element, &origin).unwrap();
        assert_eq!(stanza.is_answerable(), answered, "{text}");
        assert_eq!(stanza.bounce(&error()).is_some(), answered, "{text}");
        let Some(answer) = stanza.bounce(&error()) else { continue };
        check_places(&answer);
        assert_eq!(
            (answer.kind().as_str(), answer.type_(), answer.id().as_deref()),
            (name, Some("error"), Some("i"))
        );
        assert_eq!((&*answer.to(), &*answer.from()), ("a.example/x", "j@b.example"));
        assert_eq!((answer.to_domain(), answer.from_domain()), (stanza.from_domain(), stanza.to_domain()));
        let element = answer.element().unwrap();
        assert_eq!(Error::parse(element.child("error", ns::SERVER).unwrap()), error());
        assert!(element.child("q", "u").is_some());
        assert!(answer.bounce(&error()).is_none());
    }
}

#[test]
fn an_error_answer_keeps_every_byte_it_can() {
    let stanza =
        from_server("<message a='1' to='b' xmlns:p='u' from=\"a'\" type = \"chat\" ><p:x/> t</message\n>");
    let answer = stanza.map(|_| ()).unwrap_err();
    assert!(matches!(answer, Rejection::Malformed(Address::From, _)));

    let stanza =
        from_server("<message a='1' to='b' xmlns:p='u' from=\"a/'\" type = \"chat\" ><p:x/> t</message\n>")
            .unwrap();
    let expected =
        format!("<message a='1' to=\"a/'\" xmlns:p='u' from='b' type = 'error' ><p:x/> t{ERROR}</message>");
    assert_eq!(stanza.bounce(&error()).unwrap().bytes, expected);

    let stanza = from_server("<presence to='b' from='a' />").unwrap();
    assert_eq!(
        stanza.bounce(&error()).unwrap().bytes,
        format!("<presence type='error' to='a' from='b' >{ERROR}</presence>")
    );
}

#[test]
fn an_error_answer_does_not_repeat_a_long_stanza() {
    let stanza = |length: usize| {
        from_server(&format!(
            "<iq type='get' to='b' from='a' id='i' xml:lang='de'><q xmlns='u'>{}</q></iq>",
            "x".repeat(length)
        ))
        .unwrap()
    };
    assert!(stanza(MAX_ECHO - 100).bounce(&error()).unwrap().bytes.len() > MAX_ECHO - 100);
    let answer = stanza(MAX_ECHO).bounce(&error()).unwrap();
    assert_eq!(answer.bytes, format!("<iq type='error' to='a' from='b' id='i'>{ERROR}</iq>"));
    check_places(&answer);
}

#[test]
fn a_request_is_recognised() {
    let request =
        |type_: &str| from_server(&format!("<iq type='{type_}' to='b' from='a'/>")).unwrap().is_request();
    assert!(request("get") && request("set") && !request("result") && !request("error"));
    assert!(!from_server("<message type='get' to='b' from='a'/>").unwrap().is_request());
}

/// Up to 128 bytes are moved without a call, which at half a million stanzas a second is felt.
#[test]
fn a_stanza_is_quickly_moved() {
    assert!(size_of::<Result<Stanza, Rejection>>() <= 128, "{}", size_of::<Result<Stanza, Rejection>>());
}

#[test]
fn a_child_is_known_by_its_namespace_however_that_is_written() {
    let says = |children: &str| {
        let stanza = from_server(&format!("<message from='a.example' to='b.example'>{children}</message>"));
        stanza.unwrap().has_child("no-store", "urn:xmpp:hints")
    };
    assert!(says("<no-store xmlns='urn:xmpp:hints'/>"));
    assert!(says("<h:no-store xmlns:h=\"urn:xmpp:hints\"/>"));
    assert!(says("<no-store xmlns='urn:xmpp:hint&#115;'/>"));
    assert!(!says("<no-copy xmlns='urn:xmpp:hints'/>"));
    assert!(!says("<no-store xmlns='urn:xmpp:hints:more'/>"));
    assert!(!says("<forwarded><no-store xmlns='urn:xmpp:hints'/></forwarded>"), "another message's");
    assert!(!says("<body>&lt;no-store xmlns='urn:xmpp:hints'/&gt;</body>"));
}

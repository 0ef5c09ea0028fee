//! Admission of a stanza may change its text but not its meaning.

use crate::comparison::{HEADER, frame, framer_after_header};
use crate::mutants::{Random, SEEDS, cases, mutants};
use crate::prefixes;
use bytes::BytesMut;
use xmpp::framer::{self, Frame, Framer, Limits, RawElement};
use xmpp::jid::{Domain, Jid};
use xmpp::stanza::{Condition, Error, ErrorType, Origin, Stanza};
use xmpp::xml::{Element, Node, ns};

#[test]
fn a_stanza_keeps_its_meaning_on_other_streams() {
    let mut admitted = 0;
    let scope = framer_after_header().scope().to_vec();
    for input in mutants(&SEEDS) {
        let Ok(Some(framed)) = frame(&input) else {
            continue;
        };
        let origin = Origin { namespace: ns::SERVER, scope: scope.clone(), lang: None };
        admitted += usize::from(check(&framed, &origin));
    }
    assert!(admitted > 1000, "{admitted}");
}

#[test]
fn a_stanza_of_a_component_keeps_its_meaning_in_the_namespace_of_servers() {
    let header = HEADER.replace("jabber:server'", "jabber:component:accept'");
    let mut admitted = 0;
    for input in mutants(&SEEDS) {
        let input = String::from_utf8_lossy(&input).replace("jabber:server'", "jabber:component:accept'");
        let mut framer = Framer::new(Limits::default());
        let mut buffer = BytesMut::from(header.as_str());
        framer.next(&mut buffer).unwrap();
        buffer.extend_from_slice(input.as_bytes());
        let Ok(Some(Frame::Element(framed))) = framer.next(&mut buffer) else {
            continue;
        };
        let origin =
            Origin { namespace: ns::COMPONENT, scope: framer.scope().to_vec(), lang: Some("de".into()) };
        admitted += usize::from(check(&framed, &origin));
    }
    assert!(admitted > 1000, "{admitted}");
}

#[test]
fn a_stanza_with_many_prefixes_keeps_its_meaning() {
    for namespace in [ns::SERVER, ns::COMPONENT] {
        let mut random = Random(0x9e37_79b9);
        // Each is compared three times, so there are fewer.
        let cases = cases() / 5;
        let mut admitted = 0;
        for _ in 0..cases {
            let (header, stanza) = prefixes::stream(namespace, &mut random);
            let mut framer = Framer::new(Limits::default());
            let mut buffer = BytesMut::from(format!("{header}{stanza}").as_str());
            assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))), "{header}");
            match framer.next(&mut buffer) {
                Ok(Some(Frame::Element(framed))) => {
                    let scope = framer.scope().to_vec();
                    let lang = (random.below(2) == 0).then(|| "de".to_owned());
                    admitted += usize::from(check(&framed, &Origin { namespace, scope, lang }));
                }
                // One attribute by two names.
                Err(framer::Error::NotWellFormed(_)) => {}
                other => panic!("{other:?}: {header}{stanza}"),
            }
        }
        assert!(admitted * 2 > cases, "{admitted}");
    }
}

/// Admits an element; if it is a stanza, compares what it says before and after, and answers it.
fn check(framed: &RawElement, origin: &Origin) -> bool {
    let text = String::from_utf8_lossy(&framed.bytes).into_owned();
    let Ok(stanza) = Stanza::admit(framed.clone(), origin) else {
        return false;
    };
    // A component's stanza in another content namespace is taken for one in its own:
    // `stanza::tests::namespaces`.
    if Element::parse(&framed.bytes, &origin.scope).is_ok_and(|root| root.namespace != origin.namespace) {
        return false;
    }
    // Stanzas that `xml-rs` wrongly refuses (see the list in `comparison.rs`) are not compared.
    let Ok(mut before) = Element::parse(&framed.bytes, &origin.scope) else {
        return false;
    };
    if before.lang().is_none() && origin.lang.is_some() {
        before.attributes.push((ns::XML.into(), "lang".into(), "de".into()));
    }
    respell(&mut before);
    check_at_component(&stanza, origin, &before);
    rename(&mut before, origin.namespace);
    let mut after = stanza.element().unwrap_or_else(|error| panic!("{error}: {text} -> {stanza:?}"));
    before.attributes.sort();
    after.attributes.sort();
    assert_eq!(before, after, "{text} -> {stanza:?}");

    let error = Error { type_: ErrorType::Wait, condition: Condition::Gone, text: "x".into() };
    if let Some(answer) = stanza.bounce(&error) {
        let mut answer = answer.element().unwrap_or_else(|error| panic!("{error}: {text}"));
        let Some(Node::Element(last)) = answer.children.pop() else { panic!("{text}") };
        assert_eq!(Error::parse(&last), error);
        assert_eq!(answer.children, after.children, "{text}");
        assert_eq!(answer.attribute("type"), Some("error"));
        assert_eq!(
            (answer.attribute("to"), answer.attribute("from")),
            (after.attribute("from"), after.attribute("to"))
        );
        assert_eq!((answer.attribute("id"), answer.lang()), (after.attribute("id"), after.lang()));
    }
    true
}

/// Spells the domains of the addresses as streams are authenticated for them.
fn respell(element: &mut Element) {
    let addresses = element
        .attributes
        .iter_mut()
        .filter(|(namespace, name, _)| namespace.is_empty() && ["to", "from"].contains(&name.as_str()));
    for (_, _, address) in addresses {
        let jid = Jid::parse(address).unwrap();
        let domain = Domain::new(jid.domain).unwrap();
        *address = Jid { domain: &domain.wire(), ..jid }.to_string();
    }
}

/// Compares what a component reads of a stanza with what it said.
fn check_at_component(stanza: &Stanza, origin: &Origin, before: &Element) {
    let wire = stanza.bytes_for_component().unwrap_or_else(|| stanza.bytes().clone());
    let mut after = Element::parse(&wire, &[(String::new(), ns::COMPONENT.to_owned())]).unwrap();
    let mut before = before.clone();
    if origin.namespace == ns::SERVER {
        // Around other payload it is the content namespace of the new stream, inside that what it was.
        rename(&mut before, ns::COMPONENT);
        rename(&mut after, ns::COMPONENT);
    }
    before.attributes.sort();
    after.attributes.sort();
    assert_eq!(before, after, "{stanza:?}");
}

/// Puts what is in the content namespace of components into that of servers.
fn rename(element: &mut Element, namespace: &str) {
    let content = |uri: &mut String| {
        if uri == namespace {
            ns::SERVER.clone_into(uri);
        }
    };
    content(&mut element.namespace);
    element.attributes.iter_mut().for_each(|(uri, _, _)| content(uri));
    for child in &mut element.children {
        if let Node::Element(child) = child {
            rename(child, namespace);
        }
    }
}

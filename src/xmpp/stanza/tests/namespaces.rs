//! Declarations of the stream that an element relies on, and namespaces that have another name on the next
//! stream.

use super::*;

#[test]
fn the_content_namespace_is_taken_off_the_stanza() {
    assert_becomes(
        from_server("<iq xmlns = 'jabber:server' to='b' from='a'><q xmlns='u'/></iq>"),
        "<iq to='b' from='a'><q xmlns='u'/></iq>",
    );
    assert_becomes(
        from_component("<iq to='b'\nxmlns=\"jabber&#58;component:accept\" from='a' id='x'/>"),
        "<iq to='b' from='a' id='x'/>",
    );
    // A stream that says the content namespace on each stanza only.
    assert_becomes(
        admitted_on("", ns::SERVER, None, "<iq xmlns='jabber:server' to='b' from='a'><x/></iq>"),
        "<iq to='b' from='a'><x/></iq>",
    );
}

#[test]
fn nested_standard_children_follow_the_stanza_and_foreign_payload_stays() {
    assert_becomes(
        from_component(
            "<message to='b' from='a'><body xmlns='jabber:component:accept'>x</body>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept'><body/></message>\
             <message xmlns='jabber:client' a = \"b\"><body xmlns='jabber:client'/></message></forwarded></message>",
        ),
        "<message to='b' from='a'><body>x</body>\
         <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:server'><body/></message>\
         <message xmlns='jabber:client' a = \"b\"><body xmlns='jabber:client'/></message></forwarded></message>",
    );
    assert_becomes(
        from_server(
            "<message to='b' from='a'><body xmlns='jabber:server'/><f xmlns='u'><m xmlns='jabber:server'/></f></message>",
        ),
        "<message to='b' from='a'><body/><f xmlns='u'><m xmlns='jabber:server'/></f></message>",
    );
}

#[test]
fn a_declaration_that_stays_is_inherited_below_it() {
    assert_becomes(
        from_component(
            "<message xmlns='jabber:component:accept' to='b' from='a'><f xmlns='u'>\
             <m xmlns='jabber:component:accept'><n xmlns='jabber:component:accept'/></m></f></message>",
        ),
        "<message to='b' from='a'><f xmlns='u'><m xmlns='jabber:server'><n/></m></f></message>",
    );
}

#[test]
fn prefixes_of_the_stream_are_declared_on_the_stanza() {
    assert_becomes(
        from_server("<message to='b' from='a'><db:x/><stream:y db:z=''/></message>"),
        "<message xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' \
         to='b' from='a'><db:x/><stream:y db:z=''/></message>",
    );
    assert_becomes(
        admitted_on(
            "xmlns='jabber:component:accept' xmlns:c='jabber:component:accept' xmlns:q=\"it's\"",
            ns::COMPONENT,
            None,
            "<iq to='b' from='a'><c:x/><q:y/></iq>",
        ),
        "<iq xmlns:q='it&apos;s' to='b' from='a'><x/><q:y/></iq>",
    );
}

#[test]
fn a_stanza_gains_the_language_of_its_stream_and_never_loses_its_own() {
    let on = |stanza| admitted_on("xmlns='jabber:server'", ns::SERVER, Some("d'e"), stanza);
    assert_becomes(on("<iq to='b' from='a'/>"), "<iq xml:lang='d&apos;e' to='b' from='a'/>");
    assert_becomes(on("<iq to='b' xml:lang='' from='a'/>"), "<iq to='b' xml:lang='' from='a'/>");
}

/// Admits a message that begins and ends like this on a stream that declares a few prefixes.
#[track_caller]
fn assert_moves(namespace: &'static str, came: &str, goes: &str) {
    let header = format!(
        "xmlns='{namespace}' xmlns:own='{namespace}' xmlns:db='jabber:server:dialback' xmlns:q='urn:q'"
    );
    assert_becomes(admitted_on(&header, namespace, None, came), goes);
}

#[test]
fn prefixes_for_the_content_namespace_go_where_it_is_the_default() {
    let (rest, to) = ("to=\"b\" from = 'a'", "jabber:server");
    for (came, goes) in [
        // Everything with a prefix, whatever declares it.
        (
            "<own:message R><own:body>x &#x41;</own:body ></own:message\n>",
            "<message R><body>x &#x41;</body ></message\n>",
        ),
        (
            "<s:message xmlns:s='N' R><s:body/><z xmlns='u' s:k='v'/></s:message>",
            "<message xmlns:s='N' R><body/><z xmlns='u' s:k='v'/></message>",
        ),
        (
            "<message R><s:body xmlns:s='N'><s:a/></s:body></message>",
            "<message R><body xmlns:s='N'><a/></body></message>",
        ),
        // Several prefixes for one namespace.
        (
            "<s:message xmlns:s='N' xmlns:t = \"N\" R><t:a><s:b/><own:c/></t:a></s:message>",
            "<message xmlns:s='N' xmlns:t = \"N\" R><a><b/><c/></a></message>",
        ),
        // A prefix that means something else deeper inside.
        (
            "<s:message xmlns:s='N' R><s:a><s:b xmlns:s='u'/></s:a></s:message>",
            "<message xmlns:s='N' R><a><s:b xmlns:s='u'/></a></message>",
        ),
        (
            "<message R><own:b xmlns:own='u'/><own:c/></message>",
            "<message R><own:b xmlns:own='u'/><c/></message>",
        ),
        // An attribute means something else without its prefix.
        ("<message R><own:a own:b=''/></message>", "<message xmlns:own='S' R><a own:b=''/></message>"),
        // Beside a default namespace that goes or stays.
        (
            "<s:message xmlns='N' xmlns:s='N' R><a/><s:b/></s:message>",
            "<message xmlns:s='N' R><a/><b/></message>",
        ),
        ("<own:message R><own:a xmlns='N'><b/></own:a></own:message>", "<message R><a><b/></a></message>"),
    ] {
        for namespace in [ns::SERVER, ns::COMPONENT] {
            // What a declaration in the stanza says becomes what servers call it.
            let came = came.replace('R', rest).replace('N', namespace);
            let goes = goes.replace('R', rest).replace(['N', 'S'], to);
            assert_moves(namespace, &came, &goes);
        }
    }
}

#[test]
fn prefixes_for_the_content_namespace_stay_inside_other_payload() {
    for (came, goes) in [
        (
            "<message R><x xmlns='foo'><s:body xmlns:s='N'/></x></message>",
            "<message R><x xmlns='foo'><s:body xmlns:s='N'/></x></message>",
        ),
        (
            "<s:message xmlns:s='N' R><x xmlns=''><s:a><b/></s:a></x><s:c xmlns='foo'><d/><s:e/></s:c><s:f/></s:message>",
            "<message xmlns:s='N' R><x xmlns=''><s:a><b/></s:a></x><s:c xmlns='foo'><d/><s:e/></s:c><f/></message>",
        ),
        (
            "<message R><x xmlns='foo'><own:a/><q:b/></x><own:c/></message>",
            "<message xmlns:own='S' xmlns:q='urn:q' R><x xmlns='foo'><own:a/><q:b/></x><c/></message>",
        ),
        // Inside other payload that has the content namespace as default again.
        (
            "<message R><x xmlns='foo'><own:a xmlns='N'><own:b/><c/></own:a></x></message>",
            "<message R><x xmlns='foo'><a xmlns='N'><b/><c/></a></x></message>",
        ),
        // A stanza for clients is payload, and so is what another kind of stream has as content.
        (
            "<own:message R><f xmlns='urn:xmpp:forward:0'><c:message xmlns:c='jabber:client'  a = \"&#x41;\"><c:body/></c:message></f></own:message>",
            "<message R><f xmlns='urn:xmpp:forward:0'><c:message xmlns:c='jabber:client'  a = \"&#x41;\"><c:body/></c:message></f></message>",
        ),
    ] {
        for namespace in [ns::SERVER, ns::COMPONENT] {
            let (came, goes) = (came.replace('R', REST), goes.replace('R', REST));
            assert_moves(namespace, &came.replace('N', namespace), &goes.replace(['N', 'S'], ns::SERVER));
        }
    }
    assert_moves(
        ns::SERVER,
        "<message to='b' from='a'><c:x xmlns:c='jabber:component:accept'/><y xmlns='jabber:component:accept'/></message>",
        "<message to='b' from='a'><c:x xmlns:c='jabber:component:accept'/><y xmlns='jabber:component:accept'/></message>",
    );
}

#[test]
fn a_default_namespace_that_the_stanza_itself_takes_away_is_declared_below() {
    for (came, goes) in [
        (
            "<own:message xmlns='foo' R><a b=''><c/><own:d/></a>t<own:e><f/></own:e><q:g><h/></q:g></own:message>",
            "<message xmlns:own='S' xmlns:q='urn:q' R><a xmlns='foo' b=''><c/><own:d/></a>t<e><f xmlns='foo'/></e>\
             <q:g><h xmlns='foo'/></q:g></message>",
        ),
        (
            "<own:message R xmlns=''><a/><b xmlns='u'/><c xmlns='N'><d/></c></own:message>",
            "<message R><a xmlns=''/><b xmlns='u'/><c><d/></c></message>",
        ),
        ("<own:message xmlns=\"it's\" R><a/></own:message>", "<message R><a xmlns='it&apos;s'/></message>"),
    ] {
        for namespace in [ns::SERVER, ns::COMPONENT] {
            let (came, goes) = (came.replace('R', REST), goes.replace('R', REST));
            assert_moves(namespace, &came.replace('N', namespace), &goes.replace(['N', 'S'], ns::SERVER));
        }
    }
    // A stream that declares no default namespace.
    assert_becomes(
        admitted_on("xmlns:s='jabber:server'", ns::SERVER, None, "<s:iq to='b' from='a'><s:a/><b/></s:iq>"),
        "<iq to='b' from='a'><a/><b xmlns=''/></iq>",
    );
}

#[test]
fn refuses_stanzas_whose_edits_would_multiply_their_length() {
    let stanza = |uri: usize, children: usize| {
        let (uri, children) = ("u".repeat(uri), "<a/>".repeat(children));
        from_server(&format!(
            "<s:message xmlns:s='jabber:server' xmlns='{uri}' to='b' from='a'>{children}</s:message>"
        ))
    };
    assert!(stanza(90, 600).unwrap().bytes.len() > 60_000);
    assert_eq!(stanza(90, 700).unwrap_err(), Rejection::Displaced);
    assert_eq!(stanza(60_000, 2).unwrap_err(), Rejection::Displaced);
    assert!(stanza(60_000, 0).is_ok());
}

#[test]
fn refuses_attributes_that_would_become_one() {
    let prefixes = "xmlns:s='jabber:server' xmlns:c='jabber:component:accept'";
    let text = format!("<iq {prefixes} to='b' from='a'><x s:k='1' c:k='2'/></iq>");
    assert_eq!(from_component(&text).unwrap_err(), Rejection::InvalidNamespace);
    assert_becomes(from_server(&text), &text);
}

#[test]
fn a_stanza_between_components_keeps_their_content_namespace() {
    let came = "<message to='b' from='a'><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept'><body/></message>\
                <c:x xmlns:c=\"jabber:component:accept\"/><y xmlns='jabber:server'/></f><own:z own:k=''/></message>";
    let header = "xmlns='jabber:component:accept' xmlns:own='jabber:component:accept'";
    let stanza = admitted_on(header, ns::COMPONENT, None, came).unwrap();
    let expected = came
        .replace("<message to", "<message xmlns:own='jabber:component:accept' to")
        .replace("<own:z", "<z");
    assert_eq!(stanza.bytes_for_component().unwrap(), expected);
    assert_eq!(stanza.bytes, expected.replace("jabber:component:accept", "jabber:server"));

    // So does the error answer, and the same from somebody else.
    let answer = stanza.bounce(&error()).unwrap();
    check_places(&answer);
    let payload = &expected[expected.find("<f ").unwrap()..expected.find("<z ").unwrap()];
    let bytes = String::from_utf8(answer.bytes_for_component().unwrap().to_vec()).unwrap();
    assert!(bytes.contains(payload), "{bytes}");
    let other = answer.sent_by(&Domain::new("somebody.else.example").unwrap());
    check_places(&other);
    assert_eq!(&*other.from(), "somebody.else.example");
    assert_eq!(other.from_domain().as_str(), "somebody.else.example");
    let bytes = String::from_utf8(other.bytes_for_component().unwrap().to_vec()).unwrap();
    assert!(bytes.contains(payload), "{bytes}");

    assert_eq!(from_server(came.replace("own:", "").as_str()).unwrap().bytes_for_component(), None);
}

const REST: &str = "to='b' from='a'";

// rows: B24 K3
#[test]
fn a_component_may_write_its_stanzas_in_any_content_namespace() {
    const ADDRESSES: &str = "from='u@a.example' to='v@b.example'";
    let goes = format!("<message {ADDRESSES}><body>x</body></message>");
    for namespace in ["jabber:client", "jabber:server", "jabber:component:accept"] {
        for came in [
            format!("<message xmlns='{namespace}' {ADDRESSES}><body>x</body></message>"),
            format!("<message xmlns='{namespace}' {ADDRESSES}><body xmlns='{namespace}'>x</body></message>"),
            format!("<c:message xmlns:c='{namespace}' {ADDRESSES}><c:body>x</c:body></c:message>"),
            format!("<c:message xmlns:c='{namespace}' {ADDRESSES}><body>x</body></c:message>"),
            format!(
                "<c:message xmlns:c='{namespace}' xmlns='{namespace}' {ADDRESSES}><body>x</body></c:message>"
            ),
        ] {
            let stanza = from_component(&came).unwrap();
            let read = stanza.element().unwrap();
            assert!(read.is("message", ns::SERVER), "{came}");
            assert_eq!(read.child("body", ns::SERVER).unwrap().text(), "x", "{came}");
            let at_component = stanza.bytes_for_component().unwrap_or_else(|| stanza.bytes().clone());
            let scope = [(String::new(), ns::COMPONENT.to_owned())];
            let read = Element::parse(&at_component, &scope).unwrap();
            assert!(read.child("body", ns::COMPONENT).is_some(), "{came}");
        }
        assert_eq!(
            from_component(&format!("<message xmlns='{namespace}' {ADDRESSES}><body>x</body></message>"))
                .unwrap()
                .bytes(),
            &goes
        );
        // A forwarded stanza is payload (XEP-0297), whatever is around it.
        let forwarded = "<f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></f>";
        let stanza =
            from_component(&format!("<message xmlns='{namespace}' {ADDRESSES}>{forwarded}</message>"))
                .unwrap();
        assert_eq!(stanza.bytes(), &format!("<message {ADDRESSES}>{forwarded}</message>"));
        assert_eq!(stanza.bytes_for_component(), None);
    }
    // Between servers the namespaces are told apart (RFC 6120 section 4.8.3).
    let client = format!("<message xmlns='jabber:client' {ADDRESSES}/>");
    assert_eq!(from_server(&client).unwrap_err(), Rejection::InvalidNamespace);
    assert_eq!(
        from_component(&format!("<message xmlns='urn:x' {ADDRESSES}/>")).unwrap_err(),
        Rejection::UnsupportedStanzaType
    );
}

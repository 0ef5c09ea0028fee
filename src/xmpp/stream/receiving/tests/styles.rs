//! How a stream may be written: which namespace is the default one (RFC 6120 section 4.8.2), and a root that
//! is empty.
use super::*;

const STREAMS: &str = "http://etherx.jabber.org/streams";
const ADDRESSED: &str = "from='b.example' to='a.example' version='1.0'";

// B23, B27, B28
#[test]
fn takes_stanzas_on_a_stream_whose_default_namespace_is_that_of_streams_or_none() {
    for (open, result, stanza, close) in [
        (
            format!("<stream xmlns='{STREAMS}' {ADDRESSED}>"),
            "<result xmlns='jabber:server:dialback' from='b.example' to='a.example'>key</result>",
            "<message xmlns='jabber:server' from='u@b.example' to='v@a.example'><body>x</body></message>",
            "</stream>",
        ),
        (
            format!(
                "<stream xmlns='{STREAMS}' xmlns:d='jabber:server:dialback' xmlns:s='jabber:server' {ADDRESSED}>"
            ),
            "<d:result from='b.example' to='a.example'>key</d:result>",
            "<s:message from='u@b.example' to='v@a.example'><s:body>x</s:body></s:message>",
            "</stream>",
        ),
        (
            format!(
                "<s:stream xmlns:s='{STREAMS}' xmlns='{STREAMS}' xmlns:db='jabber:server:dialback' {ADDRESSED}>"
            ),
            "<db:result from='b.example' to='a.example'>key</db:result>",
            "<message from='u@b.example' to='v@a.example' xmlns='jabber:server'><body>x</body></message>",
            "</s:stream>",
        ),
        (
            format!(
                "<stream:stream xmlns:stream='{STREAMS}' xmlns:c='jabber:server' xmlns:db='jabber:server:dialback' {ADDRESSED}>"
            ),
            "<db:result from='b.example' to='a.example'>key</db:result>",
            "<c:message from='u@b.example' to='v@a.example'><c:body>x</c:body></c:message>",
            "</stream:stream>",
        ),
    ] {
        let mut peer = Peer::new(lax());
        let answer = peer.sends(&open);
        assert!(answer.contains("<stream:features>"), "{open}: {answer}");
        assert_eq!(peer.sends(result), "", "{open}");
        let request = peer.requests.pop().unwrap();
        peer.stream.verified(&request, Ok(dialback::Answer::Valid));
        assert!(peer.gets().ends_with(" type='valid'/>"), "{open}");
        assert_eq!(peer.sends(stanza), "", "{open}");
        // As it goes on, where `jabber:server` is the default namespace.
        let body = "from='u@b.example' to='v@a.example'><body>x</body></message>]";
        assert_eq!(peer.events.last().unwrap(), &format!("[stanza <message {body}"), "{open}");
        assert_eq!(peer.sends(close), "</stream:stream>", "{open}");
        assert_eq!(peer.events.last().unwrap(), "[closed]", "{open}");
    }
}

#[test]
fn payload_keeps_the_namespaces_that_it_inherits_from_such_a_stream() {
    let mut peer = Peer::new(lax());
    peer.sends(&format!(
        "<stream xmlns='{STREAMS}' xmlns:s='jabber:server' xmlns:db='jabber:server:dialback' {ADDRESSED}>"
    ));
    peer.is_verified("a.example", "b.example");
    peer.sends("<s:iq from='u@b.example' to='v@a.example' id='1' type='get'><x><y/></x></s:iq>");
    assert_eq!(
        peer.events.last().unwrap(),
        &format!(
            "[stanza <iq from='u@b.example' to='v@a.example' id='1' type='get'><x xmlns='{STREAMS}'><y/></x></iq>]"
        )
    );
}

// B24
#[test]
fn the_namespace_of_a_stanza_itself_decides() {
    let header = format!("<stream xmlns='{STREAMS}' xmlns:db='jabber:server:dialback' {ADDRESSED}>");
    let strict =
        Policy { tls: Tls::Optional, malformed_stanza: crate::policy::MalformedStanza::Close, ..policy() };
    for (stanza, condition) in [
        ("<message xmlns='jabber:client' from='u@b.example' to='v@a.example'/>", "invalid-namespace"),
        ("<message from='u@b.example' to='v@a.example'/>", "unsupported-stanza-type"),
        ("<message xmlns='' from='u@b.example' to='v@a.example'/>", "unsupported-stanza-type"),
    ] {
        let mut peer = Peer::new(rules(&["a.example"], strict.clone(), true));
        peer.sends(&header);
        peer.is_verified("a.example", "b.example");
        let answer = peer.sends(stanza);
        peer.ends_with(&format!("<stream:stream >{answer}"), condition);

        let mut peer = Peer::new(lax());
        peer.sends(&header);
        peer.is_verified("a.example", "b.example");
        peer.events.clear();
        let good = "<message xmlns='jabber:server' from='u@b.example' to='v@a.example'/>";
        assert_eq!(peer.sends(&format!("{stanza}{good}")), "");
        assert!(!peer.events[0].starts_with("[stanza"), "{:?}", peer.events);
        assert!(peer.events[1].starts_with("[stanza <message "), "{:?}", peer.events);
    }
}

// B23
#[test]
fn refuses_a_stream_whose_default_namespace_is_another_one() {
    for namespaces in ["xmlns='jabber:client'", "xmlns='urn:x' xmlns:s='jabber:server'", "xmlns=''", ""] {
        let mut peer = Peer::new(lax());
        let answer =
            peer.sends(&format!("<stream:stream {namespaces} xmlns:stream='{STREAMS}' {ADDRESSED}>"));
        peer.ends_with(&answer, "invalid-namespace");
    }
}

// B16, B30: XML 1.0 section 3.1 makes it a stream without content
#[test]
fn answers_a_root_that_is_closed_at_once_with_a_stream_that_is_closed() {
    for attributes in [ADDRESSED, "from='b.example' to='a.example'", "to='a.example' version='1.0'", ""] {
        let mut peer = Peer::new(lax());
        let sent = header(attributes).replace('>', "/>").replacen("?/>", "?>", 1);
        let answer = peer.sends(&sent);
        assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{answer}");
        assert!(
            answer.ends_with("</stream:stream>") && !answer.contains("<stream:error"),
            "{sent}: {answer}"
        );
        assert_eq!(peer.events.last().unwrap(), "[closed]");
        let mut peer = Peer::new(lax());
        assert_eq!(peer.dribbles(sent.as_bytes()), answer, "{sent}");
    }
}

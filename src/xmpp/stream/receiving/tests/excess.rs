//! Long input of a peer that we repeat, store, or copy to every stanza.
use super::*;

/// A stream of an authenticated peer, whose header had these attributes too.
fn open(more: &str) -> Peer {
    let mut peer = Peer::new(lax());
    peer.sends(&header(&format!("from='b.example' to='a.example' version='1.0' {more}")));
    peer.is_verified("a.example", "b.example");
    peer
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

// E27
#[test]
fn text_of_a_peer_is_truncated() {
    let error = format!(
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{0}</text><{0} xmlns='urn:x'/></stream:error>",
        long(4000)
    );
    let before = || {
        let mut peer = Peer::new(lax());
        peer.opens();
        peer
    };
    for (mut peer, said, ends) in [
        (open(""), error, "[closed by"),
        (open(""), format!("<db:result from='{}' to='a.example'>key</db:result>", long(9000)), "[refused: "),
        (
            open(""),
            format!("<db:verify from='b.example' to='{}' id='1'>key</db:verify>", long(9000)),
            "[refused: ",
        ),
        (before(), format!("<{} xmlns='urn:x'/>", long(9000)), "[closed by"),
        (before(), format!("<{} xmlns='jabber:client'/>", long(9000)), "[closed by"),
    ] {
        let answer = peer.sends(&said);
        let told = peer.events.last().unwrap();
        assert!(told.starts_with(ends), "{told}");
        assert!(told.contains("xxx…"), "it does not say what was wrong: {told}");
        assert!(told.len() < 1000, "{} bytes for the log: {told}", told.len());
        assert!(answer.len() < 1000, "{} bytes for an answer: {answer}", answer.len());
    }
    let mut peer = Peer::new(lax());
    let answer = peer.sends(&header(&format!("from='{}' to='a.example'", long(9000))));
    assert!(answer.len() < 1000, "{answer}");
    let mut peer = Peer::new(lax());
    let answer = peer.sends(&header(&format!("from='b.example' to='a.example' version='{}'", long(9000))));
    assert!(answer.len() < 1000, "{answer}");
}

// E27
#[test]
fn texts_of_third_parties_are_not_passed_on() {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
    let request = peer.requests.pop().unwrap();
    let error = format!(
        "<db:verify type='error' xmlns:db='jabber:server:dialback'><error type='cancel' xmlns='jabber:server'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{}</text></error></db:verify>",
        long(9000)
    );
    let answer = dialback::read_answer(&Element::parse(error.as_bytes(), &[]).unwrap()).unwrap();
    peer.stream.verified(&request, Ok(answer));
    let answer = peer.gets();
    assert!(answer.contains("remote-server-not-found") && !answer.contains("xxx"), "{answer}");
    assert!(peer.events.iter().all(|event| event.len() < 1000), "{:?}", peer.events);
}

// E27
#[test]
fn an_element_that_is_no_stanza_keeps_the_limit_from_before_authentication() {
    let limit = policy().max_stanza_unauthenticated;
    let verify = |length: usize| {
        let start = "<db:verify from='b.example' to='a.example' id='1'>";
        let end = "</db:verify>";
        format!("{start}{}{end}", long(length - start.len() - end.len()))
    };
    let mut peer = open("");
    assert!(peer.sends(&verify(limit)).ends_with("type='invalid'/>"));
    let answer = peer.sends(&verify(limit + 1));
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
    // A stanza may be as long as it may.
    let mut peer = open("");
    peer.sends(&format!("<message from='b.example' to='a.example'><body>{}</body></message>", long(limit)));
    assert!(peer.events.last().unwrap().starts_with("[stanza <message"));
}

// E27
#[test]
fn the_length_of_a_dialback_key_is_limited() {
    let mut peer = Peer::new(lax());
    peer.opens();
    let answer = peer.sends(&format!("<db:result from='b.example' to='a.example'>{}</db:result>", long(257)));
    assert!(answer.contains("type='error'") && answer.contains("<policy-violation "), "{answer}");
    assert!(peer.requests.is_empty(), "nobody is to be asked about it");
    peer.sends(&format!("<db:result from='b.example' to='a.example'>\n {}\n </db:result>", long(256)));
    assert_eq!(peer.requests.pop().unwrap().key.len(), 256);
}

// E27
#[test]
fn the_declarations_of_a_header_are_limited() {
    let prefix = |length: usize| format!("xmlns:p='urn:{}'", long(length));
    for (what, more) in [
        ("a language", format!("xml:lang='{}'", long(65))),
        ("a language of references", format!("xml:lang=\"{}\"", "'".repeat(40))),
        ("a namespace", prefix(600)),
        ("a namespace of references", format!("xmlns:p=\"urn:{}\"", "'".repeat(200))),
        ("a prefix", format!("xmlns:{}='urn:x'", long(600))),
        ("namespaces", (0..10).map(|n| format!("xmlns:p{n}='urn:{}' ", long(60))).collect()),
    ] {
        let mut peer = Peer::new(lax());
        let answer = peer.sends(&header(&format!("from='b.example' to='a.example' version='1.0' {more}")));
        peer.ends_with(&answer, "policy-violation");
        assert!(answer.len() < 1000, "{what}: {answer}");
    }
    // The most that there can be, in one stanza of the shortest.
    let mut peer = open(&format!("{} xml:lang='{}'", prefix(380), long(64)));
    peer.sends("<iq p:a='' from='b.example' to='a.example'/>");
    let stanza = peer.events.last().unwrap();
    assert!(stanza.starts_with("[stanza <iq"), "{stanza}");
    assert!(stanza.len() < 700, "{stanza}");
}

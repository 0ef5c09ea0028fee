//! Headers that leave out addresses and version, as dialback had them at first (RFC 3920 section 8.3).
use super::*;

/// Headers without `to`: the first question of dialback names the domain.
const WITHOUT_TO: [&str; 4] = ["", "from='b.example'", "version='1.0'", "from='b.example' version='1.0'"];

// B10
#[test]
fn takes_the_domains_from_the_first_key_when_the_header_names_none() {
    for attributes in WITHOUT_TO.into_iter().chain(["to='also.example'", "to='also.example' version='1.0'"]) {
        let mut peer = Peer::new(lax());
        let answer = peer.sends(&header(attributes));
        assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{answer}");
        assert_eq!(answer.contains("<stream:features>"), attributes.contains("version"), "{answer}");
        assert!(!answer.contains("<stream:error"), "{attributes}: {answer}");
        let answer = peer.is_verified("also.example", "b.example");
        let opened = "[opened by b.example for also.example]";
        let opened =
            if attributes.contains("to=") { opened.replace("b.example", "nobody") } else { opened.into() };
        assert_eq!(answer, "<db:result from='also.example' to='b.example' type='valid'/>", "{attributes}");
        assert_eq!(
            peer.stream.status().claimed.map(Domain::as_str),
            (!attributes.contains("to=")).then_some("b.example")
        );
        assert_eq!(
            peer.events,
            [
                opened.as_str(),
                "[verify also.example > b.example id1 key]",
                "[authorized also.example > b.example by dialback]",
            ],
            "{attributes}"
        );
        let stanza = "<message from='u@b.example' to='v@also.example'/>";
        assert_eq!(peer.sends(stanza), "");
        assert_eq!(peer.events.last().unwrap(), &format!("[stanza {stanza}]"));
    }
}

// B10, F18, F19: in clear text too, where stanzas need TLS
#[test]
fn answers_about_a_key_of_ours_when_the_header_names_no_domain() {
    let rules = node();
    let key =
        dialback::key(&rules.default_policy().secret, &domain("b.example"), &domain("also.example"), "1");
    for attributes in WITHOUT_TO.into_iter().chain(["to='a.example'", "to='a.example' version='1.0'"]) {
        let mut peer = Peer::new(rules.clone());
        peer.sends(&header(attributes));
        let question = format!("<db:verify from='b.example' to='also.example' id='1'>{key}</db:verify>");
        let valid = "<db:verify from='also.example' to='b.example' id='1' type='valid'/>";
        assert_eq!(peer.sends(&question), valid, "{attributes}");
        assert_eq!(
            peer.sends(&question.replace(&key, "k")),
            valid.replace("valid", "invalid"),
            "{attributes}"
        );
        let stanza = peer.sends("<message from='u@b.example' to='v@also.example'/>");
        peer.ends_with(&format!("<stream:stream >{stanza}"), "not-authorized");
    }
}

#[test]
fn refuses_domains_by_a_dialback_error_that_a_header_would_be_refused_for() {
    for attributes in WITHOUT_TO {
        for (from, to, condition) in [
            ("b.example", "unknown.example", "item-not-found"),
            ("denied.example", "a.example", "not-allowed"),
            ("also.example", "a.example", "not-allowed"),
        ] {
            let mut peer = Peer::new(lax());
            peer.sends(&header(attributes));
            for (name, id) in [("result", ""), ("verify", " id='1'")] {
                let answer = peer.sends(&format!("<db:{name} from='{from}' to='{to}'{id}>key</db:{name}>"));
                let refused = format!("<db:{name} from='{to}' to='{from}'{id} type='error'>");
                assert!(answer.starts_with(&refused), "{attributes}: {answer}");
                assert!(answer.contains(&format!("<{condition} ")), "{attributes}: {answer}");
                assert!(!answer.contains("</stream:stream>"), "{attributes}: {answer}");
            }
            assert!(peer.requests.is_empty(), "{attributes}");
            // The stream is still good for others.
            assert!(peer.is_verified("a.example", "b.example").ends_with(" type='valid'/>"), "{attributes}");
        }
    }
}

// C1, D2
#[test]
fn refuses_a_key_in_clear_text_where_tls_is_required_with_any_header() {
    for attributes in WITHOUT_TO {
        let mut peer = Peer::new(node());
        let answer = peer.sends(&header(attributes));
        assert!(!answer.contains("<dialback ") && !answer.contains("starttls"), "{attributes}: {answer}");
        let answer = peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
        assert!(answer.contains(" type='error'>") && answer.contains("<policy-violation "), "{answer}");
        assert!(peer.requests.is_empty(), "{attributes}");
        assert_eq!(peer.events[0], "[opened by b.example for a.example]");
        let starttls = peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert!(starttls.starts_with("<failure "), "{attributes}: {starttls}");
    }
}

// D1, D4: EXTERNAL proves the peer to the domain that the header names
#[test]
fn offers_no_external_over_tls_when_the_header_names_no_domain_of_ours() {
    for attributes in ["from='b.example' version='1.0'", "version='1.0'", "from='b.example'", ""] {
        let mut peer = Peer::secured(node(), trusted());
        let answer = peer.sends(&header(attributes));
        assert!(!answer.contains("EXTERNAL"), "{attributes}: {answer}");
        let answer =
            peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        assert!(answer.starts_with("<failure "), "{attributes}: {answer}");
        assert!(peer.stream.pairs().is_empty(), "{attributes}");
    }
    // Its certificate is verified for the domain that the key names.
    let strict = Policy { strict_certificates: true, ..policy() };
    let mut peer = Peer::secured(rules(&["a.example"], strict, true), trusted());
    peer.sends(&header("version='1.0'"));
    let answer = peer.sends("<db:result from='c.example' to='a.example'>key</db:result>");
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert!(peer.is_verified("a.example", "b.example").ends_with(" type='valid'/>"));
}

// B31: only dialback can name a domain later
#[test]
fn refuses_a_modern_header_without_to_when_it_declares_no_dialback_or_follows_authentication() {
    for attributes in ["version='1.0'", "from='b.example' version='1.0'"] {
        let mut peer = Peer::new(lax());
        let answer = peer.sends(&header(attributes).replace(" xmlns:db='jabber:server:dialback'", ""));
        peer.ends_with(&answer, "host-unknown");

        let mut peer = Peer::secured(node(), trusted());
        peer.opens();
        peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        let answer = peer.sends(&header(attributes));
        peer.ends_with(&answer, "host-unknown");
    }
}

// E22, E23
#[test]
fn refuses_a_bad_from_of_a_header_without_to() {
    for (from, condition) in [("denied.example", "policy-violation"), ("also.example", "invalid-from")] {
        for version in ["", "version='1.0'"] {
            let mut peer = Peer::new(lax());
            let answer = peer.sends(&header(&format!("from='{from}' {version}")));
            peer.ends_with(&answer, condition);
        }
    }
}

#[test]
fn forgets_the_domains_of_a_question_when_tls_starts_the_stream_again() {
    let mut peer = Peer::new(lax());
    peer.sends(&header("to='a.example' version='1.0'"));
    peer.sends("<db:verify from='c.example' to='also.example' id='1'>key</db:verify>");
    assert_eq!(peer.stream.status().claimed, None, "the header says for whom the stream is");
    peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.stream.secured(secured(trusted()));
    peer.sends(&header("version='1.0'"));
    peer.sends("<db:verify from='b.example' to='also.example' id='1'>key</db:verify>");
    assert_eq!(peer.stream.status().claimed.map(Domain::as_str), Some("b.example"));
}

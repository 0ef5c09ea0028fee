//! Stanzas, and elements that are none.
use super::*;
use crate::policy::Pattern;

fn open() -> Peer {
    let mut peer = Peer::new(lax());
    peer.sends(&header("from='b.example' to='a.example' version='1.0' xml:lang='de'"));
    peer.is_verified("a.example", "b.example");
    peer
}

// B13, E29
#[test]
fn refuses_a_stanza_before_authentication() {
    for stanza in ["<message from='u@b.example' to='v@a.example'/>", "<iq xmlns='jabber:client'/>"] {
        let mut peer = Peer::new(lax());
        peer.opens();
        let answer = peer.sends(stanza);
        peer.ends_with(&format!("<stream:stream >{answer}"), "not-authorized");
        assert!(!peer.events.iter().any(|event| event.starts_with("[stanza")));
    }
}

/// The same under the strict reading of RFC 6120 section 4.9.3.7.
fn open_strict() -> Peer {
    let strict =
        Policy { tls: Tls::Optional, malformed_stanza: crate::policy::MalformedStanza::Close, ..policy() };
    let mut peer = Peer::new(rules(&["a.example", "also.example"], strict, true));
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer
}

// B24, B26, E1, E2, E3, E4, E5, E16
#[test]
fn few_faults_end_an_open_stream() {
    for (element, condition) in [
        ("<message from='u@c.example' to='v@a.example'/>", "invalid-from"),
        ("<message from='u@x.b.example' to='v@a.example'/>", "invalid-from"),
        ("<message from='u@c.example'/>", "invalid-from"),
        ("<message from='u@c.example' to='@a.example'/>", "invalid-from"),
        ("<message xmlns='jabber:client' from='u@c.example' to='v@a.example'/>", "invalid-from"),
        ("<message from='u@b.example' to='v@also.example'/>", "host-unknown"),
        ("<message from='u@b.example' to='v@third.example'/>", "host-unknown"),
        ("<message", ""),
        ("<!-- -->", "restricted-xml"),
        ("<message from='u@b.example' to='v@a.example'>&nbsp;</message>", "restricted-xml"),
        ("<message from='u@b.example' to='v@a.example'><x:y/></message>", "not-well-formed"),
        ("</message>", "not-well-formed"),
    ] {
        for mut peer in [open(), open_strict()] {
            let answer = peer.sends(element);
            match condition {
                "" => assert_eq!(answer, ""),
                _ => peer.ends_with(&format!("<stream:stream >{answer}"), condition),
            }
            assert!(!peer.events.iter().any(|event| event.starts_with("[stanza")), "{element}");
        }
    }
}

// B24, B26, E1, E3, E5
#[test]
fn a_malformed_stanza_ends_the_stream_if_the_policy_requires_it() {
    for (element, condition) in [
        ("<message from='u@b.example'/>", "improper-addressing"),
        ("<message to='v@a.example'/>", "improper-addressing"),
        ("<message from='@b.example' to='v@a.example'/>", "improper-addressing"),
        ("<message from='u@b.example' to='@a.example'/>", "improper-addressing"),
        ("<message xmlns='jabber:client' from='u@b.example' to='v@a.example'/>", "invalid-namespace"),
        ("<foo xmlns='jabber:client'/>", "unsupported-stanza-type"),
        ("<foo/>", "unsupported-stanza-type"),
        ("<foo xmlns='urn:example'/>", "unsupported-stanza-type"),
    ] {
        let mut peer = open_strict();
        let answer = peer.sends(element);
        peer.ends_with(&format!("<stream:stream >{answer}"), condition);
        assert!(!peer.events.iter().any(|event| event.starts_with("[stanza")), "{element}");
    }
}

// E4, E23, E28
#[test]
fn domains_are_compared_in_normal_form_and_white_space_is_ignored() {
    let mut peer = open();
    assert_eq!(peer.sends(" \n\t <message from='u@B.Example.' to='v@A.EXAMPLE'/> \n"), "");
    assert!(peer.events.last().unwrap().starts_with("[stanza <message"), "{:?}", peer.events);
    assert_eq!(peer.stream.stage().to_string(), "open");
}

// B8
#[test]
fn a_stanza_keeps_the_language_of_its_stream() {
    let mut peer = open();
    peer.sends("<message from='u@b.example' to='v@a.example'/>");
    assert!(peer.events.last().unwrap().contains("xml:lang='de'"), "{:?}", peer.events);
    peer.sends("<message from='u@b.example' to='v@a.example' xml:lang='fr'/>");
    let last = peer.events.last().unwrap();
    assert!(last.contains("xml:lang='fr'") && !last.contains("'de'"), "{last}");
}

// E24
#[test]
fn an_authenticated_peer_has_the_limits_of_the_policy() {
    let mut peer = open();
    let stanza = |size: usize| {
        let frame = "<message from='u@b.example' to='v@a.example'><body></body></message>";
        frame.replace("</body>", &format!("{}</body>", "x".repeat(size - frame.len())))
    };
    assert_eq!(peer.sends(&stanza(policy().max_stanza)), "");
    assert!(peer.events.last().unwrap().starts_with("[stanza"));
    let answer = peer.sends(&stanza(policy().max_stanza + 1));
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
}

// E10
#[test]
fn stanzas_keep_their_order() {
    let mut peer = open();
    let told = peer.events.len();
    let run: String =
        (0..100).map(|n| format!("<message id='{n}' from='u@b.example' to='v@a.example'/>")).collect();
    peer.dribbles(run.as_bytes());
    let order: Vec<_> = peer.events[told..]
        .iter()
        .map(|event| event.split("id='").nth(1).unwrap().split('\'').next().unwrap().to_owned())
        .collect();
    assert_eq!(order, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_stanza_of_a_denied_address_is_answered_and_the_stream_goes_on() {
    use crate::{
        policy::{Access, Addresses, Hosted},
        stanza::Denial,
    };

    let mut deny = Addresses::default();
    deny.add("evil@b.example").unwrap();
    let access = Access {
        allow: Addresses::all(),
        deny,
        denial: Denial::ServiceUnavailable,
        local: std::sync::Arc::default(),
    };
    let names = ["a.example", "also.example"].map(domain);
    let hosted = names.clone().map(|name| (name, Hosted { certificate: true }));
    let policy = Policy { tls: Tls::Optional, ..policy() };
    let rules = Rules::new(hosted, policy, Vec::new(), vec![Pattern::Any], Vec::new());
    let [ours, other] = names;
    let access = [(ours, Some(Arc::new(access))), (other, None)].into_iter().collect();
    let mut peer = Peer::new(Arc::new(rules.with_access(access)));
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer.is_verified("also.example", "b.example");
    let told = peer.events.len();
    for (from, to) in [
        ("evil@b.example/r", "v@a.example"),
        ("good@b.example", "v@a.example"),
        ("evil@b.example", "v@also.example"),
    ] {
        assert_eq!(peer.sends(&format!("<message from='{from}' to='{to}'/>")), "");
    }
    let events = &peer.events[told..];
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[0].contains("<service-unavailable "), "{events:?}");
    assert!(events[1..].iter().all(|event| event.starts_with("[stanza")), "{events:?}");
}

/// Terms of their own for `b.example`, with TLS left to the peer.
fn favouring_b(own: Policy) -> Arc<Rules> {
    let hosted = [(domain("a.example"), crate::policy::Hosted { certificate: true })];
    let lax = Policy { tls: Tls::Optional, max_stanza: 12_000, ..policy() };
    let overrides = vec![(Pattern::parse("b.example").unwrap(), own)];
    Arc::new(Rules::new(hosted, lax, overrides, vec![Pattern::Any], Vec::new()))
}

// E24: the limits are those of the remote domain's own policy
#[test]
fn limits_follow_the_policy_for_the_remote() {
    let own =
        Policy { tls: Tls::Optional, max_stanza: 20_000, max_stanza_unauthenticated: 15_000, ..policy() };
    let rules = favouring_b(own);
    let question =
        format!("<db:verify from='b.example' to='a.example' id='1'>{}</db:verify>", "x".repeat(14_000));
    for (from, condition) in [("b.example", None), ("c.example", Some("policy-violation"))] {
        let mut peer = Peer::new(rules.clone());
        peer.sends(&header(&format!("from='{from}' to='a.example' version='1.0'")));
        let answer = peer.sends(&question);
        match condition {
            None => assert!(answer.contains("type='invalid'"), "{answer}"),
            Some(condition) => peer.ends_with(&format!("<stream:stream >{answer}"), condition),
        }
    }
    // The most trusted pair on the stream decides, whichever was proved last.
    let mut peer = Peer::new(rules);
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer.is_verified("a.example", "c.example");
    let stanza = format!("<message from='u@b.example' to='v@a.example'>{}</message>", "x".repeat(19_000));
    assert_eq!(peer.sends(&stanza), "");
    assert!(peer.events.last().unwrap().starts_with("[stanza"));
}

// E2: the switch
#[test]
fn a_stanza_for_another_domain_may_cost_that_stanza_only() {
    let lenient = Policy { unknown_recipient: crate::policy::UnknownRecipient::Bounce, ..policy() };
    let lenient = Policy { tls: Tls::Optional, ..lenient };
    let mut peer = Peer::new(rules(&["a.example", "also.example"], lenient, true));
    peer.opens();
    peer.is_verified("a.example", "b.example");
    for (to, from, condition) in [
        ("v@also.example", "v@also.example", "not-authorized"),
        ("v@else.example", "a.example", "item-not-found"),
    ] {
        assert_eq!(peer.sends(&format!("<message id='1' from='u@b.example' to='{to}'/>")), "");
        let bounced = peer.events.last().unwrap();
        assert!(bounced.starts_with("[bounced"), "{bounced}");
        assert!(bounced.contains(&format!("from='{from}'")) && bounced.contains(condition), "{bounced}");
    }
    // Nobody is answered about an error, and nobody may borrow a name.
    assert_eq!(peer.sends("<message type='error' from='u@b.example' to='v@else.example'/>"), "");
    assert_eq!(peer.events.last().unwrap(), "[dropped not-served]");
    let answer = peer.sends("<message from='u@c.example' to='v@a.example'/>");
    peer.ends_with(&format!("<stream:stream >{answer}"), "invalid-from");
}

/// Which `xml-rs` would read for half a second a megabyte.
#[test]
fn reads_no_element_full_of_others_that_is_no_stanza() {
    for element in [
        "<db:verify from='b.example' to='a.example' id='1'>C</db:verify>",
        "<db:result from='b.example' to='a.example'>C</db:result>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>C</auth>",
        "<stream:error>C</stream:error>",
    ] {
        let mut peer = open();
        let answer = peer.sends(&element.replace('C', &"<a/>".repeat(300)));
        peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
    }
    // One that nothing is known of is not read at all.
    let mut peer = open();
    assert_eq!(peer.sends(&"<foo>C</foo>".replace('C', &"<a/>".repeat(300))), "");
    assert_eq!(peer.events.last().unwrap(), "[dropped not-a-stanza]");
}

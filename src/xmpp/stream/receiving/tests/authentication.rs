//! EXTERNAL and dialback.
use super::*;
use dialback::Answer;

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>Yi5leGFtcGxl</auth>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

// D2, D13, D23
#[test]
fn external_is_offered_if_the_certificate_proves_the_peer() {
    let strict = rules(&["a.example"], Policy { strict_certificates: true, ..policy() }, true);
    let bad = Some(certificate(&["b.example"], Some(Problem::SelfSigned)));
    let other = Some(certificate(&["c.example"], None));
    for (rules, shown, offered) in [
        (node(), trusted(), true),
        (node(), None, false),
        (node(), bad.clone(), false),
        (node(), other, false),
        (strict.clone(), trusted(), true),
    ] {
        let answer = Peer::secured(rules, shown.clone()).opens();
        assert_eq!(answer.contains("<mechanism>EXTERNAL</mechanism>"), offered, "{shown:?}: {answer}");
        assert!(answer.contains("<dialback xmlns='urn:xmpp:features:dialback'>"), "{answer}");
    }
    for shown in [None, bad] {
        let mut peer = Peer::secured(strict.clone(), shown);
        let answer = peer.opens();
        assert!(answer.contains("<text"), "{answer}");
        assert!(answer.contains("<policy-violation"), "{answer}");
    }
}

// D13: what counts is the header within TLS
#[test]
fn the_certificate_is_verified_again_for_a_from_that_changes_within_tls() {
    let mut peer = Peer::new(node());
    peer.sends(&header("from='b.example' to='a.example' version='1.0'"));
    peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.stream.secured(secured(trusted()));
    let answer = peer.sends(&header("from='c.example' to='a.example' version='1.0'"));
    assert!(!answer.contains("EXTERNAL"), "{answer}");
    assert!(peer.sends(AUTH).contains("<not-authorized/>"));
}

// D12, B6, K8, and COMPAT: Prosody sends stanzas behind its new header, before our features
#[test]
fn after_external_the_stream_restarts_and_stanzas_may_come_at_once() {
    let mut peer = Peer::secured(node(), trusted());
    peer.opens();
    assert_eq!(peer.sends(AUTH), SUCCESS);
    assert_eq!(peer.events.last().unwrap(), "[authorized a.example > b.example by EXTERNAL]");
    let stanza = "<message from='u@b.example' to='v@a.example'/>";
    let opening = header("from='b.example' to='a.example' version='1.0'");
    let answer = peer.sends(&format!("{opening}{stanza}"));
    assert!(answer.contains(" id='id2' "), "{answer}");
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes>\
        <idle-seconds>3600</idle-seconds></limits>";
    assert!(answer.ends_with(&format!("<stream:features>{limits}</stream:features>")), "{answer}");
    assert_eq!(peer.events.last().unwrap(), &format!("[stanza {stanza}]"));
}

// D13
#[test]
fn a_peer_cannot_change_its_name_after_external() {
    for (attributes, condition) in [
        ("from='c.example' to='a.example' version='1.0'", "invalid-from"),
        ("from='b.example' to='also.example' version='1.0'", "host-unknown"),
    ] {
        let mut peer = Peer::secured(node(), trusted());
        peer.opens();
        peer.sends(AUTH);
        let answer = peer.sends(&header(attributes));
        peer.ends_with(&answer, condition);
    }
}

// D4, D5, D9, D10
#[test]
fn failed_attempts_have_their_conditions_and_are_counted() {
    let mut peer = Peer::secured(node(), trusted());
    peer.opens();
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for (element, condition) in [
        (format!("<auth {sasl} mechanism='PLAIN'>AAAA</auth>"), "invalid-mechanism"),
        (format!("<auth {sasl} mechanism='EXTERNAL'>Yi5leGFt cGxl</auth>"), "incorrect-encoding"),
        (format!("<auth {sasl} mechanism='EXTERNAL'>Yy5leGFtcGxl</auth>"), "invalid-authzid"),
        (format!("<abort {sasl}/>"), "aborted"),
    ] {
        let answer = peer.sends(&element);
        assert!(answer.starts_with(&format!("<failure {sasl}><{condition}/>")), "{answer}");
        if condition == "aborted" {
            assert!(answer.contains("<stream:error><policy-violation"), "{answer}");
        }
    }
    let refused = peer.events.iter().filter(|event| event.starts_with("[refused")).count();
    assert_eq!(refused, 1, "told once: {:?}", peer.events);
}

// D7
#[test]
fn an_initial_response_that_is_missing_is_asked_for() {
    let mut peer = Peer::secured(node(), trusted());
    peer.opens();
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    assert_eq!(peer.sends(&format!("<auth {sasl} mechanism='EXTERNAL'/>")), format!("<challenge {sasl}/>"));
    assert_eq!(peer.sends(&format!("<response {sasl}>=</response>")), SUCCESS);
}

// C2, D1
#[test]
fn no_mechanism_is_offered_before_required_tls() {
    let mut peer = Peer::new(node());
    peer.opens();
    let answer = peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
    assert!(answer.starts_with("<db:result from='a.example' to='b.example' type='error'>"), "{answer}");
    assert!(answer.contains("<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"), "{answer}");
    assert!(peer.sends(AUTH).contains("<encryption-required/>"));
    assert!(peer.requests.is_empty());
}

// F10, F14, F16, F21, F5
#[test]
fn each_pair_is_proved_by_itself() {
    let mut peer = Peer::new(lax());
    peer.opens();
    let valid = peer.is_verified("a.example", "b.example");
    assert_eq!(valid, "<db:result from='a.example' to='b.example' type='valid'/>");
    assert!(peer.events.contains(&"[verify a.example > b.example id1 key]".to_owned()), "{:?}", peer.events);
    assert!(peer.events.contains(&"[authorized a.example > b.example by dialback]".to_owned()));

    peer.sends("<db:result from='c.example' to='a.example'>key</db:result>");
    let stanza = "<message from='u@b.example' to='v@a.example'/>";
    peer.sends(stanza);
    assert_eq!(peer.events.last().unwrap(), &format!("[stanza {stanza}]"), "others flow meanwhile");
    let request = peer.requests.pop().unwrap();
    peer.stream.verified(&request, Ok(Answer::Invalid));
    assert_eq!(peer.gets(), "<db:result from='a.example' to='c.example' type='invalid'/>");
    let answer = peer.sends("<message from='u@c.example' to='v@a.example'/>");
    assert!(answer.contains("<invalid-from"), "{answer}");
}

// F16
#[test]
fn an_invalid_key_ends_a_stream_without_a_proved_pair() {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
    let request = peer.requests.pop().unwrap();
    peer.stream.verified(&request, Ok(Answer::Invalid));
    assert_eq!(peer.gets(), "<db:result from='a.example' to='b.example' type='invalid'/></stream:stream>");
    assert_eq!(peer.events.last().unwrap(), "[closed]");
}

// F15, F17, F20
#[test]
fn a_failed_verification_is_answered_and_the_stream_goes_on() {
    let mut peer = Peer::new(lax());
    peer.opens();
    for (from, to, condition) in [
        ("b.example", "unknown.example", "item-not-found"),
        ("denied.example", "a.example", "not-allowed"),
        ("also.example", "a.example", "not-allowed"),
    ] {
        let answer = peer.sends(&format!("<db:result from='{from}' to='{to}'>key</db:result>"));
        assert!(answer.starts_with(&format!("<db:result from='{to}' to='{from}' type='error'>")), "{answer}");
        assert!(answer.contains(&format!("<error type='cancel'><{condition} ")), "{answer}");
    }
    let said =
        |condition| Error2 { type_: stanza::ErrorType::Cancel, condition, text: "ask 192.0.2.7".into() };
    for (answer, condition) in [
        (Ok(Answer::Error(said(stanza::Condition::ItemNotFound))), "remote-server-not-found"),
        (Ok(Answer::Error(said(stanza::Condition::NotAuthorized))), "remote-server-timeout"),
        (
            Err(Error2 { text: "why".into(), ..said(stanza::Condition::RemoteServerNotFound) }),
            "remote-server-not-found",
        ),
    ] {
        peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
        let request = peer.requests.pop().unwrap();
        peer.stream.verified(&request, answer);
        let told = peer.gets();
        assert!(told.contains(&format!("<{condition} ")), "{told}");
        assert!(!told.contains("</stream:stream>"), "{told}");
        assert!(!told.contains("192.0.2.7"), "the words of the authoritative server are passed on: {told}");
    }
    peer.is_verified("a.example", "b.example");
}

use stanza::Error as Error2;

// F6, F26
#[test]
fn unsolicited_answers_are_dropped() {
    let mut peer = Peer::new(lax());
    peer.opens();
    for element in [
        "<db:result from='b.example' to='a.example' type='valid'/>",
        "<db:verify from='b.example' to='a.example' id='1' type='valid'/>",
    ] {
        assert_eq!(peer.sends(element), "");
        assert!(peer.requests.is_empty(), "nothing is asked about {element}");
    }
    let request =
        dialback::Request { pair: pair("a.example", "b.example"), id: "id1".into(), key: "key".into() };
    peer.stream.verified(&request, Ok(Answer::Valid));
    assert_eq!(peer.gets(), "");
    let answer = peer.sends("<message from='u@b.example' to='v@a.example'/>");
    peer.ends_with(&format!("<stream:stream >{answer}"), "not-authorized");
}

// F13, B6: a key is for one stream id, and EXTERNAL starts another stream
#[test]
fn a_restart_voids_a_verification_under_way() {
    let mut peer = Peer::secured(node(), trusted());
    peer.opens();
    peer.sends("<db:result from='c.example' to='a.example'>key</db:result>");
    let request = peer.requests.pop().unwrap();
    peer.sends(AUTH);
    peer.opens();
    peer.stream.verified(&request, Ok(Answer::Valid));
    assert_eq!(peer.gets(), "");
    assert!(!peer.events.iter().any(|event| event.contains("c.example by dialback")), "{:?}", peer.events);
}

// F18, F19
#[test]
fn questions_about_our_keys_are_answered_on_any_stream() {
    let rules = node();
    let key =
        dialback::key(&rules.default_policy().secret, &domain("b.example"), &domain("a.example"), "far&away");
    let ask = |from: &str, to: &str, id: &str, key: &str| {
        let mut peer = Peer::new(rules.clone());
        peer.opens();
        peer.sends(&format!("<db:verify from='{from}' to='{to}' id='{id}'>{key}</db:verify>"))
    };
    let valid = "<db:verify from='a.example' to='b.example' id='far&amp;away' type='valid'/>";
    assert_eq!(ask("b.example", "a.example", "far&amp;away", &key), valid);
    assert!(ask("b.example", "a.example", "far", &key).ends_with(" id='far' type='invalid'/>"));
    assert!(ask("c.example", "a.example", "far&amp;away", &key).ends_with("type='invalid'/>"));
    assert!(ask("b.example", "also.example", "far&amp;away", &key).ends_with("type='invalid'/>"));
    let unknown = ask("b.example", "unknown.example", "1", &key);
    assert!(
        unknown.starts_with("<db:verify from='unknown.example' to='b.example' id='1' type='error'>"),
        "{unknown}"
    );
    assert!(unknown.contains("<item-not-found "), "{unknown}");
}

#[test]
fn the_keys_under_verification_are_limited_for_one_stream() {
    let mut peer = Peer::new(lax());
    peer.opens();
    let show = |number: usize| format!("<db:result from='b{number}.example' to='a.example'>key</db:result>");
    for number in 0..PENDING_AT_ONCE {
        assert_eq!(peer.sends(&show(number)), "");
        assert_eq!(peer.sends(&show(number)), "", "asked once");
    }
    assert_eq!(peer.requests.len(), PENDING_AT_ONCE);
    let refused = peer.sends(&show(PENDING_AT_ONCE));
    assert!(refused.contains("<error type='wait'><resource-constraint "), "{refused}");
}

const PENDING_AT_ONCE: usize = 16;

#[test]
fn the_pairs_are_limited_for_one_stream() {
    let mut peer = Peer::new(lax());
    peer.opens();
    for number in 0..256 {
        peer.is_verified("a.example", &format!("b{number}.example"));
    }
    let refused = peer.sends("<db:result from='b256.example' to='a.example'>key</db:result>");
    assert!(refused.contains("<error type='wait'><resource-constraint "), "{refused}");
    assert!(peer.is_verified_already("a.example", "b7.example"));
}

// C2, D2: dialback may be what the policy leaves out
#[test]
fn dialback_is_refused_if_the_policy_does_not_allow_it() {
    let rules = rules(&["a.example"], Policy { auth: vec![External], ..policy() }, true);
    let mut peer = Peer::secured(rules, trusted());
    let answer = peer.opens();
    assert!(!answer.contains("dialback"), "{answer}");
    let answer = peer.sends("<db:result from='b.example' to='a.example'>key</db:result>");
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert!(
        answer.contains("xmlns='jabber:server:dialback'") || answer.contains("xmlns:"),
        "declared: {answer}"
    );
}

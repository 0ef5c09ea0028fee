//! Changes between a key and its answer: rules, domains, certificates.
use super::*;

const KEY: &str = "<db:result from='c.example' to='also.example'>key</db:result>";

/// The rules of [`lax`] for these domains and with one denied domain.
fn changed(hosted: &[&str], denied: &str) -> Arc<Rules> {
    let hosted = hosted.iter().map(|name| (domain(name), crate::policy::Hosted { certificate: true }));
    let deny = vec![crate::policy::Pattern::parse(denied).unwrap()];
    let policy = Policy { tls: Tls::Optional, ..policy() };
    Arc::new(Rules::new(hosted, policy, Vec::new(), vec![crate::policy::Pattern::Any], deny))
}

#[test]
fn a_key_of_a_pair_that_is_forbidden_now_is_answered_at_once_and_for_good() {
    for (rules, condition) in [
        (changed(&["a.example", "also.example"], "c.example"), "not-allowed"),
        (changed(&["a.example"], "d.example"), "item-not-found"),
    ] {
        let mut peer = Peer::new(lax());
        peer.opens();
        assert_eq!(peer.sends(KEY), "");
        assert_eq!(peer.stream.adopt(rules), None);
        let answer = peer.gets();
        assert!(
            answer.starts_with("<db:result from='also.example' to='c.example' type='error'>"),
            "{answer}"
        );
        assert!(answer.contains(&format!("<{condition} ")), "{answer}");
        assert!(!peer.stream.status().is_verifying);
        let request = peer.requests.pop().unwrap();
        peer.stream.verified(&request, Ok(dialback::Answer::Valid));
        assert_eq!(peer.gets(), "");
        let answer = peer.sends("<message from='x@c.example' to='y@also.example'/>");
        assert!(answer.starts_with("<stream:error><not-authorized "), "{answer}");
    }
}

#[test]
fn the_rules_at_the_time_of_its_answer_apply_to_a_key() {
    let mut peer = Peer::new(lax());
    peer.opens();
    assert_eq!(peer.sends(KEY), "");
    // Clear text is not enough any more.
    assert_eq!(peer.stream.adopt(node()), None);
    assert_eq!(peer.gets(), "");
    let request = peer.requests.pop().unwrap();
    peer.stream.verified(&request, Ok(dialback::Answer::Valid));
    let answer = peer.gets();
    assert!(answer.contains("type='error'") && answer.contains("<policy-violation "), "{answer}");
    assert!(peer.stream.pairs().is_empty());
}

#[test]
fn a_peer_cannot_prove_itself_to_a_removed_domain() {
    let mut peer = Peer::secured(node(), trusted());
    peer.opens();
    assert_eq!(peer.stream.adopt(rules(&["also.example"], policy(), true)), None);
    let answer = peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert!(answer.contains("<failure ") && answer.contains("<not-authorized"), "{answer}");
    assert!(peer.stream.pairs().is_empty());
}

#[test]
fn an_expired_certificate_does_not_replace_a_call_back() {
    let shortcut =
        || rules(&["a.example", "also.example"], Policy { dialback_shortcut: true, ..policy() }, true);
    let key = |to: &str| format!("<db:result from='b.example' to='{to}'>key</db:result>");
    let mut peer = Peer::secured(shortcut(), trusted());
    peer.opens();
    assert!(peer.sends(&key("a.example")).ends_with(" type='valid'/>"));
    assert!(peer.requests.is_empty());
    assert!(peer.stream.certificate_ended(), "the stream rests on it");
    assert_eq!(peer.sends(&key("also.example")), "");
    assert_eq!(peer.requests.len(), 1);
    // A stream that does not depend on it goes on.
    let mut other = Peer::secured(node(), trusted());
    other.opens();
    other.is_verified("a.example", "b.example");
    assert!(!other.stream.certificate_ended());
}

#[test]
fn a_stream_within_tls_ends_if_the_policy_forbids_tls() {
    for certificate in [None, trusted()] {
        let never = rules(&["a.example"], Policy { tls: Tls::Disabled, ..policy() }, true);
        let mut peer = Peer::secured(never, certificate);
        let answer = peer.opens();
        peer.ends_with(&answer, "policy-violation");
        assert!(answer.contains("the policy for b.example forbids TLS"), "{answer}");
    }
}

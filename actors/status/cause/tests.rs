//! The texts of all causes: their form, and what they name.

use std::collections::HashSet;

use xmpp::Domain;

use super::*;

#[test]
fn ids_are_unique_and_in_kebab_case() {
    let ids: HashSet<_> = ALL.iter().map(|cause| cause.id).collect();
    assert_eq!(ids.len(), ALL.len());
    let is_kebab =
        |id: &str| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(ids.into_iter().all(is_kebab));
}

#[test]
fn every_advice_is_one_sentence_and_every_remedy_one_clause() {
    let domain = |name| Domain::new(name).unwrap();
    let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
    for cause in ALL {
        let (advice, remedy) = (cause.advice(&pair, None), cause.remedy(&pair, None));
        assert!(advice.ends_with('.') && !advice.contains(". ") && !advice.contains('{'), "{advice}");
        assert!(!remedy.is_empty() && !remedy.ends_with('.') && !remedy.contains('{'), "{remedy}");
        assert!(remedy.starts_with(char::is_lowercase), "{remedy}");
        assert!(!cause.rule.is_empty());
    }
}

#[test]
fn a_remedy_for_the_remote_side_names_its_operator() {
    let domain = |name| Domain::new(name).unwrap();
    let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
    for cause in ALL.iter().filter(|cause| cause.side == Side::Remote) {
        let remedy = cause.remedy(&pair, None);
        assert!(remedy.contains("the operator of b.example"), "{}: {remedy}", cause.id);
    }
}

#[test]
fn advice_for_a_configured_address_names_it_and_no_record() {
    let domain = |name| Domain::new(name).unwrap();
    let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
    let address = Some("192.0.2.7:5269");
    for cause in ALL.iter().filter(|cause| !ONLY_BY_SRV.contains(&cause.id)) {
        for text in [cause.remedy(&pair, address), cause.advice(&pair, address)] {
            let is_of_ours = ["of a.example", "for a.example", "your SRV record"];
            let is_of_ours = is_of_ours.iter().any(|ours| text.contains(ours));
            let speaks_of_records = ["SRV", "DNS record", "its records", "in the DNS", "publish"];
            let speaks_of_records = speaks_of_records.iter().any(|word| text.contains(word));
            assert!(!speaks_of_records || is_of_ours, "{}: {text}", cause.id);
        }
    }
    for (id, remedy, advice) in fixed::TEXTS {
        assert!(advice.contains("{address}") && advice.contains("[[remote]]"), "{id}: {advice}");
        assert!(advice.ends_with('.') && !advice.contains(". "), "{id}: {advice}");
        match ALL.iter().find(|cause| cause.id == *id) {
            Some(cause) => {
                let remedy = cause.remedy(&pair, address);
                assert!(remedy.contains("192.0.2.7:5269"), "{id}: {remedy}");
                let asks = cause.side != Side::Remote || remedy.contains("the operator of b.example");
                assert!(asks && !remedy.contains('{') && !remedy.ends_with('.'), "{id}: {remedy}");
            }
            None => assert!(remedy.is_empty(), "{id} is a cause of the probe, which has no remedy"),
        }
    }
}

/// Causes of a lookup that is not made for a configured address.
const ONLY_BY_SRV: [&str; 2] = ["no-record", "service-not-offered"];

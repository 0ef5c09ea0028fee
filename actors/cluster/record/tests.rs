//! Records go to the broker and back; foreign values are errors.

use super::*;
use crate::{names::Names, text::fingerprint};
use proptest::prelude::*;

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

#[test]
fn a_key_has_only_characters_that_the_broker_permits() {
    let key = key("a.example > bücher.example");
    assert_eq!(key.len(), 32);
    assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(super::key("a"), "ca978112ca1bbdcafac231b39a23dc4d", "as sha256sum prints it");
}

#[test]
fn a_newer_form_is_an_error_that_names_both_versions() {
    let error = ClaimRecord::decode(br#"{"form":7,"anything":[]}"#).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("form 7") && text.contains("form 1"), "{text}");
}

#[test]
fn refuses_foreign_values() {
    let long = format!(r#"{{"form":1,"what":"{}"}}"#, "x".repeat(LONGEST));
    let deep = "[".repeat(4_000);
    let name = r#"{"form":1,"what":"a","node":"A.B","incarnation":"1","number":1}"#;
    let run = r#"{"form":1,"what":"a","node":"a","incarnation":"+1x","number":1}"#;
    for value in ["", "null", "{}", r#"{"form":1}"#, r#"{"form":-1}"#, "\u{0}", &long, &deep, name, run] {
        assert!(ClaimRecord::decode(value.as_bytes()).is_err(), "{value:.40}");
        assert!(NodeRecord::decode(value.as_bytes()).is_err(), "{value:.40}");
    }
}

#[test]
fn unknown_fields_of_the_same_form_are_ignored() {
    let value = br#"{"form":1,"what":"a","node":"a","incarnation":"ff","number":1,"later":{"x":[1]}}"#;
    assert_eq!(ClaimRecord::decode(value).unwrap().incarnation, Incarnation(255));
}

#[test]
fn a_record_without_what_was_added_later_is_read() {
    let value =
        br#"{"form":1,"incarnation":"ff","beat":7,"version":1,"oldest_version":1,"secret":"s","names":"n"}"#;
    let record = NodeRecord::decode(value).unwrap();
    assert_eq!((record.process, record.load, record.names.shown), (None, None, None));
}

#[test]
fn the_text_about_a_process_is_short_and_has_no_control_characters() {
    let process =
        Process { host: "h\u{1b}[2J\n".repeat(500), pid: 7, place: String::new(), since: "t".repeat(500) };
    let text = process.to_string();
    assert!(text.starts_with("process 7 on host h[2Jh[2J") && text.len() < 150, "{text}");
}

#[test]
fn fingerprints_differ_and_are_not_the_plain_hash() {
    assert_ne!(fingerprint("a"), fingerprint("b"));
    assert!(!key("a").starts_with(&fingerprint("a")));
}

proptest! {
    #[test]
    fn records_come_back_unchanged(what in ".{0,300}", run: u64, number: u64, beat: u64, oldest: u8, newest: u8, refills: bool) {
        let claim = ClaimRecord { what, node: node("a-1"), incarnation: Incarnation(run), number };
        prop_assert_eq!(ClaimRecord::decode(&claim.encode()).unwrap(), claim);
        let (secret, names) = (fingerprint("s"), Names::new(["domain n".to_owned()]).summary().clone());
        let process = refills.then(|| Process { host: "h".to_owned(), pid: 7, place: "p".to_owned(), since: "t".to_owned() });
        let load = refills.then_some(Load { links: run, components: number });
        let record = NodeRecord { incarnation: Incarnation(run), beat, versions: Versions { oldest, newest }, refills, secret, names, process, load };
        prop_assert_eq!(NodeRecord::decode(&record.encode()).unwrap(), record);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(value in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = (ClaimRecord::decode(&value), NodeRecord::decode(&value));
    }
}

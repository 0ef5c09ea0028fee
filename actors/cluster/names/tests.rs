//! Which names differ, of few names and of many.

use super::{sketch::Sketch, *};
use crate::record::NodeRecord;
use proptest::prelude::*;

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
    Names::new(names.into_iter().map(str::to_owned))
}

/// So many names of customers, and some others.
fn many(count: usize, more: &[&str]) -> Names {
    let customers = (0..count).map(|number| format!("domain customer-{number}.example"));
    Names::new(customers.chain(more.iter().map(|&name| name.to_owned())))
}

fn shown(own: &Names, other: &Names) -> String {
    own.difference(other.summary()).unwrap().to_string()
}

#[test]
fn the_same_names_do_not_differ_in_whichever_order() {
    let (one, other) = (names(["domain a", "component b"]), names(["component b", "domain a", "domain a"]));
    assert_eq!(one.difference(other.summary()), None);
    assert_eq!(one.summary().count, 2);
}

#[test]
fn few_names_are_compared_by_their_list() {
    let (one, other) = (names(["domain a", "domain b"]), names(["domain b", "component c"]));
    assert!(matches!(&one.summary().shown, Some(Shown::List(list)) if list.len() == 2));
    assert_eq!(shown(&one, &other), "only this node has domain a; only that node has component c");
    assert_eq!(shown(&one, &names(["domain a"])), "only this node has domain b");
    assert_eq!(shown(&names([]), &names(["domain a"])), "only that node has domain a");
}

#[test]
fn five_names_of_each_node_are_shown_and_the_others_are_counted() {
    let all: Vec<String> = (0..9).map(|number| format!("domain d{number}")).collect();
    let one = Names::new(all);
    let expected = "only this node has domain d0, domain d1, domain d2, domain d3, domain d4 and 4 more";
    assert_eq!(shown(&one, &names([])), expected);
}

#[test]
fn of_5000_names_those_that_differ_are_found_in_a_record_of_limited_length() {
    let one = many(5000, &["domain new.example", "component x.new.example"]);
    let other = many(4999, &["component chat.other.example"]);
    assert!(matches!(one.summary().shown, Some(Shown::Sketch(_))));
    let expected = "only this node has component x.new.example, domain customer-4999.example, domain new.example; only that \
                    node has component chat.other.example";
    assert_eq!(shown(&one, &other), expected);
    let record = NodeRecord {
        incarnation: crate::Incarnation(1),
        beat: 1,
        versions: crate::ferry::codec::Versions::OWN,
        refills: false,
        secret: "0".repeat(16),
        names: one.summary().clone(),
        process: None,
        load: None,
    };
    let value = record.encode();
    assert!(value.len() < 4096, "{}", value.len());
    assert_eq!(NodeRecord::decode(&value).unwrap(), record);
}

#[test]
fn a_node_with_few_names_and_one_with_many_are_compared() {
    let (few, many) = (names(["domain customer-0.example", "domain a.example"]), many(200, &[]));
    let at_few = few.difference(many.summary()).unwrap();
    assert!(!at_few.is_complete && at_few.counts == (2, 200), "{at_few:?}");
    assert!(at_few.to_string().ends_with("number of names: 2 on this node, 200 on that node"), "{at_few}");
    // The list of the other one is all that is needed.
    let at_many = many.difference(few.summary()).unwrap();
    assert_eq!((at_many.here.more, at_many.there.names.len()), (194, 1));
}

#[test]
fn ten_differing_names_are_nearly_always_found() {
    let found = (0..200).filter(|round| {
        let more: Vec<String> = (0..10).map(|number| format!("domain {round}-{number}.example")).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (here, there) = more.split_at(5);
        let difference = many(100, here).difference(many(100, there).summary()).unwrap();
        difference.is_complete && difference.here.names == here && difference.there.names == there
    });
    let found = found.count();
    assert!(found >= 180, "in {found} of 200 rounds");
}

#[test]
fn a_name_that_is_too_long_for_a_cell_is_shown_by_its_beginning() {
    let long = format!("domain {}.example", "x".repeat(200));
    let difference = many(200, &[&long]).difference(many(200, &[]).summary()).unwrap();
    let [name] = &difference.here.names[..] else { panic!("{difference:?}") };
    assert!(name.starts_with("domain xxx") && name.ends_with("x…") && difference.is_complete, "{name}");
}

#[test]
fn a_record_of_an_earlier_version_differs_without_names() {
    let earlier = Summary { fingerprint: "0".to_owned(), count: 0, shown: None };
    let text = names(["domain a"]).difference(&earlier).unwrap().to_string();
    assert_eq!(text, "number of names: 1 on this node, unknown on that node");
}

proptest! {
    #[test]
    fn any_text_is_read_as_a_sketch_without_a_panic(text in "[A-Za-z0-9+/]{0,3400}={0,2}") {
        let _ = Sketch::decode(&text);
    }

    #[test]
    fn an_invented_sketch_is_compared_in_bounded_time(seed: u64) {
        let mut state = seed;
        let bytes: Vec<u8> = (0..36 * 70).map(|_| crate::engine::fake::random(&mut state) as u8).collect();
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let sketch = Sketch::decode(&BASE64_STANDARD.encode(bytes)).unwrap();
        let (here, there, _) = Sketch::of(["domain a"].into_iter()).difference(&sketch);
        prop_assert!(here.len() + there.len() <= 36);
    }

    #[test]
    fn a_sketch_comes_back_unchanged(names in prop::collection::vec(".{0,100}", 0..20)) {
        let sketch = Sketch::of(names.iter().map(String::as_str));
        prop_assert_eq!(Sketch::decode(&sketch.encode()).unwrap().encode(), sketch.encode());
    }
}

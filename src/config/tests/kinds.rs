//! A value of the wrong kind, for each key of the configuration.

use std::path::Path;

use crate::config::{Examined, section::REPEATABLE};

#[test]
fn every_key_says_what_it_expects_in_place_of_a_value_of_the_wrong_kind() {
    let mut faults = Vec::new();
    let keys = keys();
    assert!(keys.len() > 100, "the schema has {} keys", keys.len());
    for key in &keys {
        let wrong: Vec<_> = KINDS.iter().filter(|(value, _)| is_wrong_kind(key, value)).collect();
        // A rate of a component is a number or a string.
        if !(KINDS.len() - 2..=KINDS.len()).contains(&wrong.len()) {
            faults.push(format!("{}: wrong are {wrong:?}", key.full()));
        }
        for (value, kind) in wrong {
            faults.extend(fault(key, value, kind));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_value_in_place_of_a_section_is_reported_with_the_header() {
    for section in SECTIONS.iter().filter(|section| !section.is_empty()) {
        let header = header(section);
        for (value, kind) in KINDS.iter().filter(|(value, _)| !value.contains(['{', '['])) {
            let found = found_in(&format!("{section} = {value}\n"));
            let said = found.iter().find(|said| said.starts_with(&format!("n.toml:1: {section}: ")));
            let said = said.unwrap_or_else(|| panic!("{section} = {value}: {found:?}"));
            assert!(
                said.contains(&format!("begins with {header}, got {kind}").replace("[[", "[["))
                    || said.contains(&format!("begin with {header}, got {kind}")),
                "{said}"
            );
        }
    }
}

#[test]
fn lists_and_titles_of_components_have_examples_of_their_own() {
    for (line, expected) in [
        ("allow = [1]", "allow: expected a quoted string, for example \"example.net\", got a number"),
        (
            "allow = \"example.net\"",
            "allow: expected a list of quoted strings, for example [\"example.net\", \"user@example.net\"], got a string",
        ),
        ("title = 5", "title: expected a quoted string, for example \"Weather service\", got a number"),
        ("name = 5", "name: expected a quoted string, for example \"echo.example.org\", got a number"),
        (
            "max_rate = 1.5",
            "max_rate: expected an integer, or a quoted string with a unit, for example 100 or \"64 KiB\", got a number with \
             a fraction",
        ),
        (
            "hidden = \"yes\"",
            "hidden: expected true or false without quotes, for example hidden = true, got a string",
        ),
    ] {
        let found = found_in(&format!("[[component]]\n{line}\n"));
        let expected = format!("n.toml:2: component.{expected}");
        assert!(found.contains(&expected), "{expected} in {found:?}");
    }
}

/// A key in its section, which is empty for the top of the file.
struct Key {
    section: &'static str,
    key: String,
}

impl Key {
    /// As findings name it.
    fn full(&self) -> String {
        match self.section {
            "" => self.key.clone(),
            section => format!("{section}.{}", self.key),
        }
    }

    /// The findings about it with this value. Those about other keys are left out.
    fn found(&self, value: &str) -> Vec<String> {
        let Self { section, key } = self;
        let start = format!("n.toml:2: {}: ", self.full());
        let found = found_in(&format!("{}\n{key} = {value}\n", header(section)));
        found.into_iter().filter_map(|said| Some(said.strip_prefix(&start)?.to_owned())).collect()
    }
}

/// All keys that the code reads: a section names them when it has an unknown one.
fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    for section in SECTIONS {
        let found = found_in(&format!("{}\nzzzzzzzzzzzzzzzzzzzz = 1\n", header(section)));
        let known = found.iter().find_map(|said| said.split_once("the known keys are ")).expect(section).1;
        let known = known.split(", ").map(|key| key.trim_matches('"').to_owned());
        let is_key = |key: &String| !section.is_empty() || !SECTIONS.contains(&key.as_str());
        keys.extend(known.filter(is_key).map(|key| Key { section, key }));
    }
    keys
}

fn is_wrong_kind(key: &Key, value: &str) -> bool {
    key.found(value).iter().any(|said| said.starts_with("expected ") && said.contains(", got "))
}

/// What is wrong with the finding about a value of the wrong kind.
fn fault(key: &Key, value: &str, kind: &str) -> Option<String> {
    let mut found = key.found(value);
    // A certificate without a key, or the other way round, is another problem.
    found.retain(|said| !said.starts_with("requires \""));
    let [said] = found.as_slice() else {
        return Some(format!("{} = {value}: not one finding: {found:?}", key.full()));
    };
    let kind = if value.starts_with('[') && !takes_list(key) { "a list" } else { kind };
    let wrong = |what: &str| Some(format!("{} = {value}: {what}: {said}", key.full()));
    let (expected, got) = said.rsplit_once(", got ")?;
    let Some((_, example)) = expected.split_once(", for example ") else { return wrong("no example") };
    if got != kind || said.contains("did you mean") {
        return wrong("not the kind");
    }
    // Of two examples the last is tried. A flag is shown with its key.
    let example = example.rsplit_once(" or ").map_or(example, |(_, last)| last);
    let example = example.strip_prefix(&format!("{} = ", key.key)).unwrap_or(example);
    // For a wrong item of a list, the example is one of an item.
    let is_item = takes_list(key) && !example.starts_with('[');
    let example = if is_item { format!("[{example}]") } else { example.to_owned() };
    let found = key.found(&example);
    let is_refused =
        |said: &String| !said.contains("warning: ") && !NEEDS_MORE.iter().any(|reason| said.contains(reason));
    found
        .iter()
        .any(is_refused)
        .then(|| format!("{} = {example}, which is the example: {found:?}", key.full()))
}

fn takes_list(key: &Key) -> bool {
    !is_wrong_kind(key, "[]")
}

fn header(section: &str) -> String {
    match section {
        "" => String::new(),
        section if REPEATABLE.contains(&section) => format!("[[{section}]]"),
        section => format!("[{section}]"),
    }
}

fn found_in(text: &str) -> Vec<String> {
    let examined = Examined::of(Path::new("n.toml"), text);
    examined.source.findings().iter().map(ToString::to_string).collect()
}

const SECTIONS: [&str; 13] = [
    "",
    "listen",
    "domain",
    "component",
    "s2s",
    "remote",
    "promise",
    "absence",
    "journal",
    "cluster",
    "limits",
    "dns",
    "contact",
];

/// A value of each kind, and the kind that is reported. That of a list is the kind of its item.
const KINDS: [(&str, &str); 9] = [
    ("\"\\u0000\"", "a string"),
    ("7", "a number"),
    ("1.5", "a number with a fraction"),
    ("true", "true or false"),
    ("2026-12-01", "a date or time"),
    ("{ a = 1 }", "a table"),
    ("[[]]", "a list"),
    ("[1.5]", "a number with a fraction"),
    ("[{ a = 1 }]", "a table"),
];

/// Findings of examples that are right, but name what this machine does not have, or need another key or item.
const NEEDS_MORE: [&str; 6] = [
    "expected two durations",
    "does not exist",
    "No such file",
    "is not a group in",
    "requires \"",
    "set s2s.dialback_secret",
];

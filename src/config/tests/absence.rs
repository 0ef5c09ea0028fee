//! `[absence]`, and the rules of single components.

use std::time::Duration;

use super::{Dir, assert_finds};

const COMPONENT: &str = "[[component]]\nname = \"x.a.example\"\nsecret = \"0123456789abcdef\"\n";

#[test]
fn a_component_has_the_rules_of_the_section_unless_it_has_its_own() {
    let own = "message = \"1h\"\nmax_stanzas = 7\nkeep = \"1h\"\nredeliver = true\n";
    let toml = format!(
        "[absence]\nmessage = \"2m\"\niq = \"0s\"\nmax_bytes = \"1 MiB\"\ntotal_bytes = \"2 MiB\"\n{COMPONENT}\
         {own}{}",
        COMPONENT.replace("x.", "y.")
    );
    let settings = Dir::new().load(&toml).expect("no problems").settings;
    assert_eq!(settings.absence_bytes, 2 << 20);
    let [own, common] = settings.components.as_slice() else { panic!("{:?}", settings.components) };
    let (own, common) = (&own.absence, &common.absence);
    let hour = Duration::from_secs(3600);
    assert_eq!((own.message, own.max_stanzas, own.keep, own.redeliver), (hour, 7, Some(hour), true));
    assert_eq!((common.message, common.keep, common.redeliver), (Duration::from_secs(120), None, false));
    for rules in [own, common] {
        assert_eq!((rules.iq, rules.presence), (Duration::ZERO, Duration::from_secs(60)));
        assert_eq!(rules.max_bytes, 1 << 20);
    }
    assert_eq!(common.max_stanzas, 10_000);
}

#[test]
fn memory_keeps_messages_for_an_hour_at_most() {
    assert_finds(
        &format!("{COMPONENT}keep = \"7d\"\n{}keep = \"1m\"", COMPONENT.replace("x.", "y.")),
        &[
            "n.toml:4: component.keep: is longer than 1h, and without a journal stanzas are kept in memory only: a restart of this node answers them with an error, and a crash loses them; set journal.path, or set it to 1h or less",
            "n.toml:8: warning: component.keep: has no effect: it is not longer than \"message\"",
        ],
    );
}

#[test]
fn with_a_journal_messages_are_kept_for_as_long_as_the_operator_wants() {
    let toml = format!("{COMPONENT}keep = \"7d\"\n[journal]\npath = \"waiting.redb\"\n");
    let settings = Dir::new().load(&toml).expect("no problems").settings;
    assert_eq!(settings.components[0].absence.keep, Some(Duration::from_secs(7 * 24 * 3600)));
    // An empty path is no journal.
    let toml = toml.replace("waiting.redb", "");
    assert!(Dir::new().load(&toml).is_err(), "{toml}");
}

#[test]
fn each_key_has_its_section() {
    assert_finds(
        &format!(
            "[absence]\nkeep = \"1h\"\nredeliver = true\n{COMPONENT}total_bytes = \"1 MiB\"\nmessages = \"1m\""
        ),
        &[
            "n.toml:2: absence.keep: it belongs in [[component]]: few components want it",
            "n.toml:3: absence.redeliver: it belongs in [[component]]: few components want it",
            "n.toml:7: component.total_bytes: it belongs in [absence]: it is the limit of all components together",
            "n.toml:8: component.messages: unknown key in [[component]]; did you mean \"message\"?",
        ],
    );
}

#[test]
fn a_queue_is_not_larger_than_all_together() {
    assert_finds(
        &format!(
            "[absence]\nmax_bytes = \"2 MiB\"\ntotal_bytes = \"1 MiB\"\n{COMPONENT}max_bytes = \"3 MiB\""
        ),
        &[
            "n.toml:2: absence.max_bytes: max_bytes is larger than total_bytes: raise total_bytes, or lower max_bytes",
            "n.toml:7: component.max_bytes: is larger than absence.total_bytes: raise that, or lower max_bytes",
        ],
    );
}

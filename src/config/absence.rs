//! `[absence]`, and the same keys of `[[component]]`: the rules for stanzas to a component that is not connected.

use std::time::Duration;

use actors::settings::Absence;

use super::{finding::Message, section::Section, value};

/// The rules for components without rules of their own.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    /// The rules for one component.
    pub(super) rules: Absence,
    /// Bytes in the queues of all components.
    pub(super) total_bytes: usize,
    /// What waits survives a restart.
    pub(super) has_journal: bool,
}

/// Reads `[absence]`.
pub(super) fn defaults(section: Section<'_>, has_journal: bool) -> Defaults {
    let rules = rules(&section, &Absence::DEFAULT);
    let total_bytes = section.read("total_bytes", value::size).unwrap_or(64 << 20);
    if rules.max_bytes > total_bytes {
        let key = if section.has("max_bytes") { "max_bytes" } else { "total_bytes" };
        section.problem(key, "max_bytes is larger than total_bytes: raise total_bytes, or lower max_bytes");
    }
    for key in ["keep", "redeliver"] {
        section.refuse(key, "it belongs in [[component]]: few components want it");
    }
    section.finish();
    Defaults { rules, total_bytes, has_journal }
}

/// Reads the keys of a `[[component]]`.
pub(super) fn of_component(section: &Section<'_>, defaults: &Defaults) -> Absence {
    let rules = rules(section, &defaults.rules);
    section.refuse("total_bytes", "it belongs in [absence]: it is the limit of all components together");
    if rules.max_bytes > defaults.total_bytes && section.has("max_bytes") {
        section.problem("max_bytes", "is larger than absence.total_bytes: raise that, or lower max_bytes");
    }
    let keep = section.read("keep", value::some_duration);
    if let Some(keep) = keep {
        check_keep(section, keep, &rules, defaults.has_journal);
    }
    let redeliver = section.flag("redeliver").unwrap_or_default();
    Absence { keep: keep.map(|keep| keep.max(rules.message)), redeliver, ..rules }
}

fn rules(section: &Section<'_>, defaults: &Absence) -> Absence {
    let time = |key, default| section.read(key, value::duration).unwrap_or(default);
    Absence {
        message: time("message", defaults.message),
        presence: time("presence", defaults.presence),
        iq: time("iq", defaults.iq),
        max_stanzas: section.count("max_stanzas", 1).unwrap_or(defaults.max_stanzas),
        max_bytes: section.read("max_bytes", value::size).unwrap_or(defaults.max_bytes),
        ..Absence::DEFAULT
    }
}

fn check_keep(section: &Section<'_>, keep: Duration, rules: &Absence, has_journal: bool) {
    if keep > Absence::LONGEST_IN_MEMORY && !has_journal {
        let text = "is longer than 1h, and without a journal stanzas are kept in memory only: a restart of this node \
                    answers them with an error, and a crash loses them";
        section.problem("keep", Message::with_help(text, "set journal.path, or set it to 1h or less"));
    } else if keep <= rules.message {
        section.warning("keep", "has no effect: it is not longer than \"message\"");
    }
}

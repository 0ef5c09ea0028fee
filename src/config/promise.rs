//! The section `[promise]`: how much waits for a remote server, how long, and when the node tries to connect again.

use std::time::Duration;

use super::{section::Section, value};
use actors::settings::Promise;

/// Reads the section.
pub(super) fn promise(section: Section<'_>) -> Promise {
    let time = |key, default| {
        section.read(key, value::some_duration).unwrap_or_else(|| Duration::from_secs(default))
    };
    let (backoff_first, backoff_longest) = backoff(&section);
    let promise = Promise {
        max_stanzas: section.count("max_stanzas", 1).unwrap_or(50_000),
        max_bytes: section.read("max_bytes", value::size).unwrap_or(16 << 20),
        total_bytes: section.read("total_bytes", value::size).unwrap_or(256 << 20),
        message: time("message", 5 * 60),
        presence: time("presence", 60),
        iq: time("iq", 45),
        backoff_first,
        backoff_longest,
    };
    if promise.max_bytes > promise.total_bytes {
        let key = if section.has("max_bytes") { "max_bytes" } else { "total_bytes" };
        section.problem(key, "max_bytes is larger than total_bytes: raise total_bytes, or lower max_bytes");
    }
    section.finish();
    promise
}

fn backoff(section: &Section<'_>) -> (Duration, Duration) {
    let default = (Duration::from_secs(1), Duration::from_secs(5 * 60));
    match section.list("backoff", value::some_duration).as_deref() {
        Some(&[first, longest]) if first <= longest => (first, longest),
        Some([_, _]) => {
            section.problem(
                "backoff",
                "the first pause is longer than the longest: the shorter one is first, for example [\"1s\", \"5m\"]",
            );
            default
        }
        Some(_) if section.has_problem("backoff") => default,
        Some(_) => {
            section.problem(
                "backoff",
                "expected two durations, the first and the longest pause, for example [\"1s\", \"5m\"]",
            );
            default
        }
        None => default,
    }
}

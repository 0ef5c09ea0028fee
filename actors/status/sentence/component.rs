//! The sentence about a component: whether it is connected, and the stanzas that wait for it.

use super::{count, waits_with_journal};
use crate::report::{ComponentReport, Seconds, Time};

/// Describes the state of a component: `echo.example.org: component not connected for 3 min; its last
/// connection ended: …`.
pub fn component(component: &ComponentReport, now: Time) -> String {
    let ComponentReport {
        name,
        names,
        connected,
        node,
        since,
        last_end,
        refused,
        waiting,
        kept,
        on_disk,
        first_answered,
        rejected,
        ..
    } = component;
    let time = Seconds(since.before(now));
    let mut parts = vec![match (connected, node) {
        (true, None) => format!("component connected for {time}"),
        (true, Some(node)) => format!("component connected to node {node} for {time}"),
        (false, _) => format!("component not connected for {time}"),
    }];
    if names.len() > 1 || names.iter().any(|served| served.starts_with("*.")) {
        parts.push(format!("serves {}", listed(names)));
    }
    if waiting.stanzas > 0 {
        let first = first_answered.map(|time| format!(", the first is answered with an error in {time}"));
        let waits = waits_with_journal(*waiting, *kept, on_disk.stanzas);
        parts.push(format!("{waits}{}", first.unwrap_or_default()));
    }
    match last_end {
        Some(ending) => parts.push(format!("its last connection ended: {}", ending.reason)),
        None if !connected => parts.push("it has not connected since the start of the node".to_owned()),
        None => {}
    }
    if rejected.count > 0 {
        let attempts =
            count(usize::try_from(rejected.count).unwrap_or(usize::MAX), "connection", "connections");
        let from = rejected
            .address
            .as_ref()
            .map_or_else(String::new, |address| format!(", the last from {address}"));
        parts.push(format!("{attempts} with a wrong secret since the node started{from}"));
    }
    if refused.stanzas > 0 {
        parts
            .push(format!("{} stanzas answered with an error because it was not connected", refused.stanzas));
    }
    format!("{name}: {}", parts.join("; "))
}

/// The names of a component: all of them, or the first ones and the number of the others.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// More names do not fit on a line.
const MOST_NAMES: usize = 6;

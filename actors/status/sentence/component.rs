//! The sentence about a component: whether it is connected, the stanzas that wait for it, and what was refused.

use super::{count, waits_with_journal};
use crate::{
    address::Host,
    report::{ComponentReport, ComponentState, Rejections, Seconds, SinceEvent, Time, UnansweredPing},
};

/// Describes the state of a component: `echo.example.org: component not connected for 3 min; its last
/// connection ended 3 min ago: …`.
pub fn component(component: &ComponentReport, now: Time) -> String {
    let ComponentReport { name, names, waiting, kept, on_disk, first_answered, refused, denied, .. } =
        component;
    let mut parts = vec![state(component, now)];
    parts.extend(component.ping_unanswered.as_ref().map(|ping| unanswered(ping, now)));
    if names.len() > 1 || names.iter().any(|served| served.starts_with("*.")) {
        parts.push(format!("serves {}", listed(names)));
    }
    if waiting.stanzas > 0 {
        let first = first_answered.map(|time| format!(", the first is answered with an error in {time}"));
        let waits = waits_with_journal(*waiting, *kept, on_disk.stanzas);
        parts.push(format!("{waits}{}", first.unwrap_or_default()));
    }
    if let Some(ending) = &component.last_end {
        parts.push(format!("its last connection ended {}: {}", ago(ending.at, now), ending.reason));
    }
    if component.rejected.count > 0 {
        let told = connections(&component.rejected, "with a wrong secret", now);
        parts.push(told);
    }
    if component.conflicts.count > 0 {
        let told = "refused because another one serves the name (conflict = \"refuse\")";
        parts.push(connections(&component.conflicts, told, now));
    }
    if denied.count() > 0 {
        let denials = format!("{} denied by allow and deny", stanzas(denied.count()));
        let last = denied.last.as_ref().map_or_else(String::new, |last| {
            let (ago, from) = (ago(last.at, now), last_from(Some(&last.address)));
            format!(", the last {ago}{from}: from {} to {}", last.from, last.to)
        });
        parts.push(format!("{denials}{last}"));
    }
    if refused.stanzas > 0 {
        let refused = stanzas(refused.stanzas);
        parts.push(format!("{refused} answered with an error because it was not connected"));
    }
    format!("{name}: {}", parts.join("; "))
}

/// Whether it is connected, and since when.
fn state(component: &ComponentReport, now: Time) -> String {
    let time = Seconds(component.since.before(now));
    if let Some(node) = component.node.as_ref().filter(|_| component.connected) {
        return format!("component connected to node {node} for {time}");
    }
    match (component.state, component.since_event) {
        (ComponentState::NeverConnected, SinceEvent::AddedByReload) => {
            format!("component never connected, a reload added it {time} ago")
        }
        (ComponentState::NeverConnected, _) => {
            format!("component never connected, the node started {time} ago")
        }
        (ComponentState::NotConnected, _) => format!("component not connected for {time}"),
        (ComponentState::WaitsForCluster, _) => {
            let at = component.node.as_ref().map_or_else(String::new, |node| format!(" at node {node}"));
            format!(
                "component waits{at} for {time} for the cluster, which is asked whether it is connected to another node"
            )
        }
        (ComponentState::Connected | ComponentState::PingUnanswered, _) => {
            format!("component connected for {time}")
        }
    }
}

/// A ping that is not answered, and what follows.
fn unanswered(ping: &UnansweredPing, now: Time) -> String {
    let follows = match ping.closes {
        true => "its connection is closed if it stays silent",
        false => "it has not answered any on this connection, so the connection stays open",
    };
    format!("a ping is unanswered for {}: {follows}", Seconds(ping.since.before(now)))
}

/// `2 connections with a wrong secret, the last 3 min ago from 192.0.2.7`
fn connections(refused: &Rejections, what: &str, now: Time) -> String {
    let number = usize::try_from(refused.count).unwrap_or(usize::MAX);
    let number = count(number, "connection", "connections");
    let last = refused.last.map_or_else(String::new, |at| format!(", the last {}", ago(at, now)));
    format!("{number} {what}{last}{}", last_from(refused.address.as_ref()))
}

fn last_from(address: Option<&Host>) -> String {
    address.map_or_else(String::new, |address| format!(" from {address}"))
}

fn stanzas(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "stanza", "stanzas")
}

fn ago(time: Time, now: Time) -> String {
    format!("{} ago", Seconds(time.before(now)))
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

//! The table of components.

use status::{
    amount::Amount,
    report::{ComponentReport, Denials, Ending, LinkReport, Rejections, SinceEvent, Time},
};

use super::{insert_node, node, none, since, stanzas_and_bytes};
use crate::{
    control::page::{Cut, Page},
    text::{
        size::Size,
        table::{Cell, Column, Table},
    },
};

/// Adds a table of components. `is_of_cluster`: of all nodes of a cluster.
pub(crate) fn components(page: &mut Page, components: &[ComponentReport], is_of_cluster: bool, cut: Cut) {
    if components.is_empty() {
        return page.line("no component is configured: add a [[component]] section to the configuration");
    }
    let mut columns = vec![
        Column::new("component").middle(24),
        Column::new("state").rank(1),
        Column::new("since").rank(5),
        Column::new("address").rank(7),
        Column::new("received").rank(3),
        Column::new("sent").rank(3),
        Column::new("waiting").rank(2),
        Column::new("refused").rank(4),
        Column::new("wrong secret").rank(6).kept(),
        Column::new("conflict").rank(6).kept(),
        Column::new("denied").rank(6).kept(),
        Column::new("last end").rank(8).words(TEXT),
    ];
    insert_node(&mut columns, is_of_cluster, Column::new("node").rank(1));
    let mut table = Table::new(columns);
    for component in components {
        let link = component.link.as_ref();
        let ping = component.ping_unanswered.as_ref();
        let mut row = vec![
            component.name.as_str().into(),
            Cell::with_short(component.state.in_words(ping, page.now()), component.state.in_short()),
            since_event(page, component),
            link.map_or_else(none, address),
            link.map_or_else(none, |link| stanzas_and_bytes(link.received)),
            link.map_or_else(none, |link| stanzas_and_bytes(link.sent)),
            waiting(component),
            component.refused.stanzas.to_string().into(),
            connections(page, &component.rejected),
            connections(page, &component.conflicts),
            denied(page, &component.denied),
            component.last_end.as_ref().map_or_else(none, |ending| last_end(page, ending)),
        ];
        insert_node(&mut row, is_of_cluster, node(component.node.as_deref()));
        table.row(row);
    }
    page.table(table, cut);
}

/// The time of the last change of the state, or of what made the node wait for the component.
fn since_event(page: &Page, component: &ComponentReport) -> Cell {
    match component.since_event {
        SinceEvent::Asked | SinceEvent::Connected | SinceEvent::Disconnected => since(page, component.since),
        event => {
            let (time, age) = (page.time_with_age(component.since), page.age(component.since));
            Cell::with_short(format!("{}{time}", event.in_words()), format!("{}{age} ago", event.in_words()))
        }
    }
}

/// The address of a component, and its encryption if it has one.
fn address(link: &LinkReport) -> Cell {
    match (&link.address, &link.tls) {
        (Some(address), Some(tls)) => {
            Cell::with_short(format!("{address}, {}", tls.protocol), address.to_string())
        }
        (address, _) => address.as_ref().map_or_else(none, |address| address.to_string().into()),
    }
}

/// What waits for a component, in its queue and on its connection: `12/3.4 KiB (7 on the disk)`.
fn waiting(component: &ComponentReport) -> Cell {
    let on_link = component.link.as_ref().map_or_else(Amount::default, |link| link.waiting);
    let waiting = component.waiting.plus(on_link);
    match component.on_disk.stanzas {
        0 => stanzas_and_bytes(waiting),
        on_disk => Cell::with_short(
            format!("{}/{} ({on_disk} on the disk)", waiting.stanzas, Size(waiting.bytes)),
            waiting.stanzas.to_string(),
        ),
    }
}

/// Refused connections: `2x, last 3 min ago from 192.0.2.7`.
fn connections(page: &Page, refused: &Rejections) -> Cell {
    if refused.count == 0 {
        return none();
    }
    let last = refused.last.map_or_else(String::new, |at| ago(page, at));
    let from = refused.address.as_ref().map_or_else(String::new, |address| format!(" from {address}"));
    counted(refused.count, &format!("{last}{from}"))
}

/// Denied stanzas: `5x, last 3 min ago from spam@evil.example to bot@example.org at 192.0.2.7`.
fn denied(page: &Page, denied: &Denials) -> Cell {
    match &denied.last {
        Some(last) => {
            let particulars = format!("{} from {} to {}", ago(page, last.at), last.from, last.to);
            counted(denied.count(), &format!("{particulars} at {}", last.address))
        }
        None => none(),
    }
}

fn counted(count: u64, last: &str) -> Cell {
    Cell::with_short(format!("{count}x, last {last}"), format!("{count}x"))
}

/// `3 min ago: the connection was reset by the component`
fn last_end(page: &Page, ending: &Ending) -> Cell {
    format!("{}: {}", ago(page, ending.at), ending.reason).into()
}

fn ago(page: &Page, time: Time) -> String {
    format!("{} ago", page.age(time))
}

/// The least width of a reason beside the other columns.
const TEXT: usize = 44;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use status::report::{ComponentState, DeniedStanza, EndCause, UnansweredPing};

    use super::*;

    /// A component that is away, and at which everything was refused that can be.
    pub(in crate::control::tables) fn refused(now: Time) -> ComponentReport {
        let amount = Amount { stanzas: 123_456, bytes: 98_765_432 };
        let reason = "the component closed the stream without an error".to_owned();
        let address = "192.0.2.7".parse().ok();
        ComponentReport {
            name: "biboumi.chat.example.org".to_owned(),
            connected: false,
            node: None,
            state: ComponentState::NotConnected,
            since: now,
            since_event: SinceEvent::Disconnected,
            ping_unanswered: None,
            last_end: Some(Ending { at: now, cause: EndCause::Closed, reason }),
            names: vec!["biboumi.chat.example.org".to_owned()],
            refused: amount,
            waiting: amount,
            kept: 0,
            on_disk: Amount { stanzas: 7, bytes: 700 },
            first_answered: None,
            rejected: Rejections { count: 3, last: Some(now), address: address.clone() },
            conflicts: Rejections { count: 2, last: Some(now), address: address.clone() },
            denied: Denials {
                from_remote: 4,
                from_component: 1,
                last: address.map(|address| DeniedStanza {
                    at: now,
                    from: "spam@evil.example".to_owned(),
                    to: "me@biboumi.chat.example.org".to_owned(),
                    address,
                }),
            },
            link: None,
        }
    }

    fn shown(component: ComponentReport, now: Time) -> String {
        let mut page = Page::new(now, None);
        components(&mut page, &[component], false, Cut::LeftOut);
        page.finish()
    }

    #[test]
    fn each_refusal_and_the_last_end_have_their_time() {
        let now = Time::now();
        let later = Time(now.0 + Duration::from_secs(200));
        let told = shown(refused(now), later);
        for part in [
            "  3x, last 3 min ago from 192.0.2.7  2x, last 3 min ago from 192.0.2.7  ",
            "  5x, last 3 min ago from spam@evil.example to me@biboumi.chat.example.org at 192.0.2.7  ",
            "  3 min ago: the component closed the stream without an error",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn a_component_that_never_came_says_since_when_it_is_awaited() {
        let now = Time::now();
        let never = |since_event| ComponentReport {
            state: ComponentState::NeverConnected,
            since_event,
            last_end: None,
            ..refused(now)
        };
        let told = shown(never(SinceEvent::NodeStarted), now);
        assert!(told.contains("  never connected  start of the node, "), "{told}");
        let told = shown(never(SinceEvent::AddedByReload), now);
        assert!(told.contains("  added by a reload, "), "{told}");
    }

    #[test]
    fn a_component_that_does_not_answer_a_ping_is_connected_and_shows_since_when() {
        let now = Time::now();
        let ping = UnansweredPing { since: now, closes: true };
        let hanging = ComponentReport {
            connected: true,
            node: None,
            state: ComponentState::PingUnanswered,
            ping_unanswered: Some(ping),
            ..refused(now)
        };
        let told = shown(hanging, Time(now.0 + Duration::from_secs(40)));
        assert!(told.contains("  connected, ping unanswered for 40 s  "), "{told}");
    }
}

//! The answer to `nuncio nodes`: the connection to the broker, and a table of the nodes.

use status::report::{BrokerReport, ClusterReport, MemberState};

use super::{
    page::{Cut, Page},
    tables::none,
};
use crate::text::{
    size::Size,
    table::{Cell, Column, Table},
};

/// Adds the state of the cluster.
pub(super) fn show(page: &mut Page, cluster: &ClusterReport) {
    page.line(&format!("cluster {}, seen by {}", cluster.cluster, cluster.node));
    page.line(&broker(page, &cluster.broker));
    match (cluster.has_lease, &cluster.refusal) {
        (false, None) if cluster.waits_for.is_some() => {
            let other = cluster.waits_for.as_deref().unwrap_or_default();
            page.line(&format!(
                "this node has no lease and opens no link: its record is that of {other}; it waits until that one has ended"
            ));
        }
        (false, None) => {
            page.line("this node has no lease: it opens no link before the broker has answered it");
        }
        (false, Some(reason)) => page.line(&format!(
            "this node has no lease and opens no link: the broker refuses its record: {reason}; `nuncio check` says what to \
             correct"
        )),
        (true, Some(reason)) => page.line(&format!("the broker refuses the record of this node: {reason}")),
        (true, None) => {}
    }
    let mut table = Table::new([
        Column::new("node").middle(NAME),
        Column::new("state").rank(1),
        Column::new("last seen").rank(2),
        Column::new("links").rank(3),
        Column::new("components").rank(4),
        Column::new("relays").rank(5),
        Column::new("unsettled").rank(6),
        Column::new("round trip").rank(7),
        Column::new("resent").rank(8),
    ]);
    for node in &cluster.nodes {
        let is_other = node.state != MemberState::Own;
        let of_other = |text: String| if is_other { text.into() } else { none() };
        table.row([
            node.name.as_str().into(),
            state(node.state).into(),
            node.last_seen.map_or_else(none, |age| Cell::with_short(format!("{age} ago"), age.to_string())),
            node.claims.map_or_else(none, |count| count.to_string().into()),
            node.components.map_or_else(none, |count| count.to_string().into()),
            of_other(node.relays.to_string()),
            of_other(Size(node.unsettled_bytes).to_string()),
            node.round_trip.map_or_else(none, |time| time.to_string().into()),
            of_other(node.resent.to_string()),
        ]);
    }
    page.table(table, Cut::LeftOut);
    for node in &cluster.nodes {
        if let Some(trouble) = &node.trouble {
            page.line(&format!("{}: {trouble}", node.name));
        }
    }
}

fn broker(page: &Page, broker: &BrokerReport) -> String {
    let since = page.time_with_age(broker.since);
    match (broker.connected, &broker.last_error) {
        (true, None) => format!("broker connected since {since}"),
        (true, Some(error)) => format!("broker connected since {since}; before: {error}"),
        (false, Some(error)) => format!("broker not connected since {since}: {error}"),
        (false, None) => format!("broker not connected since {since}"),
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Own => "this node",
        MemberState::Alive => "alive",
        MemberState::Dead => "dead",
        MemberState::Left => "left",
        MemberState::Unknown => "unknown",
    }
}

/// Characters that a name keeps in a narrow terminal.
const NAME: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use status::report::{MemberReport, Seconds, Time};

    use super::*;

    fn member(name: &str, state: MemberState) -> MemberReport {
        MemberReport::new(name.to_owned(), state)
    }

    fn shown(cluster: &ClusterReport, width: Option<usize>) -> String {
        let mut page = Page::new(Time(SystemTime::UNIX_EPOCH + Duration::from_secs(100)), width);
        show(&mut page, cluster);
        page.finish()
    }

    fn cluster() -> ClusterReport {
        let seconds = |seconds| Some(Seconds(Duration::from_secs(seconds)));
        let trouble = "s2s.dialback_secret differs from that of this node: set the same value on all nodes";
        ClusterReport {
            cluster: "eu".to_owned(),
            node: "node-1".to_owned(),
            broker: BrokerReport { connected: true, since: Time(SystemTime::UNIX_EPOCH), last_error: None },
            has_lease: true,
            refusal: None,
            waits_for: None,
            nodes: vec![
                MemberReport {
                    claims: Some(1200),
                    components: Some(2),
                    ..member("node-1", MemberState::Own)
                },
                MemberReport {
                    last_seen: seconds(2),
                    claims: Some(31),
                    components: Some(0),
                    relays: 7,
                    unsettled_bytes: 3482,
                    ..member("node-2", MemberState::Alive)
                },
                MemberReport {
                    last_seen: seconds(90),
                    trouble: Some(trouble.to_owned()),
                    ..member("node-3", MemberState::Dead)
                },
                MemberReport { last_seen: seconds(5), ..member("node-4", MemberState::Left) },
            ],
        }
    }

    #[test]
    fn each_node_has_a_row_and_its_trouble_a_line() {
        let text = shown(&cluster(), None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cluster eu, seen by node-1");
        assert!(lines[1].starts_with("broker connected since "), "{text}");
        assert!(lines[3].starts_with("node-1  this node  -          1200   2           -"), "{text}");
        assert!(
            lines[4].starts_with("node-2  alive      2 s ago    31     0           7       3.4 KiB"),
            "{text}"
        );
        assert!(lines[5].starts_with("node-3  dead       90 s ago"), "{text}");
        assert!(lines[6].starts_with("node-4  left       5 s ago"), "{text}");
        assert!(lines[7].starts_with("node-3: s2s.dialback_secret differs"), "{text}");
    }

    #[test]
    fn a_record_that_the_broker_refuses_is_the_reason_for_the_missing_lease() {
        let mut cluster = cluster();
        (cluster.has_lease, cluster.refusal) =
            (false, Some("message size exceeds maximum allowed".to_owned()));
        let text = shown(&cluster, None);
        assert!(text.contains("refuses its record: message size exceeds maximum allowed"), "{text}");
        assert!(!text.contains("has answered it"), "{text}");
    }

    #[test]
    fn another_process_with_the_name_of_the_node_is_the_reason_for_the_missing_lease() {
        let mut cluster = cluster();
        cluster.has_lease = false;
        cluster.waits_for = Some("process 7 on host h".to_owned());
        let text = shown(&cluster, None);
        assert!(
            text.contains("opens no link: its record is that of process 7 on host h; it waits"),
            "{text}"
        );
        assert!(!text.contains("has answered it"), "{text}");
    }

    #[test]
    fn without_a_broker_the_reason_is_shown() {
        let mut cluster = cluster();
        cluster.broker.connected = false;
        cluster.broker.last_error = Some("connection refused".to_owned());
        cluster.has_lease = false;
        let text = shown(&cluster, Some(80));
        assert!(text.contains("broker not connected since"), "{text}");
        assert!(text.contains("connection refused"), "{text}");
        assert!(text.contains("this node has no lease"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

//! The figures of a node in a cluster. A node alone has none of them. The labels are names of nodes, of which there are
//! [`MOST_NODES`](crate::relaying::cluster::MOST_NODES) at most, and fixed words.

use ::cluster::arbiter::{Disagreement, MemberReport, Report};

use super::{
    exposition::{Exposition, Family, Kind},
    gather::ClusterFigures,
};
use crate::{
    flow::account::Totals,
    relaying::{cluster::Shown, ferry::FerryReport},
};

/// Writes the figures of the cluster.
pub(super) fn cluster(out: &mut Exposition, figures: &ClusterFigures, account: &Totals) {
    let ClusterFigures { shown, ferries } = figures;
    membership(out, shown);
    out.family("nuncio_claims", Kind::Gauge, "Pairs of domains whose link this node makes.")
        .figure(&[], shown.report.claims);
    out.family("nuncio_seats", Kind::Gauge, "Components whose seat this node has.")
        .figure(&[], shown.report.seats);
    let family = |out: &mut Exposition, name, kind, help, each: fn(&FerryReport, &mut Family<'_>)| {
        let mut family = out.family(name, kind, help);
        ferries.iter().for_each(|ferry| each(ferry, &mut family));
    };
    family(
        out,
        "nuncio_relays",
        Kind::Gauge,
        "Pairs of domains and components for which stanzas go through this other node.",
        |of, family| {
            family.figure(&[of.label()], of.relays);
        },
    );
    family(
        out,
        "nuncio_ferry_unsettled_bytes",
        Kind::Gauge,
        "Bytes of stanzas that were given to another node, which has not settled them.",
        |of, family| {
            family.figure(&[of.label()], of.unsettled);
        },
    );
    family(
        out,
        "nuncio_ferry_oldest_unsettled_seconds",
        Kind::Gauge,
        "Time since the oldest of these stanzas was given to the other node; 0: there are none.",
        |of, family| {
            family.figure(&[of.label()], of.oldest.unwrap_or_default().as_secs_f64());
        },
    );
    family(
        out,
        "nuncio_ferry_round_trip_seconds",
        Kind::Gauge,
        "Time from a frame to the answer of another node, smoothed; absent before the first one.",
        |of, family| {
            if let Some(time) = of.round_trip {
                family.figure(&[of.label()], time.as_secs_f64());
            }
        },
    );
    family(
        out,
        "nuncio_ferry_resent",
        Kind::Counter,
        "Parcels of stanzas that were sent to another node again.",
        |of, family| {
            family.figure(&[of.label()], of.resent);
        },
    );
    out.family("nuncio_carried", Kind::Counter, "Stanzas taken from other nodes of the cluster.")
        .figure(&[], account.carried().stanzas);
    out.family("nuncio_carried_settled", Kind::Counter, "Stanzas settled for other nodes of the cluster.")
        .figure(&[], account.carried_settled().stanzas);
}

/// The nodes, the lease and the message broker.
fn membership(out: &mut Exposition, Shown { report, .. }: &Shown) {
    let in_state = |state| report.members.iter().filter(|member| State::of(report, member) == state).count();
    let mut nodes = out.family(
        "nuncio_cluster_nodes",
        Kind::Gauge,
        "Nodes of the cluster as this node sees them, by state; alive includes this node.",
    );
    for state in State::ALL {
        let own = usize::from(state == State::Alive);
        nodes.figure(&[("state", state.as_str())], in_state(state) + own);
    }
    out.family(
        "nuncio_cluster_lease_seconds",
        Kind::Gauge,
        "Rest of the lease of this node; 0: it has none, and opens no new link.",
    )
    .figure(&[], report.lease.unwrap_or_default().as_secs_f64());
    out.family("nuncio_cluster_broker_up", Kind::Gauge, "1 while the message broker is connected.")
        .figure(&[], u64::from(report.up));
    let mut disagreements = out.family(
        "nuncio_cluster_disagreements",
        Kind::Gauge,
        "Nodes that do not fit together with this one, by what differs.",
    );
    for about in Disagreement::NAMES {
        let number = report.disagreements.iter().filter(|(_, of)| of.as_str() == about).count();
        disagreements.figure(&[("about", about)], number);
    }
}

/// The state of another node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Dead,
    Left,
    /// The broker is not connected.
    Unknown,
}

impl State {
    const ALL: [Self; 4] = [Self::Alive, Self::Dead, Self::Left, Self::Unknown];

    fn of(report: &Report, member: &MemberReport) -> Self {
        match member {
            MemberReport { alive: false, has_left: true, .. } => Self::Left,
            _ if !report.up => Self::Unknown,
            MemberReport { alive: true, .. } => Self::Alive,
            MemberReport { .. } => Self::Dead,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Left => "left",
            Self::Unknown => "unknown",
        }
    }
}

impl FerryReport {
    fn label(&self) -> (&'static str, &str) {
        ("node", self.node.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::cluster::{Incarnation, NodeName, ferry::codec::Versions};
    use status::report::{BrokerReport, Time};

    use super::*;
    use crate::node::exporter::exposition::Format;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn member(node: &str, alive: bool, has_left: bool) -> MemberReport {
        MemberReport {
            node: name(node),
            incarnation: Incarnation(1),
            alive,
            has_left,
            beat: 1,
            versions: Versions::OWN,
            last_seen: Duration::ZERO,
            refills: false,
            load: None,
        }
    }

    fn figures(up: bool) -> ClusterFigures {
        let report = Report {
            incarnation: Incarnation(1),
            up,
            lease: up.then_some(Duration::from_millis(8500)),
            refusal: None,
            namesake: None,
            refills: false,
            claims: 7,
            seats: 2,
            members: vec![member("b", true, false), member("c", false, false), member("d", false, true)],
            disagreements: vec![(name("b"), Disagreement::Secret)],
        };
        let broker = BrokerReport { connected: up, since: Time::now(), last_error: None };
        let shown = Shown { cluster: "eu".to_owned(), node: name("a"), broker, report };
        let ferry = FerryReport {
            node: name("b"),
            round_trip: Some(Duration::from_millis(2)),
            unsettled: 512,
            oldest: Some(Duration::from_secs(3)),
            resent: 4,
            relays: 5,
        };
        let silent = FerryReport {
            node: name("c"),
            round_trip: None,
            unsettled: 0,
            oldest: None,
            resent: 0,
            relays: 0,
        };
        ClusterFigures { shown, ferries: vec![ferry, silent] }
    }

    fn written(up: bool) -> String {
        let mut out = Exposition::new(Format::Text);
        cluster(&mut out, &figures(up), &Totals::of_all());
        out.end()
    }

    #[track_caller]
    fn has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|other| other == *line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn nodes_links_and_what_is_on_its_way_have_figures() {
        let text = written(true);
        has(
            &text,
            &[
                "nuncio_cluster_nodes{state=\"alive\"} 2",
                "nuncio_cluster_nodes{state=\"dead\"} 1",
                "nuncio_cluster_nodes{state=\"left\"} 1",
                "nuncio_cluster_nodes{state=\"unknown\"} 0",
                "nuncio_cluster_lease_seconds 8.5",
                "nuncio_cluster_broker_up 1",
                "nuncio_cluster_disagreements{about=\"names\"} 0",
                "nuncio_cluster_disagreements{about=\"secret\"} 1",
                "nuncio_claims 7",
                "nuncio_seats 2",
                "nuncio_relays{node=\"b\"} 5",
                "nuncio_ferry_unsettled_bytes{node=\"b\"} 512",
                "nuncio_ferry_oldest_unsettled_seconds{node=\"b\"} 3",
                "nuncio_ferry_oldest_unsettled_seconds{node=\"c\"} 0",
                "nuncio_ferry_round_trip_seconds{node=\"b\"} 0.002",
                "nuncio_ferry_resent_total{node=\"b\"} 4",
                "nuncio_carried_total 0",
                "nuncio_carried_settled_total 0",
            ],
        );
        assert!(!text.contains("round_trip_seconds{node=\"c\"}"), "{text}");
    }

    #[test]
    fn without_the_broker_nobody_knows_whether_other_nodes_are_alive() {
        has(
            &written(false),
            &[
                "nuncio_cluster_nodes{state=\"alive\"} 1",
                "nuncio_cluster_nodes{state=\"dead\"} 0",
                "nuncio_cluster_nodes{state=\"left\"} 1",
                "nuncio_cluster_nodes{state=\"unknown\"} 2",
                "nuncio_cluster_lease_seconds 0",
                "nuncio_cluster_broker_up 0",
            ],
        );
    }
}

//! Answers the command about the nodes of the cluster.

use ::cluster::name::NodeName;
use tokio::sync::{mpsc, oneshot};

use super::{commands::Sources, round::Round};
use crate::relaying::{
    cluster::{Show, Shown},
    ferry::FerryReport,
};
use status::{
    answer::{Nodes, Refusal},
    report::{ClusterReport, MemberReport, MemberState, Seconds, bounded},
};

impl Sources {
    /// The nodes, and what is on the way to them.
    pub(super) async fn nodes(&self) -> Result<String, Refusal> {
        let Some(cluster) = &self.cluster else {
            let text = "this node is alone: set cluster.name in the configuration of each node of a cluster";
            return Err(Refusal::new(text));
        };
        let mut round = Round::begin(self.patience.of_actors);
        let (report, shown) = oneshot::channel();
        let (ferries, mut came) = mpsc::channel(FERRIES);
        let _ = cluster.signal_quietly(Show { report, ferries });
        let shown = round.wait("cluster", shown).await.ok_or_else(|| round.refusal("cluster"))?;
        let mut reports = Vec::new();
        while let Some(report) = round.next("ferry", &mut came).await {
            reports.push(report);
        }
        Ok(self.document(round, Nodes { cluster: report_of(shown, &reports) }))
    }
}

fn report_of(shown: Shown, ferries: &[FerryReport]) -> ClusterReport {
    let Shown { cluster, node, broker, report } = shown;
    let ferry_to = |node: &NodeName| ferries.iter().find(|ferry| ferry.node == *node);
    let trouble_of = |name: &str| {
        let of = report.disagreements.iter().filter(|(node, _)| node.as_str() == name);
        let troubles: Vec<String> = of.map(|(_, about)| about.to_string()).collect();
        (!troubles.is_empty()).then(|| troubles.join("; and "))
    };
    let own = MemberReport {
        claims: Some(report.claims as u64),
        components: Some(report.seats as u64),
        trouble: trouble_of(node.as_str()),
        ..MemberReport::new(node.to_string(), MemberState::Own)
    };
    let others = report.members.iter().map(|member| {
        let state = match (report.up, member.alive) {
            (_, false) if member.has_left => MemberState::Left,
            (false, _) => MemberState::Unknown,
            (true, true) => MemberState::Alive,
            (true, false) => MemberState::Dead,
        };
        let ferry = ferry_to(&member.node);
        let load = member.load.filter(|_| matches!(state, MemberState::Alive | MemberState::Unknown));
        MemberReport {
            claims: load.map(|load| load.links),
            components: load.map(|load| load.components),
            last_seen: Some(Seconds(member.last_seen)),
            round_trip: ferry.and_then(|ferry| ferry.round_trip).map(Seconds),
            relays: ferry.map_or(0, |ferry| ferry.relays as u64),
            unsettled_bytes: ferry.map_or(0, |ferry| ferry.unsettled as u64),
            resent: ferry.map_or(0, |ferry| ferry.resent),
            trouble: trouble_of(member.node.as_str()),
            ..MemberReport::new(member.node.to_string(), state)
        }
    });
    let mut nodes: Vec<MemberReport> = std::iter::once(own).chain(others).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    ClusterReport {
        cluster,
        node: node.to_string(),
        broker,
        has_lease: report.lease.is_some(),
        refusal: report.refusal.map(bounded),
        waits_for: report.namesake.map(|namesake| bounded(namesake.to_string())),
        nodes,
    }
}

/// One report of each ferry fits.
const FERRIES: usize = crate::relaying::cluster::MOST_NODES;

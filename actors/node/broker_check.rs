//! Looks at the message broker of a cluster as the node will use it, for `nuncio check`. Nothing is changed there.

use ::cluster::{
    engine::examination::{Fault, Member},
    name::NodeName,
    names::Difference,
    record::Process,
};

use super::cluster::{ClusterError, examine, has_ended, names, number_here, secret};
use crate::{
    relaying::ferry::AROUND_A_STANZA,
    settings::{Cluster, HostPort, Settings},
};

/// What was found at one server of the broker.
#[derive(Debug)]
pub struct Examined {
    /// The server.
    pub server: HostPort,
    /// What keeps the node from being a member of its cluster through this server.
    pub faults: Vec<Fault>,
    /// The longest message that the server accepts, if stanzas may be longer.
    pub short_payload: Option<ShortPayload>,
    /// The nodes that run.
    pub running: Vec<Running>,
}

/// A server refuses messages that a node may have to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortPayload {
    /// Bytes that the server accepts.
    pub limit: usize,
    /// Bytes that it has to accept.
    pub needed: usize,
}

/// A node of the cluster that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: NodeName,
    /// It has another secret for dialback.
    pub has_other_secret: bool,
    /// It serves other domains or components: which.
    pub other_names: Option<Difference>,
    /// Its process.
    pub process: Option<Process>,
    /// The number of its process, if it runs on this machine and in this name space of processes.
    pub process_here: Option<u32>,
}

/// Looks at all servers, beside each other. Empty if the node is alone.
///
/// # Errors
///
/// This program has no client of the broker, or an address cannot work.
pub async fn check(settings: &Settings) -> Result<Vec<Examined>, ClusterError> {
    let Some(cluster) = &settings.cluster else { return Ok(Vec::new()) };
    let examined = examine(cluster).await?;
    let examined = cluster.servers.iter().zip(examined).map(|(server, found)| {
        let needed = longest_stanza(settings) + AROUND_A_STANZA;
        let limit = found.max_payload.filter(|limit| *limit < needed);
        Examined {
            server: server.clone(),
            faults: found.faults,
            short_payload: limit.map(|limit| ShortPayload { limit, needed }),
            running: running(settings, cluster, &found.members),
        }
    });
    Ok(examined.collect())
}

/// The nodes that have written their record within the lease, but for those whose process has certainly ended.
fn running(settings: &Settings, cluster: &Cluster, members: &[Member]) -> Vec<Running> {
    let (secret, names) = (secret(settings), names(settings));
    let has_ended = |member: &&Member| member.record.process.as_ref().is_some_and(has_ended);
    let alive = members.iter().filter(|member| member.age < cluster.lease && !has_ended(member));
    let alive = alive.map(|Member { name, record, .. }| Running {
        name: name.clone(),
        has_other_secret: record.secret != secret,
        other_names: names.difference(&record.names),
        process: record.process.clone(),
        process_here: record.process.as_ref().and_then(number_here),
    });
    alive.collect()
}

/// The longest stanza that the node takes, in bytes.
fn longest_stanza(settings: &Settings) -> usize {
    let of_remotes = settings.overrides.iter().map(|(_, remote)| remote.policy.max_stanza);
    let of_components = settings.components.iter().filter_map(|component| component.max_stanza);
    of_remotes.chain(of_components).fold(settings.remote.policy.max_stanza, usize::max)
}

//! The settings of a node that serves its domains together with other nodes.

use std::{fmt, time::Duration};

use ::cluster::name::NodeName;

use super::HostPort;

/// The cluster of the node, and the broker that connects its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The name of the cluster, under the rules of [`NodeName`]. Several clusters may use one broker.
    pub name: String,
    /// The name of this node.
    pub node: NodeName,
    /// The addresses of the broker's servers, in clear text.
    pub servers: Vec<HostPort>,
    /// The user at the broker; `None`: the broker needs none.
    pub login: Option<Login>,
    /// The servers that keep a copy of each claim.
    pub replicas: usize,
    /// A node from which nothing was heard for this time is dead.
    pub lease: Duration,
    /// Bytes that may be on the way to one other node.
    pub window: usize,
    /// What the node does when it has lost its lease, because no broker answers.
    pub on_engine_loss: OnEngineLoss,
}

/// A user at the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What a node does when it has lost its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEngineLoss {
    /// The links that it has go on. Another node may open a second link to the same domain.
    #[default]
    GoOn,
    /// It closes its links.
    Freeze,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

//! A node of a cluster: claims are answered by a script, and the other nodes settle what they get when the test wants it.

pub(super) mod brought;
mod claims;
mod freeze;
mod loss;
pub(super) mod other_node;
mod schedules;
mod stop;
mod too_long;

use self::{
    brought::Brought,
    other_node::{FakeCluster, Noted, OtherNode, Rule, ferry},
};
use super::{
    remotes::{Acks, Behaviour},
    *,
};
use crate::{
    fixture::Beside,
    flow::{
        account::Outcome,
        claims::{Claims, Conflict, Freeze},
    },
};

/// A node with its component, and the other nodes of its cluster.
struct Cluster {
    node: Node,
    engine: Mailbox<FakeCluster>,
    noted: mpsc::Receiver<Noted>,
    b: OtherNode,
}

impl Cluster {
    /// The other node has the links of all pairs.
    async fn relaying() -> Self {
        let cluster = Self::start().await;
        cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
        cluster
    }

    /// This node gets all claims.
    async fn granted() -> Self {
        let cluster = Self::start().await;
        cluster.rules(Rule::Granted);
        cluster
    }

    /// Nobody answers a claim.
    async fn start() -> Self {
        Self::start_with(Behaviour::default(), None).await
    }

    async fn start_with(behaviour: Behaviour, journal: Option<crate::routing::journal::Store>) -> Self {
        let (engine, noted) = FakeCluster::start();
        let claims = Some(Claims {
            claim: engine.outlet(),
            renounce: engine.outlet(),
            seat: engine.outlet(),
            unseat: engine.outlet(),
            contest: engine.outlet(),
        });
        let node =
            Node::start_beside(64 * 1024, bounds(), behaviour, Beside { journal, claims, seats: None }).await;
        engine.signal(other_node::Promised(node.promise.clone())).unwrap();
        let b = OtherNode::start(node.remotes.arrived.clone());
        Self { node, engine, noted, b }
    }

    fn rules(&self, rule: Rule) {
        self.engine.signal(rule).unwrap();
    }

    /// The claims and renunciations since the last call.
    fn noted(&mut self) -> Vec<Noted> {
        std::iter::from_fn(|| self.noted.try_recv().ok()).collect()
    }

    /// Another node has got the pair with this remote domain.
    fn conflicts(&self, remote: &str, number: u64) {
        let node = cluster::name::NodeName::new("b").unwrap();
        self.node.promise.signal(Conflict { pair: pair(remote), number, node }).unwrap();
    }

    /// This node has lost its lease, and has no links without one.
    fn freezes(&self) {
        self.node.promise.signal(Freeze).unwrap();
        self.node.router.signal(Freeze).unwrap();
    }

    async fn relayed(&self) -> u64 {
        self.node.account().await.settled(Outcome::Relayed).stanzas
    }

    async fn waiting(&self) -> u64 {
        self.node.account().await.waiting().stanzas
    }

    /// Relays that the router knows.
    async fn relays(&self) -> usize {
        let (answer, answered) = oneshot::channel();
        self.node.router.signal(router::ShowFigures { busiest: 0, answer }).unwrap();
        answered.await.unwrap().relays
    }
}

fn pair(remote: &str) -> DomainPair {
    DomainPair { local: Domain::new(OURS).unwrap(), remote: Domain::new(remote).unwrap() }
}

async fn passes(time: Duration) {
    tokio::time::sleep(time).await;
}

const MOMENT: Duration = Duration::from_millis(500);

const B: &str = "b.example";

//! Collects the figures of all actors for one scrape. A task outside of the actors waits for the answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    flow::journal::{Shown, Writer},
    observe::metrics::{Counts, Metrics, Show},
    relaying::{
        cluster::{self, Cluster, MOST_NODES},
        ferry::FerryReport,
    },
    routing::{
        mailroom::{self, Mailroom},
        promise::{self, Promise},
        router::{self, Router},
    },
};
use mailbox::{
    Mailbox,
    monitor::{self, Monitor},
};

/// The actors to ask.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// For mailboxes.
    pub monitor: Mailbox<Monitor>,
    /// For the account and the sessions.
    pub router: Mailbox<Router>,
    /// For the queues.
    pub promise: Mailbox<Promise>,
    /// For what waits for components.
    pub mailroom: Mailbox<Mailroom>,
    /// For connection attempts.
    pub metrics: Mailbox<Metrics>,
    /// For the other nodes, if the node is in a cluster.
    pub cluster: Option<Mailbox<Cluster>>,
    /// For the journal, if there is one.
    pub journal: Option<Writer>,
    /// For counters that are shown.
    pub highest: Arc<Highest>,
    /// The start of the node.
    pub started: SystemTime,
}

/// The highest values that were shown of counters made of figures that can fall: a written stanza becomes a waiting one
/// when its link is lost, and an uncertain one may be answered later. A counter that falls looks like a restart to a
/// monitoring system. Relaxed atomics: no decision depends on them.
#[derive(Debug, Default)]
pub(crate) struct Highest {
    written: AtomicU64,
    uncertain: AtomicU64,
}

impl Highest {
    fn raise(highest: &AtomicU64, now: u64) -> u64 {
        highest.fetch_max(now, Relaxed).max(now)
    }

    /// The written stanzas, which include the uncertain ones.
    pub(super) fn written(&self, now: u64) -> u64 {
        Self::raise(&self.written, now)
    }

    /// The uncertain stanzas.
    pub(super) fn uncertain(&self, now: u64) -> u64 {
        Self::raise(&self.uncertain, now)
    }
}

/// The figures of a node.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) mailboxes: Vec<monitor::KindStats>,
    pub(super) router: router::Figures,
    pub(super) promise: promise::Figures,
    pub(super) mailroom: mailroom::Figures,
    pub(super) counts: Counts,
    pub(super) cluster: Option<ClusterFigures>,
    pub(super) journal: Option<Shown>,
    pub(super) highest: Arc<Highest>,
    pub(super) started: SystemTime,
}

/// The figures of a cluster.
#[derive(Debug)]
pub(super) struct ClusterFigures {
    pub(super) shown: cluster::Shown,
    /// One for each other node that this one has seen, sorted by name.
    pub(super) ferries: Vec<FerryReport>,
}

impl Sources {
    /// Asks all actors; `None` if one does not answer in time.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let (mailboxes, shown_mailboxes) = oneshot::channel();
        let (router, shown_router) = oneshot::channel();
        let (promise, shown_promise) = oneshot::channel();
        let (mailroom, shown_mailroom) = oneshot::channel();
        let (counts, shown_counts) = oneshot::channel();
        // An actor that has ended drops its sender, so the answer ends with an error.
        let _ = self.monitor.signal_quietly(monitor::Show { answer: mailboxes });
        let _ = self.router.signal_quietly(router::ShowFigures { busiest: BUSIEST, answer: router });
        let _ = self.promise.signal_quietly(promise::ShowFigures { answer: promise });
        let _ = self.mailroom.signal_quietly(mailroom::ShowFigures { answer: mailroom });
        let _ = self.metrics.signal_quietly(Show { answer: counts });
        let shown_cluster = self.cluster.as_ref().map(ask_cluster);
        let all = async {
            let cluster = match shown_cluster {
                Some(shown) => Some(shown.await?),
                None => None,
            };
            Some(Snapshot {
                cluster,
                mailboxes: shown_mailboxes.await.ok()?,
                router: shown_router.await.ok()?,
                promise: shown_promise.await.ok()?,
                mailroom: shown_mailroom.await.ok()?,
                counts: shown_counts.await.ok()?,
                journal: self.journal.as_ref().map(|journal| journal.figures().read()),
                highest: Arc::clone(&self.highest),
                started: self.started,
            })
        };
        timeout(PATIENCE, all).await.ok()?
    }
}

/// Asks the actor of the cluster, and each ferry. `None` if the actor has ended.
fn ask_cluster(cluster: &Mailbox<Cluster>) -> impl Future<Output = Option<ClusterFigures>> + use<> {
    let (report, shown) = oneshot::channel();
    let (ferries, mut reported) = mpsc::channel(MOST_NODES);
    let _ = cluster.signal_quietly(cluster::Show { report, ferries });
    async move {
        let shown = shown.await.ok()?;
        let mut ferries = Vec::new();
        // Each ferry has a sender, and drops it with its report.
        while let Some(report) = reported.recv().await {
            ferries.push(report);
        }
        ferries.sort_by(|a: &FerryReport, b| a.node.cmp(&b.node));
        Some(ClusterFigures { shown, ferries })
    }
}

/// The time limit for all answers. Scrapers wait 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Domains with figures of their own; the figures of the others are added up, so that peers cannot make a scrape grow.
const BUSIEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_counter_never_falls() {
        let highest = Highest::default();
        assert_eq!([10, 7, 12].map(|now| highest.written(now)), [10, 10, 12]);
        assert_eq!([3, 2].map(|now| highest.uncertain(now)), [3, 3]);
    }
}

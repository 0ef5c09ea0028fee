//! Asks every actor that has figures, for one scrape. A task outside of the actors waits for the answers.

use std::time::{Duration, SystemTime};

use tokio::{sync::oneshot, time::timeout};

use crate::{
    observe::metrics::{Counts, Metrics, Show},
    routing::{
        promise::{self, Promise},
        router::{self, Router},
    },
};
use mailbox::{
    Mailbox,
    monitor::{self, Monitor},
};

/// Whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The mailboxes.
    pub pulse: Mailbox<Monitor>,
    /// The account and the sessions.
    pub router: Mailbox<Router>,
    /// What waits.
    pub promise: Mailbox<Promise>,
    /// What was counted on the way to links.
    pub metrics: Mailbox<Metrics>,
    /// When the node began.
    pub started: SystemTime,
}

/// The figures of a node at one time.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) mailboxes: Vec<monitor::Figures>,
    pub(super) router: router::Figures,
    pub(super) promise: promise::Figures,
    pub(super) counts: Counts,
    pub(super) started: SystemTime,
}

impl Sources {
    /// Asks all of them; `None` if one does not answer in time.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let (mailboxes, shown_mailboxes) = oneshot::channel();
        let (router, shown_router) = oneshot::channel();
        let (promise, shown_promise) = oneshot::channel();
        let (counts, shown_counts) = oneshot::channel();
        // An actor that is gone drops its end, and so answers nothing.
        let _ = self.pulse.signal(monitor::Show { answer: mailboxes });
        let _ = self.router.signal(router::ShowFigures { busiest: BUSIEST, answer: router });
        let _ = self.promise.signal(promise::ShowFigures { answer: promise });
        let _ = self.metrics.signal(Show { answer: counts });
        let all = async {
            Some(Snapshot {
                mailboxes: shown_mailboxes.await.ok()?,
                router: shown_router.await.ok()?,
                promise: shown_promise.await.ok()?,
                counts: shown_counts.await.ok()?,
                started: self.started,
            })
        };
        timeout(PATIENCE, all).await.ok()?
    }
}

/// Below what scrapers wait, ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Domains that stand with their names; the others are summed up, so that nobody can make the figures grow.
const BUSIEST: usize = 20;

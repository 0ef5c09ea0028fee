//! The run of this node and its lease, which the fences of what other nodes have lent look at.

use std::{sync::Arc, time::Instant};

use ::cluster::name::Incarnation;

use crate::flow::fence::Lease;

/// `None`: this node has no lease.
#[derive(Default)]
pub(super) struct OwnRun(Option<(Incarnation, Arc<Lease>)>);

/// What a beat in time means.
#[derive(Debug)]
pub(super) enum Held {
    /// The lease lasts longer.
    Extended,
    /// There is a new lease.
    Began {
        lease: Arc<Lease>,
        /// The run whose lease is over: what other nodes have lent goes back to them. They may lend again.
        ended: Option<Incarnation>,
    },
}

impl OwnRun {
    /// The broker has a beat of this run in time, so that the lease is held until `until`.
    ///
    /// A lease that was over stays over, also if the beat arrived in time and this node hung before it saw the answer: what
    /// looked at the lease meanwhile has acted on it.
    pub(super) fn held(&mut self, incarnation: Incarnation, until: Instant, now: Instant) -> Held {
        if let Some((run, lease)) = &self.0
            && *run == incarnation
            && lease.extend(now, until)
        {
            return Held::Extended;
        }
        let ended = self.lost();
        let lease = Arc::new(Lease::new(now, until));
        self.0 = Some((incarnation, Arc::clone(&lease)));
        Held::Began { lease, ended }
    }

    /// Whether this node has its lease.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.0.as_ref().is_some_and(|(_, lease)| lease.is_held(now))
    }

    /// The lease is over. Gives its run.
    pub(super) fn lost(&mut self) -> Option<Incarnation> {
        let (run, lease) = self.0.take()?;
        lease.end();
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn began(held: Held) -> (Arc<Lease>, Option<Incarnation>) {
        match held {
            Held::Began { lease, ended } => (lease, ended),
            Held::Extended => panic!("the lease lasts longer"),
        }
    }

    #[test]
    fn beats_in_time_extend_one_lease() {
        let (mut run, now) = (OwnRun::default(), clock::now());
        let (lease, ended) = began(run.held(Incarnation(1), now + 12 * SECOND, now));
        assert_eq!(ended, None);
        let held = run.held(Incarnation(1), now + 15 * SECOND, now + 3 * SECOND);
        assert!(matches!(held, Held::Extended) && lease.is_held(now + 14 * SECOND));
    }

    #[test]
    fn a_beat_that_is_seen_after_the_end_of_the_lease_begins_another_lease_of_the_same_run() {
        let (mut run, now) = (OwnRun::default(), clock::now());
        let (first, _) = began(run.held(Incarnation(1), now + 12 * SECOND, now));
        // The node hung: the answer to the beat after three seconds is seen after thirteen.
        let late = now + 13 * SECOND;
        let (second, ended) = began(run.held(Incarnation(1), now + 15 * SECOND, late));
        assert_eq!(ended, Some(Incarnation(1)));
        assert!(!first.is_held(late) && second.is_held(late));
        assert_eq!(run.lost(), Some(Incarnation(1)));
        assert!(!second.is_held(late) && run.lost().is_none());
    }

    #[test]
    fn another_run_has_another_lease() {
        let (mut run, now) = (OwnRun::default(), clock::now());
        let (first, _) = began(run.held(Incarnation(1), now + 12 * SECOND, now));
        let (_, ended) = began(run.held(Incarnation(2), now + 15 * SECOND, now + 3 * SECOND));
        assert_eq!(ended, Some(Incarnation(1)));
        assert!(!first.is_held(now));
    }
}

//! The fence around stanzas that another node has lent to this one: it takes them back when this node seems dead, and from
//! then on they must not be written here.
//!
//! What is shared is two atomics, like the slots of the journal: an actor that is about to write a stanza must not have to
//! ask another actor.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use cluster::name::NodeName;

/// The time until which no other node takes this one for dead. Once it is over, it stays over: the node begins a new
/// incarnation, with a new lease. Instants are those of [`clock::now`]; the time for which the machine is suspended, which
/// that clock does not have, passes too.
#[derive(Debug)]
pub(crate) struct Lease {
    since: Instant,
    /// The suspension by then.
    suspended: Duration,
    /// Nanoseconds after `since`.
    until: AtomicU64,
}

/// The fence around the stanzas of one session with another node. Clones are the same fence.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lease: Arc<Lease>,
    node: NodeName,
    is_over: AtomicBool,
}

/// Whether a stanza of a parcel was written, answered or given to the journal, or may be at any moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    is_touched: Arc<AtomicBool>,
}

impl Lease {
    /// A lease that ends at `until`.
    pub(crate) fn new(now: Instant, until: Instant) -> Self {
        let lease = Self { since: now, suspended: clock::suspended(), until: AtomicU64::new(0) };
        lease.until.store(lease.nanos(until), SeqCst);
        lease
    }

    /// Extends the lease. False: it was over by `now`, and stays so.
    pub(crate) fn extend(&self, now: Instant, until: Instant) -> bool {
        let (now, until) = (self.nanos(now), self.nanos(until));
        self.until.fetch_update(SeqCst, SeqCst, |before| (before > now).then_some(before.max(until))).is_ok()
    }

    /// Ends the lease now.
    pub(crate) fn end(&self) {
        self.until.store(0, SeqCst);
    }

    /// Whether it is not over.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.until.load(SeqCst) > self.nanos(now)
    }

    fn nanos(&self, time: Instant) -> u64 {
        let suspended = clock::suspended().saturating_sub(self.suspended);
        let passed = time.saturating_duration_since(self.since) + suspended;
        u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Fence {
    /// For a session with this node.
    pub(crate) fn new(lease: Arc<Lease>, node: NodeName) -> Self {
        Self { shared: Arc::new(Shared { lease, node, is_over: AtomicBool::new(false) }) }
    }

    /// The session is over: what is not settled goes back. Call it before you look at the marks of its parcels: a parcel
    /// that has no mark then gets none later.
    pub(crate) fn end(&self) {
        self.shared.is_over.store(true, SeqCst);
    }

    /// The node that has lent the stanzas.
    pub(crate) fn node(&self) -> &NodeName {
        &self.shared.node
    }

    /// Marks a parcel, of which a stanza is to be written, answered or given to the journal. False: that is forbidden.
    pub(super) fn admits(&self, mark: &Mark, now: Instant) -> bool {
        // Most stanzas of a parcel come after its first.
        if !mark.is_touched.load(Relaxed) {
            // Before the look at the end: whoever ends the session looks at the mark after that.
            mark.is_touched.store(true, SeqCst);
        }
        !self.shared.is_over.load(SeqCst) && self.shared.lease.is_held(now)
    }
}

impl Mark {
    /// Whether a stanza of the parcel may have arrived.
    pub(crate) fn is_touched(&self) -> bool {
        self.is_touched.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(lease: &Arc<Lease>) -> Fence {
        Fence::new(Arc::clone(lease), NodeName::new("b").unwrap())
    }

    #[test]
    fn a_lease_that_is_over_stays_over() {
        let (now, second) = (clock::now(), Duration::from_secs(1));
        let lease = Lease::new(now, now + 3 * second);
        assert!(lease.is_held(now + 2 * second) && !lease.is_held(now + 3 * second));
        assert!(lease.extend(now + 2 * second, now + 5 * second));
        assert!(lease.extend(now + 2 * second, now + 4 * second), "it is not shortened");
        assert!(lease.is_held(now + 4 * second));
        assert!(!lease.extend(now + 5 * second, now + 9 * second));
        assert!(!lease.is_held(now + 6 * second));
    }

    #[test]
    fn a_lease_ends_while_the_machine_is_suspended() {
        let (now, second) = (clock::now(), Duration::from_secs(1));
        let lease = Arc::new(Lease::new(now, now + 12 * second));
        let (fence, mark) = (fence(&lease), Mark::default());
        clock::suspend(11 * second);
        assert!(fence.admits(&mark, now));
        assert!(lease.extend(now, now + 12 * second), "counted from now");
        clock::suspend(11 * second);
        assert!(fence.admits(&mark, now));
        clock::suspend(second);
        assert!(!fence.admits(&mark, now) && !lease.extend(now, now + 12 * second));
    }

    #[test]
    fn the_end_of_a_session_or_of_the_lease_forbids_what_is_not_written() {
        let now = clock::now();
        let lease = Arc::new(Lease::new(now, now + Duration::from_secs(3)));
        let (one, other, mark) = (fence(&lease), fence(&lease), Mark::default());
        assert!(!mark.is_touched());
        assert!(one.admits(&mark, now) && mark.is_touched());
        one.end();
        assert!(!one.admits(&mark, now) && other.admits(&mark, now));
        lease.end();
        assert!(!other.admits(&mark, now));
    }
}

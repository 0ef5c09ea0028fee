//! Measures mailboxes: the length of each queue, and the time that messages wait in it.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Outlet, Queued, Refused};

/// Message to the monitor: observe this mailbox until its actor stops.
#[derive(Debug)]
pub struct Register {
    /// The gauge of the mailbox.
    pub gauge: Weak<Gauge>,
}

/// The counters that all mailboxes of one actor kind share.
pub struct Meter {
    kind: &'static str,
    capacity: usize,
    handled: AtomicU64,
    refused: AtomicU64,
    restarts: AtomicU64,
    quiet: Quiet,
    waits: [AtomicU32; WAIT_BUCKETS],
    /// The monitor, which observes new mailboxes. The meter of the monitor itself has none.
    monitor: Option<Outlet<Register>>,
}

/// The numbers of quiet messages, which an idle node sends too, since the start.
#[derive(Debug, Default)]
struct Quiet {
    sent: AtomicU64,
    handled: AtomicU64,
    /// Handled, or dropped with their actor.
    done: AtomicU64,
}

/// Whether a message is work for its actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A stanza, or what a stanza or a connection needs.
    Work,
    /// A message that an idle node sends too.
    Quiet,
}

impl Meter {
    /// Makes a meter for actors of one kind. Each of their mailboxes holds at most `capacity` messages.
    pub fn new(kind: &'static str, capacity: usize, monitor: Option<Outlet<Register>>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            capacity,
            handled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            quiet: Quiet::default(),
            waits: [const { AtomicU32::new(0) }; WAIT_BUCKETS],
            monitor,
        })
    }

    /// The actor kind, as the log names it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The maximum number of messages in one mailbox.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of messages handled since the start, including those of stopped actors.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// The number of handled messages without the quiet ones. While messages are being handled it may be too low by those.
    pub(super) fn handled_work(&self) -> u64 {
        self.handled().saturating_sub(self.quiet.handled.load(Relaxed))
    }

    /// The number of quiet messages that were sent since the start.
    pub(super) fn quiet_sent(&self) -> u64 {
        self.quiet.sent.load(Relaxed)
    }

    /// The number of quiet messages that do not wait any more.
    pub(super) fn quiet_done(&self) -> u64 {
        self.quiet.done.load(Relaxed)
    }

    /// The number of messages that full mailboxes have refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The number of actors that ended by a panic. Their owners start new ones if needed.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Counts an actor that ends by a panic.
    pub(super) fn count_panic(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// Returns the waiting times since the last call.
    pub fn take_waits(&self) -> WaitTimes {
        WaitTimes(std::array::from_fn(|bucket| {
            self.waits.get(bucket).map_or(0, |count| count.swap(0, Relaxed))
        }))
    }

    pub(super) fn watch(&self, gauge: &Arc<Gauge>) {
        if let Some(monitor) = &self.monitor {
            // Without a monitor the node is stopping, and the gauge is not read any more.
            let _ = monitor.signal(Register { gauge: Arc::downgrade(gauge) });
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A histogram of waiting times, from sent to handled. Four buckets cover a factor of two.
#[derive(Clone, Debug)]
pub struct WaitTimes([u32; WAIT_BUCKETS]);

impl Default for WaitTimes {
    fn default() -> Self {
        Self([0; WAIT_BUCKETS])
    }
}

impl WaitTimes {
    /// Adds the times of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count = count.saturating_add(*more));
    }

    /// Returns the upper bound of each bucket, at most 25 % too high, and the number of messages in it.
    pub fn times(&self) -> impl Iterator<Item = (Duration, u32)> {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (Duration::from_nanos(upper_bound(bucket)), *count))
    }

    /// Returns the time within which `percent` of the messages were handled, at most 25 % too high.
    pub fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = (total * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && *count > 0 {
                return Duration::from_nanos(upper_bound(bucket));
            }
        }
        Duration::ZERO
    }
}

/// The numbers of messages by waiting time since the start, in the buckets of [`WaitTimes`].
#[derive(Clone, Debug)]
pub(super) struct WaitTotals([u64; WAIT_BUCKETS]);

impl Default for WaitTotals {
    fn default() -> Self {
        Self([0; WAIT_BUCKETS])
    }
}

impl WaitTotals {
    /// Adds new times.
    pub(super) fn add(&mut self, times: &WaitTimes) {
        self.0.iter_mut().zip(&times.0).for_each(|(total, count)| *total += u64::from(*count));
    }

    /// Returns the upper bound of each bucket that is not empty, at most 25 % too high, and the number of messages in it.
    pub(super) fn times(&self) -> Vec<(Duration, u64)> {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (Duration::from_nanos(upper_bound(bucket)), *count)).collect()
    }
}

/// The queue length of one mailbox.
#[derive(Debug)]
pub struct Gauge {
    meter: Arc<Meter>,
    name: String,
    depth: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    pub(super) fn new(meter: &Arc<Meter>, name: &str) -> Arc<Self> {
        Arc::new(Self {
            meter: Arc::clone(meter),
            name: name.to_owned(),
            depth: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        })
    }

    /// The instance: a domain pair, an address, or the actor kind if there is only one instance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The meter of the actor kind.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The number of messages that wait now.
    pub fn depth(&self) -> usize {
        self.depth.load(Relaxed)
    }

    /// Returns the maximum number of waiting messages since the last call.
    pub fn take_peak(&self) -> usize {
        self.peak.swap(self.depth(), Relaxed)
    }

    pub(super) fn admit<M>(this: &Arc<Self>, message: M) -> Result<Queued<M>, Refused<M>> {
        let before = this.depth.fetch_add(1, Relaxed);
        if before >= this.meter.capacity {
            this.depth.fetch_sub(1, Relaxed);
            this.meter.refused.fetch_add(1, Relaxed);
            return Err(Refused::Full(message));
        }
        this.peak.fetch_max(before + 1, Relaxed);
        Ok(Queued { message, ticket: Ticket::new(this, Purpose::Work) })
    }

    pub(super) fn count<M>(this: &Arc<Self>, message: M, purpose: Purpose) -> Queued<M> {
        let before = this.depth.fetch_add(1, Relaxed);
        match purpose {
            Purpose::Work => drop(this.peak.fetch_max(before + 1, Relaxed)),
            Purpose::Quiet => drop(this.meter.quiet.sent.fetch_add(1, Relaxed)),
        }
        Queued { message, ticket: Ticket::new(this, purpose) }
    }
}

/// Counts one message out when it is dropped, handled or not.
#[derive(Debug)]
pub(super) struct Ticket {
    gauge: Arc<Gauge>,
    sent: Instant,
    purpose: Purpose,
}

impl Ticket {
    fn new(gauge: &Arc<Gauge>, purpose: Purpose) -> Self {
        Self { gauge: Arc::clone(gauge), sent: clock::now(), purpose }
    }

    pub(super) fn handled(&self) {
        let meter = &self.gauge.meter;
        if self.purpose == Purpose::Quiet {
            meter.quiet.handled.fetch_add(1, Relaxed);
        }
        meter.handled.fetch_add(1, Relaxed);
        let nanos = u64::try_from(clock::since(self.sent).as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = meter.waits.get(bucket_of(nanos)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gauge.depth.fetch_sub(1, Relaxed);
        if self.purpose == Purpose::Quiet {
            self.gauge.meter.quiet.done.fetch_add(1, Relaxed);
        }
    }
}

/// Returns the bucket of a waiting time.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(4);
    let exponent = nanos.ilog2();
    let quarter = (nanos >> (exponent - 2)) & 3;
    let bucket = (u64::from(exponent) - 2) * 4 + quarter;
    usize::try_from(bucket).unwrap_or(WAIT_BUCKETS).min(WAIT_BUCKETS - 1)
}

/// Returns the exclusive upper bound of a bucket in nanoseconds.
fn upper_bound(bucket: usize) -> u64 {
    let exponent = bucket / 4 + 2;
    let quarter = bucket % 4;
    (4 + quarter as u64 + 1) << (exponent - 2)
}

/// The buckets reach to 2^38 ns, about four and a half minutes. The last one holds all longer times.
const WAIT_BUCKETS: usize = 4 * 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_bucket_is_above_its_times_by_a_quarter_at_most() {
        for nanos in [4_u64, 5, 7, 8, 100, 1_000, 35_000, 1_200_000, 9_999_999_999] {
            let bound = upper_bound(bucket_of(nanos));
            assert!(nanos < bound && bound <= nanos + nanos / 4 + 1, "{nanos} in a bucket up to {bound}");
        }
    }
}

//! What is measured of mailboxes: how much waits in each, and how long it waited.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Outlet, Queued, Refused};

/// Watch this mailbox until it is gone: a message to the monitor.
#[derive(Debug)]
pub struct Watch {
    /// The count of its messages.
    pub gauge: Weak<Gauge>,
}

/// What all mailboxes of one actor kind have in common.
pub struct Meter {
    kind: &'static str,
    capacity: usize,
    handled: AtomicU64,
    refused: AtomicU64,
    restarts: AtomicU64,
    waits: [AtomicU32; WAIT_BUCKETS],
    /// Where new gauges are reported; the pulse's own meter has none.
    pulse: Option<Outlet<Watch>>,
}

impl Meter {
    /// A meter for actors of `kind` whose mailboxes hold at most `capacity` messages each.
    pub fn new(kind: &'static str, capacity: usize, pulse: Option<Outlet<Watch>>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            capacity,
            handled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            waits: [const { AtomicU32::new(0) }; WAIT_BUCKETS],
            pulse,
        })
    }

    /// The actor kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Messages one mailbox holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Messages handled since the start, by instances that are gone too.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// Messages that a full mailbox turned away since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Instances that ended by a panic; whoever needs one again starts another.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Counts an instance that ended by a panic; called while the actor is dropped.
    pub fn count_if_panicking(&self) {
        if std::thread::panicking() {
            self.restarts.fetch_add(1, Relaxed);
        }
    }

    /// The waiting times since the last call.
    pub fn take_waits(&self) -> Waits {
        Waits(std::array::from_fn(|bucket| self.waits.get(bucket).map_or(0, |count| count.swap(0, Relaxed))))
    }

    pub(super) fn watch(&self, gauge: &Arc<Gauge>) {
        if let Some(pulse) = &self.pulse {
            // A pulse that is gone means that the node is ending: nobody is left to read the gauge.
            let _ = pulse.signal(Watch { gauge: Arc::downgrade(gauge) });
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Waiting times, from sent to handled, in buckets that double every four.
#[derive(Clone, Debug)]
pub struct Waits([u32; WAIT_BUCKETS]);

impl Default for Waits {
    fn default() -> Self {
        Self([0; WAIT_BUCKETS])
    }
}

impl Waits {
    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count = count.saturating_add(*more));
    }

    /// How many there are of each time, an upper bound within 19 %.
    pub fn times(&self) -> impl Iterator<Item = (Duration, u32)> {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (Duration::from_nanos(upper_bound(bucket)), *count))
    }

    /// The time within which `percent` of the messages were handled; an upper bound within 19 %.
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

/// What one mailbox holds.
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

    /// Whose mailbox: a domain pair, an address, or the kind again for actors of which there is one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The meter of the actor kind.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Messages that wait now.
    pub fn depth(&self) -> usize {
        self.depth.load(Relaxed)
    }

    /// The most that waited at once since the last call.
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
        Ok(Queued { message, ticket: Ticket { gauge: Arc::clone(this), sent: clock::now() } })
    }

    pub(super) fn count<M>(this: &Arc<Self>, message: M) -> Queued<M> {
        let before = this.depth.fetch_add(1, Relaxed);
        this.peak.fetch_max(before + 1, Relaxed);
        Queued { message, ticket: Ticket { gauge: Arc::clone(this), sent: clock::now() } }
    }
}

/// Counts one message out when it is dropped, however that comes about.
#[derive(Debug)]
pub(super) struct Ticket {
    gauge: Arc<Gauge>,
    sent: Instant,
}

impl Ticket {
    pub(super) fn handled(&self) {
        let meter = &self.gauge.meter;
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
    }
}

/// Four buckets for each doubling.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(4);
    let exponent = nanos.ilog2();
    let quarter = (nanos >> (exponent - 2)) & 3;
    let bucket = (u64::from(exponent) - 2) * 4 + quarter;
    usize::try_from(bucket).unwrap_or(WAIT_BUCKETS).min(WAIT_BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> u64 {
    let exponent = bucket / 4 + 2;
    let quarter = bucket % 4;
    (4 + quarter as u64 + 1) << (exponent - 2)
}

/// Up to 2^38 ns, four and a half minutes; what waits longer is counted there.
const WAIT_BUCKETS: usize = 4 * 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_own_upper_bound_and_nothing_beyond() {
        for nanos in [4_u64, 5, 7, 8, 100, 1_000, 35_000, 1_200_000, 9_999_999_999] {
            let bound = upper_bound(bucket_of(nanos));
            assert!(nanos < bound && bound <= nanos + nanos / 4 + 1, "{nanos} in a bucket up to {bound}");
        }
    }
}

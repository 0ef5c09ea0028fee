//! A channel that loses, repeats, delays and reorders frames.

use super::*;

/// What a channel does, in percent of the frames, and the longest delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    pub(super) delay: Duration,
}

/// One direction.
pub(super) struct Channel {
    faults: Faults,
    /// Frames, and when they arrive.
    under_way: Vec<(Instant, Bytes)>,
    /// The frames behind one arrive after it, unless it is reordered.
    last: Option<Instant>,
    pub(super) sent: u64,
    pub(super) dropped: u64,
}

impl Channel {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, under_way: Vec::new(), last: None, sent: 0, dropped: 0 }
    }

    /// From now on it has other faults.
    pub(super) fn set(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) fn send(&mut self, frame: &Bytes, random: &mut Random, now: Instant) {
        self.sent += 1;
        if random.percent(self.faults.lost) {
            self.dropped += 1;
            return;
        }
        let copies = 1 + u64::from(random.percent(self.faults.repeated));
        for _ in 0..copies {
            let delay = Duration::from_micros(random.below(self.faults.delay.as_micros() as u64 + 1));
            let mut at = now + delay;
            if !random.percent(self.faults.reordered) {
                at = self.last.map_or(at, |last| at.max(last));
                self.last = Some(at);
            }
            self.under_way.push((at, frame.clone()));
        }
    }

    /// The frames that have arrived, in order of their arrival.
    pub(super) fn arrived(&mut self, now: Instant) -> Vec<Bytes> {
        let (mut arrived, rest): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|(at, _)| *at <= now);
        self.under_way = rest;
        arrived.sort_by_key(|(at, _)| *at);
        arrived.into_iter().map(|(_, frame)| frame).collect()
    }

    /// When the next frame arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, _)| *at).min()
    }
}

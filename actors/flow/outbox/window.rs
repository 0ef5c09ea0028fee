//! The window of a link with acknowledgements: how much may be unacknowledged at a time.
//!
//! A peer that resumes streams says after a lost link how much has arrived. Its window starts small, so that a
//! peer that never acknowledges costs little memory, and grows while acknowledgements come soon.
//!
//! To any other peer, all that is unacknowledged when its link is lost is sent again, and most of it has
//! arrived already. As soon as its window is used up, it holds hardly more than the peer works on. It grows
//! while acknowledgements are as fast as the fastest ones, and is halved when they are slower: then stanzas
//! queue at the peer.

use std::time::{Duration, Instant};

/// The window, in bytes of stanzas and of the memory that each takes beside its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    size: usize,
    /// Something had to wait for the window since the last acknowledgement.
    is_limit: bool,
    /// When something had to wait for the window, or when it was halved.
    needed: Option<Instant>,
    /// For a peer that does not resume streams.
    narrow: Option<Fastest>,
}

/// The shortest time that the peer took for an acknowledgement, in this period and in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Fastest {
    /// The start of the period, and the shortest time in it.
    current: Option<(Instant, Duration)>,
    before: Option<Duration>,
}

impl Window {
    /// For a peer that resumes streams, or has not said yet whether it does.
    pub(super) fn new() -> Self {
        Self { size: SMALLEST, is_limit: false, needed: None, narrow: None }
    }

    /// For a peer that does not resume streams.
    pub(super) fn narrow() -> Self {
        Self { narrow: Some(Fastest::default()), ..Self::new() }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Something has to wait for the window.
    pub(super) fn limits(&mut self, now: Instant) {
        self.is_limit = true;
        self.needed = Some(now);
    }

    /// An acknowledgement came so long after it was asked for. The window grows if it was the limit, and the
    /// peer is not slow.
    pub(super) fn acknowledged(&mut self, after: Option<Duration>, now: Instant) {
        let was_limit = std::mem::take(&mut self.is_limit);
        let Some(after) = after else { return };
        let is_soon = match &mut self.narrow {
            None => after <= SOON,
            Some(fastest) => {
                if fastest.is_outdated(now) {
                    fastest.begin(after, now);
                    if was_limit {
                        // Little is sent for a moment, to measure what the peer takes without a queue.
                        self.size = NARROWEST;
                    }
                    return;
                }
                let is_soon = after <= fastest.note(after) * 2 + JITTER;
                if !is_soon {
                    self.size = (self.size / 2).max(NARROWEST);
                }
                is_soon
            }
        };
        if was_limit && is_soon {
            self.size = (self.size * 2).min(LARGEST);
        }
    }

    /// Halves a window of which less was needed for a minute.
    pub(super) fn shrink(&mut self, now: Instant) {
        let unneeded = self.needed.is_some_and(|needed| now.saturating_duration_since(needed) >= UNNEEDED);
        if unneeded && !self.is_limit {
            self.size = (self.size / 2).max(SMALLEST.min(self.size));
            self.needed = (self.size > SMALLEST).then_some(now);
        }
    }
}

impl Fastest {
    /// Whether the period is over, or none has begun.
    fn is_outdated(&self, now: Instant) -> bool {
        self.current.is_none_or(|(start, _)| now.saturating_duration_since(start) >= PERIOD)
    }

    /// Begins a period with this time.
    fn begin(&mut self, after: Duration, now: Instant) {
        self.before = self.current.map(|(_, shortest)| shortest);
        self.current = Some((now, after));
    }

    /// Notes a time. Gives the shortest one.
    fn note(&mut self, after: Duration) -> Duration {
        let Some((_, shortest)) = &mut self.current else { return after };
        *shortest = after.min(*shortest);
        self.before.map_or(*shortest, |before| before.min(*shortest))
    }
}

/// The first window in bytes, for a peer that has not acknowledged anything yet.
const SMALLEST: usize = 256 * 1024;

/// The window in bytes with which the pace of a peer is measured that does not resume streams: a few short messages.
const NARROWEST: usize = 2 * 1024;

/// The largest window in bytes: 40 MB/s with a round trip of 100 ms.
const LARGEST: usize = 4 * 1024 * 1024;

/// A peer that takes longer to acknowledge gets no larger window: it would only hold more memory.
const SOON: Duration = Duration::from_secs(1);

/// Differences between acknowledgements that are not caused by a queue: scheduling on both machines.
const JITTER: Duration = Duration::from_millis(1);

/// How long the fastest acknowledgement is remembered, at least: routes and peers change.
const PERIOD: Duration = Duration::from_secs(10);

/// How long a window that is not needed keeps its size.
const UNNEEDED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_when_it_is_the_limit_and_the_peer_is_fast() {
        let (mut window, now) = (Window::new(), clock::now());
        window.acknowledged(Some(SOON), now);
        assert_eq!(window.size(), SMALLEST, "it was not the limit");
        window.limits(now);
        window.acknowledged(Some(SOON * 2), now);
        assert_eq!(window.size(), SMALLEST, "the peer is slow");
        for _ in 0..10 {
            window.limits(now);
            window.acknowledged(Some(SOON), now);
        }
        assert_eq!(window.size(), LARGEST);
    }

    /// A peer that takes `delay` for the way, and handles `rate` bytes in a second one after the other; its
    /// window after `rounds` acknowledgements of a flood.
    fn flooded(delay: Duration, rate: usize, rounds: usize) -> (usize, usize) {
        let (mut window, mut now) = (Window::narrow(), clock::now());
        let (mut sent, start) = (0, now);
        for _ in 0..rounds {
            let took = delay + Duration::from_secs_f64(window.size() as f64 / rate as f64);
            sent += window.size();
            now += took;
            window.limits(now);
            window.acknowledged(Some(took), now);
        }
        let pace = sent as f64 / now.duration_since(start).as_secs_f64();
        (window.size(), (pace * 100.0 / rate as f64) as usize)
    }

    #[test]
    fn a_narrow_window_holds_hardly_more_than_a_near_and_slow_peer_works_on() {
        // 2,000 messages of 500 bytes a second.
        let (size, percent) = flooded(Duration::from_micros(300), 1_000_000, 2000);
        assert!(size <= 4 * NARROWEST, "{size}");
        assert!(percent >= 70, "{percent}");
    }

    #[test]
    fn a_narrow_window_does_not_slow_down_a_distant_peer() {
        let (size, percent) = flooded(Duration::from_millis(100), 10_000_000, 2000);
        assert!(size > 500_000, "{size}");
        assert!(percent >= 40, "{percent}");
    }

    #[test]
    fn a_narrow_window_is_halved_when_the_peer_gets_slower_and_grows_again_when_it_stays_so() {
        let (mut window, mut now) = (Window::narrow(), clock::now());
        let mut answers = |window: &mut Window, millis, times| {
            for _ in 0..times {
                now += Duration::from_millis(millis);
                window.limits(now);
                window.acknowledged(Some(Duration::from_millis(millis)), now);
            }
        };
        assert_eq!(window.size(), SMALLEST, "nothing is known yet");
        answers(&mut window, 1, 6);
        assert_eq!(window.size(), NARROWEST << 5);
        answers(&mut window, 20, 3);
        assert_eq!(window.size(), NARROWEST << 2);
        let mut rounds = 0;
        while window.size() <= NARROWEST << 5 {
            answers(&mut window, 20, 1);
            rounds += 1;
            assert!(rounds < 2000, "{}", window.size());
        }
    }

    #[test]
    fn a_peer_that_acknowledges_late_and_gets_little_keeps_a_window_for_many_stanzas() {
        let (mut window, now) = (Window::narrow(), clock::now());
        window.acknowledged(Some(Duration::from_millis(1)), now);
        window.acknowledged(Some(Duration::from_secs(5)), now + Duration::from_secs(5));
        assert_eq!(window.size(), SMALLEST / 2);
    }

    #[test]
    fn a_window_that_is_not_needed_shrinks_every_minute() {
        let (mut window, now) = (Window::new(), clock::now());
        for _ in 0..2 {
            window.limits(now);
            window.acknowledged(Some(SOON), now);
        }
        window.shrink(now + UNNEEDED / 2);
        assert_eq!(window.size(), 4 * SMALLEST);
        for minutes in 1..5 {
            window.shrink(now + UNNEEDED * minutes);
        }
        assert_eq!(window.size(), SMALLEST);
    }
}

//! The window of a link with acknowledgements: how much may be unacknowledged at a time.
//!
//! It starts small, so that a peer that never acknowledges costs little memory, and grows with a peer whose
//! acknowledgements come soon.

use std::time::{Duration, Instant};

/// The window, in bytes of stanzas and of the memory that each takes beside its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    size: usize,
    /// Something had to wait for the window since the last acknowledgement.
    is_limit: bool,
    /// When something had to wait for the window, or when it was halved.
    needed: Option<Instant>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { size: SMALLEST, is_limit: false, needed: None }
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
    pub(super) fn acknowledged(&mut self, after: Option<Duration>) {
        let is_soon = after.is_some_and(|after| after <= SOON);
        if std::mem::take(&mut self.is_limit) && is_soon {
            self.size = (self.size * 2).min(LARGEST);
        }
    }

    /// Halves a window of which less was needed for a minute.
    pub(super) fn shrink(&mut self, now: Instant) {
        let unneeded = self.needed.is_some_and(|needed| now.saturating_duration_since(needed) >= UNNEEDED);
        if unneeded && !self.is_limit {
            self.size = (self.size / 2).max(SMALLEST);
            self.needed = (self.size > SMALLEST).then_some(now);
        }
    }
}

/// The first window in bytes, for a peer that has not acknowledged anything yet.
const SMALLEST: usize = 256 * 1024;

/// The largest window in bytes: 40 MB/s with a round trip of 100 ms.
const LARGEST: usize = 4 * 1024 * 1024;

/// A peer that takes longer to acknowledge gets no larger window: it would only hold more memory.
const SOON: Duration = Duration::from_secs(1);

/// How long a window that is not needed keeps its size.
const UNNEEDED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_when_it_is_the_limit_and_the_peer_is_fast() {
        let (mut window, now) = (Window::new(), clock::now());
        window.acknowledged(Some(SOON));
        assert_eq!(window.size(), SMALLEST, "it was not the limit");
        window.limits(now);
        window.acknowledged(Some(SOON * 2));
        assert_eq!(window.size(), SMALLEST, "the peer is slow");
        for _ in 0..10 {
            window.limits(now);
            window.acknowledged(Some(SOON));
        }
        assert_eq!(window.size(), LARGEST);
    }

    #[test]
    fn a_window_that_is_not_needed_shrinks_every_minute() {
        let (mut window, now) = (Window::new(), clock::now());
        for _ in 0..2 {
            window.limits(now);
            window.acknowledged(Some(SOON));
        }
        window.shrink(now + UNNEEDED / 2);
        assert_eq!(window.size(), 4 * SMALLEST);
        for minutes in 1..5 {
            window.shrink(now + UNNEEDED * minutes);
        }
        assert_eq!(window.size(), SMALLEST);
    }
}

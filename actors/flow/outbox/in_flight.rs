//! Estimates which written stanzas may be lost when a link breaks. Servers do not acknowledge stanzas
//! (without XEP-0198), so the estimate is bounded by the time since the write and by the size of socket
//! buffers.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use net::tcp_options;
use status::amount::Amount;

/// Amounts that were written recently, in order.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    recent: VecDeque<(Instant, Amount)>,
    bytes: u64,
}

impl InFlight {
    /// Adds what was written, and removes what has arrived by now.
    pub(super) fn add(&mut self, amount: Amount, now: Instant) {
        self.bytes += amount.bytes;
        match self.recent.back_mut() {
            Some((at, last)) if last.bytes < GRAIN && now.saturating_duration_since(*at) < SECOND => {
                *last = last.plus(amount);
            }
            _ => self.recent.push_back((now, amount)),
        }
        self.forget(now);
    }

    /// Gives what may not have arrived, if the link breaks now.
    pub(super) fn take(&mut self, now: Instant) -> Amount {
        self.forget(now);
        let doubtful = self.recent.drain(..).map(|(_, amount)| amount).fold(Amount::default(), Amount::plus);
        self.bytes = 0;
        doubtful
    }

    /// The peer has read what was written before this time.
    pub(super) fn read_before(&mut self, time: Instant) {
        // Writes within one second are kept as one.
        while let Some((_, amount)) = self.recent.front().filter(|(at, _)| *at + SECOND <= time) {
            self.bytes -= amount.bytes;
            self.recent.pop_front();
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, oldest)) = self.recent.front()
            && (now.saturating_duration_since(*at) > ACKNOWLEDGED || self.bytes - oldest.bytes >= HELD)
        {
            self.bytes -= oldest.bytes;
            self.recent.pop_front();
        }
    }
}

/// After this time the peer's kernel has acknowledged the bytes, or the link would have ended by
/// `TCP_USER_TIMEOUT`. For a peer that has closed its window, that is checked with each probe only, hence
/// twice the time.
pub(super) const ACKNOWLEDGED: Duration = Duration::from_secs(2 * tcp_options::USER_TIMEOUT.as_secs());

/// Bytes that can be in socket buffers at most: 4 MiB in our kernel (`tcp_wmem` of Linux), and 16 MiB that
/// the peer's kernel has received and its server has not read: 6 MiB with Linux (`tcp_rmem`), 16 MiB with
/// Windows.
const HELD: u64 = 20 * 1024 * 1024;

/// Writes within one second, up to this many bytes, are kept as one.
const SECOND: Duration = Duration::from_secs(1);
const GRAIN: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: Amount = Amount { stanzas: 1, bytes: 1024 };

    #[test]
    fn bytes_beyond_the_socket_buffers_have_arrived() {
        let (mut in_flight, now) = (InFlight::default(), clock::now());
        for _ in 0..100 * 1024 {
            in_flight.add(KIB, now);
        }
        let lost = in_flight.take(now);
        assert!((HELD..HELD + GRAIN + KIB.bytes).contains(&lost.bytes), "{lost:?}");
        assert_eq!(lost.stanzas, lost.bytes / KIB.bytes);
        assert_eq!(in_flight.take(now), Amount::default());
    }

    #[test]
    fn what_the_peer_has_read_is_not_lost() {
        let (mut in_flight, now) = (InFlight::default(), clock::now());
        in_flight.add(KIB, now);
        in_flight.add(KIB, now + 3 * SECOND);
        in_flight.read_before(now + 2 * SECOND);
        assert_eq!(in_flight.take(now + 4 * SECOND), KIB);
    }

    #[test]
    fn bytes_written_long_ago_have_arrived() {
        let (mut in_flight, now) = (InFlight::default(), clock::now());
        in_flight.add(KIB, now);
        in_flight.add(KIB, now + ACKNOWLEDGED);
        assert_eq!(in_flight.take(now + ACKNOWLEDGED + SECOND), KIB);
    }
}

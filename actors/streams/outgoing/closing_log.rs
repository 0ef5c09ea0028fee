//! The log lines about the end of a stream, with its counts.

use std::time::Duration;

use super::{
    LOG, Outgoing, Session,
    ending::{Counts, Ending},
};
use status::event::{Event, EventKind};

impl Counts {
    pub(super) fn of(session: &Session) -> Self {
        Self {
            stanzas_in: session.inbound.answers,
            dropped_in: session.inbound.dropped,
            stanzas_out: session.connection.outbox.stanzas_written(),
        }
    }
}

impl Outgoing {
    pub(super) fn log_closed(&self, reason: &str, ending: &Ending, unacked: usize) {
        let Counts { stanzas_in, dropped_in, stanzas_out } = ending.logged;
        log::info!(
            target: LOG, pair:% = self.pair, reason = reason, stanzas_in = stanzas_in,
            dropped_in = dropped_in,
            stanzas_out = stanzas_out, acks = ending.acks, unacked = unacked,
            lived:% = rounded(ending.lived);
            "closed"
        );
        let text = format!("{reason}, after {}", rounded(ending.lived));
        let count = usize::try_from(stanzas_out).unwrap_or(usize::MAX);
        self.record(Event::now(EventKind::Closed).saying(text).of(count));
    }

    /// Logs the final counts if they differ from those in the line about the end: waiting stanzas are written before our
    /// closing tag, and the peer may answer until its own.
    pub(super) fn log_late(&self, counts: Counts, ending: &Ending) {
        if ending.logged != counts {
            let Counts { stanzas_in, dropped_in, stanzas_out } = counts;
            log::info!(
                target: LOG, pair:% = self.pair, stanzas_in = stanzas_in, dropped_in = dropped_in,
                stanzas_out = stanzas_out;
                "link ended: more stanzas went over it while it closed"
            );
        }
    }
}

/// `7s`, or `70ms` below one second.
pub(super) fn rounded(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}s", time.as_secs())
    }
}

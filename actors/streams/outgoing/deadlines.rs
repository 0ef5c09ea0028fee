//! What a stream is watched for while it stands: a peer that reads nothing, an expired certificate, idleness, silence.

use std::time::Duration;

use actix::{AsyncContext, Context};
use bytes::Bytes;
use xmpp::{policy::Mechanism, stream};

use super::Outgoing;

impl Outgoing {
    /// Looks from now on, often enough for the shortest of its times.
    pub(super) fn watch_deadlines(&mut self, context: &mut Context<Self>) {
        if let Some(ticking) = self.ticking.take() {
            context.cancel_future(ticking);
        }
        let tick = self.keepalive.min(self.idle_timeout).min(self.write_timeout) / 2;
        let tick = tick.clamp(TICK_AT_LEAST, TICK_AT_MOST);
        self.ticking = Some(context.run_interval(tick, Self::tick));
    }

    fn tick(&mut self, context: &mut Context<Self>) {
        let Some(wire) = &mut self.wire else { return };
        // Dialback rests on DNS, whatever becomes of the certificate, unless that has to be good.
        let rests_on_it = wire.mechanism == Mechanism::External || self.strict;
        if self.end.is_some() {
            // The peer has a moment to close its side.
        } else if wire
            .writing_since
            .is_some_and(|since| clock::since(since) > self.keepalive.min(self.write_timeout))
        {
            // RFC 6120 4.9.3.4; it is read if the peer comes back within the moment that it has now.
            let error = stream::Error::new(
                stream::Condition::ConnectionTimeout,
                "no data accepted within the write timeout",
            );
            self.close_stream(Some(error), "the peer does not read", context);
        } else if rests_on_it && wire.expires.is_some_and(|end| end <= clock::system()) {
            // RFC 6120 13.7.2.3. What is left over goes to a stream that meets the peer's next certificate.
            let error = stream::Error::new(stream::Condition::Reset, "your certificate has expired");
            self.close_stream(Some(error), "the peer's certificate has expired", context);
        } else if clock::since(wire.last_stanza) >= self.idle_timeout && self.outbox.is_empty() {
            self.close_stream(None, "idle", context);
            if let Some(end) = &mut self.end {
                end.idle = true;
            }
        } else if clock::since(wire.last_write) >= self.keepalive {
            // RFC 6120 4.6.1: whitespace. A peer that is gone does not acknowledge it, and TCP says so.
            self.outbox.push_raw(Bytes::from_static(b" "));
            self.feed_link();
        }
    }
}

/// Idleness and silence are looked for this often, depending on how long they are to last.
const TICK_AT_LEAST: Duration = Duration::from_millis(100);
const TICK_AT_MOST: Duration = Duration::from_secs(15);

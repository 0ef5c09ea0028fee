//! The deadlines of an open stream: a peer that reads nothing, an expired certificate, idleness, keepalive.

use std::time::Duration;

use actix::{AsyncContext, Context};
use bytes::Bytes;
use xmpp::{policy::Mechanism, stream};

use super::{Outgoing, State, ending::Redial};
use crate::{dial::attempt::PendingDial, streams::connection};

/// The configured limits of a stream to this remote domain.
pub(super) struct Limits {
    /// A stream without a stanza for so long is closed.
    pub(super) idle_timeout: Duration,
    /// Silence after which the link is checked.
    pub(super) keepalive: Duration,
    /// A peer that does not take one chunk in this time does not read.
    pub(super) write_timeout: Duration,
    /// The peer's certificate has to be valid, however it authenticated.
    pub(super) strict: bool,
    /// A peer that does not answer a request for acknowledgement in this time is gone.
    pub(super) ack_timeout: Duration,
    /// How long a lost stream is asked for; zero: it is not.
    pub(super) resume_timeout: Duration,
}

impl From<&PendingDial> for Limits {
    fn from(pending: &PendingDial) -> Self {
        Self {
            idle_timeout: pending.idle_timeout,
            keepalive: pending.keepalive,
            write_timeout: pending.write_timeout,
            strict: pending.strict,
            ack_timeout: pending.ack_timeout,
            resume_timeout: pending.resume_timeout,
        }
    }
}

impl Outgoing {
    /// Checks the deadlines from now on, often enough for the shortest of them.
    pub(super) fn watch_deadlines(&mut self, context: &mut Context<Self>) {
        if let Some(ticking) = self.ticking.take() {
            context.cancel_future(ticking);
        }
        let Limits { idle_timeout, keepalive, write_timeout, ack_timeout, .. } = self.limits;
        let shortest = keepalive.min(idle_timeout).min(write_timeout).min(ack_timeout);
        self.ticking = Some(context.run_interval(connection::tick(shortest), Self::tick));
    }

    fn tick(&mut self, context: &mut Context<Self>) {
        if self.check_acks(context) {
            return;
        }
        // A stream that is being closed has a time limit of its own.
        let State::Open(session) = &mut self.state else { return };
        let Limits { idle_timeout, keepalive, write_timeout, strict, .. } = self.limits;
        let connection = &mut session.connection;
        // Dialback depends on DNS, not on the certificate, unless the certificate has to be valid.
        let needs_certificate = session.machine.mechanism() == Mechanism::External || strict;
        if connection.is_stalled(keepalive.min(write_timeout)) {
            // RFC 6120 section 4.9.3.4. The peer can still read the error if it resumes reading before the
            // link is cut.
            let error = stream::Error::new(stream::Condition::ConnectionTimeout, "no data accepted in time");
            self.close_stream(Some(error), "the peer does not read", Redial::AfterPause, context);
        } else if needs_certificate && session.expires.is_some_and(|end| end <= clock::system()) {
            // RFC 6120 section 13.7.2.3. The remaining stanzas go to a new stream, which checks the peer's new
            // certificate.
            let error = stream::Error::new(stream::Condition::Reset, "your certificate has expired");
            self.close_stream(Some(error), "the peer's certificate has expired", Redial::AfterPause, context);
        } else if connection.outbox.needs_renewal() {
            self.close_stream(None, "renewed: its counts are high", Redial::AtOnce, context);
        } else if clock::since(connection.last_stanza) >= idle_timeout && connection.outbox.is_settled() {
            self.close_stream(None, "idle", Redial::AtOnce, context);
        } else if clock::since(connection.last_write) >= keepalive {
            if connection.outbox.has_confirmed_acks() {
                // The answer shows that the peer is there.
                connection.outbox.ask();
            } else {
                // RFC 6120 section 4.6.1: whitespace. TCP reports a peer that does not acknowledge it.
                connection.outbox.push_raw(Bytes::from_static(b" "));
            }
            self.flush(context);
        }
    }
}

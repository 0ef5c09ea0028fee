//! The deadlines of an incoming stream: authentication, an incomplete element, an expired certificate,
//! idleness, keepalive, and a peer that reads nothing.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use bytes::Bytes;
use xmpp::stream::{self, Condition};

use super::{Authentication, Incoming, MakeRoom};
use crate::{settings::Remote, streams::connection};
use mailbox::Queued;

impl Incoming {
    /// Starts the timers.
    pub(super) fn watch_deadlines(&self, context: &mut Context<Self>) {
        let Remote { handshake_timeout, keepalive, idle_timeout, element_timeout, write_timeout, .. } =
            *self.remote;
        let left = handshake_timeout.saturating_sub(clock::since(self.connection.since));
        context.run_later(left, move |incoming, context| {
            if incoming.machine.status().is_verifying {
                // Our question has a time limit of its own, and the peer has to get its outcome (XEP-0220
                // section 2.5).
                context.run_later(handshake_timeout + ANSWERED_WITHIN, Self::demand_authentication);
            } else {
                incoming.demand_authentication(context);
            }
        });
        let shortest = keepalive.min(idle_timeout).min(element_timeout).min(write_timeout);
        context.run_interval(connection::tick(shortest), Self::tick);
    }

    fn is_authenticated(&self) -> bool {
        matches!(self.authentication, Authentication::Done { .. })
    }

    fn demand_authentication(&mut self, context: &mut Context<Self>) {
        if !self.is_authenticated() && !self.connection.has_ended() {
            let text = format!("not authenticated in time, {}", self.machine.stage());
            self.close(Some(stream::Error::new(Condition::ConnectionTimeout, text)), context);
        }
    }

    fn tick(&mut self, context: &mut Context<Self>) {
        let Remote { keepalive, idle_timeout, element_timeout, write_timeout, .. } = *self.remote;
        if self.connection.is_stalled(write_timeout) {
            return self.give_up_on_reader(context);
        }
        // Nothing follows our closing tag, not even whitespace.
        if self.connection.has_ended() || !self.is_authenticated() || self.machine.status().is_closing {
            return;
        }
        if self.reading.is_element_late(element_timeout) {
            let text = format!("an element was incomplete after {} s", element_timeout.as_secs_f32());
            self.close(Some(stream::Error::new(Condition::ConnectionTimeout, text)), context);
        } else if self.certificate.expires.take_if(|end| *end <= clock::system()).is_some()
            && self.machine.certificate_ended()
        {
            // RFC 6120 section 13.7.2.3.
            self.close(Some(stream::Error::new(Condition::Reset, "your certificate has expired")), context);
        } else if clock::since(self.connection.last_stanza) >= idle_timeout {
            self.close(None, context);
        } else if clock::since(self.reading.last) >= keepalive {
            // RFC 6120 section 4.6.1: whitespace. TCP reports a peer that does not acknowledge it.
            self.reading.last = clock::now();
            self.connection.outbox.push_raw(Bytes::from_static(b" "));
            self.connection.flush();
        }
    }

    /// Closes the stream of a peer that reads nothing (RFC 6120 section 4.9.3.4). The peer can still read the
    /// error if it resumes reading before the link is cut.
    fn give_up_on_reader(&mut self, context: &mut Context<Self>) {
        let reason = "the peer does not read";
        if self.connection.has_ended() {
            return self.link_ended(reason, context);
        }
        self.connection.allow_stall();
        let error = stream::Error::new(Condition::ConnectionTimeout, "no data accepted in time");
        self.close(Some(error), context);
        self.end(reason);
    }
}

impl Handler<Queued<MakeRoom>> for Incoming {
    type Result = ();

    fn handle(&mut self, room: Queued<MakeRoom>, context: &mut Context<Self>) {
        let MakeRoom { error } = room.into_message();
        let status = self.machine.status();
        // A dialback key that is being verified is not the peer's delay.
        let is_silent =
            !status.is_verifying && clock::since(self.reading.last) >= stalled(self.remote.handshake_timeout);
        if is_silent && !self.is_authenticated() && !self.connection.has_ended() {
            self.close_at_once(error, context);
        }
    }
}

/// The silence after which a peer makes no progress, if its handshake may take this long. A busy server that opens hundreds
/// of connections at once takes seconds for each step.
pub(crate) fn stalled(handshake_timeout: Duration) -> Duration {
    handshake_timeout / 3
}

/// The time that may pass after the time limit of a question until its answer is here.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

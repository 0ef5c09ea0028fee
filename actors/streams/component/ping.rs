//! Pings of a component (XEP-0199), and what follows if it does not answer. This file has those for a name that another
//! connection claims: a component that has stopped, or whose machine is gone, must not keep the name.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler};
use xmpp::{Stanza, stanza::Kind};

use super::{Answered, Component, LOG, Pinged, Prove, ending::Ended};
use crate::streams::connection::WHOLE_CHUNK;
use mailbox::Queued;
use net::stream_id;
use status::report::{Time, UnansweredPing};

/// The ping that was sent to a component (XEP-0199), by its id. Its answer is for the node itself, and is not routed.
#[derive(Debug, Default)]
pub(super) enum Ping {
    /// No answer can come.
    #[default]
    None,
    /// Nothing was read since the ping was sent.
    Unanswered(String),
    /// Something was read. The answer may still come.
    Alive(String),
}

impl Ping {
    /// Returns whether this is the answer to the ping. From then on no answer is awaited.
    pub(super) fn take_answer(&mut self, stanza: &Stanza) -> bool {
        let (Self::Unanswered(id) | Self::Alive(id)) = self else { return false };
        let answers = stanza.kind() == Kind::Iq
            && matches!(stanza.type_(), Some("result" | "error"))
            && stanza.id().as_deref() == Some(id.as_str());
        if answers {
            *self = Self::None;
        }
        answers
    }

    /// The id of the ping, if nothing was read since it was sent.
    fn unanswered(&self) -> Option<&str> {
        match self {
            Self::Unanswered(id) => Some(id),
            Self::None | Self::Alive(_) => None,
        }
    }

    /// Whether it is the ping with this id, and nothing was read since it was sent.
    fn is_unanswered_with(&self, id: &str) -> bool {
        matches!(self, Self::Unanswered(unanswered) if unanswered == id)
    }

    /// Notes that something was read; returns whether that answers the ping.
    fn note_read(&mut self) -> bool {
        let Self::Unanswered(id) = self else { return false };
        *self = Self::Alive(std::mem::take(id));
        true
    }
}

impl Handler<Queued<Prove>> for Component {
    type Result = ();

    fn handle(&mut self, prove: Queued<Prove>, context: &mut Context<Self>) {
        prove.into_message();
        if self.connection.has_ended() {
            return;
        }
        // It may be gone while nothing is read from it.
        self.connection.watch_end();
        // One that is on its way for another reason is as good.
        let Some(id) = self.ping.unanswered().map(str::to_owned).or_else(|| self.send_ping()) else { return };
        self.report_ping(true);
        Self::await_answer(id, ANSWERS_WITHIN, "another connection claims its name", context);
    }
}

impl Component {
    /// Sends a ping, and returns its id; `None`: no name has been claimed yet.
    pub(super) fn send_ping(&mut self) -> Option<String> {
        let name = self.machine.claimed()?;
        let from = self.environment.asker.as_ref().unwrap_or(name);
        let (from, to, id) = (from.wire(), name.wire(), format!("alive-{}", stream_id::source()()));
        // Domains and ids have no character that XML would have to escape.
        let ping =
            format!("<iq type='get' id='{id}' from='{from}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.connection.outbox.push_raw(ping.into());
        self.connection.flush();
        self.machine.expect_answer(&id);
        self.ping = Ping::Unanswered(id.clone());
        self.liveness.note_ping();
        Some(id)
    }

    /// Something was read: that answers the ping, whatever it is.
    pub(super) fn report_answer(&mut self) {
        if self.ping.note_read()
            && let Some(name) = self.binding.name().cloned()
        {
            // A router that is gone ends the process.
            let answered = Answered { name, component: self.own.clone() };
            let _ = self.environment.owners.answered.signal_quietly(answered);
        }
    }

    /// Tells the router that a ping is not answered yet. `closes`: the connection is closed if the component stays silent.
    pub(super) fn report_ping(&mut self, closes: bool) {
        self.liveness.closes |= closes;
        if let Some((ping, name)) = self.unanswered_ping().zip(self.binding.name().cloned()) {
            // A router that is gone ends the process.
            let _ = self.environment.owners.pinged.signal_quietly(Pinged {
                name,
                component: self.own.clone(),
                ping,
            });
        }
    }

    /// The ping since which nothing was read.
    pub(super) fn unanswered_ping(&self) -> Option<UnansweredPing> {
        let since = self.liveness.asked_at()?;
        self.ping
            .unanswered()
            .map(|_| UnansweredPing { since: Time::of(since), closes: self.liveness.closes })
    }

    /// Waits for the answer to a ping. A component that is not read at the moment because of `max_rate` gets more time, up to
    /// [`PAUSED_AT_MOST`]: its end cannot be read either, and it may be gone.
    pub(super) fn await_answer(
        id: String,
        within: Duration,
        reason: &'static str,
        context: &mut Context<Self>,
    ) {
        Self::await_answer_until(clock::now() + PAUSED_AT_MOST, id, within, reason, context);
    }

    fn await_answer_until(
        end: Instant,
        id: String,
        within: Duration,
        reason: &'static str,
        context: &mut Context<Self>,
    ) {
        context.run_later(within, move |component, context| {
            if !component.ping.is_unanswered_with(&id) || component.connection.has_ended() {
                return;
            }
            if component.is_read_paused() && clock::now() < end {
                return Self::await_answer_until(end, id, within, reason, context);
            }
            component.give_up_on_answer(reason, context);
        });
    }

    /// Closes the connection of a component that has not answered a ping. What was sent to it lately may be lost.
    fn give_up_on_answer(&mut self, reason: &str, context: &mut Context<Self>) {
        log::warn!(
            target: LOG, name:% = self.binding.shown(), address:% = self.connection.address, reason = reason;
            "the component does not answer a ping: its connection is closed"
        );
        self.mark_recent_uncertain();
        self.link_ended(WHOLE_CHUNK, Ended::hung("the component did not answer a ping"), context);
    }
}

/// How long a component may take to answer a ping. A component that works answers within milliseconds; one
/// that is busy for longer sends something else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long a pause by `max_rate` may delay the decision about a component that does not answer.
const PAUSED_AT_MOST: Duration = Duration::from_secs(30);

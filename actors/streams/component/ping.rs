//! Pings a component whose name another connection claims: a component that has stopped, or whose machine is
//! gone, must not keep the name.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::{Stanza, stanza::Kind};

use super::{Answered, Component, LOG, Prove};
use crate::streams::connection::WHOLE_CHUNK;
use mailbox::Queued;
use net::stream_id;

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

    fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unanswered(_))
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
        let Some(name) = self.machine.claimed() else { return };
        if self.ping.is_unanswered() || self.connection.has_ended() {
            return;
        }
        let from = self.environment.asker.as_ref().unwrap_or(name);
        let (from, to, id) = (from.wire(), name.wire(), format!("alive-{}", stream_id::source()()));
        // Domains and ids have no character that XML would have to escape.
        let ping =
            format!("<iq type='get' id='{id}' from='{from}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.connection.outbox.push_raw(ping.into());
        self.connection.flush();
        self.machine.expect_answer(&id);
        self.ping = Ping::Unanswered(id.clone());
        Self::await_answer(id, context);
    }
}

impl Component {
    /// Something was read: that answers the ping, whatever it is.
    pub(super) fn report_answer(&mut self) {
        if self.ping.note_read()
            && let Some(name) = self.binding.name().cloned()
        {
            // A router that is gone ends the process.
            let _ = self.environment.owners.answered.signal(Answered { name, component: self.own.clone() });
        }
    }

    /// Waits for the answer to a ping. A component that is not read at the moment because of `max_rate` gets more time.
    fn await_answer(id: String, context: &mut Context<Self>) {
        context.run_later(ANSWERS_WITHIN, move |component, context| {
            if !component.ping.is_unanswered_with(&id) || component.connection.has_ended() {
                return;
            }
            if component.is_read_paused() {
                return Self::await_answer(id, context);
            }
            component.give_up_on_answer(context);
        });
    }

    fn give_up_on_answer(&mut self, context: &mut Context<Self>) {
        log::warn!(
            target: LOG, address:% = self.connection.address, name:% = self.binding.shown();
            "the component does not answer a ping: its connection is closed, and another may serve the name"
        );
        self.mark_recent_uncertain();
        self.link_ended(WHOLE_CHUNK, "the component did not answer a ping", context);
    }
}

/// How long a component may take to answer a ping. A component that works answers within milliseconds; one
/// that is busy for longer sends something else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

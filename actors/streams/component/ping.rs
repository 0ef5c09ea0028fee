//! Pings a component whose name another connection claims: a component that has stopped, or whose machine is
//! gone, must not keep the name.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::{Stanza, stanza::Kind};

use super::{Answered, Component, LOG, Prove};
use crate::streams::connection::WHOLE_CHUNK;
use mailbox::Queued;
use net::stream_id;

/// The ping that was sent to a component.
#[derive(Debug, Default)]
pub(super) struct Ping {
    /// Nothing was read since the ping was sent (XEP-0199).
    is_pending: bool,
    /// The id of the last ping. Its answer is for the node itself, and is not routed.
    id: Option<String>,
}

impl Ping {
    /// Returns whether this is the answer to the ping. From then on no answer is awaited.
    pub(super) fn take_answer(&mut self, stanza: &Stanza) -> bool {
        let answers = stanza.kind() == Kind::Iq
            && matches!(stanza.type_(), Some("result" | "error"))
            && self.id.is_some()
            && stanza.id().as_deref() == self.id.as_deref();
        if answers {
            self.id = None;
        }
        answers
    }
}

impl Handler<Queued<Prove>> for Component {
    type Result = ();

    fn handle(&mut self, prove: Queued<Prove>, context: &mut Context<Self>) {
        prove.into_message();
        let Some(name) = self.binding.name() else { return };
        if self.ping.is_pending || self.connection.has_ended() {
            return;
        }
        let from = self.environment.asker.as_ref().unwrap_or(name);
        let (from, to, id) = (from.wire(), name.wire(), format!("alive-{}", stream_id::source()()));
        // Domains and ids have no character that XML would have to escape.
        let ping =
            format!("<iq type='get' id='{id}' from='{from}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.connection.outbox.push_raw(ping.into());
        self.connection.flush();
        self.ping = Ping { is_pending: true, id: Some(id) };
        context.run_later(ANSWERS_WITHIN, |component, context| {
            if component.ping.is_pending && !component.connection.has_ended() {
                component.give_up_on_answer(context);
            }
        });
    }
}

impl Component {
    /// Something was read: that answers the ping, whatever it is.
    pub(super) fn report_answer(&mut self) {
        if std::mem::take(&mut self.ping.is_pending)
            && let Some(name) = self.binding.name().cloned()
        {
            // A router that is gone ends the process.
            let _ = self.environment.owners.answered.signal(Answered { name, component: self.own.clone() });
        }
    }

    fn give_up_on_answer(&mut self, context: &mut Context<Self>) {
        log::warn!(
            target: LOG, address:% = self.connection.address, name:% = self.binding.shown();
            "the component does not answer a ping: its connection is closed, and another may serve the name"
        );
        self.link_ended(WHOLE_CHUNK, "the component did not answer a ping", context);
    }
}

/// How long a component may take to answer a ping. A component that works answers within milliseconds; one
/// that is busy for longer sends something else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

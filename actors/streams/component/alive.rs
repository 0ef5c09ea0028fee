//! Whether the component at the other end of a connection still answers. It is asked when another connection claims its
//! name: a component that is stopped, or whose machine has gone away, must not keep the name.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::{Domain, Stanza, stanza::Kind};

use super::{Answered, Component, LOG, Prove, WHOLE_CHUNK};
use mailbox::Queued;
use net::stream_id;

/// The question that was put to a component.
#[derive(Debug, Default)]
pub(super) struct Alive {
    /// Nothing was read since the ping was sent (XEP-0199).
    open: bool,
    /// The id of the last ping, whose answer is the node's own and no stanza of the component's.
    ping: Option<String>,
}

impl Alive {
    /// Whether this is the answer to the ping.
    pub(super) fn is_answer(&mut self, stanza: &Stanza) -> bool {
        let answers = stanza.kind() == Kind::Iq
            && matches!(stanza.type_(), Some("result" | "error"))
            && self.ping.is_some()
            && stanza.id().as_deref() == self.ping.as_deref();
        if answers {
            self.ping = None;
        }
        answers
    }
}

impl Handler<Queued<Prove>> for Component {
    type Result = ();

    fn handle(&mut self, prove: Queued<Prove>, context: &mut Context<Self>) {
        prove.open();
        let (Some(name), false, false) = (&self.name, self.alive.open, self.over) else { return };
        let from = self.environment.asker.as_ref().unwrap_or(name);
        let (from, to, id) = (from.wire(), name.wire(), format!("alive-{}", stream_id::source()()));
        // Domains and ids have no character that XML would have to escape.
        let ping =
            format!("<iq type='get' id='{id}' from='{from}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.outbox.push_raw(ping.into());
        self.feed_link();
        self.alive = Alive { open: true, ping: Some(id) };
        context.run_later(ANSWERS_WITHIN, |component, context| {
            if component.alive.open && !component.over {
                component.give_up_on_silence(context);
            }
        });
    }
}

impl Component {
    /// Something was read: the component answers, whatever it says.
    pub(super) fn is_alive(&mut self) {
        if std::mem::take(&mut self.alive.open)
            && let Some(name) = self.name.clone()
        {
            // A router that is gone takes the process with it.
            let _ = self.environment.owners.answered.signal(Answered { name, component: self.own.clone() });
        }
    }

    fn give_up_on_silence(&mut self, context: &mut Context<Self>) {
        log::warn!(
            target: LOG, address:% = self.address, name:% = self.name.as_ref().map_or("-", Domain::as_str);
            "the component does not answer a ping: its connection is closed, and another may serve the name"
        );
        self.link_ended(WHOLE_CHUNK, "the component did not answer a ping", context);
    }
}

/// How long a component may take to answer a ping. One that works answers within milliseconds; one that is busy for
/// longer sends something else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

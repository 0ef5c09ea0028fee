//! Whether the component at the other end of a connection still answers. It is asked when another connection claims its
//! name: a component that is stopped, or whose machine has gone away, must not keep the name.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::Domain;

use super::{Component, LOG, Prove, WHOLE_CHUNK};
use crate::mailbox::Queued;

/// Whether a question is open.
#[derive(Debug, Default)]
pub(super) enum Alive {
    /// Nobody wants to know.
    #[default]
    Unasked,
    /// A ping was sent (XEP-0199), and nothing was read since.
    Asked,
}

impl Alive {
    /// Something was read.
    pub(super) fn seen(&mut self) {
        *self = Self::Unasked;
    }
}

impl Handler<Queued<Prove>> for Component {
    type Result = ();

    fn handle(&mut self, prove: Queued<Prove>, context: &mut Context<Self>) {
        prove.open();
        let (Some(name), Alive::Unasked, false) = (&self.name, &self.alive, self.over) else { return };
        let from = self.surroundings.asker.as_ref().unwrap_or(name);
        let (from, to) = (from.wire(), name.wire());
        // Domains have no character that XML would have to escape.
        let ping =
            format!("<iq type='get' id='alive' from='{from}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.outbox.push_raw(ping.into());
        self.feed_link();
        self.alive = Alive::Asked;
        context.run_later(ANSWERS_WITHIN, |component, context| {
            if matches!(component.alive, Alive::Asked) && !component.over {
                component.give_up_on_silence(context);
            }
        });
    }
}

impl Component {
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

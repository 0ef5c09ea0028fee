//! The end of a connection that is noticed before everything is read, because reading is paused: for `max_rate`, or because
//! what was read has no place yet.
//!
//! The name is given up at once, so that stanzas for the component wait for its next connection. What the component sent
//! before is read to the end, without pauses for `max_rate`. The router accepts no other connection for the name before it
//! has everything, so that the order is kept. The last of it may be a closing tag: only then the cause of the end is certain. The time that this would have taken counts against the next connection.

use actix::Context;

use super::{Component, ReadAll, ending::Ended};
use net::network::PeerEnd;
use status::report::EndCause;

impl Component {
    /// The component has closed its side, or the connection broke. `written` bytes of the last chunk are on the wire.
    pub(super) fn peer_ended(&mut self, end: PeerEnd, written: usize, context: &mut Context<Self>) {
        self.rate_limit.end();
        self.unread_answers = None;
        if !self.binding.is_bound() || !self.connection.read_remaining() {
            return;
        }
        if end == PeerEnd::Broken {
            self.mark_recent_uncertain();
        }
        let ended = || {
            let reason = match end {
                PeerEnd::Closed => "the component ended the connection",
                PeerEnd::Broken => "the connection broke",
            };
            Ended::new(EndCause::Lost, reason)
        };
        self.closing.ended = Some(self.closing.cause().unwrap_or_else(ended));
        self.collect_leftovers(written);
        self.supply.release();
        self.release(context);
        self.give_back(context);
    }

    /// Reports to the router that it has everything that the component sent. To be called at the end.
    pub(super) fn report_read_all(&self) {
        let name = self.binding.name().filter(|_| self.binding.was_bound() && !self.binding.is_bound());
        if let Some(name) = name.cloned() {
            let Ended { cause, reason } = self.closing.ended.clone().unwrap_or_else(Ended::again);
            let (component, debt) = (self.own.clone(), self.rate_limit.debt());
            let read_all = ReadAll { name, component, cause, reason, debt };
            // A router that is gone ends the process.
            let _ = self.environment.owners.read_all.signal(read_all);
        }
    }
}

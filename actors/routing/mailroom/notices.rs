//! Tells users that the addresses of a component are unavailable, once it has been absent for the time that presence
//! waits for it.

use actix::{Context, Handler};
use xmpp::{Domain, Stanza, xml::Element};

use super::{LOG, Mailroom, Notified};
use crate::{
    flow::batch::{self, ReadPermit},
    streams::component::PresenceSent,
};
use mailbox::Queued;

impl Mailroom {
    /// Tells some of the users whose component is away. To be called at each tick.
    pub(super) fn notify_some(&mut self) {
        if self.stopping || self.presences.are_empty() {
            return;
        }
        let now = clock::now();
        let away = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.absence(now).is_some_and(|absence| absence >= seat.rules.presence));
        let away: Vec<Domain> =
            away.map(|(name, _)| name.clone()).filter(|name| !self.presences.is_empty(name)).collect();
        let mut left = USERS_PER_TICK;
        for name in away {
            let told = self.presences.take(&name, left);
            left -= told.len();
            let stanzas: Vec<Stanza> = told.iter().filter_map(|(from, to)| unavailable(from, to)).collect();
            log::info!(
                target: LOG, name:% = name, presences = stanzas.len();
                "the component is away: users are told that it is unavailable"
            );
            let batches = batch::sort(stanzas, &ReadPermit::free());
            // If the router is gone, the process ends.
            let _ = self.owners.notified.signal(Notified { batches });
            if left == 0 {
                return;
            }
        }
    }
}

fn unavailable(from: &str, to: &str) -> Option<Stanza> {
    let presence = Element::new("presence", "jabber:server").with("type", "unavailable");
    Stanza::from_element(&presence.with("from", from).with("to", to)).ok()
}

impl Handler<Queued<PresenceSent>> for Mailroom {
    type Result = ();

    fn handle(&mut self, presence: Queued<PresenceSent>, _: &mut Context<Self>) {
        let PresenceSent { name, sent, permit: _permit } = presence.into_message();
        if self.seats.get(&name).is_none() {
            return;
        }
        for presence in sent {
            self.presences.note(&name, &presence.from, &presence.to, presence.is_available);
        }
    }
}

/// Presence sent at each tick: 5,000 a second, so that a component with many users does not fill the queues of links.
const USERS_PER_TICK: usize = 500;

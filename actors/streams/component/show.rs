//! Commands of an operator: report a component connection.

use actix::{Context, Handler};
use xmpp::Domain;

use super::{Component, Show};
use mailbox::Queued;
use status::report::{Authentication, Direction, LinkReport, LinkState, Pair};

impl Component {
    /// Whether the component serves a name, or wants to.
    fn is_of(&self, name: &Domain) -> bool {
        let component = self.environment.names.get(name).map_or(name, |configured| &configured.name);
        self.binding.name() == Some(component)
    }

    fn report(&self) -> LinkReport {
        let state = match self.binding.was_bound() {
            _ if self.connection.has_ended() => LinkState::Closing,
            true => LinkState::Authenticated,
            false => LinkState::Negotiating,
        };
        let name = self.binding.name().into_iter();
        LinkReport {
            pairs: name.map(|name| Pair { local: name.to_string(), remote: None }).collect(),
            tls: self.tls.clone(),
            mechanism: self.binding.was_bound().then_some(Authentication::Handshake),
            ping_unanswered: self.unanswered_ping(),
            ..self.connection.report(Direction::Component, state, self.intake.stanzas)
        }
    }
}

impl Handler<Queued<Show>> for Component {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { of, links } = show.into_message();
        if of.is_none_or(|name| self.is_of(&name)) {
            // The command may have been cancelled, or have enough links.
            let _ = links.try_send(self.report());
        }
    }
}

//! A component connection under another configuration.

use std::sync::Arc;

use actix::{Context, Handler};
use xmpp::stream::{Condition, Error};

use super::{Adopt, Component, Environment, goodbye::Parting};
use mailbox::Queued;

impl Component {
    /// Whether the secret that the component showed is no longer that of its name. That the name is gone, the router
    /// says.
    fn has_old_secret(&self, new: &Environment) -> bool {
        let Some(name) = &self.name else { return false };
        let (old, new) = (self.environment.names.get(name), new.names.get(name));
        new.is_some_and(|new| old.is_none_or(|old| old.secret != new.secret))
    }
}

impl Handler<Queued<Adopt>> for Component {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { environment } = adopt.open();
        let outdated = self.has_old_secret(&environment);
        let Environment { ref names, max_stanza, bounds, .. } = *environment;
        self.machine.adopt(Arc::clone(names), max_stanza, bounds);
        self.environment = Environment { door: self.environment.door, ..*environment };
        if outdated && !self.over {
            let text = "the secret of this name has changed";
            self.close(Parting::Error(Error::new(Condition::NotAuthorized, text)), context);
            self.ended.get_or_insert_with(|| format!("closed by us: {text}"));
            // Whoever has the new secret need not wait for the end of this connection.
            self.leave(context);
        }
    }
}

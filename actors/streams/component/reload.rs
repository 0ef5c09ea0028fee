//! A component connection under a new configuration.

use std::sync::Arc;

use actix::{Context, Handler};
use xmpp::{component::Names, stream::Condition};

use super::{Adopt, Component, Environment, Forbid, ending::Ended};
use mailbox::Queued;
use status::report::EndCause;

impl Component {
    /// Whether the secret that the component has shown is no longer that of its name. A name that is gone is
    /// reported by the router.
    fn has_old_secret(&self, new: &Environment) -> bool {
        let Some(name) = self.binding.name() else { return false };
        let configured = |names: &Names| names.get(name).filter(|it| it.name == *name).cloned();
        let (old, new) = (configured(&self.environment.names), configured(&new.names));
        new.is_some_and(|new| old.is_none_or(|old| old.secret != new.secret))
    }
}

impl Handler<Queued<Forbid>> for Component {
    type Result = ();

    fn handle(&mut self, forbid: Queued<Forbid>, context: &mut Context<Self>) {
        forbid.into_message();
        if !self.connection.has_ended() {
            let text = "components may no longer connect from this address";
            self.close_with(EndCause::Reload, Condition::PolicyViolation, text, context);
        }
    }
}

impl Handler<Queued<Adopt>> for Component {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { environment } = adopt.into_message();
        let is_outdated = self.has_old_secret(&environment);
        let Environment { ref names, max_stanza, bounds, .. } = *environment;
        self.machine.adopt(Arc::clone(names), max_stanza, bounds);
        self.environment = *environment;
        self.limit_rate();
        if is_outdated && !self.connection.has_ended() {
            let text = "the secret of this name has changed";
            self.close_with(EndCause::Reload, Condition::NotAuthorized, text, context);
            let outdated = || Ended::new(EndCause::Reload, format!("closed by us: {text}"));
            self.closing.ended.get_or_insert_with(outdated);
            // A component with the new secret need not wait for the end of this connection.
            self.release(context);
        }
    }
}

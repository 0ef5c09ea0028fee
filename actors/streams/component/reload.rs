//! A component connection under a new configuration.

use std::sync::Arc;

use actix::{Context, Handler};
use xmpp::{component::Names, stream::Condition};

use super::{Adopt, Component, Environment, Forbid, ending::NOT_SERVED};
use mailbox::Queued;
use status::report::EndCause;

/// Why a connection cannot go on, although its name is configured.
enum Outdated {
    /// The name was removed by an earlier reload, and is there again. Nobody knows whether the secret is the same.
    Name,
    /// The secret that the component has shown is no longer that of its name.
    Secret,
}

impl Outdated {
    fn error(&self) -> (Condition, &'static str) {
        match self {
            Self::Name => (Condition::HostGone, NOT_SERVED),
            Self::Secret => (Condition::NotAuthorized, "the secret of this name has changed"),
        }
    }
}

impl Component {
    /// Why a connection cannot go on under a new configuration. A name that is gone is reported by the router.
    fn outdated(&self, new: &Environment) -> Option<Outdated> {
        let name = self.binding.name()?;
        let configured = |names: &Names| names.get(name).filter(|it| it.name == *name).cloned();
        let (old, new) = (configured(&self.environment.names), configured(&new.names)?);
        match old {
            None => Some(Outdated::Name),
            Some(old) => (old.secret != new.secret).then_some(Outdated::Secret),
        }
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
        let outdated = self.outdated(&environment);
        let Environment { ref names, max_stanza, bounds, .. } = *environment;
        self.machine.adopt(Arc::clone(names), max_stanza, bounds);
        self.environment = *environment;
        self.limit_rate();
        if let Some(outdated) = outdated.filter(|_| !self.connection.has_ended()) {
            // A connection that is being closed keeps its reason.
            if self.closing.cause.is_none() {
                let (condition, text) = outdated.error();
                self.close_with(EndCause::Reload, condition, text, context);
            }
            self.closing.ended = self.closing.ended.take().or_else(|| self.closing.cause());
            // A component with the new secret need not wait for the end of this connection.
            self.release(context);
        }
    }
}

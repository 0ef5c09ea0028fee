//! The component that a connection is, by the name under which it is configured. The router decides: one connection at
//! a time serves its names.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context, Handler};
use xmpp::Domain;

use super::{BindDecided, BindRequested, Component, Gone, LOG, ending::Ended};
use crate::{flow::batch::ReadPermit, streams::accepted};
use mailbox::{Queued, drain};

/// The name that a connection serves.
#[derive(Debug)]
pub(super) enum Binding {
    /// The component has not shown a valid secret, or was refused.
    Unclaimed,
    /// The router has not decided yet.
    Requested(Domain),
    /// The connection serves the name.
    Bound {
        name: Domain,
        /// An operator closes the connection. Dropped when the name is free.
        dismissed: Option<drain::Token>,
    },
    /// The router has been informed of the end, and may still have stanzas on their way.
    Released(Domain),
    /// The connection gets no more stanzas.
    Retired(Domain),
}

impl Binding {
    pub(super) fn name(&self) -> Option<&Domain> {
        match self {
            Self::Unclaimed => None,
            Self::Requested(name) | Self::Bound { name, .. } | Self::Released(name) | Self::Retired(name) => {
                Some(name)
            }
        }
    }

    /// The name for the log.
    pub(super) fn shown(&self) -> &str {
        self.name().map_or("-", Domain::as_str)
    }

    /// Whether the connection serves the name.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self, Self::Bound { .. })
    }

    /// Whether the connection serves the name, or served it.
    pub(super) fn was_bound(&self) -> bool {
        matches!(self, Self::Bound { .. } | Self::Released(_) | Self::Retired(_))
    }

    /// Drops the token when the name is free.
    pub(super) fn dismiss(&mut self, token: drain::Token) {
        if let Self::Bound { dismissed, .. } = self {
            *dismissed = Some(token);
        }
    }

    /// The connection gets no more stanzas. It may still be up, if another one has its name.
    pub(super) fn retire(&mut self) {
        if let Self::Bound { name, .. } | Self::Released(name) = self {
            *self = Self::Retired(name.clone());
        }
    }

    /// The router has accepted the request.
    fn accept(&mut self) {
        if let Self::Requested(name) = self {
            *self = Self::Bound { name: name.clone(), dismissed: None };
        }
    }

    /// Gives the name up; returns it if it was bound.
    fn release(&mut self) -> Option<Domain> {
        let Self::Bound { name, .. } = self else { return None };
        let name = name.clone();
        *self = Self::Released(name.clone());
        Some(name)
    }
}

impl Component {
    /// Asks the router for the name.
    pub(super) fn request_bind(&mut self, name: Domain, context: &mut Context<Self>) {
        self.binding = Binding::Requested(name.clone());
        let address = self.connection.address.host();
        let requested = BindRequested { name, component: self.own.clone(), address };
        if self.environment.owners.bind_requested.signal(requested).is_err() {
            context.stop();
        }
    }

    /// Requests the name again in a moment: the connection that serves it is being pinged, or its end is on its
    /// way.
    fn request_again(context: &mut Context<Self>) {
        context.run_later(REQUEST_AGAIN, |component, context| {
            // The router may have decided in the meantime.
            if let Binding::Requested(name) = &component.binding {
                component.request_bind(name.clone(), context);
            }
        });
    }

    /// Gives the name up, once. The component may reconnect before this connection is down.
    pub(super) fn release(&mut self, context: &mut Context<Self>) {
        let Some(name) = self.binding.release() else { return };
        let Ended { cause, reason } = self.closing.ended.clone().unwrap_or_else(Ended::again);
        let (component, is_read) = (self.own.clone().into(), self.connection.is_remaining());
        let gone = Gone { name, component, cause, reason, is_read };
        if self.environment.owners.gone.signal(gone).is_err() {
            context.stop();
        }
    }
}

impl Handler<Queued<BindDecided>> for Component {
    type Result = ();

    fn handle(&mut self, decided: Queued<BindDecided>, context: &mut Context<Self>) {
        match decided.into_message() {
            BindDecided::Accepted { debt } => {
                self.binding.accept();
                log::info!(
                    target: LOG, name = self.binding.shown(), announced = self.announced(self.binding.name()),
                    address:% = self.connection.address;
                    "connected"
                );
                self.machine.accept();
                self.limit_rate();
                if let Some(debt) = debt {
                    self.rate_limit.owe(debt);
                }
                if self.binding.name().is_some_and(|name| self.environment.redelivered.contains(name)) {
                    self.connection.outbox.keep_written();
                }
                // A listener that is gone counts no connections.
                let component = self.binding.name().cloned();
                let authenticated = accepted::Authenticated { caller: self.caller, component };
                let _ = self.environment.authenticated.signal(authenticated);
            }
            BindDecided::Pending if !self.connection.has_ended() => Self::request_again(context),
            BindDecided::Pending | BindDecided::Refused => {
                self.machine.conflict();
                self.binding = Binding::Unclaimed;
            }
        }
        self.drive(&ReadPermit::free(), context);
        self.request();
        if self.connection.is_down() {
            // The connection ended while the router decided.
            self.link_ended(0, Ended::again(), context);
        }
    }
}

/// How soon a name is requested again. `handshake_timeout` bounds how often.
const REQUEST_AGAIN: Duration = Duration::from_millis(50);

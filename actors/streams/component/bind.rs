//! The name that a connection serves. The router decides: one connection at a time serves a name.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context, Handler};
use xmpp::Domain;

use super::{BindDecided, BindRequested, Component, Gone, LOG};
use crate::{flow::batch::ReadPermit, streams::accepted};
use mailbox::Queued;

/// The name that a connection serves.
#[derive(Debug)]
pub(super) enum Binding {
    /// The component has not shown a valid secret, or was refused.
    Unclaimed,
    /// The router has not decided yet.
    Requested(Domain),
    /// The connection serves the name.
    Bound(Domain),
    /// The router has been informed of the end, and may still have stanzas on their way.
    Released(Domain),
    /// The connection gets no more stanzas.
    Retired(Domain),
}

impl Binding {
    pub(super) fn name(&self) -> Option<&Domain> {
        match self {
            Self::Unclaimed => None,
            Self::Requested(name) | Self::Bound(name) | Self::Released(name) | Self::Retired(name) => {
                Some(name)
            }
        }
    }

    /// The name for the log.
    pub(super) fn shown(&self) -> &str {
        self.name().map_or("-", Domain::as_str)
    }

    /// Whether the connection serves the name, or served it.
    pub(super) fn was_bound(&self) -> bool {
        matches!(self, Self::Bound(_) | Self::Released(_) | Self::Retired(_))
    }

    /// Whether the name is free.
    pub(super) fn was_released(&self) -> bool {
        matches!(self, Self::Released(_) | Self::Retired(_))
    }

    /// The connection gets no more stanzas. It may still be up, if another one has its name.
    pub(super) fn retire(&mut self) {
        self.advance(|binding| match binding {
            Self::Bound(name) | Self::Released(name) => Self::Retired(name),
            other => other,
        });
    }

    fn advance(&mut self, change: impl FnOnce(Self) -> Self) {
        *self = change(std::mem::replace(self, Self::Unclaimed));
    }
}

impl Component {
    /// Asks the router for the name.
    pub(super) fn request_bind(&mut self, name: Domain, context: &mut Context<Self>) {
        self.binding = Binding::Requested(name.clone());
        let requested = BindRequested { name, component: self.own.clone() };
        if self.environment.owners.bind_requested.signal(requested).is_err() {
            context.stop();
        }
    }

    /// Another connection serves the name. While it is being pinged, or its end is on its way, this one
    /// requests the name again. A connection that answers keeps the name.
    fn name_is_taken(&mut self, is_pending: bool, context: &mut Context<Self>) {
        if is_pending && !self.connection.has_ended() {
            context.run_later(REQUEST_AGAIN, |component, context| {
                if let Some(name) = component.binding.name().cloned() {
                    component.request_bind(name, context);
                }
            });
            return;
        }
        self.machine.conflict();
        self.binding = Binding::Unclaimed;
    }

    /// Gives the name up, once. The component may reconnect before this connection is down.
    pub(super) fn release(&mut self, context: &mut Context<Self>) {
        let Binding::Bound(name) = &self.binding else { return };
        let name = name.clone();
        self.binding = Binding::Released(name.clone());
        self.dismissed = None;
        let reason = self.closing.reason.clone().unwrap_or_default();
        if self.environment.owners.gone.signal(Gone { name, component: self.own.clone(), reason }).is_err() {
            context.stop();
        }
    }
}

impl Handler<Queued<BindDecided>> for Component {
    type Result = ();

    fn handle(&mut self, decided: Queued<BindDecided>, context: &mut Context<Self>) {
        match decided.into_message() {
            BindDecided::Accepted => {
                self.binding.advance(|binding| match binding {
                    Binding::Requested(name) => Binding::Bound(name),
                    other => other,
                });
                log::info!(
                    target: LOG, address:% = self.connection.address, name = self.binding.shown();
                    "connected"
                );
                self.machine.accept();
                if self.binding.name().is_some_and(|name| self.environment.redelivered.contains(name)) {
                    self.connection.outbox.keep_written();
                }
                // A listener that is gone counts no connections.
                let _ =
                    self.environment.authenticated.signal(accepted::Authenticated { caller: self.caller() });
            }
            BindDecided::Pending => self.name_is_taken(true, context),
            BindDecided::Refused => self.name_is_taken(false, context),
        }
        self.drive(&ReadPermit::free(), context);
        self.request();
        if self.connection.is_down() {
            // The connection ended while the router decided.
            self.link_ended(0, "", context);
        }
    }
}

/// How soon a name is requested again. `handshake_timeout` bounds how often.
const REQUEST_AGAIN: Duration = Duration::from_millis(50);

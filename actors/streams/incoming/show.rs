//! Commands of an operator: report an incoming stream, and close it.

use actix::{Context, Handler};

use super::{Authentication, Dismiss, Incoming, Show};
use mailbox::Queued;
use status::{
    event::{Event, EventKind},
    report::{Direction, LinkReport, LinkState, Pair, TlsReport},
};

impl Incoming {
    fn report(&self) -> LinkReport {
        let (mut pairs, pairs_not_shown) = Pair::few(self.machine.pairs().iter());
        if let Some(to) = self.to.as_ref().filter(|_| pairs.is_empty()) {
            pairs.push(Pair { local: to.to_string(), remote: None });
        }
        let remote = self.machine.pairs().first().map(|pair| &pair.remote);
        let (state, mechanism) = match &self.authentication {
            Authentication::Pending => (LinkState::Negotiating, None),
            Authentication::Done { mechanism, .. } => (LinkState::Authenticated, Some((*mechanism).into())),
        };
        let is_closing = self.connection.has_ended() || self.machine.status().is_closing;
        let state = if is_closing { LinkState::Closing } else { state };
        LinkReport {
            pairs,
            pairs_not_shown,
            mechanism,
            tls: TlsReport::of(self.machine.status().transport, remote, &self.remote.policy),
            ..self.connection.report(Direction::Incoming, state, self.intake.stanzas)
        }
    }

    /// Records the end of the stream in the history of its domains, but of a few at most.
    pub(super) fn record_end(&self, reason: &str) {
        if matches!(self.authentication, Authentication::Pending) && !self.refusals.is_recorded {
            self.record_unauthenticated_end(reason);
        }
        let stanzas = usize::try_from(self.intake.stanzas).unwrap_or(usize::MAX);
        for pair in self.pairs().iter().take(RECORDED) {
            let event = Event::now(EventKind::Disconnected)
                .with(&pair.local)
                .at(self.connection.address)
                .saying(reason)
                .of(stanzas);
            self.environment.recorder.note(&pair.remote, event);
        }
    }
}

impl Handler<Queued<Show>> for Incoming {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { of, links } = show.into_message();
        if of.is_none_or(|remote| self.machine.pairs().iter().any(|pair| pair.remote == remote)) {
            // The command may have been cancelled, or have enough links.
            let _ = links.try_send(self.report());
        }
    }
}

impl Handler<Queued<Dismiss>> for Incoming {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { remote, closing, token } = dismiss.into_message();
        if self.connection.has_ended() || !self.machine.pairs().iter().any(|pair| pair.remote == remote) {
            return;
        }
        // The command may have been cancelled.
        let _ = closing.try_send(token.clone());
        self.draining.get_or_insert(token);
        self.environment.recorder.note(&remote, Event::now(EventKind::Dismissed).at(self.connection.address));
        if !self.machine.status().is_closing {
            self.close(None, context);
        }
    }
}

/// Domains of one stream whose history gets its end.
const RECORDED: usize = 8;

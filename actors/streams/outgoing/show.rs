//! Commands of an operator: report a session, and close it.

use actix::{Context, Handler};

use super::{Dismiss, Outgoing, Show, State, ending::Redial};
use mailbox::Queued;
use status::report::{Direction, LinkReport, LinkState, Pair, TlsReport};

impl Outgoing {
    /// The state of the link; `None` without a link.
    fn report(&self) -> Option<LinkReport> {
        let session = self.state.session()?;
        let shown = match self.state {
            State::Closing(..) => LinkState::Closing,
            _ => LinkState::Authenticated,
        };
        let link = session.connection.report(Direction::Outgoing, shown, session.inbound.answers);
        Some(LinkReport {
            pairs: vec![Pair::from(&self.pair)],
            mechanism: Some(session.machine.mechanism().into()),
            tls: TlsReport::of(
                session.machine.transport(),
                Some(&self.pair.remote),
                session.machine.policy(),
            ),
            acknowledgement: session.connection.outbox.acknowledgement(),
            ..link
        })
    }
}

impl Handler<Queued<Show>> for Outgoing {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { links } = show.into_message();
        if let Some(link) = self.report() {
            // The command may have been cancelled, or have enough links.
            let _ = links.try_send(link);
        }
    }
}

impl Handler<Queued<Dismiss>> for Outgoing {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { reason, token } = dismiss.into_message();
        match &self.state {
            State::Open(_) => {
                self.shutdown.finishing.push(token);
                self.close_stream(None, reason, Redial::AtOnce, context);
            }
            State::Closing(..) => self.shutdown.finishing.push(token),
            State::New(_) | State::Dialing { .. } | State::Closed(_) | State::Failed => {}
        }
    }
}

//! The part of an outgoing session in the stop of the node: everything is written and acknowledged, then the
//! stream is closed.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::stream::{self, Condition};

use super::{Abandon, Finish, Flush, Outgoing, State, ending::Redial};
use crate::streams::connection::{WHOLE_CHUNK, limit_closing};
use mailbox::{Queued, drain};

/// The tokens of those that wait for the end: the node when it stops, or a command.
#[derive(Default)]
pub(super) struct Shutdown {
    pub(super) phase: Phase,
    /// Dropped when nothing is left to write.
    pub(super) flushing: Vec<drain::Token>,
    /// Dropped when the link is down.
    pub(super) finishing: Vec<drain::Token>,
}

/// How far the node is with stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs.
    #[default]
    Running,
    /// Stanzas that cannot be written at once are answered while there is time to deliver the answer.
    Flushing,
    /// The stream is closed as soon as everything is written and acknowledged. Nobody can be answered any more.
    Finishing,
}

impl Outgoing {
    /// Closes the stream because the node stops: once everything is written and acknowledged, or after `within`.
    /// Without acknowledgements there is nothing to wait for: waiting stanzas are written before the closing tag.
    fn close_when_acknowledged(&mut self, within: Duration, context: &mut Context<Self>) {
        if self.state.session().is_some_and(|session| session.connection.outbox.has_acks()) {
            context.run_later(within, |session, context| session.close_for_shutdown(context));
            self.ask(context);
        } else {
            self.close_for_shutdown(context);
        }
    }

    /// Closes the stream because the node stops.
    pub(super) fn close_for_shutdown(&mut self, context: &mut Context<Self>) {
        if matches!(self.state, State::Open(_)) {
            let error = stream::Error::new(Condition::SystemShutdown, "");
            self.close_stream(Some(error), "this server is shutting down", Redial::AfterPause, context);
        }
    }

    /// Cuts a link that does not write one chunk in this time, while the node waits for it.
    fn expect_progress(&self, within: Duration, context: &mut Context<Self>) {
        context.run_later(within, move |session, context| {
            if session.shutdown.flushing.is_empty() {
                return;
            }
            let writing_since =
                session.state.session().and_then(|session| session.connection.writing_since());
            if writing_since.is_some_and(|since| clock::since(since) < within) {
                return session.expect_progress(within, context);
            }
            if !session.has_unwritten() {
                // Only acknowledgements are missing. They may still come.
                session.shutdown.flushing.clear();
                return;
            }
            let reason = "this server is shutting down and the peer does not read";
            session.link_ended(WHOLE_CHUNK, reason, context);
        });
    }
}

impl Handler<Queued<Flush>> for Outgoing {
    type Result = ();

    fn handle(&mut self, flush: Queued<Flush>, context: &mut Context<Self>) {
        let Flush { within, token } = flush.into_message();
        self.shutdown.phase = Phase::Flushing;
        if self.has_unsettled() {
            self.shutdown.flushing.push(token);
            self.expect_progress(within, context);
            self.ask(context);
        }
    }
}

impl Handler<Queued<Abandon>> for Outgoing {
    type Result = ();

    fn handle(&mut self, abandon: Queued<Abandon>, context: &mut Context<Self>) {
        let Abandon { token } = abandon.into_message();
        if self.has_unwritten() {
            self.shutdown.flushing.push(token);
            self.link_ended(
                WHOLE_CHUNK,
                "this server is shutting down and the peer reads too slowly",
                context,
            );
        }
    }
}

impl Handler<Queued<Finish>> for Outgoing {
    type Result = ();

    fn handle(&mut self, finish: Queued<Finish>, context: &mut Context<Self>) {
        let Finish { within, token } = finish.into_message();
        match &self.state {
            State::Open(_) => {
                self.shutdown.finishing.push(token);
                self.shutdown.phase = Phase::Finishing;
                limit_closing(within, context, Self::close_if_written, Self::cut);
                self.close_when_acknowledged(within / 2, context);
            }
            State::Closing(..) => self.shutdown.finishing.push(token),
            State::New(_) | State::Dialing { .. } | State::Closed(_) | State::Failed => {}
        }
    }
}

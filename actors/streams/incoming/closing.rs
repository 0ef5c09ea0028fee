//! The end of an incoming stream and of its link, by us or by the peer, and the log line about it.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context, Handler};
use xmpp::stream::{self, Condition, End};

use super::{Authentication, Drain, Incoming, LOG, name};
use crate::{
    flow::{batch::ReadPermit, close::CloseMode},
    streams::{
        accepted,
        connection::{self, CLOSE_WITHIN, OFFER_AGAIN},
    },
};
use mailbox::Queued;
use status::display;

impl Incoming {
    pub(super) fn stream_ended(&mut self, end: &End) {
        self.verifying = None;
        if self.connection.end(CloseMode::after(end, self.machine.status().is_open)) {
            self.verify_unopened(end);
            self.log_closed(&end.to_string());
        }
    }

    pub(super) fn link_ended(&mut self, reason: &str, context: &mut Context<Self>) {
        self.verifying = None;
        if self.connection.cut() {
            self.log_closed(reason);
        }
        while self.report_handled() {}
        if !self.has_passed_on() {
            // The router still has to take the stanzas that were read, or they are not settled and not written.
            context.run_later(OFFER_AGAIN, |incoming, context| incoming.link_ended("", context));
        } else {
            self.part();
            context.stop();
        }
    }

    /// Ends the protocol without the peer's closing tag.
    pub(super) fn end(&mut self, reason: &str) {
        if self.connection.end(CloseMode::AtOnce) {
            self.log_closed(reason);
        }
    }

    fn log_closed(&self, reason: &str) {
        self.record_end(reason);
        if matches!(self.authentication, Authentication::Pending)
            && !self.environment.log_limits.closed.count_line()
        {
            return;
        }
        let pairs = self.pairs();
        let verdict = &self.certificate.verdict;
        log::info!(
            target: LOG, address:% = self.connection.address,
            pair:% = pairs.first().map_or_else(|| "-".to_owned(), ToString::to_string),
            pairs_not_shown = pairs.len().checked_sub(2).map(|more| more + 1), from:% = name(self.machine.status().claimed),
            to:% = name(self.to.as_ref()),
            certificate = verdict.as_ref().map_or_else(|| "-".to_owned(), display::certificate).as_str(), reason = reason,
            acks = self.acks.report().as_str(), stanzas_in = self.intake.stanzas, refused = self.intake.refused,
            lived:% = format_args!("{}s", clock::since(self.connection.since).as_secs());
            "closed"
        );
    }

    /// Closes our side of the stream.
    pub(super) fn close(&mut self, error: Option<stream::Error>, context: &mut Context<Self>) {
        self.machine.close(error);
        self.drive(&ReadPermit::free(), context);
        connection::limit_closing(CLOSE_WITHIN, context, Self::give_up_on_tag, Self::cut);
    }

    /// Closes our side of the stream, and does not wait for the peer.
    pub(super) fn close_at_once(&mut self, error: stream::Error, context: &mut Context<Self>) {
        self.machine.close(Some(error));
        self.drive(&ReadPermit::free(), context);
        connection::limit_closing(Duration::ZERO, context, Self::give_up_on_tag, Self::cut);
    }

    /// Closes the link of a peer that has not answered our closing tag.
    fn give_up_on_tag(&mut self, _: &mut Context<Self>) {
        self.end("the peer did not close its side");
        self.connection.flush();
    }

    fn cut(&mut self, context: &mut Context<Self>) {
        self.link_ended("", context);
    }
}

impl Handler<Queued<Drain>> for Incoming {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, context: &mut Context<Self>) {
        let Drain { within, token } = drain.into_message();
        self.draining = Some(token);
        self.receipts.stop();
        if !self.connection.has_ended() {
            self.close(Some(stream::Error::new(Condition::SystemShutdown, "")), context);
            connection::limit_closing(within / 5 * 4, context, Self::give_up_on_tag, Self::cut);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.leave_resumer();
        let is_expected = self.machine.status().has_vouched;
        let _ = self.environment.ended.signal(accepted::Ended { caller: self.caller(), is_expected });
    }
}

//! The end of a component stream: closed once the component has sent all it had, as far as that can be known.

use std::time::{Duration, Instant};

use actix::{ActorContext, AsyncContext, Context};
use xmpp::stream::{self, Condition, End};

use super::{
    Component, LOG, Rejected,
    bind::Binding,
    ending::{CloseCause, Ended},
};
use crate::{
    flow::{
        batch::{self, ReadPermit},
        close::CloseMode,
    },
    streams::{
        accepted,
        connection::{self, CLOSE_WITHIN, OFFER_AGAIN, WHOLE_CHUNK},
    },
};
use status::report::EndCause;

/// The time in which a component has sent nothing.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Checks in a row that found nothing new.
    checks: u32,
    /// Watches whether the stanzas of the last read are still being processed. Their error answers count: they hold the
    /// read permit until they are in a queue.
    last_read: batch::Watch,
}

impl Silence {
    /// Notes that something was read, with stanzas that were taken or without.
    pub(super) fn note_read(&mut self, permit: &ReadPermit, are_taken: bool) {
        self.checks = 0;
        if are_taken {
            self.last_read = permit.watch();
        }
    }
}

impl Component {
    /// The protocol has ended: the link is closed in this way once all is written.
    pub(super) fn stream_ended(&mut self, end: &End, mode: CloseMode, context: &mut Context<Self>) {
        if self.connection.end(mode) {
            self.report_rejection(end);
            self.log_closed(self.closing.after(end));
            if matches!(end, End::Closed) && self.closing.cause.is_none() {
                // The component may take no more stanzas. They wait for its next connection.
                let mut unwritten = self.connection.outbox.take_stanzas();
                unwritten.append(&mut self.leftovers.unwritten);
                self.leftovers.unwritten = unwritten;
            }
        } else if self.connection.is_remaining() {
            self.closing.ended = Some(self.closing.after(end));
        }
        self.release(context);
    }

    /// The link has ended, or is cut. At most `written` bytes of its last chunk are on the wire.
    pub(super) fn link_ended(&mut self, written: usize, ended: Ended, context: &mut Context<Self>) {
        // If it ended before everything was read, the end is known better.
        let known = self.closing.ended.take_if(|_| self.connection.is_remaining());
        if self.connection.cut() {
            self.log_closed(known.unwrap_or(ended));
        }
        if self.intake.is_pending() {
            // The router still has to take the stanzas that were read.
            context.run_later(OFFER_AGAIN, move |component, context| {
                component.link_ended(written, Ended::again(), context);
            });
            return;
        }
        self.collect_leftovers(written);
        self.supply.release();
        self.release(context);
        // A connection that has requested a name waits for the decision: the name may be its own.
        if matches!(self.binding, Binding::Unclaimed) {
            context.stop();
        }
        self.give_back(context);
    }

    /// The connection ends, and the component has not closed it. A component that closes it has read everything; of any
    /// other this is unknown.
    pub(super) fn mark_recent_uncertain(&mut self) {
        let uncertain = self.connection.outbox.mark_recent_uncertain(clock::now());
        if uncertain > 0 {
            log::warn!(
                target: LOG, name:% = self.binding.shown(), address:% = self.connection.address,
                stanzas = uncertain;
                "the component did not close its connection; stanzas written lately may not have arrived"
            );
        }
    }

    fn log_closed(&mut self, ended: Ended) {
        let Ended { cause, reason } = self.closing.ended.insert(ended).clone();
        if !self.binding.was_bound() {
            return self.log_refused(&reason);
        }
        log::info!(
            target: LOG, name:% = self.binding.shown(), address:% = self.connection.address,
            cause = cause.as_str(), reason = reason.as_str(), stanzas_in = self.intake.stanzas, refused = self.intake.refused,
            ignored = Some(self.machine.ignored()).filter(|ignored| *ignored > 0),
            stanzas_out = self.connection.outbox.stanzas_written(),
            lived:% = format_args!("{}s", clock::since(self.connection.since).as_secs());
            "disconnected"
        );
    }

    /// The name in the header of the component for the log, if it is not the one under which it is configured.
    pub(super) fn announced(&self, configured: Option<&xmpp::Domain>) -> Option<&str> {
        self.machine.claimed().filter(|claimed| configured != Some(*claimed)).map(xmpp::Domain::as_str)
    }

    /// Logs that the connection served no name. It is a warning if its header named one: then it was meant
    /// to.
    fn log_refused(&self, reason: &str) {
        let claimed = self.machine.claimed();
        if !self.environment.log_limits.count_line(claimed) {
            return;
        }
        let configured = claimed.and_then(|name| self.environment.names.announced(name)).map(|it| &it.name);
        let level = if claimed.is_some() { log::Level::Warn } else { log::Level::Info };
        log::log!(
            target: LOG, level, name:% = configured.map_or("-", xmpp::Domain::as_str),
            announced = self.announced(configured), address:% = self.connection.address, reason = reason;
            "component refused"
        );
    }

    /// Reports a wrong secret to the router, for `nuncio components`, and to the listener, which slows down
    /// further ones.
    fn report_rejection(&self, end: &End) {
        let claimed = self.machine.claimed().and_then(|name| self.environment.names.announced(name));
        let (Some(name), End::ByUs(error)) = (claimed.map(|it| &it.name), end) else { return };
        if !self.binding.was_bound() && error.condition == Condition::NotAuthorized {
            let rejected = Rejected { name: name.clone(), address: self.connection.address.host() };
            // A router that is gone ends the process.
            let _ = self.environment.owners.rejected.signal(rejected);
            let wrong = accepted::WrongSecret { caller: self.caller, name: name.clone() };
            // A listener that is gone counts no connections.
            let _ = self.environment.wrong_secret.signal(wrong);
        }
    }

    /// Closes our side of the stream with an error.
    pub(super) fn close_with(
        &mut self,
        cause: EndCause,
        condition: Condition,
        text: impl Into<String>,
        context: &mut Context<Self>,
    ) {
        self.close(CloseCause::error(cause, stream::Error::new(condition, text)), context);
    }

    /// Closes our side of the stream, and the link once the component has closed its own.
    pub(super) fn close(&mut self, cause: CloseCause, context: &mut Context<Self>) {
        self.close_protocol(cause, context);
        self.await_silence(context);
        connection::limit_closing(
            CLOSE_WITHIN,
            context,
            |component, _| component.connection.close_if_written(),
            Self::cut,
        );
    }

    /// Closes the stream with an error, and does not wait for the component.
    pub(super) fn close_at_once(&mut self, error: stream::Error, context: &mut Context<Self>) {
        self.close_protocol(CloseCause::error(EndCause::ProtocolError, error), context);
        connection::limit_closing(
            Duration::ZERO,
            context,
            |component, _| component.connection.close_if_written(),
            Self::cut,
        );
    }

    fn close_protocol(&mut self, cause: CloseCause, context: &mut Context<Self>) {
        self.machine.close(cause.stream_error());
        self.closing.cause = Some(cause);
        self.drive(&ReadPermit::free(), context);
    }

    pub(super) fn cut(&mut self, context: &mut Context<Self>) {
        let cause = self.closing.cause().map_or(EndCause::Lost, |ended| ended.cause);
        let ended = Ended::new(cause, "the component did not close its stream");
        self.link_ended(WHOLE_CHUNK, ended, context);
    }

    /// Closes the stream of a component that reads nothing (RFC 6120 section 4.9.3.4), whose name is free
    /// from now on. The component can still read the error if it resumes reading before the link is cut.
    pub(super) fn give_up_on_reader(&mut self, context: &mut Context<Self>) {
        let hung = Ended::hung("the component does not read");
        if self.connection.has_ended() {
            return self.link_ended(WHOLE_CHUNK, hung, context);
        }
        self.mark_recent_uncertain();
        self.connection.allow_stall();
        self.machine
            .close(Some(stream::Error::new(Condition::ConnectionTimeout, "no data accepted in time")));
        self.drive(&ReadPermit::free(), context);
        if self.connection.end(CloseMode::AtOnce) {
            self.log_closed(hung);
        }
        self.release(context);
        context.run_later(CLOSE_WITHIN, |component, context| {
            component.link_ended(WHOLE_CHUNK, Ended::again(), context);
        });
    }

    /// Ends the protocol when the component has sent nothing for a while. Many components never answer a
    /// closing tag.
    fn await_silence(&mut self, context: &mut Context<Self>) {
        if self.connection.has_ended() {
            return;
        }
        if self.check_silence() {
            // The time for its closing tag is over. Whatever it has sent since the last stanza shows that it reads.
            let last_written = self.connection.outbox.last_written();
            if last_written.is_some_and(|last| !self.liveness.has_sent_since(last)) {
                self.mark_recent_uncertain();
            }
            self.stream_ended(&End::Closed, CloseMode::AtOnce, context);
            return self.connection.flush();
        }
        context.run_later(SILENCE_AFTER_TAG / SILENT_CHECKS, |component, context| {
            component.await_silence(context);
        });
    }

    /// Closes the stream within this time because the node stops. Error answers can only be sent before our closing
    /// tag, so it has three phases: stanzas are taken until the component has sent nothing for a moment, then those
    /// that were taken are processed, then the stream is closed. What the component sends from the second phase on is
    /// not taken.
    pub(super) fn close_when_quiet(&mut self, within: Duration, context: &mut Context<Self>) {
        let now = clock::now();
        let (take_until, process_until) = (now + within / 10 * TAKE, now + within / 10 * PROCESS);
        self.take_until_quiet(take_until, process_until, context);
    }

    fn take_until_quiet(&mut self, end: Instant, process_until: Instant, context: &mut Context<Self>) {
        if self.connection.has_ended() {
            return;
        }
        if self.check_silence() || clock::now() >= end {
            self.silence.checks = 0;
            self.machine.stop_accepting();
            return self.close_when_processed(process_until, context);
        }
        context.run_later(SILENCE_BEFORE_TAG / SILENT_CHECKS, move |component, context| {
            component.take_until_quiet(end, process_until, context);
        });
    }

    fn close_when_processed(&mut self, end: Instant, context: &mut Context<Self>) {
        if self.connection.has_ended() {
            return;
        }
        if self.is_processed() || clock::now() >= end {
            let error = stream::Error::new(Condition::SystemShutdown, "");
            self.close_protocol(CloseCause::error(EndCause::Shutdown, error), context);
            return self.await_silence(context);
        }
        context.run_later(SILENCE_BEFORE_TAG / SILENT_CHECKS, move |component, context| {
            component.close_when_processed(end, context);
        });
    }

    /// Whether all stanzas that were taken are written, in a queue, or answered.
    pub(super) fn is_processed(&self) -> bool {
        !self.silence.last_read.is_held() && !self.intake.is_pending()
    }

    /// Counts a check; returns whether nothing was read during the last checks while reading was possible. It is
    /// not possible while the last read is still being processed. Checks are counted instead of time, because on
    /// a busy machine time passes without a read.
    fn check_silence(&mut self) -> bool {
        self.silence.checks = if self.is_processed() { self.silence.checks + 1 } else { 0 };
        self.silence.checks > SILENT_CHECKS
    }
}

/// Nothing read for this long is a pause in which a stream can be closed.
const SILENCE_BEFORE_TAG: Duration = Duration::from_millis(20);

/// How often it is checked in such a time whether something was read.
const SILENT_CHECKS: u32 = 4;

/// Tenths of the time for the end of a stream: until then stanzas are taken from a component that does not pause. Most of
/// the time is for its last stanzas.
const TAKE: u32 = 8;

/// The same for the stanzas that were taken. The rest is for the closing tags.
const PROCESS: u32 = 9;

/// Nothing read for this long after our closing tag: nothing more is on its way.
const SILENCE_AFTER_TAG: Duration = Duration::from_millis(400);

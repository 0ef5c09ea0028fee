//! The end of a stream and of its link: the router is informed, and unwritten stanzas go back to the
//! promise.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};
use xmpp::{
    stanza,
    stream::{self, Condition, End},
};

use super::{
    Closed, LOG, OnRoute, Outgoing, Returned, Session, State, last_ack::LastAck, leftovers::Leftovers,
    loss_answers::LossAnswers,
};
use crate::{
    flow::{
        batch::{Batch, ReadPermit},
        close::CloseMode,
        outbox::{self, Suspect},
        route::Return,
    },
    streams::connection::{CLOSE_WITHIN, WHOLE_CHUNK, limit_closing},
};
use status::{
    amount::Amount,
    event::{Event, EventKind},
};

/// The end of a stream that takes no more stanzas.
pub(super) struct Ending {
    /// The lifetime of the stream.
    pub(super) lived: Duration,
    /// The counts in the log line about the end.
    logged: Counts,
    /// Whether stanzas were acknowledged, for the log.
    acks: &'static str,
    redial: Redial,
    /// Closing tags went both ways.
    is_orderly: bool,
    pub(super) handback: Handback,
}

/// When the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redial {
    /// At once: we closed the stream ourselves, and nothing failed.
    AtOnce,
    /// After the pause that follows a link of this lifetime.
    AfterPause,
}

/// How far the handback of stanzas is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handback {
    /// The router does not know yet that the stream takes no more stanzas.
    Unreported,
    /// The router knows, and may still have stanzas on their way.
    Reported,
    /// The router has sent its last stanza.
    Retired,
    /// The promise has the unwritten stanzas.
    Returned,
}

impl Ending {
    /// The router has sent its last stanza.
    pub(super) fn retire(&mut self) {
        if self.handback == Handback::Reported {
            self.handback = Handback::Retired;
        }
    }
}

/// Counts of the stanzas and bytes of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    stanzas_in: u64,
    dropped_in: u64,
    stanzas_out: u64,
}

impl Counts {
    fn of(session: &Session) -> Self {
        Self {
            stanzas_in: session.inbound.answers,
            dropped_in: session.inbound.dropped,
            stanzas_out: session.connection.outbox.stanzas_written(),
        }
    }
}

impl Outgoing {
    /// Closes our side of the stream; the outbox is written before the closing tag.
    pub(super) fn close_stream(
        &mut self,
        error: Option<stream::Error>,
        reason: &str,
        redial: Redial,
        context: &mut Context<Self>,
    ) {
        self.take_no_more(reason, redial, context);
        if let Some(session) = self.state.session_mut() {
            session.connection.outbox.ask_last();
            session.machine.close(error);
        }
        self.drive(&ReadPermit::free(), context);
    }

    /// The protocol has ended.
    pub(super) fn stream_ended(&mut self, end: &End, last_ack: LastAck, context: &mut Context<Self>) {
        let error = match end {
            End::ByPeer(error) => Some(error),
            End::Closed | End::ByUs(_) => None,
        };
        if let Some(session) = self.state.session_mut()
            && (error.is_some() || session.connection.outbox.has_acks())
        {
            // RFC 6120 section 4.9.1.1: after the peer's stream error nothing more is sent but the closing
            // tag. A peer that acknowledges stanzas takes none after its closing tag either: its last
            // acknowledgement is final.
            let is_final = last_ack.is_final(&session.machine, end);
            let outbox = &mut session.connection.outbox;
            outbox.ask_no_more();
            let closing_tags = outbox.take_raw();
            let mut remains = outbox.remains(WHOLE_CHUNK);
            if is_final {
                // The rest has certainly not been accepted: it is as if it had not been written.
                remains.unwritten.splice(..0, std::mem::take(&mut remains.open));
            }
            let in_flight = outbox.mark_recent_uncertain(clock::now());
            closing_tags.into_iter().for_each(|tag| outbox.push_raw(tag));
            self.leave_behind(remains, in_flight, error);
        }
        self.take_no_more(&end.to_string(), Redial::AfterPause, context);
        if let State::Closing(session, ending) = &mut self.state {
            ending.is_orderly = matches!(end, End::Closed);
            session.connection.end(CloseMode::after(end, session.machine.is_open()));
        }
        self.flush(context);
    }

    /// The link has ended, or is cut. At most `written` bytes of its last chunk are on the wire.
    pub(super) fn link_ended(&mut self, written: usize, reason: &str, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        let has_closed = session.connection.has_ended();
        let outbox = &mut session.connection.outbox;
        let remains = outbox.remains(written);
        let in_flight = if has_closed {
            outbox.mark_arrived();
            0
        } else {
            outbox.mark_recent_uncertain(clock::now())
        };
        self.leave_behind(remains, in_flight, None);
        self.take_no_more(reason, Redial::AfterPause, context);
        if let State::Closing(session, ending) = &self.state {
            self.log_late(Counts::of(session), ending);
        }
        self.state.finish_closing();
        self.give_back(context);
    }

    /// Keeps stanzas that can be sent again, and answers those that can only be answered. `error` is the
    /// peer's stream error, if it ended the stream with one.
    fn leave_behind(&mut self, remains: outbox::Remains, in_flight: usize, error: Option<&stream::Error>) {
        let now = clock::now();
        let Some(session) = self.state.session_mut() else { return };
        let last_written = session.connection.outbox.last_written();
        let suspects = session.connection.outbox.take_suspects(&remains.touched, now);
        let LossAnswers { rejected, requests } = LossAnswers::find(&self.pair.remote, error, suspects, now);
        let mut answered = 0;
        if let Some((rejected, error)) = rejected {
            answered += self.answer_uncertain(vec![rejected], &error);
        }
        if let Some((requests, error)) = requests {
            answered += self.answer_uncertain(requests, &error);
        }
        let uncertain = (remains.uncertain + in_flight).saturating_sub(answered);
        if uncertain > 0 {
            let ago = last_written.map_or(Duration::ZERO, clock::since);
            // A peer that announces its shutdown is no reason for a warning. It is still unknown
            // which stanzas it has read.
            let level = match error {
                Some(error) if error.condition == Condition::SystemShutdown => log::Level::Info,
                _ => log::Level::Warn,
            };
            log::log!(
                target: LOG, level, pair:% = self.pair, stanzas = uncertain, answered = answered,
                last_written_ago:% = rounded(ago);
                "link lost: stanzas in transit may not have arrived"
            );
        }
        self.keep_open(remains.open, remains.first, error);
        // Older than those that came after the end.
        self.leftovers.unwritten.splice(..0, remains.unwritten);
    }

    /// Answers stanzas that may not have arrived. Gives the number of those that no longer count as
    /// uncertain.
    fn answer_uncertain(&mut self, suspects: Vec<Suspect>, error: &stanza::Error) -> usize {
        let (mut answers, mut counted, mut amount) = (Vec::new(), 0, Amount::default());
        for suspect in suspects {
            let Some(answer) = suspect.stanza.bounce(error) else { continue };
            answers.push(answer);
            amount = amount.plus(suspect.amount);
            counted += usize::try_from(suspect.amount.stanzas).unwrap_or(usize::MAX);
        }
        if answers.is_empty() {
            return counted;
        }
        self.record(Event::now(EventKind::Bounced).saying(&error.text).of(answers.len()));
        if let Some(session) = self.state.session_mut() {
            session.connection.outbox.answered(amount, error.condition, answers.len());
        }
        // A router that is gone ends the process.
        let _ = self.owners.bounces.signal(Return { answers, permit: ReadPermit::free() });
        counted
    }

    /// From now on stanzas are kept to be given back.
    fn take_no_more(&mut self, reason: &str, redial: Redial, context: &mut Context<Self>) {
        if let State::Open(session) = &mut self.state {
            let ending = Ending {
                lived: clock::since(session.connection.since),
                logged: Counts::of(session),
                acks: session.connection.outbox.acknowledgement().acks.as_str(),
                redial,
                is_orderly: false,
                handback: Handback::Unreported,
            };
            let unacked = session.connection.outbox.unacked() as usize + self.leftovers.count_open();
            let mut held = session.connection.outbox.take_overflow();
            held.iter_mut().for_each(Batch::release);
            self.leftovers.unwritten.extend(held);
            self.log_closed(reason, &ending, unacked);
            self.state.begin_closing(ending);
            limit_closing(CLOSE_WITHIN, context, Self::close_if_written, Self::cut);
        }
        self.report_end(context);
    }

    fn log_closed(&self, reason: &str, ending: &Ending, unacked: usize) {
        let Counts { stanzas_in, dropped_in, stanzas_out } = ending.logged;
        log::info!(
            target: LOG, pair:% = self.pair, reason = reason, stanzas_in = stanzas_in,
            dropped_in = dropped_in,
            stanzas_out = stanzas_out, acks = ending.acks, unacked = unacked,
            lived:% = rounded(ending.lived);
            "closed"
        );
        let text = format!("{reason}, after {}", rounded(ending.lived));
        let count = usize::try_from(stanzas_out).unwrap_or(usize::MAX);
        self.record(Event::now(EventKind::Closed).saying(text).of(count));
    }

    /// Logs the final counts if they differ from those in the line about the end: waiting stanzas are written before our
    /// closing tag, and the peer may answer until its own.
    fn log_late(&self, counts: Counts, ending: &Ending) {
        if ending.logged != counts {
            let Counts { stanzas_in, dropped_in, stanzas_out } = counts;
            log::info!(
                target: LOG, pair:% = self.pair, stanzas_in = stanzas_in, dropped_in = dropped_in,
                stanzas_out = stanzas_out;
                "link ended: more stanzas went over it while it closed"
            );
        }
    }

    /// Closes the link of a peer that has not answered our closing tag, if all is written.
    pub(super) fn close_if_written(&mut self, _: &mut Context<Self>) {
        if let Some(session) = self.state.session() {
            session.connection.close_if_written();
        }
    }

    /// Cuts the link of a peer that has not closed its side.
    pub(super) fn cut(&mut self, context: &mut Context<Self>) {
        self.link_ended(WHOLE_CHUNK, "the peer did not close its side", context);
    }

    /// Reports the end to the router, once. While the promise hands over, the router may not know this
    /// session yet, and could not forget it. Then `Open` is still to come, and its handler calls this again.
    pub(super) fn report_end(&mut self, context: &mut Context<Self>) {
        let Some(ending) = self.state.ending_mut() else { return };
        if ending.handback != Handback::Unreported || matches!(self.on_route, OnRoute::Hold(_)) {
            return;
        }
        ending.handback = Handback::Reported;
        let closed = Closed { pair: self.pair.clone(), session: self.own.clone() };
        if self.owners.closed.signal(closed).is_err() {
            context.stop();
        }
    }

    /// Gives back stanzas that were not written or not acknowledged, once the router has sent its last stanza and the
    /// outcome of all in the outbox is known: all is written and acknowledged, or the link has ended.
    pub(super) fn give_back(&mut self, context: &mut Context<Self>) {
        let is_settled = !self.has_unsettled();
        let is_down = matches!(self.state, State::Closed(_));
        let Some(ending) = self.state.ending_mut().filter(|_| is_settled) else { return };
        if ending.handback == Handback::Retired {
            ending.handback = Handback::Returned;
            let (cut, redial, lived) = (!ending.is_orderly, ending.redial, ending.lived);
            let carried = ending.logged.stanzas_out > 0;
            let mut tokens = std::mem::take(&mut self.shutdown.flushing);
            if is_down {
                tokens.append(&mut self.shutdown.finishing);
            }
            let Leftovers { open, interruption, unwritten } = std::mem::take(&mut self.leftovers);
            // A promise that is gone ends the process.
            let _ = self.owners.returned.signal(Returned {
                pair: self.pair.clone(),
                open,
                interruption,
                batches: unwritten,
                lived: (redial == Redial::AfterPause).then_some(lived),
                carried,
                cut,
                tokens,
            });
        }
        if is_down && self.state.ending_mut().is_some_and(|ending| ending.handback == Handback::Returned) {
            context.stop();
        }
    }

    /// Closes the stream because the node stops: once everything is written and acknowledged, or after `within`.
    /// Without acknowledgements there is nothing to wait for: waiting stanzas are written before the closing tag.
    pub(super) fn close_when_acknowledged(&mut self, within: Duration, context: &mut Context<Self>) {
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
    pub(super) fn expect_progress(&self, within: Duration, context: &mut Context<Self>) {
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

/// `7s`, or `70ms` below one second.
fn rounded(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}s", time.as_secs())
    }
}

//! The end of a stream, and of its link: the router is told, what was not written goes back to the promise.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};
use xmpp::{
    stanza,
    stream::{self, Condition, End},
};

use super::{Closed, LOG, OnRoute, Outgoing, Returned, Wire, blame::Blame};
use crate::flow::{
    batch::{Batch, ReadPermit},
    farewell::Farewell,
    outbox::{self, Fact},
    route::Return,
};
use status::{
    amount::Amount,
    event::{Event, What},
};

/// The stream takes no more stanzas.
pub(super) struct Ending {
    pub(super) lived: Duration,
    /// What the log says of it.
    told: Counts,
    /// We closed it, because it was idle or an operator asked for it: that is no cause for a pause.
    pub(super) idle: bool,
    /// Closing tags went both ways.
    orderly: bool,
    /// The router knows.
    pub(super) reported: bool,
    /// The router has sent its last.
    pub(super) retired: bool,
    /// The promise has back what was not written.
    pub(super) returned: bool,
}

/// What went over a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    stanzas_in: u64,
    dropped_in: u64,
    stanzas_out: u64,
}

impl Outgoing {
    /// Closes our side of the stream; what is in the outbox goes before the closing tag.
    pub(super) fn close_stream(
        &mut self,
        error: Option<stream::Error>,
        reason: &str,
        context: &mut Context<Self>,
    ) {
        self.take_no_more(reason, context);
        if let Some(wire) = &mut self.wire {
            wire.machine.close(error);
        }
        self.turn(&ReadPermit::free(), context);
    }

    /// The machine is done with the stream.
    pub(super) fn stream_ended(&mut self, end: &End, context: &mut Context<Self>) {
        if let End::ByPeer(error) = end {
            // RFC 6120 4.9.1.1: after the peer's stream error nothing more is sent but the closing tag.
            let closing_tags = self.outbox.take_raw();
            let remains = self.outbox.remains(WHOLE_CHUNK);
            let doubtful = self.outbox.doubt_recent(clock::now());
            self.leave_behind(remains, doubtful, Some(error));
            closing_tags.into_iter().for_each(|tag| self.outbox.push_raw(tag));
        }
        self.take_no_more(&end.to_string(), context);
        if let Some(ending) = &mut self.end {
            ending.orderly = matches!(end, End::Closed);
        }
        if let Some(wire) = &mut self.wire {
            wire.over = true;
            wire.farewell = Farewell::after(end, wire.machine.is_open());
        }
        self.feed_link();
    }

    pub(super) fn link_ended(&mut self, written: usize, reason: &str, context: &mut Context<Self>) {
        let remains = self.outbox.remains(written);
        let said_goodbye = self.wire.as_ref().is_none_or(|wire| wire.over);
        let doubtful = if said_goodbye { 0 } else { self.outbox.doubt_recent(clock::now()) };
        if said_goodbye {
            self.outbox.trust_written();
        }
        self.leave_behind(remains, doubtful, None);
        self.take_no_more(reason, context);
        if let Some(wire) = self.wire.take() {
            self.tell_late(&wire);
        }
        self.give_back(context);
    }

    /// Keeps what can be sent again, and answers what can only be answered. `error` is the one by which the peer ended the
    /// stream.
    fn leave_behind(&mut self, remains: outbox::Remains, doubtful: usize, error: Option<&stream::Error>) {
        let now = clock::now();
        let suspects = self.outbox.take_suspects(&remains.touched, now);
        let Blame { culprit, requests } = Blame::find(&self.pair.remote, error, suspects, now);
        let mut answered = 0;
        if let Some((culprit, error)) = culprit {
            answered += self.answer_uncertain(vec![culprit], &error);
        }
        if let Some((requests, error)) = requests {
            answered += self.answer_uncertain(requests, &error);
        }
        let uncertain = (remains.uncertain + doubtful).saturating_sub(answered);
        if uncertain > 0 {
            let ago = self.outbox.last_written().map_or(Duration::ZERO, clock::since);
            // A peer that says that it stops is nothing to be warned of; what it had read by then, nobody knows all the same.
            let level = match error {
                Some(error) if error.condition == Condition::SystemShutdown => log::Level::Info,
                _ => log::Level::Warn,
            };
            log::log!(
                target: LOG, level, pair:% = self.pair, stanzas = uncertain, answered = answered,
                last_written_ago:% = humane(ago);
                "link lost: stanzas in transit may not have arrived"
            );
        }
        // Older than what came after the end.
        self.leftovers.splice(..0, remains.unwritten);
    }

    /// Answers stanzas that may not have arrived, and gives the number of those that are called uncertain no more.
    fn answer_uncertain(&mut self, facts: Vec<Fact>, error: &stanza::Error) -> usize {
        let (mut answers, mut counted, mut amount) = (Vec::new(), 0, Amount::default());
        for fact in facts {
            let Some(answer) = fact.stanza.bounce(error) else { continue };
            answers.push(answer);
            amount = amount.plus(fact.amount);
            counted += usize::try_from(fact.amount.stanzas).unwrap_or(usize::MAX);
        }
        if !answers.is_empty() {
            self.note(Event::now(What::Bounced).saying(&error.text).of(answers.len()));
            self.outbox.answered(amount, error.condition, answers.len());
            // A router that is gone takes the process with it.
            let _ = self.owners.bounces.signal(Return { answers, pass: ReadPermit::free() });
        }
        counted
    }

    /// From now on stanzas are kept to be given back.
    fn take_no_more(&mut self, reason: &str, context: &mut Context<Self>) {
        if self.end.is_none() {
            let lived = self.wire.as_ref().map_or(Duration::ZERO, |wire| clock::since(wire.since));
            let counts = self.wire.as_ref().map(|wire| self.counts(wire)).unwrap_or_default();
            let Counts { stanzas_in, dropped_in, stanzas_out } = counts;
            log::info!(
                target: LOG, pair:% = self.pair, reason = reason, stanzas_in = stanzas_in, dropped_in = dropped_in,
                stanzas_out = stanzas_out, lived:% = humane(lived);
                "closed"
            );
            let text = format!("{reason}, after {}", humane(lived));
            let count = usize::try_from(stanzas_out).unwrap_or(usize::MAX);
            self.note(Event::now(What::Closed).saying(text).of(count));
            self.end = Some(Ending {
                lived,
                told: counts,
                idle: false,
                orderly: false,
                reported: false,
                retired: false,
                returned: false,
            });
            let mut outside = self.outbox.take_overflow();
            outside.iter_mut().for_each(Batch::release);
            self.leftovers.extend(outside);
            self.end_link_in(CLOSE_WITHIN, context);
        }
        self.report_end(context);
    }

    fn counts(&self, wire: &Wire) -> Counts {
        Counts {
            stanzas_in: wire.inbound.answers,
            dropped_in: wire.inbound.dropped,
            stanzas_out: self.outbox.stanzas_written(),
        }
    }

    /// Tells what went over the stream in all, if something did after its end was told: what waited goes before our closing
    /// tag, and the peer may answer until its own.
    fn tell_late(&self, wire: &Wire) {
        let counts = self.counts(wire);
        if self.end.as_ref().is_some_and(|end| end.told != counts) {
            let Counts { stanzas_in, dropped_in, stanzas_out } = counts;
            log::info!(
                target: LOG, pair:% = self.pair, stanzas_in = stanzas_in, dropped_in = dropped_in,
                stanzas_out = stanzas_out;
                "link ended: more stanzas went over it while it closed"
            );
        }
    }

    pub(super) fn end_link_in(&self, time: Duration, context: &mut Context<Self>) {
        context.run_later(time, |session, context| {
            // Our last words are written: the peer may still read them.
            if let Some(wire) = session.wire.as_ref().filter(|_| session.outbox.is_empty()) {
                wire.link.close(Farewell::Now);
            }
            context.run_later(PARTING, |session, context| {
                session.link_ended(WHOLE_CHUNK, "the peer did not close its side", context);
            });
        });
    }

    /// Tells the router, once. While the promise hands over, the router may not know this session yet and would look
    /// in vain for what it is to forget: `Open` is on its way for certain, and comes back here.
    pub(super) fn report_end(&mut self, context: &mut Context<Self>) {
        let Some(end) = &mut self.end else { return };
        if end.reported || matches!(self.on_route, OnRoute::Hold(_)) {
            return;
        }
        end.reported = true;
        let closed = Closed { pair: self.pair.clone(), session: self.own.clone() };
        if self.owners.closed.signal(closed).is_err() {
            context.stop();
        }
    }

    /// Gives back what was not written, once the router has sent its last and nothing is on its way any more: of what
    /// is in the outbox, only the end of the link tells.
    pub(super) fn give_back(&mut self, context: &mut Context<Self>) {
        let settled = self.wire.is_none() || self.outbox.is_empty();
        let Some(end) = self.end.as_mut().filter(|end| end.retired && settled) else { return };
        if !end.returned {
            end.returned = true;
            let cut = !end.orderly;
            let (lived, batches) = ((!end.idle).then_some(end.lived), std::mem::take(&mut self.leftovers));
            // A promise that is gone takes the process with it.
            let mut tokens = std::mem::take(&mut self.flushing);
            if self.wire.is_none() {
                tokens.append(&mut self.finishing);
            }
            let _ = self.owners.returned.signal(Returned {
                pair: self.pair.clone(),
                batches,
                lived,
                cut,
                tokens,
            });
        }
        if self.wire.is_none() {
            context.stop();
        }
    }

    /// Gives up a link that takes nothing for so long while the node waits for it.
    pub(super) fn expect_progress(&self, within: Duration, context: &mut Context<Self>) {
        context.run_later(within, move |session, context| {
            if session.flushing.is_empty() {
                return;
            }
            let writing_since = session.wire.as_ref().and_then(|wire| wire.writing_since);
            if writing_since.is_some_and(|since| clock::since(since) < within) {
                return session.expect_progress(within, context);
            }
            session.link_ended(
                WHOLE_CHUNK,
                "this server is being stopped and the peer does not read",
                context,
            );
        });
    }
}

/// `1h 2m 3s`, without the fractions.
fn humane(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}s", time.as_secs())
    }
}

/// When a link is given up while it writes, all of the chunk may be on the wire.
pub(super) const WHOLE_CHUNK: usize = usize::MAX;

/// How long a peer that has not answered our closing tag gets to read what is left.
const PARTING: Duration = Duration::from_millis(300);

/// How long a peer may take to answer our closing tag.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

//! The stanzas that a lost link carried, when there is a new link: those that have arrived are settled, and
//! the others are sent again or answered.

use xmpp::DomainPair;

use super::{
    LOG, Promise,
    answers::count,
    waiting::{Settled, Verdict},
};
use crate::streams::outgoing::{Handled, Interruption};
use status::event::{Event, EventKind};

impl Promise {
    /// Settles the stanzas of the lost link of a pair. Those that stay in its queue are to be sent again.
    pub(super) fn settle_open(&mut self, pair: &DomainPair, handled: Handled) {
        let Some(interruption) = self.pairs.end_interruption(pair) else { return };
        let settled = self.waiting.settle(
            pair,
            Verdict {
                handled: handled.count(),
                blames_first: interruption.blames_first,
                repeat: self.dial.repeat(&pair.remote),
            },
        );
        self.log_settled(pair, handled, &interruption, &settled);
        self.answer_in_doubt(settled.unrepeatable);
        self.answer_exhausted(settled.exhausted);
    }

    fn log_settled(
        &self,
        pair: &DomainPair,
        handled: Handled,
        interruption: &Interruption,
        settled: &Settled,
    ) {
        let (arrived, resent, repeated) = (settled.acknowledged.stanzas, settled.resent, settled.repeated);
        let (requests, exhausted) = (count(&settled.unrepeatable), count(&settled.exhausted));
        let interrupted = format!("{:.1}s", clock::since(interruption.since).as_secs_f64());
        let (kind, name) = match handled {
            Handled::Resumed(_) => (EventKind::Resumed, "resumed"),
            Handled::Counted(_) => (EventKind::Counted, "counted"),
            Handled::NotAsked | Handled::Unknown => {
                let reason = match handled {
                    Handled::Unknown => "the peer does not know the lost stream",
                    _ if interruption.lost.is_some() => "the loss was too long ago to ask for the stream",
                    _ => "the peer does not support resumption",
                };
                if repeated + requests + exhausted == 0 {
                    // Nothing waited any more.
                    return;
                }
                log::warn!(
                    target: LOG, pair:% = pair, stanzas = repeated, requests_answered = requests,
                    answered = exhausted, interrupted = interrupted.as_str(), reason = reason;
                    "resent unacknowledged stanzas, duplicates possible"
                );
                return self.record(pair, Event::now(EventKind::Repeated).saying(reason).of(repeated));
            }
        };
        log::info!(
            target: LOG, pair:% = pair, handled = arrived, resent = resent, answered = exhausted,
            interrupted = interrupted.as_str();
            "{name}"
        );
        let text = format!("{arrived} had arrived, {resent} sent again, interrupted for {interrupted}");
        self.record(pair, Event::now(kind).saying(text).of(resent));
    }
}

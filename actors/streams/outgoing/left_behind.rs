//! The stanzas that a stream leaves behind: each is kept for the next stream, answered, or counted as uncertain.

use std::time::Duration;

use xmpp::{
    stanza,
    stream::{self, Condition},
};

use super::{LOG, Outgoing, closing_log::rounded, loss_answers::LossAnswers};
use crate::flow::{
    batch::ReadPermit,
    outbox::{self, Suspect},
    route::Return,
};
use status::{
    amount::Amount,
    event::{Event, EventKind},
};

impl Outgoing {
    /// Keeps stanzas that can be sent again, and answers those that can only be answered. `error` is the
    /// peer's stream error, if it ended the stream with one.
    pub(super) fn leave_behind(
        &mut self,
        remains: outbox::Remains,
        in_flight: usize,
        error: Option<&stream::Error>,
    ) {
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
}

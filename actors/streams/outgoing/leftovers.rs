//! The stanzas that a stream has not delivered, for the next stream.

use xmpp::{
    acks::Previous,
    stream::{
        self,
        initiating::{Acks, Resumable},
    },
};

use super::{Interruption, LOG, Outgoing, Phase, Session, loss_answers::is_about_content};
use crate::{
    dial::attempt::Lost,
    flow::{account::Outcome, batch::Batch, journal::is_worth_keeping},
};

/// Stanzas that are given back in the end.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Sent and not acknowledged, in order.
    pub(super) open: Vec<Batch>,
    /// The loss of the stream.
    pub(super) interruption: Option<Box<Interruption>>,
    /// Not written, or come when they could no longer be written; in order.
    pub(super) unwritten: Vec<Batch>,
}

impl Leftovers {
    /// The number of stanzas that were sent and not acknowledged.
    pub(super) fn count_open(&self) -> usize {
        self.open.iter().map(|batch| batch.stanzas.len()).sum()
    }
}

impl Outgoing {
    /// Keeps the stanzas that the peer has not acknowledged; `first` is the number of the first. `error` is the
    /// peer's stream error, if it ended the stream with one.
    pub(super) fn keep_open(&mut self, mut open: Vec<Batch>, first: u32, error: Option<&stream::Error>) {
        let count = open.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
        if count == 0 {
            return;
        }
        if self.shutdown.phase == Phase::Finishing {
            // There is no next link, and no component to answer. The promise leaves messages in the journal, if there is one.
            if self.owners.journal.is_some() {
                self.leftovers.open = open.iter_mut().map(|batch| batch.extract(is_worth_keeping)).collect();
                self.leftovers.open.retain(|batch| !batch.stanzas.is_empty());
            }
            open.iter_mut().for_each(|batch| batch.entry.settle_rest(Outcome::Uncertain));
            log::warn!(
                target: LOG, pair:% = self.pair, stanzas = count;
                "stopped before the peer acknowledged all stanzas: some may not have arrived"
            );
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.leftovers.interruption = Some(Box::new(Interruption {
            since: clock::now(),
            first,
            lost: self.state.session().and_then(|session| self.lost(session, first, count)),
            blames_first: error.is_some_and(|error| is_about_content(error.condition)),
        }));
        self.leftovers.open = open;
    }

    /// The stream of a session for which the peer can be asked.
    fn lost(&self, session: &Session, first: u32, count: u32) -> Option<Lost> {
        let Acks::On { resumable: Some(Resumable { id, max }) } = session.machine.acks() else { return None };
        let kept = self.limits.resume_timeout.min(max.unwrap_or(self.limits.resume_timeout));
        if kept.is_zero() {
            return None;
        }
        Some(Lost {
            previous: Previous { id: id.clone(), handled: session.machine.handled_count(), max: *max },
            address: session.connection.address,
            until: clock::now() + kept,
            first,
            count,
        })
    }
}

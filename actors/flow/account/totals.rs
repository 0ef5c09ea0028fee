//! The totals of one domain, or of all: how many stanzas were taken in, and how many have which outcome.
//!
//! The totals are shared relaxed atomics, like the gauges of the mailboxes: they are for reports, and no
//! decision depends on them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use xmpp::stanza::{Condition, Reason};

use status::{amount::Amount, report::Account};

/// The outcome of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel has all of its bytes, and the link was up.
    Written,
    /// It was being written, or was written lately, when its link broke: it may have arrived.
    Uncertain,
    /// Answered with an error.
    Answered,
    /// It has waited for too long: answered with an error, if it may be answered.
    Expired,
    /// Dropped by a rule: an error, result or presence that cannot be delivered, a presence replaced by a
    /// newer one, a stanza that the node itself handled, or a refused stanza that may not be answered.
    Dropped,
    /// It waits in the file of the journal for the next start of the node.
    Kept,
    /// Another node of the cluster got it, and has settled it.
    Relayed,
}

/// A number of stanzas, and of their bytes.
#[derive(Debug, Default)]
pub(super) struct Figure {
    stanzas: AtomicU64,
    bytes: AtomicU64,
}

impl Figure {
    pub(super) fn add(&self, stanzas: u64, bytes: u64) {
        self.stanzas.fetch_add(stanzas, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn subtract(&self, stanzas: u64, bytes: u64) {
        self.stanzas.fetch_sub(stanzas, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn read(&self) -> Amount {
        Amount { stanzas: self.stanzas.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// The totals of one domain, or of all.
#[derive(Debug, Default)]
pub struct Totals {
    pub(super) taken: Figure,
    pub(super) waiting: Figure,
    pub(super) outcomes: [Figure; 7],
    /// Written and acknowledged by the peer (XEP-0198). Part of the written ones.
    pub(super) acknowledged: Figure,
    /// Written to a stream with acknowledgements, and not acknowledged yet. Part of the written ones.
    pub(super) unacked: Figure,
    /// Sent again although the first copy may have arrived. Part of no sum.
    pub(super) repeated: Figure,
    /// Taken in from the file of the journal at the start. Part of the taken ones.
    pub(super) restored: Figure,
    /// Given to the journal while they waited. Part of no sum.
    pub(super) journaled: Figure,
    /// Dropped without an outcome.
    pub(super) unaccounted: Figure,
    /// Of the totals of all domains only: each domain for which something waits has totals too.
    pub(super) details: Option<Box<Details>>,
}

/// What is counted for all domains together only.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// Taken from other nodes, in whose account they stand. Part of no sum.
    pub(super) carried: Figure,
    /// Settled for other nodes. Part of the carried ones; the rest is here, or was given back.
    pub(super) carried_settled: Figure,
    /// Stanzas that their stream refused, in the order of [`Reason::ALL`].
    pub(super) refused: [AtomicU64; Reason::ALL.len()],
    /// Error answers by condition, in the order of [`CONDITIONS`]; the last is all others.
    pub(super) bounces: [AtomicU64; CONDITIONS.len() + 1],
    /// Answers that the node made and could not send before it stopped. Part of no sum.
    pub(super) unsent_answers: AtomicU64,
}

impl Totals {
    /// The totals of all domains.
    pub fn of_all() -> Self {
        Self { details: Some(Box::default()), ..Self::default() }
    }

    /// The amount that was taken in since the start.
    pub fn taken(&self) -> Amount {
        self.taken.read()
    }

    /// The amount with this outcome.
    pub fn settled(&self, outcome: Outcome) -> Amount {
        self.figure(outcome).read()
    }

    /// The written amount that the peer has acknowledged.
    pub fn acknowledged(&self) -> Amount {
        self.acknowledged.read()
    }

    /// The written amount that the peer has not acknowledged yet, although it acknowledges stanzas.
    pub fn unacked(&self) -> Amount {
        self.unacked.read()
    }

    /// The amount that was sent again although the first copy may have arrived.
    pub fn repeated(&self) -> Amount {
        self.repeated.read()
    }

    /// The amount that was taken in from the file of the journal at the start.
    pub fn restored(&self) -> Amount {
        self.restored.read()
    }

    /// The amount that was given to the journal while it waited.
    pub fn journaled(&self) -> Amount {
        self.journaled.read()
    }

    /// The amount that was taken from other nodes, in whose account it stands.
    pub fn carried(&self) -> Amount {
        self.details.as_ref().map(|details| details.carried.read()).unwrap_or_default()
    }

    /// The part of it that was settled here.
    pub fn carried_settled(&self) -> Amount {
        self.details.as_ref().map(|details| details.carried_settled.read()).unwrap_or_default()
    }

    /// Counts stanzas that were taken from another node. They stand in its account.
    pub(crate) fn carry(&self, amount: Amount) {
        if let Some(details) = &self.details {
            details.carried.add(amount.stanzas, amount.bytes);
        }
    }

    /// Counts stanzas that were settled for another node.
    pub(crate) fn settle_carried(&self, amount: Amount) {
        if let Some(details) = &self.details {
            details.carried_settled.add(amount.stanzas, amount.bytes);
        }
    }

    /// The number of answers that the node made for other servers, and could not send before it stopped.
    pub fn unsent_answers(&self) -> u64 {
        self.details.as_ref().map(|details| details.unsent_answers.load(Relaxed)).unwrap_or_default()
    }

    /// Counts answers that cannot be sent any more.
    pub(crate) fn count_unsent_answers(&self, answers: usize) {
        if let Some(details) = &self.details {
            details.unsent_answers.fetch_add(answers as u64, Relaxed);
        }
    }

    /// The amount that is in the node.
    pub fn waiting(&self) -> Amount {
        self.waiting.read()
    }

    /// Error answers by condition.
    pub fn bounces(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = CONDITIONS.iter().map(|condition| condition.as_str()).chain(["other"]);
        let counts = self.details.iter().flat_map(|details| &details.bounces);
        names.zip(counts.map(|count| count.load(Relaxed)))
    }

    /// Stanzas that their stream refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counts = self.details.iter().flat_map(|details| &details.refused);
        Reason::ALL.iter().copied().zip(counts.map(|count| count.load(Relaxed)))
    }

    /// The amount that was dropped without an outcome: 0, or a bug.
    pub fn difference(&self) -> Amount {
        self.unaccounted.read()
    }

    /// Logs the totals.
    pub fn log(&self, domain: &str) {
        let count = |outcome| self.settled(outcome).stanzas;
        let unsent_answers = Some(self.unsent_answers()).filter(|answers| *answers > 0);
        // A node alone has none.
        let in_cluster = |stanzas| Some(stanzas).filter(|stanzas| *stanzas > 0);
        log::info!(
            target: "nuncio::account",
            domain = domain,
            taken = self.taken().stanzas,
            taken_bytes = self.taken().bytes,
            restored = self.restored().stanzas,
            written = count(Outcome::Written),
            acknowledged = self.acknowledged().stanzas,
            unacked = self.unacked().stanzas,
            uncertain = count(Outcome::Uncertain),
            repeated = self.repeated().stanzas,
            answered = count(Outcome::Answered),
            unsent_answers = unsent_answers,
            expired = count(Outcome::Expired),
            dropped = count(Outcome::Dropped),
            kept = count(Outcome::Kept),
            relayed = in_cluster(count(Outcome::Relayed)),
            carried = in_cluster(self.carried().stanzas),
            carried_settled = in_cluster(self.carried_settled().stanzas),
            journaled = self.journaled().stanzas,
            waiting = self.waiting().stanzas,
            waiting_bytes = self.waiting().bytes,
            difference = self.difference().stanzas,
            difference_bytes = self.difference().bytes;
            "account"
        );
    }

    pub(super) fn figure(&self, outcome: Outcome) -> &Figure {
        let [written, uncertain, answered, expired, dropped, kept, relayed] = &self.outcomes;
        match outcome {
            Outcome::Written => written,
            Outcome::Uncertain => uncertain,
            Outcome::Answered => answered,
            Outcome::Expired => expired,
            Outcome::Dropped => dropped,
            Outcome::Kept => kept,
            Outcome::Relayed => relayed,
        }
    }
}

/// The conditions of error answers for stanzas that cannot be delivered, which are counted separately.
pub(super) const CONDITIONS: [Condition; 6] = [
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::InternalServerError,
    Condition::NotAllowed,
    Condition::ResourceConstraint,
    Condition::ServiceUnavailable,
];

impl From<&Totals> for Account {
    fn from(totals: &Totals) -> Self {
        Self {
            taken: totals.taken(),
            written: totals.settled(Outcome::Written),
            acknowledged: totals.acknowledged(),
            unacked: totals.unacked(),
            repeated: totals.repeated(),
            uncertain: totals.settled(Outcome::Uncertain),
            answered: totals.settled(Outcome::Answered),
            expired: totals.settled(Outcome::Expired),
            dropped: totals.settled(Outcome::Dropped),
            kept: totals.settled(Outcome::Kept),
            relayed: totals.settled(Outcome::Relayed),
            carried: totals.carried(),
            carried_settled: totals.carried_settled(),
            restored: totals.restored(),
            journaled: totals.journaled(),
            waiting: totals.waiting(),
        }
    }
}

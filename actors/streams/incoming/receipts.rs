//! Receipts of stanzas that count for the peer when they are settled or in the journal (XEP-0198).
//!
//! Without a journal a stanza counts when the router has taken it. With one, a crash loses nothing that was acknowledged:
//! the count waits for the receipts of the reads, in order.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::stream::{self, Condition};

use super::{Incoming, LOG, Machine};
use crate::flow::{
    batch::ReadPermit,
    journal::{Keeping, Receipt, Settled, State, Watch},
    outbox::Timer,
};
use mailbox::{Outlet, Queued};

/// The reads whose stanzas do not count yet.
#[derive(Debug)]
pub(super) struct Receipts {
    /// The time after which waiting stanzas should be written; `None`: there is no journal.
    after: Option<Duration>,
    /// The mailbox of the stream.
    own: Outlet<Settled>,
    /// The receipt of stanzas that the router has not taken yet.
    offered: Option<Receipt>,
    /// In order.
    reads: VecDeque<Read>,
    /// The stanzas of all reads.
    stanzas: u32,
    loss: Loss,
    timer: Timer,
}

/// Whether an actor that had stanzas of the stream has panicked. From then on nothing counts: the peer does not send again
/// what it takes for handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loss {
    #[default]
    None,
    /// The stream has to end.
    New,
    /// The stream knows.
    Reported,
}

/// Stanzas that the router took at the same time.
#[derive(Debug)]
struct Read {
    stanzas: u32,
    receipt: Watch,
    since: Instant,
    /// The peer has requested an ack behind them.
    is_ack_due: bool,
}

/// What counts now.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) stanzas: u32,
    /// The peer waits for an ack that has all stanzas before its request.
    pub(super) is_ack_due: bool,
}

impl Receipts {
    pub(super) fn new(journal: Option<&Keeping>, own: Outlet<Settled>) -> Self {
        Self {
            after: journal.map(|keeping| keeping.after.min(LONGEST_AFTER)),
            own,
            offered: None,
            reads: VecDeque::new(),
            stanzas: 0,
            loss: Loss::default(),
            timer: Timer::default(),
        }
    }

    /// Whether stanzas of the stream may be lost. True once.
    fn take_loss(&mut self) -> bool {
        let is_new = self.loss == Loss::New;
        if is_new {
            self.loss = Loss::Reported;
        }
        is_new
    }

    /// Whether no stanza that the router has taken may count later.
    pub(super) fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// The receipt for stanzas that are offered to the router.
    pub(super) fn receipt(&mut self) -> Receipt {
        if self.after.is_none() {
            return Receipt::default();
        }
        self.offered.get_or_insert_with(|| Receipt::new(self.own.clone())).clone()
    }

    /// The router has taken all stanzas. `unhandled` of them do not count yet, those of earlier reads included. Gives what
    /// counts now.
    pub(super) fn count(&mut self, unhandled: u32, is_ack_due: bool, now: Instant) -> Counted {
        let Some(after) = self.after else { return Counted { stanzas: unhandled, is_ack_due } };
        let receipt = self.offered.take().unwrap_or_default().watch();
        if self.loss != Loss::None {
            return Counted::default();
        }
        let stanzas = unhandled.saturating_sub(self.stanzas);
        if stanzas > 0 {
            self.stanzas += stanzas;
            self.reads.push_back(Read { stanzas, receipt, since: now, is_ack_due: false });
        }
        let mut counted = Counted::default();
        match self.reads.back_mut() {
            Some(last) => last.is_ack_due |= is_ack_due,
            None => counted.is_ack_due = is_ack_due,
        }
        while let Some(first) = self.reads.front() {
            let is_late = now.saturating_duration_since(first.since) >= after + LONGEST_COMMIT;
            match first.receipt.awaits() {
                State::Open if !is_late => break,
                State::Open | State::Settled => {}
                State::Lost => {
                    self.loss = Loss::New;
                    self.reads.clear();
                    break;
                }
            }
            counted.stanzas += first.stanzas;
            counted.is_ack_due |= first.is_ack_due;
            self.reads.pop_front();
        }
        self.stanzas -= counted.stanzas;
        counted
    }

    /// When to count again though no receipt has ended.
    fn next(&self) -> Option<Instant> {
        let first = self.reads.front()?;
        self.after.map(|after| first.since + after + LONGEST_COMMIT)
    }
}

impl Incoming {
    /// Ends the stream if some of its stanzas may be lost. The peer learns how many were handled, and sends the others again.
    pub(super) fn end_if_lost(&mut self, context: &mut Context<Self>) {
        if !self.receipts.take_loss() {
            return;
        }
        log::error!(
            target: LOG, address:% = self.connection.address;
            "stanzas of the stream may be lost after an internal error of this node: closing it, so that the peer sends them \
             again"
        );
        if let Machine::Open(open) = &mut self.machine {
            open.give_up_unhandled();
        }
        if !self.connection.has_ended() {
            self.close(Some(stream::Error::new(Condition::InternalServerError, "")), context);
        }
    }

    /// Counts again in time what does not count yet.
    pub(super) fn watch_receipts(&mut self, context: &mut Context<Self>) {
        let next = self.receipts.next();
        self.receipts
            .timer
            .set(next, context, |incoming, context| incoming.drive(&ReadPermit::free(), context));
    }
}

impl Handler<Queued<Settled>> for Incoming {
    type Result = ();

    fn handle(&mut self, settled: Queued<Settled>, context: &mut Context<Self>) {
        let Settled = settled.into_message();
        self.drive(&ReadPermit::free(), context);
    }
}

/// A stanza counts after this time, and that for a commit, also if `journal.after` is longer: servers take a stream for lost
/// if an acknowledgement does not come for 30 s (mod_smacks of Prosody).
const LONGEST_AFTER: Duration = Duration::from_secs(5);

/// A commit takes milliseconds. If a stanza is neither settled nor written after this time, the disk does not answer, and
/// the stanza counts: the peer would take the stream for lost.
const LONGEST_COMMIT: Duration = Duration::from_secs(2);

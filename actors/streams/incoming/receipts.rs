//! Receipts of stanzas that count for the peer when they are settled or in the journal (XEP-0198).
//!
//! Without a journal a stanza counts when the router has taken it. With one, a crash loses nothing that was acknowledged:
//! the count waits for the receipts of the reads, in order. It does not wait for ever: see [`LONGEST_COMMIT`].

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
    /// `None`: there is no journal.
    journal: Option<Keeping>,
    /// The mailbox of the stream.
    own: Outlet<Settled>,
    /// The receipt of stanzas that the router has not taken yet.
    offered: Option<Receipt>,
    /// In order.
    reads: VecDeque<Read>,
    /// The stanzas of all reads.
    stanzas: u32,
    loss: Loss,
    /// The node stops.
    is_stopping: bool,
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
    /// Those of them that may be neither settled nor written: the journal is too slow.
    pub(super) unwritten: u32,
    /// The peer waits for an ack that has all stanzas before its request.
    pub(super) is_ack_due: bool,
}

impl Receipts {
    pub(super) fn new(journal: Option<&Keeping>, own: Outlet<Settled>) -> Self {
        Self {
            journal: journal.cloned(),
            own,
            offered: None,
            reads: VecDeque::new(),
            stanzas: 0,
            loss: Loss::default(),
            is_stopping: false,
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
        if self.journal.is_none() {
            return Receipt::default();
        }
        self.offered.get_or_insert_with(|| Receipt::new(self.own.clone())).clone()
    }

    /// The router has taken all stanzas. `unhandled` of them do not count yet, those of earlier reads included. Gives what
    /// counts now.
    pub(super) fn count(&mut self, unhandled: u32, is_ack_due: bool, now: Instant) -> Counted {
        let Some(longest) = self.longest() else {
            return Counted { stanzas: unhandled, unwritten: 0, is_ack_due };
        };
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
            let is_late = now.saturating_duration_since(first.since) >= longest;
            match first.receipt.awaits() {
                State::Open if !is_late => break,
                State::Open => counted.unwritten += first.stanzas,
                State::Settled => {}
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
        self.longest().map(|longest| first.since + longest)
    }

    /// The longest time for which stanzas do not count; `None`: there is no journal.
    fn longest(&self) -> Option<Duration> {
        let Keeping { writer, after } = self.journal.as_ref()?;
        let is_settled_otherwise = self.is_stopping || writer.figures().hangs();
        let commit = if is_settled_otherwise { LONGEST_COMMIT_AT_END } else { LONGEST_COMMIT };
        Some((*after).min(LONGEST_AFTER) + commit)
    }

    /// The node stops: it keeps, answers or counts whatever it has taken.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
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

    /// Reports stanzas that count though the journal may not have them.
    pub(super) fn report_unwritten(&self, stanzas: u32) {
        let Some(Keeping { writer, .. }) = self.receipts.journal.as_ref().filter(|_| stanzas > 0) else {
            return;
        };
        writer.figures().acknowledged_early(stanzas);
        if self.environment.log_limits.unwritten.count_line() {
            log::warn!(
                target: LOG, address:% = self.connection.address, pair:% = self.first_pair(), stanzas = stanzas;
                "acknowledged before the journal has written them: it is too slow, and the other server does not wait longer. \
                 A crash may lose them; check the disk"
            );
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

/// A commit takes milliseconds, and some seconds on a disk that is too slow. If a stanza is neither settled nor written after
/// this time, it counts, with a warning: servers take a stream for lost after 30 s. That is ten seconds after this and
/// [`LONGEST_AFTER`].
const LONGEST_COMMIT: Duration = Duration::from_secs(15);

/// The same when waiting longer is of no use: when the journal is known to hang (an error line tells it), and when the node
/// stops. It then keeps, answers or counts whatever it has taken, and the streams have to end in time.
const LONGEST_COMMIT_AT_END: Duration = Duration::from_secs(2);

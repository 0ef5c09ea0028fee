//! Stream management of an incoming stream (XEP-0198): stanzas that the router took are acknowledged, and another
//! connection of the peer may resume the stream.

use std::{sync::Arc, time::Duration};

use actix::{Context, Handler};
use xmpp::stream::{self, Condition, receiving::Claim};

use super::{Incoming, LOG, Machine, receipts::Counted};
use crate::{
    flow::batch::ReadPermit,
    observe::metrics::{Count, Resumption, Role},
    streams::resumer::{self, Identity, Outcome, Parted, Right},
};
use mailbox::Queued;
use status::report;

/// The state of stream management.
#[derive(Debug, Default)]
pub(super) enum Acks {
    /// The peer has not enabled it.
    #[default]
    Off,
    /// The peer claims an earlier stream. Nothing is read until the resumer has answered; it always does.
    Claiming { id: Arc<str>, permit: ReadPermit },
    /// Stanzas are acknowledged.
    On,
    /// The same, and the stream holds this id.
    Resumable { id: Arc<str> },
    /// The same. The stream takes nothing more, and gives up the id once the router has taken everything.
    Yielding { id: Arc<str>, resumable_for: Option<Duration> },
    /// The resumer has the count, and the stream takes nothing more.
    Parted,
}

impl Acks {
    /// For the report about the stream.
    pub(super) fn report(&self) -> report::Acks {
        match self {
            Self::Off | Self::Claiming { .. } => report::Acks::No,
            Self::On => report::Acks::Yes,
            Self::Resumable { .. } | Self::Yielding { .. } | Self::Parted => report::Acks::Resumable,
        }
    }
}

impl Incoming {
    /// The peer has enabled acks; `id` is the id of a stream that it can resume.
    pub(super) fn acks_enabled(&mut self, id: Option<String>) {
        self.acks = match id {
            None => Acks::On,
            Some(id) => {
                let id: Arc<str> = id.into();
                let enrol =
                    resumer::Enrol { id: Arc::clone(&id), holder: self.caller(), stream: self.own.outlet() };
                // Without a resumer the stream cannot be resumed, and all else goes on.
                let _ = self.environment.resumer.signal(enrol);
                Acks::Resumable { id }
            }
        };
        log::info!(
            target: LOG, address:% = self.connection.address, pair:% = self.first_pair(),
            acks = self.acks.report().as_str();
            "acks enabled"
        );
    }

    /// Tells the machine that the stanzas it gave are handled, once the router has taken all of them: the count never
    /// includes one that may still be dropped. With a journal they are handled when they are settled or written. Gives
    /// whether the machine may have to write now.
    pub(super) fn report_handled(&mut self) -> bool {
        let Machine::Open(open) = &mut self.machine else { return false };
        if self.intake.is_pending() {
            return false;
        }
        let is_due = std::mem::take(&mut self.ack_due);
        let Counted { stanzas, unwritten, is_ack_due } =
            self.receipts.count(open.unhandled(), is_due, clock::now());
        open.handled(stanzas);
        if is_ack_due {
            open.acknowledge();
        }
        self.report_unwritten(unwritten);
        stanzas > 0 || is_ack_due
    }

    /// The peer claims an earlier stream.
    pub(super) fn claim(&mut self, previd: String, permit: &ReadPermit) {
        let id: Arc<str> = previd.into();
        let claim = resumer::Claim {
            id: Arc::clone(&id),
            claimant: self.caller(),
            identity: self.identity(),
            stream: self.own.outlet(),
            answer: self.own.outlet(),
        };
        match self.environment.resumer.tell(claim) {
            Ok(()) => self.acks = Acks::Claiming { id, permit: permit.clone() },
            // The resumer has too much to do.
            Err(_) => self.answer_claim(id, Outcome::NotYet),
        }
    }

    /// Answers the peer's claim.
    fn answer_claim(&mut self, id: Arc<str>, outcome: Outcome) {
        let (claim, result) = match outcome {
            Outcome::Resumed { handled, .. } => (Claim::Continue { handled }, Resumption::Resumed),
            Outcome::Counted { handled } => (Claim::Expired { handled }, Resumption::Counted),
            Outcome::Unknown => (Claim::Unknown, Resumption::Unknown),
            Outcome::Refused => (Claim::Unknown, Resumption::Refused),
            Outcome::Overtaken => (Claim::Overtaken, Resumption::Refused),
            Outcome::NotYet => (Claim::NotYet, Resumption::Refused),
        };
        let Machine::Open(open) = &mut self.machine else { return };
        let goes_on = open.resumed(claim);
        match outcome {
            Outcome::Resumed { handled, interrupted } if goes_on => {
                log::info!(
                    target: LOG, address:% = self.connection.address, pair:% = self.first_pair(), handled = handled,
                    interrupted:% = format_args!("{:.1}s", interrupted.as_secs_f32());
                    "resumed"
                );
                self.acks = Acks::Resumable { id };
            }
            // This stream is closing: its peer does not get the answer, and the count stays as it is.
            Outcome::Resumed { .. } => {
                let _ = self.environment.resumer.signal(resumer::Withdraw { id, claimant: self.caller() });
                return;
            }
            Outcome::Counted { handled } => log::info!(
                target: LOG, address:% = self.connection.address, pair:% = self.first_pair(), handled = handled;
                "counted"
            ),
            // The line about the end of the stream has the reason.
            Outcome::Unknown | Outcome::Refused | Outcome::Overtaken | Outcome::NotYet => {}
        }
        self.environment.metrics.count(Count::Resumption { role: Role::Receiver, result });
    }

    /// Whether everything that was read counts for the peer.
    pub(super) fn has_passed_on(&self) -> bool {
        !self.intake.is_pending() && self.receipts.is_empty()
    }

    /// Gives up the id if another connection claims it and the router has taken everything.
    pub(super) fn yield_if_taken(&mut self) {
        if matches!(self.acks, Acks::Yielding { .. }) && self.has_passed_on() {
            self.part();
        }
    }

    /// Gives the count to the resumer. The stream takes nothing more, and the router has taken everything.
    pub(super) fn part(&mut self) {
        let (id, resumable_for) = match &self.acks {
            Acks::Resumable { id } => (Arc::clone(id), self.resumable_for()),
            Acks::Yielding { id, resumable_for } => (Arc::clone(id), *resumable_for),
            Acks::Off | Acks::Claiming { .. } | Acks::On | Acks::Parted => return,
        };
        let Machine::Open(open) = &self.machine else { return };
        let state = Parted { identity: self.identity(), handled: open.handled_count(), resumable_for };
        // Without a resumer nothing is resumed.
        let _ = self.environment.resumer.signal(resumer::Part { id, holder: self.caller(), state });
        self.acks = Acks::Parted;
    }

    /// How long the stream can be resumed if it ends now. One that we close is over: its peer has the count.
    fn resumable_for(&self) -> Option<Duration> {
        Some(self.remote.resume_timeout).filter(|time| !time.is_zero() && !self.machine.status().is_closing)
    }

    /// Tells the resumer that the actor ends, if it does not know.
    pub(super) fn leave_resumer(&mut self) {
        let resumer = &self.environment.resumer;
        // Without a resumer nothing is resumed.
        match std::mem::take(&mut self.acks) {
            Acks::Off | Acks::On | Acks::Parted => {}
            Acks::Claiming { id, .. } => {
                drop(resumer.signal(resumer::Withdraw { id, claimant: self.caller() }));
            }
            // A panic: it is not known which stanzas the router took.
            Acks::Resumable { id } | Acks::Yielding { id, .. } => {
                drop(resumer.signal(resumer::Forget { id, holder: self.caller() }));
            }
        }
    }

    fn identity(&self) -> Identity {
        let proved = match &self.machine {
            Machine::Handshake(_) => None,
            Machine::Open(open) => Some(open.proofs()),
        };
        Identity::new(proved.into_iter().flatten(), self.machine.status().transport)
    }

    pub(super) fn first_pair(&self) -> String {
        self.pairs().first().map_or_else(|| "-".to_owned(), ToString::to_string)
    }
}

impl Handler<Queued<resumer::Claimed>> for Incoming {
    type Result = ();

    fn handle(&mut self, claimed: Queued<resumer::Claimed>, context: &mut Context<Self>) {
        let resumer::Claimed { id, outcome } = claimed.into_message();
        let permit = match std::mem::take(&mut self.acks) {
            Acks::Claiming { permit, .. } => permit,
            other => {
                self.acks = other;
                return;
            }
        };
        self.answer_claim(id, outcome);
        self.drive(&permit, context);
    }
}

impl Handler<Queued<resumer::Contested>> for Incoming {
    type Result = ();

    fn handle(&mut self, contested: Queued<resumer::Contested>, context: &mut Context<Self>) {
        let resumer::Contested { id, by } = contested.into_message();
        // If it holds the id no more, the resumer has the count, or gets it after this.
        if !matches!(&self.acks, Acks::Resumable { id: held } if *held == id) {
            return;
        }
        if self.identity().right_of(&by) == Right::Nothing {
            let _ = self.environment.resumer.signal(resumer::Keep { id, holder: self.caller() });
            return;
        }
        self.acks = Acks::Yielding { id, resumable_for: self.resumable_for() };
        match self.machine.status().is_closing || self.connection.has_ended() {
            true => self.yield_if_taken(),
            false => self.close(Some(stream::Error::new(Condition::Conflict, REPLACED)), context),
        }
    }
}

/// For the peer whose stream was resumed on another connection (XEP-0198 section 5).
const REPLACED: &str = "the stream was resumed on another connection";

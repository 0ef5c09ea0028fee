//! The part that the relay of a pair and the relay of a component share: what another node has got and not settled, and
//! where the next stanzas come from.
//!
//! A relay sends at once whatever it gets. It keeps the stanzas until the other node has settled them; until then they are
//! its outbox. When as much is unsettled as it may have, it reports that it is congested, as a session with a full outbox
//! does. From then on the stanzas wait in the promise or in the mailroom of this node, and the relay asks for portions.
//!
//! Architecture Invariant: plain data and the way to the ferry. The actors report to router, promise and mailroom.

mod supply;
mod too_long;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cluster::ferry::Ranges;

use self::supply::{Asks, Supply};
use crate::flow::{
    account::Outcome,
    batch::Batch,
    ferry::{Carried, Carry, Event, Ferry, Parcel},
    journal::{Group, is_worth_keeping},
    outbox::BUDGET,
};
use mailbox::Outlet;
use status::amount::Amount;

/// What a relay has given to the ferry, and what it gives next.
#[derive(Debug)]
pub(super) struct Custody {
    ferry: Ferry,
    /// The relay itself.
    owner: Outlet<Event>,
    /// Given to the ferry and not settled, by number. What the other node has given back stays here until the relay ends.
    unsettled: BTreeMap<u64, Unsettled>,
    /// Those that the other node may settle still.
    open: usize,
    /// The first that it has given back, wholly or in part. Nothing that it got later is delivered there.
    first_given_back: Option<u64>,
    /// The last number.
    number: u64,
    /// Bytes that are not settled.
    bytes: usize,
    /// Bytes that may be unsettled, about.
    budget: usize,
    supply: Supply,
    /// The relay takes no more stanzas.
    has_ended: bool,
    /// Came afterwards, in order.
    leftovers: Vec<Batch>,
    /// Parcels up to this number were offered to the journal.
    offered: u64,
    /// Parcels up to this number share no memory with other stanzas.
    detached: u64,
    /// The last number at the last look.
    seen: u64,
    /// Stanzas that the other node has settled.
    settled: u64,
    /// When the last stanza came.
    pub(super) last_stanza: Instant,
}

/// A parcel that is not settled.
#[derive(Debug)]
struct Unsettled {
    bytes: usize,
    batches: Vec<Batch>,
    is_given_back: bool,
}

/// What a relay gives back at its end, in order.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// May have arrived.
    pub(super) doubtful: Vec<Batch>,
    /// Has not arrived.
    pub(super) unwritten: Vec<Batch>,
}

/// The ferry is gone, which should have said so before.
#[derive(Clone, Copy, Debug)]
pub(super) struct FerryGone;

impl Custody {
    /// Nothing yet.
    pub(super) fn new(ferry: Ferry, owner: Outlet<Event>) -> Self {
        Self {
            ferry,
            owner,
            unsettled: BTreeMap::new(),
            open: 0,
            first_given_back: None,
            number: 0,
            bytes: 0,
            budget: BUDGET,
            supply: Supply::new(),
            has_ended: false,
            leftovers: Vec::new(),
            offered: 0,
            detached: 0,
            seen: 0,
            settled: 0,
            last_stanza: clock::now(),
        }
    }

    /// The other node.
    pub(super) fn ferry(&self) -> &Ferry {
        &self.ferry
    }

    /// Takes stanzas that have waited here, and carries them. After the end they are kept, to be given back.
    ///
    /// # Errors
    ///
    /// The ferry is gone. The stanzas are unsettled, and have not arrived.
    pub(super) fn take(&mut self, batches: Vec<Batch>) -> Result<(), FerryGone> {
        self.supply.answered();
        self.carry(batches)
    }

    /// Takes a batch of the router. It is held if older ones have to come first.
    ///
    /// # Errors
    ///
    /// As for [`Self::take`].
    pub(super) fn send(&mut self, mut batch: Batch) -> Result<(), FerryGone> {
        if self.has_ended {
            batch.release();
        }
        match self.supply.admit(batch) {
            Some(batch) => self.carry(vec![batch]),
            None => Ok(()),
        }
    }

    fn carry(&mut self, mut batches: Vec<Batch>) -> Result<(), FerryGone> {
        let now = clock::now();
        // What another node has lent, and takes back, is not passed on.
        batches.retain_mut(|batch| {
            batch.release();
            batch.receipt.admits(now)
        });
        if batches.is_empty() {
            return Ok(());
        }
        self.last_stanza = now;
        if self.has_ended {
            self.leftovers.append(&mut batches);
            return Ok(());
        }
        for batch in &mut batches {
            // The peer that has sent stanzas which are not kept does not wait for them.
            let receipt = batch.stanzas.iter().map(|stanza| batch.receipt.of(stanza));
            batch.receipt = receipt.max_by_key(|receipt| receipt.is_held()).unwrap_or_default();
        }
        self.number += 1;
        let bytes = batches.iter().map(|batch| batch.amount().bytes as usize).sum();
        let parcel =
            Parcel { number: self.number, bytes, batches: batches.iter().map(Carried::of).collect() };
        self.bytes += bytes;
        self.unsettled.insert(self.number, Unsettled { bytes, batches, is_given_back: false });
        self.open += 1;
        let carry = Carry { parcel, owner: self.owner.clone() };
        self.ferry.carry.signal(carry).map_err(|_| FerryGone)
    }

    /// The other node has settled these parcels.
    pub(super) fn settle(&mut self, numbers: &[u64]) {
        for number in numbers {
            let Some(parcel) = self.unsettled.remove(number) else { continue };
            self.open = self.open.saturating_sub(1);
            self.bytes -= parcel.bytes;
            for mut batch in parcel.batches {
                self.settled += batch.stanzas.len() as u64;
                batch.entry.settle_rest(Outcome::Relayed);
            }
        }
    }

    /// The other node gives these stanzas of a parcel back, and has settled its others.
    pub(super) fn give_back(&mut self, number: u64, stanzas: &Ranges) {
        let Some(parcel) = self.unsettled.get_mut(&number).filter(|parcel| !parcel.is_given_back) else {
            return;
        };
        parcel.is_given_back = true;
        self.open = self.open.saturating_sub(1);
        self.first_given_back = Some(self.first_given_back.map_or(number, |first| first.min(number)));
        let mut next = 0;
        for batch in &mut parcel.batches {
            let mut settled = batch.extract(|_| {
                next += 1;
                !stanzas.contains(next - 1)
            });
            self.settled += settled.stanzas.len() as u64;
            settled.entry.settle_rest(Outcome::Relayed);
        }
        parcel.batches.retain(|batch| !batch.stanzas.is_empty());
    }

    /// Sets the bytes that may be unsettled.
    pub(super) fn set_budget(&mut self, bytes: usize) {
        self.budget = bytes.min(BUDGET);
    }

    /// Whether the router has to be told that stanzas are to wait here. It is told once.
    pub(super) fn is_congested(&mut self) -> bool {
        !self.has_ended && self.bytes >= self.budget && self.supply.congest()
    }

    /// The router sends nothing itself any more.
    pub(super) fn pull(&mut self) {
        self.supply.pull();
    }

    /// Everything that waited is here: what the router has sent meanwhile follows.
    ///
    /// # Errors
    ///
    /// As for [`Self::take`].
    pub(super) fn open(&mut self) -> Result<(), FerryGone> {
        let held = self.supply.open();
        held.into_iter().try_for_each(|batch| self.carry(vec![batch]))
    }

    /// The bytes for which the relay is to ask now, if any.
    pub(super) fn request(&mut self) -> Option<usize> {
        let is_drained = !self.has_ended && self.bytes <= self.budget / 2;
        (is_drained && self.supply.ask()).then(|| self.budget - self.bytes)
    }

    /// Who has to learn of the end; `None`: that cannot be said yet.
    pub(super) fn source(&self) -> Option<Source> {
        match &self.supply {
            Supply::Store { asks: Asks::Never, .. } => None,
            Supply::Store { .. } => Some(Source::Store),
            Supply::Router | Supply::Congested { .. } => Some(Source::Router),
        }
    }

    /// Takes no more stanzas from now on. False: it is so already.
    pub(super) fn end(&mut self) -> bool {
        self.supply.release();
        !std::mem::replace(&mut self.has_ended, true)
    }

    /// Whether the other node has settled everything, or given it back.
    pub(super) fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// Whether the other node has settled anything.
    pub(super) fn has_carried(&self) -> bool {
        self.settled > 0
    }

    /// The number of the last parcel but one: what the ferry may have taken before it was found to be gone.
    pub(super) fn last_but_one(&self) -> u64 {
        self.number.saturating_sub(1)
    }

    /// The unsettled stanzas.
    pub(super) fn unsettled(&self) -> Amount {
        let batches = self.unsettled.values().flat_map(|parcel| &parcel.batches);
        batches.map(Batch::amount).fold(Amount::default(), Amount::plus)
    }

    /// Takes out what the other node has given back, when nothing else is unsettled, in order.
    pub(super) fn take_given_back(&mut self) -> Vec<Batch> {
        self.take_back(&[]).unwritten
    }

    /// Takes everything out at the end of the way, in order. What is in front of a parcel in doubt may have arrived as well; what
    /// is behind one that was given back has not.
    pub(super) fn take_back(&mut self, in_doubt: &[u64]) -> Remains {
        let delivered = in_doubt.iter().filter(|number| self.first_given_back.is_none_or(|it| **number < it));
        let last = delivered.max().copied();
        let mut remains = Remains::default();
        for (number, parcel) in std::mem::take(&mut self.unsettled) {
            let is_doubtful = last.is_some_and(|last| number <= last);
            for mut batch in parcel.batches {
                if is_doubtful {
                    batch.sends.count();
                    remains.doubtful.push(batch);
                } else {
                    remains.unwritten.push(batch);
                }
            }
        }
        (self.bytes, self.open) = (0, 0);
        remains
    }

    /// What came after the end, and what the router sent before it was open.
    pub(super) fn take_leftovers(&mut self) -> Vec<Batch> {
        let mut leftovers = std::mem::take(&mut self.leftovers);
        leftovers.extend(self.supply.take_held());
        leftovers
    }

    /// The node stops, and the other node has not settled everything: it may settle the rest. Gives what was given back, and as
    /// doubtful what is to be left in the journal, if there `is_journal`. The rest is uncertain.
    pub(super) fn give_up(&mut self, is_journal: bool) -> Remains {
        let numbers: Vec<u64> = self.unsettled.keys().copied().collect();
        let Remains { doubtful: mut batches, unwritten } = self.take_back(&numbers);
        let mut doubtful: Vec<Batch> =
            batches.iter_mut().map(|batch| batch.extract(|it| is_journal && is_worth_keeping(it))).collect();
        doubtful.retain(|batch| !batch.stanzas.is_empty());
        batches.iter_mut().for_each(|batch| batch.entry.settle_rest(Outcome::Uncertain));
        Remains { doubtful, unwritten }
    }

    /// Gives the journal what was accepted at `until` or earlier and is not settled. Gives the time at which the first of
    /// the others was accepted.
    pub(super) fn write_old(&mut self, until: Instant, group: &mut Group<'_>) -> Option<Instant> {
        for (number, parcel) in self.unsettled.range_mut(self.offered + 1..) {
            for batch in &mut parcel.batches {
                if batch.since > until {
                    return Some(batch.since);
                }
                batch.journal(true, group);
            }
            self.offered = *number;
        }
        None
    }

    /// To be called each second while something is unsettled: a few bytes must not keep the whole buffer of a read in memory.
    pub(super) fn look(&mut self) {
        if self.seen > self.detached {
            for (_, parcel) in self.unsettled.range_mut(self.detached + 1..=self.seen) {
                parcel.batches.iter_mut().for_each(Batch::detach);
            }
        }
        (self.detached, self.seen) = (self.seen, self.number);
    }
}

/// Who sends stanzas to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The promise or the mailroom, in portions.
    Store,
    /// The router.
    Router,
}

/// A relay that finishes waits for the last settlements for this part of the time; then it gives back the rest.
pub(super) fn part_for_settlements(within: Duration) -> Duration {
    within / 4 * 3
}

/// A relay looks at what is unsettled at this interval.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A relay without a stanza for so long ends: the next stanza asks again which node has the link.
pub(super) const IDLE: Duration = Duration::from_secs(60);

//! Stanzas that were sent and that the peer has not acknowledged yet (XEP-0198).
//!
//! Architecture Invariant: plain data without the link and without the rest of the outbox, so that another
//! owner of the connection can keep it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use xmpp::acks::{Ledger, WrongCount};

use super::{
    rhythm::{Pace, Rhythm},
    window::Window,
};
use crate::flow::{
    account::{self, UnackedEntry},
    batch::Kept,
    journal::{Group, Place, Receipt},
};
use status::{
    amount::Amount,
    report::{Acknowledgement, Acks, Latency, Seconds},
};

/// The unacknowledged stanzas of one stream.
#[derive(Debug)]
pub(super) struct Unacked {
    /// Counts the stanzas that were given to the link.
    ledger: Ledger,
    /// Counts the kept stanzas in the totals of the node.
    entry: UnackedEntry,
    /// The stanzas that the link has written, in order. Those of the current chunk are not here yet.
    kept: VecDeque<Kept>,
    /// Memory of the kept stanzas in bytes.
    weight: usize,
    /// The kept stanzas that share no memory with other stanzas: so many of the first.
    detached: u32,
    /// So many of the first were offered to the journal.
    offered: u32,
    /// The stanzas of the current chunk that are acknowledged already: the peer has read a part of the chunk
    /// before the link reported all of it as written.
    early: u32,
    /// A stanza is unacknowledged that was sent for the last time.
    sends_last: bool,
    /// The sent count at the last look.
    seen: u32,
    /// When the first kept stanza was written, or the peer was asked before it was.
    oldest: Option<Instant>,
    /// The time that the peer took for its last answer to a request.
    latency: Option<Duration>,
    window: Window,
    rhythm: Rhythm,
}

impl Unacked {
    /// For a stream on which acknowledgements were requested, and `counted` stanzas were sent before.
    pub(super) fn after(counted: u32) -> Self {
        Self {
            ledger: Ledger::starting_at(counted),
            entry: UnackedEntry::default(),
            kept: VecDeque::new(),
            weight: 0,
            detached: 0,
            offered: 0,
            early: 0,
            sends_last: false,
            seen: counted,
            oldest: None,
            latency: None,
            window: Window::new(),
            rhythm: Rhythm::new(),
        }
    }

    /// The peer acknowledges stanzas, and keeps the state of a lost stream if `resumes`.
    pub(super) fn confirm(&mut self, resumes: bool) {
        if resumes {
            self.rhythm.set_pace(Pace::Relaxed);
        } else {
            self.rhythm.set_pace(Pace::Tight);
            self.window = Window::narrow();
        }
    }

    /// Whether the peer has confirmed that it acknowledges stanzas.
    pub(super) fn is_confirmed(&self) -> bool {
        self.rhythm.pace() != Pace::Unconfirmed
    }

    /// The number of stanzas that were sent and not acknowledged.
    pub(super) fn count(&self) -> u32 {
        self.ledger.unacked()
    }

    /// Whether so many stanzas were sent that the stream should be replaced by another.
    pub(super) fn needs_renewal(&self) -> bool {
        self.ledger.needs_renewal()
    }

    /// The number of the first stanza that is not acknowledged, modulo 2^32.
    pub(super) fn first(&self) -> u32 {
        self.ledger.acked_count().wrapping_add(1)
    }

    /// Whether a stanza may be given to the link, behind `chunk` in the same chunk. A stanza that is sent for
    /// the last time goes alone: if the link ends again, it alone is to blame.
    pub(super) fn admits(&mut self, kept: &Kept, chunk: Load, now: Instant) -> bool {
        let is_quiet = self.count() == 0 && chunk.stanzas == 0;
        if !is_quiet && (self.sends_last || chunk.is_last || kept.sends.is_last()) {
            self.rhythm.make_due();
            return false;
        }
        let has_room = self.weight + chunk.weight < self.window.size();
        if !has_room {
            self.window.limits(now);
        }
        has_room
    }

    /// The link gets a chunk. Gives whether a request belongs at its end, where one `may_ask`.
    pub(super) fn begin_chunk(&mut self, chunk: Load, now: Instant, may_ask: bool) -> bool {
        // A chunk has far less than 2^32 stanzas.
        self.ledger.sent(u32::try_from(chunk.stanzas).unwrap_or(u32::MAX));
        self.rhythm.sent(chunk.stanzas, chunk.weight);
        if chunk.is_last {
            self.sends_last = true;
            self.rhythm.make_due();
        }
        may_ask && self.rhythm.take_request(self.window.size(), now)
    }

    /// The link has written the stanzas of a chunk.
    pub(super) fn written(&mut self, chunk: Vec<Kept>, entry: &mut account::Entry, now: Instant) {
        self.oldest = self.oldest.or(Some(now));
        let (mut early, mut written) = (Amount::default(), Amount::default());
        for mut kept in chunk {
            if self.early > 0 {
                self.early -= 1;
                early = early.plus(kept.amount());
                continue;
            }
            written = written.plus(kept.amount());
            kept.sends.count();
            self.weight += weight(&kept);
            self.kept.push_back(kept);
        }
        entry.acknowledge_waiting(early);
        entry.write_unacked(written, &mut self.entry);
    }

    /// The peer has acknowledged the stanzas up to number `h`. Gives the time since it was asked.
    ///
    /// # Errors
    /// It has acknowledged more than was sent, or less than before.
    pub(super) fn acknowledged(&mut self, h: u32, now: Instant) -> Result<Option<Duration>, WrongCount> {
        let acknowledged = usize::try_from(self.ledger.acknowledged(h)?).unwrap_or(usize::MAX);
        // What is left was most likely written after the request.
        self.oldest = self.rhythm.asked();
        let took = self.rhythm.answered(now);
        self.latency = took.or(self.latency);
        self.window.acknowledged(took, now);
        let settled = acknowledged.min(self.kept.len());
        let mut amount = Amount::default();
        for kept in self.kept.drain(..settled) {
            amount = amount.plus(kept.amount());
            self.weight -= weight(&kept);
        }
        self.detached = self.detached.saturating_sub(u32_of(settled));
        self.offered = self.offered.saturating_sub(u32_of(settled));
        let early = u32::try_from(acknowledged - settled).unwrap_or(u32::MAX);
        self.early = self.early.saturating_add(early);
        self.entry.acknowledge(amount);
        self.sends_last &= self.count() > 0;
        if self.kept.is_empty() {
            self.oldest = None;
            // An idle link keeps no memory for it.
            self.kept.shrink_to_fit();
        }
        Ok(took)
    }

    /// To be called each second while something is unacknowledged. Has the peer asked for it, and copies the
    /// stanzas that were unacknowledged at the last look already: a few bytes must not keep the whole buffer
    /// of one read in memory.
    pub(super) fn look(&mut self, now: Instant) {
        if self.count() > 0 {
            self.rhythm.make_due();
        }
        let old = self.seen.wrapping_sub(self.ledger.acked_count());
        let old = if old <= self.count() { usize::try_from(old).unwrap_or(usize::MAX) } else { 0 };
        for kept in self.kept.iter_mut().take(old).skip(usize_of(self.detached)) {
            kept.stanza = kept.stanza.clone().detached();
        }
        self.detached = self.detached.max(u32_of(old.min(self.kept.len())));
        self.seen = self.ledger.sent_count();
        self.window.shrink(now);
    }

    /// Gives the journal what was accepted at `until` or earlier. Gives the amount, and the time at which the first of the
    /// others was accepted.
    pub(super) fn write_old(&mut self, until: Instant, group: &mut Group<'_>) -> (Amount, Option<Instant>) {
        let mut written = Amount::default();
        for kept in self.kept.iter_mut().skip(usize_of(self.offered)) {
            if kept.since > until {
                return (written, Some(kept.since));
            }
            self.offered += 1;
            written = written.plus(kept.journal(true, group));
        }
        (written, None)
    }

    /// Has the next chunk end with a request, also if nothing is unacknowledged: the answer shows that the
    /// peer is there.
    pub(super) fn ask(&mut self) {
        self.rhythm.make_due();
    }

    /// When the request was sent that is not answered yet.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.rhythm.asked()
    }

    /// Takes out everything that is not acknowledged, in order, when the link has ended; `touched` are the
    /// stanzas of the last chunk of which a part was written. They wait again.
    pub(super) fn take_open(&mut self, touched: Vec<Kept>, entry: &mut account::Entry) -> Vec<Kept> {
        let mut open = Vec::from(std::mem::take(&mut self.kept));
        let amount = open.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
        entry.take_back(amount, &mut self.entry);
        (self.weight, self.detached, self.offered, self.oldest) = (0, 0, 0, None);
        let early = usize::try_from(std::mem::take(&mut self.early)).unwrap_or(usize::MAX).min(touched.len());
        for (place, mut kept) in touched.into_iter().enumerate() {
            if place < early {
                entry.acknowledge_waiting(kept.amount());
            } else {
                kept.sends.count();
                open.push(kept);
            }
        }
        // Nothing of it is sent on this stream any more.
        self.ledger = Ledger::starting_at(self.ledger.acked_count());
        open
    }

    /// Takes out everything that was written: the peer does not acknowledge stanzas after all.
    pub(super) fn take_written(&mut self) -> Vec<Kept> {
        let written = Vec::from(std::mem::take(&mut self.kept));
        self.offered = 0;
        self.entry.expect_no_ack(written.iter().map(Kept::amount).fold(Amount::default(), Amount::plus));
        written
    }

    /// The number of stanzas for which memory is reserved.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.kept.capacity()
    }

    /// The state for a report.
    pub(super) fn report(&self) -> Acknowledgement {
        Acknowledgement {
            acks: match self.rhythm.pace() {
                Pace::Unconfirmed => Acks::No,
                Pace::Tight => Acks::Yes,
                Pace::Relaxed => Acks::Resumable,
            },
            open: Amount::of(self.kept.iter().map(|kept| &kept.stanza)),
            open_for: self.oldest.map(Seconds::since),
            ack_latency: self.latency.map(Latency),
        }
    }
}

/// The stanzas of a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    stanzas: usize,
    /// Their memory in bytes.
    weight: usize,
    /// One of them is sent for the last time.
    is_last: bool,
}

impl Load {
    pub(super) fn add(&mut self, kept: &Kept) {
        self.stanzas += 1;
        self.weight += weight(kept);
        self.is_last |= kept.sends.is_last();
    }
}

/// Memory of an unacknowledged stanza in bytes.
fn weight(kept: &Kept) -> usize {
    kept.stanza.bytes().len() + COST
}

/// A number of unacknowledged stanzas: a window holds far less than 2^32 of them.
fn u32_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn usize_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Memory of an unacknowledged stanza beside its bytes. What belongs to the journal is not counted: the windows are measured
/// without it.
const COST: usize = size_of::<Kept>() - size_of::<Place>() - size_of::<Receipt>();

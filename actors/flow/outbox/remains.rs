//! What is left in an outbox when its link ends, and what is known of the stanzas that were written.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use xmpp::stanza::Condition;

use super::{
    Outbox,
    item::Item,
    recent::{Recent, Suspects},
};
use crate::flow::{
    account::Outcome,
    batch::{self, Batch, Kept},
};
use status::amount::Amount;

/// Stanzas that are left when a link ends.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// The number of stanzas of which the link took at least one byte: they may have arrived or not.
    pub uncertain: usize,
    /// These stanzas, in order.
    pub touched: Vec<Kept>,
    /// Stanzas of which the link took at least one byte and that the peer has not acknowledged, although it
    /// acknowledges stanzas. In order, before the unwritten ones.
    pub open: Vec<Batch>,
    /// The number of the first open stanza on the stream, modulo 2^32.
    pub first: u32,
    /// Stanzas for a component that may not have arrived and are sent again, in order, before the unwritten ones.
    pub doubtful: Vec<Batch>,
    /// Stanzas of which no byte was written, in order.
    pub unwritten: Vec<Batch>,
}

impl Outbox {
    /// Takes everything out after the end of the link, which wrote `written` bytes of its last chunk.
    pub(crate) fn remains(&mut self, mut written: usize) -> Remains {
        let (mut touched, mut unwritten) = (Vec::new(), Vec::new());
        for item in self.items.drain(..std::mem::take(&mut self.writing)) {
            let is_touched = written > 0;
            written = written.saturating_sub(item.bytes().len());
            match item.into_kept() {
                Some(kept) if is_touched => touched.push(kept),
                kept => unwritten.extend(kept),
            }
        }
        let mut remains = Remains::default();
        if let Some(unacked) = &mut self.unacked {
            remains.first = unacked.first();
            let open = unacked.take_open(touched, &mut self.entry);
            remains.open = batch::batches(open, &mut self.entry);
        } else if let Some(lately) = &mut self.lately {
            remains.doubtful = batch::batches(lately.take_doubtful(touched), &mut self.entry);
        } else {
            let uncertain = touched.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
            self.entry.settle(Outcome::Uncertain, uncertain);
            (remains.uncertain, remains.touched) = (touched.len(), touched);
        }
        unwritten.extend(self.items.drain(..).filter_map(Item::into_kept));
        remains.unwritten = batch::batches(unwritten, &mut self.entry);
        self.bytes = 0;
        remains
    }

    /// Takes out the stanzas at the end, in order: all that are not being written and are behind `keep` bytes. Those that
    /// stay have to wait as well, so they no longer keep the memory of the reads that brought them.
    pub(crate) fn take_surplus(&mut self, keep: usize) -> Vec<Batch> {
        let (mut kept, mut surplus, mut bytes) = (VecDeque::new(), Vec::new(), 0);
        for (place, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            let stays = place < self.writing || bytes < keep || matches!(item, Item::Raw(_));
            if stays {
                bytes += item.bytes().len();
                kept.push_back(item);
            } else {
                surplus.extend(item.into_kept());
            }
        }
        if !surplus.is_empty() {
            kept.iter_mut().skip(self.writing).for_each(Item::detach);
        }
        (self.items, self.bytes) = (kept, bytes);
        batch::batches(surplus, &mut self.entry)
    }

    /// The link broke: stanzas written lately may be lost. Counts them as uncertain, unless they are kept to be sent
    /// again, and gives their number.
    pub(crate) fn mark_recent_uncertain(&mut self, now: Instant) -> usize {
        let in_flight = self.in_flight.take(now);
        let again = self.lately.as_mut().map_or_else(Amount::default, |lately| {
            let amount = lately.doubt(now).iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
            // A stamped stanza has more bytes than were counted.
            Amount { bytes: amount.bytes.min(in_flight.bytes), ..amount }
        });
        self.entry.unwrite(again);
        self.entry.mark_uncertain(in_flight.minus(again));
        // They count as relayed at the nodes that have lent them.
        let lent = self.lent_in_flight.take(now).stanzas;
        usize::try_from((in_flight.stanzas + lent).max(again.stanzas)).unwrap_or(usize::MAX)
    }

    /// The component has read what was written before this time.
    pub(crate) fn mark_read_before(&mut self, time: Instant) {
        self.in_flight.read_before(time);
        self.lent_in_flight.read_before(time);
        if let Some(lately) = &mut self.lately {
            lately.read_before(time);
        }
    }

    /// The stanzas that may not have arrived and can be answered: written lately, or `touched`.
    pub(crate) fn take_suspects(&mut self, touched: &[Kept], now: Instant) -> Suspects {
        self.recent.take(touched, self.bytes_written, now)
    }

    /// The peer has closed the stream: all that was written has arrived.
    pub(crate) fn mark_arrived(&mut self) {
        self.recent = Recent::default();
    }

    /// Counts uncertain stanzas as answered.
    pub(crate) fn answered(&mut self, amount: Amount, condition: Condition, answers: usize) {
        self.entry.answer_uncertain(amount);
        self.entry.bounced(condition, answers);
    }

    /// Takes out the stanzas of which nothing was given to the link, in order. Those that the node itself made stay, as do
    /// the bytes of the protocol.
    pub(crate) fn take_stanzas(&mut self) -> Vec<Batch> {
        let waiting = self.items.drain(self.writing..);
        let (stanzas, rest): (Vec<_>, Vec<_>) = waiting.partition(Item::is_taken);
        self.bytes -= stanzas.iter().map(|item| item.bytes().len()).sum::<usize>();
        self.items.extend(rest);
        batch::batches(stanzas.into_iter().filter_map(Item::into_kept), &mut self.entry)
    }

    /// Takes out the bytes of the protocol that still wait.
    pub(crate) fn take_raw(&mut self) -> Vec<Bytes> {
        let waiting = self.items.drain(self.writing..);
        let (raw, stanzas): (Vec<_>, Vec<_>) = waiting.partition(|item| matches!(item, Item::Raw(_)));
        self.items.extend(stanzas);
        raw.into_iter().map(|item| item.bytes().clone()).inspect(|bytes| self.bytes -= bytes.len()).collect()
    }
}

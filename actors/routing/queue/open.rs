//! Open stanzas: a lost link carried them, and the peer has not acknowledged them (XEP-0198). They wait in
//! front of the queue until the next link tells which of them arrived.

use xmpp::Stanza;

use super::{Bounds, Item, Queue};
use crate::{
    flow::batch::{Batch, Kept},
    settings::Repeat,
};
use status::{amount::Amount, report::Time};

/// What a link that was lost has left.
#[derive(Debug, Default)]
pub(in crate::routing) struct LeftBehind {
    /// Sent and not acknowledged, in order.
    pub(in crate::routing) open: Vec<Batch>,
    /// The number of the first of them on their stream, modulo 2^32.
    pub(in crate::routing) first: u32,
    /// Not sent, in order. They follow the open ones.
    pub(in crate::routing) unwritten: Vec<Batch>,
}

/// What is known about the open stanzas when there is a new link.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Verdict {
    /// The number of the last stanza that the peer has handled; `None`: it does not know.
    pub(in crate::routing) handled: Option<u32>,
    /// The peer ended the stream because of a stanza, most likely the first that it has not handled.
    pub(in crate::routing) blames_first: bool,
    /// The rule for stanzas that may have arrived.
    pub(in crate::routing) repeat: Repeat,
}

/// The open stanzas, settled.
#[derive(Debug, Default)]
pub(in crate::routing) struct Settled {
    /// They have arrived.
    pub(in crate::routing) acknowledged: Amount,
    /// They have not arrived, and are sent again.
    pub(in crate::routing) resent: usize,
    /// They may have arrived, and are sent again, with a stamp.
    pub(in crate::routing) repeated: usize,
    /// They may have arrived, and are not to be sent again.
    pub(in crate::routing) unrepeatable: Vec<Batch>,
    /// Each link ended after they were sent.
    pub(in crate::routing) exhausted: Vec<Batch>,
}

impl Queue {
    /// Puts stanzas that a lost link left in front of the queue, without regard to the bounds. Their time to
    /// wait has run on since they came. A presence that was replaced in the meantime is dropped.
    pub(in crate::routing) fn put_back(&mut self, left: LeftBehind, bounds: &dyn Bounds) {
        self.put_in_front(left.unwritten, None, bounds);
        let count = left.open.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
        // A window holds far less than 2^32 stanzas.
        let behind = left.first.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.put_in_front(left.open, Some(behind), bounds);
    }

    /// Whether a lost link has left stanzas whose fate is unknown.
    pub(in crate::routing) fn has_open(&self) -> bool {
        self.open > 0
    }

    /// The open stanzas, for a report.
    pub(in crate::routing) fn open_amount(&self) -> Amount {
        let open = self.items.values().filter(|item| item.open.is_some());
        Amount::of(open.map(|item| &item.kept.stanza))
    }

    /// Settles the open stanzas. Those that stay are to be sent again.
    pub(in crate::routing) fn settle(&mut self, verdict: Verdict) -> Settled {
        let mut settled = Settled::default();
        if !self.has_open() {
            return settled;
        }
        if let Some(handled) = verdict.handled {
            settled.acknowledged = self.take_acknowledged(handled);
        }
        {
            let mut open = self.items.values_mut().filter(|item| item.open.is_some());
            if let Some(first) = open.next().filter(|_| verdict.blames_first) {
                first.kept.sends.count();
            }
            if verdict.handled.is_some() {
                // The peer reads in order, so only the first that it has not handled can be the reason of the end.
                open.for_each(|item| item.kept.sends.discount());
            }
        }
        let is_innocent = verdict.handled.is_some() && !verdict.blames_first;
        settled.exhausted =
            self.take_where(|_, item| item.open.is_some() && item.kept.sends.is_exhausted(is_innocent));
        if verdict.handled.is_none() {
            let is_final = |stanza: &Stanza| stanza.is_request() || verdict.repeat == Repeat::Never;
            settled.unrepeatable =
                self.take_where(|_, item| item.open.is_some() && is_final(&item.kept.stanza));
        }
        let mut repeated = Amount::default();
        for item in self.items.values_mut() {
            if item.open.take().is_none() {
                continue;
            }
            if verdict.handled.is_some() {
                settled.resent += 1;
                continue;
            }
            settled.repeated += 1;
            repeated = repeated.plus(item.kept.amount());
            let before = item.bytes();
            mark_as_repeated(&mut item.kept);
            self.bytes = self.bytes - before + item.bytes();
        }
        self.entry.repeat(repeated);
        self.open = 0;
        settled
    }

    /// Takes out the open stanzas up to number `handled`: the peer has them.
    fn take_acknowledged(&mut self, handled: u32) -> Amount {
        // Serial arithmetic (RFC 1982): the numbers are modulo 2^32.
        let is_handled = |number: u32| handled.wrapping_sub(number) < u32::MAX / 2;
        let acknowledged = self.take_kept(|_, item| item.open.is_some_and(is_handled));
        let amount = Amount::of(acknowledged.iter().map(|kept| &kept.stanza));
        let counted = acknowledged.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
        self.entry.acknowledge_waiting(counted);
        amount
    }

    /// Puts stanzas in front. `behind` is the number that follows the last of them; `None`: they are not open.
    fn put_in_front(&mut self, batches: Vec<Batch>, mut behind: Option<u32>, bounds: &dyn Bounds) {
        for mut batch in batches.into_iter().rev() {
            let taken = batch.entry.held().stanzas > 0;
            self.entry.merge(std::mem::take(&mut batch.entry));
            for (stanza, place) in batch.take_stanzas().rev() {
                behind = behind.map(|behind| behind.wrapping_sub(1));
                let (since, sends) = (batch.since, batch.sends);
                let receipt = batch.receipt.of(&stanza);
                let kept = Kept { stanza: stanza.detached(), taken, since, sends, place, receipt };
                self.put_first(Item { open: behind, ..Item::new(kept, bounds) });
            }
        }
    }
}

/// Marks a stanza that may arrive twice. The stamp has the time at which the node took it (XEP-0203), so that
/// its recipient can tell it from a new one.
fn mark_as_repeated(kept: &mut Kept) {
    if !kept.sends.may_have_arrived {
        let by = kept.stanza.from_domain().clone();
        kept.stanza = kept.stanza.delayed(&by, &Time::of(kept.since).to_string());
    }
    kept.sends.may_have_arrived = true;
}

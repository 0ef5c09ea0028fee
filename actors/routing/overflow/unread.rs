//! Stanzas that were taken out of an overflow while they are on the disk: they have to be read.

use journal::record::Record;
use xmpp::Stanza;

use super::entries::Facts;
use crate::flow::{
    account::{self, Outcome},
    batch::{self, Batch, Kept},
    journal::{Place, Receipt, Writer},
};
use status::{amount::Amount, report::Time};

/// A stanza on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnDisk {
    /// Its number in the overflow.
    pub(super) number: i64,
    /// The key of its record.
    pub(super) key: u64,
    pub(super) facts: Facts,
}

/// Stanzas on the disk, in order.
#[derive(Debug)]
pub(in crate::routing) struct Unread {
    stanzas: Vec<OnDisk>,
    /// Counts them.
    account: account::Entry,
}

/// Stanzas that were read.
#[derive(Debug)]
pub(in crate::routing) struct Read {
    pub(in crate::routing) kept: Vec<Kept>,
    /// Counts them.
    pub(in crate::routing) account: account::Entry,
    /// Stanzas that are missing in the file or damaged there.
    pub(in crate::routing) lost: u64,
}

impl OnDisk {
    pub(super) fn amount(&self) -> Amount {
        self.facts.amount()
    }

    /// Its amount in the account.
    fn counted(&self) -> Amount {
        if self.facts.taken { self.amount() } else { Amount::default() }
    }

    /// The stanza of its record.
    fn read(&self, record: Option<Record>, writer: &Writer) -> Option<Kept> {
        // Removed with the stanza, or here.
        let handle = writer.handle_of(self.key, true);
        let record = record?;
        let mut stanza = Stanza::restore(record.stanza).ok()?;
        let Facts { since, sends, taken, is_durable, .. } = self.facts;
        if sends.may_have_arrived {
            let by = stanza.from_domain().clone();
            stanza = stanza.delayed(&by, &Time(record.accepted).to_string());
        }
        let place = if is_durable { Place::Written(handle) } else { Place::None };
        Some(Kept { stanza, taken, since, sends, place, receipt: Receipt::default() })
    }
}

impl Unread {
    /// Their entry is split off from `account`.
    pub(super) fn new(stanzas: Vec<OnDisk>, account: &mut account::Entry) -> Self {
        let counted = stanzas.iter().map(OnDisk::counted).fold(Amount::default(), Amount::plus);
        Self { account: account.split(counted), stanzas }
    }

    pub(super) fn into_parts(self) -> (Vec<OnDisk>, account::Entry) {
        (self.stanzas, self.account)
    }

    pub(in crate::routing) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    pub(in crate::routing) fn len(&self) -> usize {
        self.stanzas.len()
    }

    pub(in crate::routing) fn keys(&self) -> Vec<u64> {
        self.stanzas.iter().map(|on_disk| on_disk.key).collect()
    }

    /// Splits off the stanzas behind the first ones: of so many stanzas and bytes, or one.
    pub(in crate::routing) fn split_off(&mut self, stanzas: usize, bytes: u64) -> Self {
        let mut sum = 0;
        let fits = self.stanzas.iter().take(stanzas).take_while(|on_disk| {
            sum += on_disk.amount().bytes;
            sum <= bytes
        });
        let count = fits.count().max(1).min(self.stanzas.len());
        let rest = self.stanzas.split_off(count);
        Self::new(rest, &mut self.account)
    }

    /// Leaves those in the file that survive a restart: the node stops. Gives their amount.
    pub(in crate::routing) fn leave(&mut self) -> Amount {
        let (left, rest) =
            std::mem::take(&mut self.stanzas).into_iter().partition(|on_disk| on_disk.facts.is_durable);
        let left: Vec<OnDisk> = left;
        self.stanzas = rest;
        let counted = left.iter().map(OnDisk::counted).fold(Amount::default(), Amount::plus);
        self.account.settle(Outcome::Kept, counted);
        left.iter().map(OnDisk::amount).fold(Amount::default(), Amount::plus)
    }

    /// The stanzas of these records. Those that are missing or damaged are counted as dropped.
    pub(in crate::routing) fn read(mut self, records: Vec<Option<Record>>, writer: &Writer) -> Read {
        let (mut kept, mut lost) = (Vec::new(), 0);
        let records = records.into_iter().chain(std::iter::repeat_with(|| None));
        for (on_disk, record) in self.stanzas.iter().zip(records) {
            match on_disk.read(record, writer) {
                Some(stanza) => kept.push(stanza),
                None => {
                    lost += 1;
                    self.account.settle(Outcome::Dropped, on_disk.counted());
                }
            }
        }
        Read { kept, account: self.account, lost }
    }

    /// They cannot be read any more: the node stops. Those that survive a restart are left in the file. Gives the number of
    /// the others, which are lost.
    pub(in crate::routing) fn give_up(mut self) -> u64 {
        self.leave();
        self.account.settle_rest(Outcome::Dropped);
        self.stanzas.len() as u64
    }
}

impl Read {
    /// In batches, with their entries.
    pub(in crate::routing) fn into_batches(mut self) -> Vec<Batch> {
        batch::batches(self.kept, &mut self.account)
    }
}

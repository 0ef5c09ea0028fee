//! What is known in memory of a stanza whose bytes are on the disk.

use std::time::Instant;

use crate::flow::{
    batch::{Kept, Sends},
    journal::is_worth_keeping,
};
use status::amount::Amount;

/// What is known of a stanza without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) since: Instant,
    pub(super) expires: Instant,
    /// As on the wire.
    pub(super) bytes: u32,
    pub(super) sends: Sends,
    /// It is counted in the account.
    pub(super) taken: bool,
    pub(super) is_request: bool,
    /// Its record survives a restart.
    pub(super) is_durable: bool,
}

impl Facts {
    pub(super) fn of(kept: &Kept, expires: Instant) -> Self {
        Self {
            since: kept.since,
            expires,
            // A stanza has less than 4 GiB: the framer does not accept more.
            bytes: u32::try_from(kept.stanza.bytes().len()).unwrap_or(u32::MAX),
            sends: kept.sends,
            taken: kept.taken,
            is_request: kept.stanza.is_request(),
            is_durable: is_worth_keeping(&kept.stanza),
        }
    }

    pub(super) fn amount(&self) -> Amount {
        Amount { stanzas: 1, bytes: self.bytes.into() }
    }
}

/// A stanza on the disk.
#[derive(Debug)]
pub(super) struct OnDisk {
    /// Its number in the overflow.
    pub(super) number: i64,
    /// The key of its record.
    pub(super) key: u64,
    pub(super) facts: Facts,
}

impl OnDisk {
    pub(super) fn amount(&self) -> Amount {
        self.facts.amount()
    }
}

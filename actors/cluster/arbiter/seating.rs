//! Which components are connected to which other node.

use super::{
    Output,
    io::Io,
    members::{Members, Standing},
};
use crate::{NodeName, engine::Entry, record::ClaimRecord};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};
use xmpp::Domain;

/// A record of the table of seats.
struct Seat {
    revision: u64,
    /// When the record arrived here.
    changed: Instant,
    /// `None`: it is deleted, or cannot be read.
    record: Option<ClaimRecord>,
    /// What was told last.
    told: Option<(Domain, NodeName)>,
}

/// The table of seats as far as it is known, by key.
#[derive(Default)]
pub(super) struct Seating {
    seats: BTreeMap<String, Seat>,
}

impl Seating {
    /// The broker has lost records: revisions begin again.
    pub(super) fn forget_revisions(&mut self) {
        self.seats.values_mut().for_each(|seat| seat.revision = 0);
    }

    /// Takes a change that the broker reported, or a record of the whole table.
    pub(super) fn changed(&mut self, key: &str, revision: u64, value: Option<&Bytes>, now: Instant) {
        let known = self.seats.get_mut(key);
        if known.as_ref().is_some_and(|seat| revision <= seat.revision)
            || (known.is_none() && self.seats.len() >= SEATS)
        {
            return;
        }
        let record = value.and_then(|value| ClaimRecord::decode(value).ok());
        match self.seats.get_mut(key) {
            Some(seat) => (seat.revision, seat.changed, seat.record) = (revision, now, record),
            None => {
                self.seats.insert(key.to_owned(), Seat { revision, changed: now, record, told: None });
            }
        }
    }

    /// Takes the whole table, which was asked for at `sent`.
    pub(super) fn listed(
        &mut self,
        entries: Vec<(String, Entry)>,
        sent: Instant,
        refills: bool,
        now: Instant,
    ) {
        let mut present = BTreeSet::new();
        for (key, entry) in entries {
            if let Some(seat) = self.seats.get_mut(&key).filter(|seat| seat.changed < sent) {
                // The broker may have come back with older data: the table is believed.
                seat.revision = seat.revision.min(entry.revision.saturating_sub(1));
            }
            self.changed(&key, entry.revision, Some(&entry.value), now);
            present.insert(key);
        }
        // While records are written again, a missing one means nothing.
        if !refills {
            for (key, seat) in &mut self.seats {
                if seat.changed < sent && !present.contains(key) {
                    seat.record = None;
                }
            }
        }
    }

    /// Tells what changed for this node.
    pub(super) fn view(&mut self, own: &NodeName, members: &mut Members, io: &mut Io, now: Instant) {
        for seat in self.seats.values_mut() {
            let at = match &seat.record {
                Some(record) if record.node != *own => {
                    match members.judge(&record.node, record.incarnation, now) {
                        Standing::Alive => {
                            Domain::named(&record.what).ok().map(|name| (name, record.node.clone()))
                        }
                        Standing::Over => None,
                        // What was told stays until the answer.
                        Standing::Asked => continue,
                    }
                }
                _ => None,
            };
            if seat.told == at {
                continue;
            }
            if let Some((name, _)) = &seat.told
                && at.as_ref().is_none_or(|(other, _)| other != name)
            {
                io.tell(Output::SeatAt { name: name.clone(), node: None });
            }
            if let Some((name, node)) = &at {
                io.tell(Output::SeatAt { name: name.clone(), node: Some(node.clone()) });
            }
            seat.told = at;
        }
        // A deleted record is remembered until the whole table was read after it: it holds off late reports.
        if self.seats.len() > SEATS / 2 {
            self.seats.retain(|_, seat| seat.record.is_some() || seat.told.is_some());
        }
    }
}

/// More than a configuration has components. Records beyond it are not looked at.
const SEATS: usize = 20_000;

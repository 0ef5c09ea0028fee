//! The relays that have something on the way, and what each may have on the way.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use ::cluster::ferry::{GivenBack, Ranges, Reported};

use crate::flow::{
    ferry::{ALLOWED_BEYOND_THE_WINDOW, ALWAYS_ALLOWED, Event},
    outbox::BUDGET,
};
use mailbox::Outlet;

/// Identifies a relay, as long as it is in the table.
pub(super) type Key = usize;

/// What the sending machine keeps for a piece of a relay's parcel.
#[derive(Clone, Debug)]
pub(super) struct Custody {
    pub(super) owner: Key,
    pub(super) number: u64,
    /// The stanzas of the parcel that are in the piece.
    pub(super) stanzas: Range<u64>,
}

/// The relays of a session.
#[derive(Default)]
pub(super) struct Owners {
    owners: HashMap<Key, Owner>,
    /// How much is on the way of all relays.
    width: Width,
}

/// What each relay may have on the way: the less, the more is on the way of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    /// The window has room.
    #[default]
    Wide,
    /// The window is used up.
    Narrow,
    /// So much is on the way beyond it that the other node may soon take nothing more.
    Tight,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Wide => BUDGET,
            Self::Narrow => ALLOWED_BEYOND_THE_WINDOW,
            Self::Tight => ALWAYS_ALLOWED,
        }
    }
}

struct Owner {
    events: Outlet<Event>,
    /// A piece of it was on the way in this session.
    has_carried: bool,
    /// The parcels on the way.
    parcels: BTreeMap<u64, OnTheWay>,
    /// What it was told last.
    width: Width,
}

struct OnTheWay {
    /// Pieces that are neither settled nor given back.
    pieces: usize,
    /// A stanza was settled, or may have been delivered.
    is_touched: bool,
    /// The stanzas that the other node has given back.
    given_back: Ranges,
}

impl Owners {
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether the relay has had a parcel on the way in this session.
    pub(super) fn has(&self, events: &Outlet<Event>) -> bool {
        self.owners.contains_key(&events.key())
    }

    /// Whether a piece of the relay was on the way in this session.
    pub(super) fn has_carried(&self, events: &Outlet<Event>) -> bool {
        self.owners.get(&events.key()).is_some_and(|owner| owner.has_carried)
    }

    /// Enters a parcel in so many pieces.
    pub(super) fn enter(&mut self, events: Outlet<Event>, number: u64, pieces: usize) -> Key {
        let key = events.key();
        let owner = self.owners.entry(key).or_insert_with(|| Owner::new(events));
        owner.has_carried |= pieces > 0;
        owner.parcels.insert(number, OnTheWay { pieces, is_touched: false, given_back: Ranges::new() });
        owner.set(self.width);
        key
    }

    /// Enters a parcel of which this part is carried: what is longer than `longest` bytes is not. A parcel without any other
    /// stanza is settled at once.
    pub(super) fn enter_part(
        &mut self,
        events: Outlet<Event>,
        number: u64,
        pieces: usize,
        longest: usize,
    ) -> Key {
        let key = self.enter(events, number, pieces);
        if let Some(owner) = self.owners.get_mut(&key) {
            owner.tell(Event::TooLong { number, longest });
            if pieces == 0 {
                owner.parcels.remove(&number);
                owner.tell(Event::Settled { numbers: vec![number] });
            }
        }
        key
    }

    /// How much is on the way of all relays.
    pub(super) fn width(&self) -> Width {
        self.width
    }

    /// More is on the way of all relays, or less: those learn it that have something on the way, or may have more again.
    pub(super) fn set(&mut self, width: Width) {
        if std::mem::replace(&mut self.width, width) == width {
            return;
        }
        for owner in self.owners.values_mut() {
            if width < owner.width || !owner.parcels.is_empty() {
                owner.set(width);
            }
        }
    }

    /// Tells the relays which of their parcels are settled, and what the other node gives back.
    pub(super) fn report(&mut self, reported: Reported<Custody>) {
        let mut settled: HashMap<Key, Vec<u64>> = HashMap::new();
        for custody in reported.settled {
            let (owner, number) = (custody.owner, custody.number);
            if self.end_piece(custody, &Ranges::new()) {
                settled.entry(owner).or_default().push(number);
            }
        }
        for GivenBack { custody, stanzas } in reported.returned {
            let (owner, number) = (custody.owner, custody.number);
            let given_back = custody.numbers_of(stanzas);
            if self.end_piece(custody, &given_back) {
                settled.entry(owner).or_default().push(number);
            }
        }
        for (key, numbers) in settled {
            if let Some(owner) = self.owners.get(&key) {
                owner.tell(Event::Settled { numbers });
            }
        }
    }

    /// A piece is settled, but for these stanzas of its parcel. True: so is the whole parcel. If something of it was given back,
    /// its relay is told.
    fn end_piece(&mut self, Custody { owner, number, stanzas }: Custody, given_back: &Ranges) -> bool {
        let Some(of) = self.owners.get_mut(&owner) else { return false };
        let Some(parcel) = of.parcels.get_mut(&number) else { return false };
        parcel.pieces -= 1;
        parcel.is_touched |= stanzas.clone().any(|stanza| !given_back.contains(stanza));
        parcel.given_back.merge(given_back);
        if parcel.pieces > 0 {
            return false;
        }
        let given_back = of.parcels.remove(&number).map(|parcel| parcel.given_back).unwrap_or_default();
        if given_back.is_empty() {
            return true;
        }
        of.tell(Event::GivenBack { number, stanzas: given_back });
        false
    }

    /// A piece comes back with the end of the way. Its relay learns that at the end.
    pub(super) fn came_back(&mut self, Custody { owner, number, .. }: Custody, in_doubt: bool) {
        if let Some(parcel) = self.owners.get_mut(&owner).and_then(|owner| owner.parcels.get_mut(&number)) {
            parcel.is_touched |= in_doubt;
        }
    }

    /// Tells all relays that the way has ended, and forgets them.
    pub(super) fn end(&mut self, reason: &str) {
        for owner in std::mem::take(self).owners.into_values() {
            let touched = owner.parcels.iter().filter(|(_, parcel)| parcel.is_touched);
            let in_doubt = touched.map(|(number, _)| *number).collect();
            owner.tell(Event::Ended { reason: reason.to_owned(), in_doubt });
        }
    }

    /// Forgets the relays that have ended.
    pub(super) fn forget_the_gone(&mut self) {
        self.owners.retain(|_, owner| {
            // While something of it is on the way, no other relay must get its key.
            !owner.parcels.is_empty() || !owner.events.is_gone()
        });
    }
}

impl Custody {
    /// The numbers that stanzas of the piece have in the parcel. `None`: all of them. Others than it has are left out.
    fn numbers_of(&self, stanzas: Option<Ranges>) -> Ranges {
        let Range { start, end } = self.stanzas;
        let Some(last) = end.checked_sub(1).filter(|last| *last >= start) else { return Ranges::new() };
        let Some(stanzas) = stanzas else { return [(start, last)].into_iter().collect() };
        let moved = stanzas.iter().map(|(first, last_of_range)| {
            (start.saturating_add(first), start.saturating_add(last_of_range).min(last))
        });
        moved.collect()
    }
}

impl Owner {
    fn new(events: Outlet<Event>) -> Self {
        Self { events, has_carried: false, parcels: BTreeMap::new(), width: Width::Wide }
    }

    fn set(&mut self, width: Width) {
        if std::mem::replace(&mut self.width, width) != width {
            self.tell(Event::Allowed { bytes: width.bytes() });
        }
    }

    fn tell(&self, event: Event) {
        // A relay that panicked has lost its stanzas: the account shows them.
        let _ = self.events.signal(event);
    }
}

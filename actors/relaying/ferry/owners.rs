//! The relays that have something on the way, and what each may have on the way.

use std::collections::{BTreeMap, HashMap};

use crate::flow::{
    ferry::{ALLOWED_BEYOND_THE_WINDOW, ALWAYS_ALLOWED, Event},
    outbox::BUDGET,
};
use mailbox::Outlet;

/// Identifies a relay, as long as it is in the table.
pub(super) type Key = usize;

/// What the sending machine keeps for a piece of a relay's parcel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Custody {
    pub(super) owner: Key,
    pub(super) number: u64,
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
    /// The parcels on the way.
    parcels: BTreeMap<u64, OnTheWay>,
    /// What it was told last.
    width: Width,
}

struct OnTheWay {
    /// Pieces that are not settled.
    pieces: usize,
    /// A piece was settled, or may have been delivered.
    is_touched: bool,
}

impl Owners {
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether the relay has had a parcel on the way in this session.
    pub(super) fn has(&self, events: &Outlet<Event>) -> bool {
        self.owners.contains_key(&events.key())
    }

    /// Enters a parcel in so many pieces.
    pub(super) fn enter(&mut self, events: Outlet<Event>, number: u64, pieces: usize) -> Key {
        let key = events.key();
        let owner = self.owners.entry(key).or_insert_with(|| Owner::new(events));
        owner.parcels.insert(number, OnTheWay { pieces, is_touched: false });
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

    /// Tells the relays which of their parcels are settled.
    pub(super) fn settle(&mut self, settled: Vec<Custody>) {
        let mut numbers: HashMap<Key, Vec<u64>> = HashMap::new();
        for Custody { owner, number } in settled {
            let Some(of) = self.owners.get_mut(&owner) else { continue };
            let Some(parcel) = of.parcels.get_mut(&number) else { continue };
            parcel.pieces -= 1;
            parcel.is_touched = true;
            if parcel.pieces == 0 {
                of.parcels.remove(&number);
                numbers.entry(owner).or_default().push(number);
            }
        }
        for (key, numbers) in numbers {
            if let Some(owner) = self.owners.get(&key) {
                owner.tell(Event::Settled { numbers });
            }
        }
    }

    /// A piece comes back. Its relay learns that at the end.
    pub(super) fn came_back(&mut self, Custody { owner, number }: Custody, in_doubt: bool) {
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

impl Owner {
    fn new(events: Outlet<Event>) -> Self {
        Self { events, parcels: BTreeMap::new(), width: Width::Wide }
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

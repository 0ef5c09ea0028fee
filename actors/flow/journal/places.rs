//! The places of stanzas in the journal, of this node or of another one.
//!
//! The router reserves the key of each stanza when it takes it in, so the records of one sender and one recipient are in
//! the order of their stanzas, whoever gives them to the journal, and when.

use std::{ops::Range, vec};

use super::RecordHandle;

/// The place of a stanza in the journal.
#[derive(Debug, Default)]
pub(crate) enum Place {
    /// It has none: there is no journal, or the stanza gets its key when it is written.
    #[default]
    None,
    /// Its key. The journal has not got the stanza.
    Reserved(u64),
    /// The journal has got it.
    Written(RecordHandle),
    /// Another node keeps the stanza, in its journal as well, until it is settled here: its number in the parcel of that node.
    Lent(u64),
}

impl Place {
    /// The key of the record.
    pub(super) fn key(&self) -> Option<u64> {
        match self {
            Self::None | Self::Lent(_) => None,
            Self::Reserved(key) => Some(*key),
            Self::Written(handle) => handle.key(),
        }
    }

    /// Whether the stanza is to be given to the journal, or to be given to it again.
    pub(crate) fn is_unwritten(&self) -> bool {
        match self {
            Self::None | Self::Reserved(_) | Self::Lent(_) => true,
            Self::Written(handle) => handle.is_lost(),
        }
    }

    /// The same place without a record in the journal.
    pub(crate) fn without_record(self) -> Self {
        match self {
            Self::Written(handle) => handle.key().map_or(Self::None, Self::Reserved),
            Self::None | Self::Reserved(_) | Self::Lent(_) => self,
        }
    }

    /// Whether the stanza survives a crash.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self, Self::Written(handle) if handle.is_stored())
    }
}

impl From<Option<RecordHandle>> for Place {
    fn from(handle: Option<RecordHandle>) -> Self {
        handle.map_or(Self::None, Self::Written)
    }
}

/// The places of the stanzas of a batch, in their order.
#[derive(Debug, Default)]
pub(crate) enum Places {
    /// None has a place.
    #[default]
    None,
    /// Keys are reserved for all of them, one after the other from this on, as in most batches.
    From(u64),
    /// Another node has lent all of them: their numbers in its parcel are this one and those after it.
    Lent(u64),
    /// One for each.
    Each(Vec<Place>),
}

impl Places {
    /// Whether no stanza has a place.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether another node has lent the stanzas, one after the other.
    pub(crate) fn are_lent(&self) -> bool {
        matches!(self, Self::Lent(_))
    }

    /// Adds the place of the stanza that follows `before` others.
    pub(crate) fn push(&mut self, before: usize, place: Place) {
        match (&mut *self, &place) {
            (Self::None, Place::None) => {}
            (Self::None, Place::Reserved(key)) if before == 0 => *self = Self::From(*key),
            (Self::From(first), Place::Reserved(key)) if *key == *first + before as u64 => {}
            (Self::None, Place::Lent(number)) if before == 0 => *self = Self::Lent(*number),
            (Self::Lent(first), Place::Lent(number)) if *number == *first + before as u64 => {}
            (Self::Each(places), _) => {
                places.resize_with(before, Place::default);
                places.push(place);
            }
            (Self::None | Self::From(_) | Self::Lent(_), _) => {
                let mut places: Vec<Place> = std::mem::take(self).of(before).collect();
                places.push(place);
                *self = Self::Each(places);
            }
        }
    }

    /// Splits off the places of the stanzas after the first `count`.
    pub(crate) fn split_off(&mut self, count: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::From(first) => Self::From(*first + count as u64),
            Self::Lent(first) => Self::Lent(*first + count as u64),
            Self::Each(places) if count < places.len() => Self::Each(places.split_off(count)),
            Self::Each(_) => Self::None,
        }
    }

    /// The places of `count` stanzas.
    pub(crate) fn of(self, count: usize) -> Iter {
        let count = count as u64;
        match self {
            Self::None => Iter::Without(0..count),
            Self::From(first) => Iter::Reserved(first..first + count),
            Self::Lent(first) => Iter::Lent(first..first + count),
            Self::Each(mut places) => {
                places.resize_with(count as usize, Place::default);
                Iter::Each(places.into_iter())
            }
        }
    }
}

/// The places of stanzas, in order.
#[derive(Debug)]
pub(crate) enum Iter {
    Without(Range<u64>),
    Reserved(Range<u64>),
    Lent(Range<u64>),
    Each(vec::IntoIter<Place>),
}

impl Iterator for Iter {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        match self {
            Self::Without(left) => left.next().map(|_| Place::None),
            Self::Reserved(left) => left.next().map(Place::Reserved),
            Self::Lent(left) => left.next().map(Place::Lent),
            Self::Each(places) => places.next(),
        }
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Place> {
        match self {
            Self::Without(left) => left.next_back().map(|_| Place::None),
            Self::Reserved(left) => left.next_back().map(Place::Reserved),
            Self::Lent(left) => left.next_back().map(Place::Lent),
            Self::Each(places) => places.next_back(),
        }
    }
}

//! The stanzas of a queue, by place.
//!
//! Most queues hold one stanza: it needs no tree, of which a node has room for eleven entries.

use std::collections::BTreeMap;

use super::Item;

/// The items, in the order of their places.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The only item. `None` while there are others, or none at all.
    only: Option<(i64, Box<Item>)>,
    /// Boxed, because a node of the tree has room for eleven.
    others: BTreeMap<i64, Box<Item>>,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        usize::from(self.only.is_some()) + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.only.is_none() && self.others.is_empty()
    }

    pub(super) fn get(&self, place: i64) -> Option<&Item> {
        match &self.only {
            Some((only, item)) => (*only == place).then_some(&**item),
            None => self.others.get(&place).map(|item| &**item),
        }
    }

    pub(super) fn first(&self) -> Option<(i64, &Item)> {
        self.iter().next()
    }

    pub(super) fn last_place(&self) -> Option<i64> {
        self.iter().next_back().map(|(place, _)| place)
    }

    /// Adds an item at a place that is free.
    pub(super) fn insert(&mut self, place: i64, item: Box<Item>) {
        if self.is_empty() {
            self.only = Some((place, item));
            return;
        }
        self.others.extend(self.only.take());
        self.others.insert(place, item);
    }

    pub(super) fn remove(&mut self, place: i64) -> Option<Box<Item>> {
        match self.only.take_if(|(only, _)| *only == place) {
            Some((_, item)) => Some(item),
            None => self.others.remove(&place),
        }
    }

    /// All items with their places, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &Item)> {
        let only = self.only.iter().map(|(place, item)| (*place, &**item));
        only.chain(self.others.iter().map(|(place, item)| (*place, &**item)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Item> {
        self.iter().map(|(_, item)| item)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.range_mut(i64::MIN).map(|(_, item)| item)
    }

    /// The items from a place on, in order.
    pub(super) fn range_mut(&mut self, from: i64) -> impl Iterator<Item = (i64, &mut Item)> {
        let only = self.only.iter_mut().filter(move |(only, _)| *only >= from);
        let only = only.map(|(place, item)| (*place, &mut **item));
        only.chain(self.others.range_mut(from..).map(|(place, item)| (*place, &mut **item)))
    }
}

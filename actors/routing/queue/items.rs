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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xmpp::{Stanza, xml::Element};

    use super::*;
    use crate::{flow::batch, routing::queue::Bounds};

    struct Wide;
    impl Bounds for Wide {
        fn max_stanzas(&self) -> usize {
            usize::MAX
        }
        fn max_bytes(&self) -> usize {
            usize::MAX
        }
        fn time_of(&self, _: &Stanza) -> Duration {
            Duration::ZERO
        }
    }

    fn item() -> Box<Item> {
        let stanza =
            Element::new("message", "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        let stanza = Stanza::from_element(&stanza).unwrap();
        let (since, place, receipt) = (clock::now(), Default::default(), Default::default());
        let kept = batch::Kept { stanza, taken: false, since, sends: Default::default(), place, receipt };
        Box::new(Item::new(kept, &Wide))
    }

    fn places(items: &Items) -> Vec<i64> {
        items.iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn one_item_alone_has_no_tree_and_all_are_in_order_whichever_came_first() {
        let mut items = Items::default();
        items.insert(5, item());
        assert!(
            items.others.is_empty() && items.len() == 1 && items.get(5).is_some() && items.get(4).is_none()
        );
        assert_eq!(items.range_mut(6).count(), 0);
        for place in [3, 7] {
            items.insert(place, item());
        }
        assert_eq!((places(&items), items.len(), items.last_place()), (vec![3, 5, 7], 3, Some(7)));
        assert_eq!(items.range_mut(4).map(|(place, _)| place).collect::<Vec<_>>(), [5, 7]);
        assert_eq!((items.values().count(), items.values_mut().count()), (3, 3));
        for place in [5, 3, 7] {
            assert!(items.remove(place).is_some() && items.remove(place).is_none());
        }
        assert!(items.is_empty() && items.first().is_none());
        items.insert(1, item());
        assert!(items.others.is_empty() && items.remove(2).is_none() && items.remove(1).is_some());
    }
}

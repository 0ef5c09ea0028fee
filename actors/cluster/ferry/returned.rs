//! Which stanzas a node gives back to the node that has lent them.

use std::collections::BTreeMap;

use super::ranges::Ranges;

/// Parcels that come back, by number: whole ones, and some stanzas of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Nothing of these parcels was delivered.
    pub whole: Ranges,
    /// These stanzas of a parcel were not delivered; its others are settled. Stanzas are counted from 0, over all batches.
    pub parts: BTreeMap<u64, Ranges>,
}

impl Returned {
    /// Adds a parcel. `stanzas`: those that come back; `None`: all of them.
    pub fn insert(&mut self, number: u64, stanzas: Option<Ranges>) {
        match stanzas {
            None => self.whole.insert(number, number),
            Some(stanzas) => drop(self.parts.insert(number, stanzas)),
        }
    }

    /// Adds the parcels of another set.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.parts.extend(other.parts.iter().map(|(number, stanzas)| (*number, stanzas.clone())));
    }

    /// Whether no parcel comes back.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.parts.is_empty()
    }

    /// The lowest number.
    pub fn lowest(&self) -> Option<u64> {
        let part = self.parts.first_key_value().map(|(&number, _)| number);
        self.whole.lowest().into_iter().chain(part).min()
    }

    /// The highest number.
    pub fn highest(&self) -> Option<u64> {
        let part = self.parts.last_key_value().map(|(&number, _)| number);
        self.whole.highest().max(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_whole_parcels_and_parts_of_others() {
        let mut returned = Returned::default();
        assert!(returned.is_empty() && returned.lowest().is_none() && returned.highest().is_none());
        returned.insert(5, None);
        returned.insert(7, Some([(1, 2)].into_iter().collect()));
        let mut other = Returned::default();
        other.insert(4, None);
        other.insert(2, Some([(0, 0)].into_iter().collect()));
        returned.merge(&other);
        assert_eq!((returned.lowest(), returned.highest()), (Some(2), Some(7)));
        assert_eq!(returned.whole, [(4, 5)].into_iter().collect());
        assert_eq!(returned.parts.len(), 2);
    }
}

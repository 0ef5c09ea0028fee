//! A newer presence replaces an older one with the same sender and recipient that still waits.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use xmpp::{Stanza, stanza::Kind};

use super::{Item, Queue};

impl Queue {
    /// Sets whether a newer presence replaces an older one at once. While a connection reads what waits, it replaces only one
    /// that is [`STALE`].
    pub(in crate::routing) fn set_replacing(&mut self, replaces: bool) {
        let was_replacing = std::mem::replace(&mut self.replaces, replaces);
        if replaces && !was_replacing && !self.presences.is_empty() {
            self.drop_replaced();
        }
    }

    /// Drops each presence that a newer one replaces.
    fn drop_replaced(&mut self) {
        let replaced = self.items.iter().filter(|(place, item)| self.is_replaced(*place, item));
        let replaced: Vec<i64> = replaced.map(|(place, _)| place).collect();
        replaced.into_iter().for_each(|place| self.drop_from(place));
    }

    /// Whether a newer presence waits behind this one.
    pub(super) fn is_replaced(&self, place: i64, item: &Item) -> bool {
        let newest = item.presence.and_then(|key| self.presence(key, &item.kept.stanza));
        newest.is_some_and(|(newest, _)| newest > place)
    }

    /// Whether a presence may be dropped for a newer one.
    pub(super) fn is_replaceable(&self, item: &Item) -> bool {
        self.replaces || clock::since(item.kept.since) >= STALE
    }

    /// The newest waiting presence with the same sender and recipient as `stanza`, and its position.
    pub(super) fn presence(&self, key: u64, stanza: &Stanza) -> Option<(i64, &Item)> {
        let place = *self.presences.get(&key)?;
        let item = self.items.get(place)?;
        // Different addresses may have the same hash. They are compared as written: of two spellings of one
        // address both presences are delivered, in order, and the recipient's server, which prepares the
        // addresses, keeps the last.
        let other = &item.kept.stanza;
        (other.from() == stanza.from() && other.to() == stanza.to()).then_some((place, item))
    }
}

pub(super) fn unindex(presences: &mut BTreeMap<u64, i64>, place: i64, item: &Item) {
    if let Some(key) = item.presence
        && presences.get(&key) == Some(&place)
    {
        presences.remove(&key);
    }
}

/// A hash of the sender and the recipient of a presence that replaces an older one: available or unavailable.
/// Presence that joins a room, which the room answers (XEP-0045 7.2), and presence of a room about its
/// occupants, of which each says something else (7.6, 8.2), replaces nothing.
pub(super) fn presence_key(stanza: &Stanza) -> Option<u64> {
    let of_a_room = || ["", "#user"].iter().any(|part| stanza.has_child("x", &format!("{MUC}{part}")));
    if stanza.kind() != Kind::Presence || !matches!(stanza.type_(), None | Some("unavailable")) || of_a_room()
    {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (stanza.from(), stanza.to()).hash(&mut hasher);
    Some(hasher.finish())
}

/// A presence that has waited for so long is out of date once a newer one waits behind it.
pub(super) const STALE: Duration = Duration::from_secs(5);

const MUC: &str = "http://jabber.org/protocol/muc";

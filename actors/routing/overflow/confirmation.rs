//! What becomes of stanzas that are on their way to the journal: they leave the memory, stay in it, or are refused.

use super::{Overflow, Room, entries::Removed};
use crate::flow::{
    batch::{self, Batch},
    journal::Place,
};

/// What the journal has confirmed.
#[derive(Debug, Default)]
pub(in crate::routing) struct Confirmation {
    /// Stanzas that it could not write, and for which the memory has no room.
    pub(in crate::routing) refused: Vec<Batch>,
    /// It has not decided on others.
    pub(in crate::routing) awaits_more: bool,
}

impl Overflow {
    /// The journal has decided on all that it got before it was asked, or is gone.
    pub(in crate::routing) fn confirm(&mut self, room: Room<'_>, is_gone: bool) -> Confirmation {
        let mut refused = Vec::new();
        loop {
            self.confirm_stored();
            let Some(&number) = self.unconfirmed.front() else { break };
            let place = self.entries.place(number);
            if !is_gone && place.is_some_and(|place| !place.is_unwritten()) {
                // It came later.
                break;
            }
            self.unconfirmed.pop_front();
            let resident = self.entries.resident();
            let has_room = |stanza| room.bound_in_memory(resident, stanza).is_none();
            if self.entries.stanza(number).is_some_and(has_room) {
                self.entries.stay(number);
            } else if let Some(Removed::Kept(kept)) = self.entries.remove(number) {
                refused.push(kept);
            }
        }
        let refused = batch::batches(refused, &mut self.account);
        Confirmation { refused, awaits_more: !self.unconfirmed.is_empty() }
    }

    /// Frees the memory of the first stanzas that are in the file by now.
    pub(super) fn confirm_stored(&mut self) {
        while let Some(&number) = self.unconfirmed.front()
            && self.entries.place(number).is_none_or(Place::is_stored)
        {
            self.entries.leave_memory(number);
            self.unconfirmed.pop_front();
        }
    }
}

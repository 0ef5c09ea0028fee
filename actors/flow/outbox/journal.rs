//! Stanzas that wait for their link, or for its peer, for so long that the journal gets them.

use std::time::Instant;

use super::{Outbox, item::Item};
use crate::flow::journal::Group;
use status::amount::Amount;

impl Outbox {
    /// Gives the journal what was accepted at `until` or earlier and is not settled. Gives the time at which the first of
    /// the others was accepted.
    pub(crate) fn write_old(&mut self, until: Instant, group: &mut Group<'_>) -> Option<Instant> {
        let (mut written, mut younger) = (Amount::default(), None);
        if let Some(unacked) = &mut self.unacked {
            (written, younger) = unacked.write_old(until, group);
        }
        for item in &mut self.items {
            let kept = match item {
                Item::Stanza(kept) => kept,
                Item::Recast(recast) => &mut recast.0,
                Item::Raw(_) => continue,
            };
            if kept.since > until {
                younger = younger.or(Some(kept.since));
                break;
            }
            written = written.plus(kept.journal(false, group));
        }
        self.entry.journal(written);
        younger
    }
}

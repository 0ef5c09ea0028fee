//! Whether a report of the receiver can be true.

use crate::ferry::{
    frame::{Control, Echo},
    lie::Lie,
};

/// Checks a report, when parcels up to `sent` and frames up to `last_frame` were sent.
pub(super) fn check(control: &Control, sent: u64, last_frame: u64) -> Result<(), Lie> {
    let &Control { received, highest, ref missing, ref settlements, echo, room: _ } = control;
    if highest > sent || received > sent {
        return Err(Lie::ReceivedUnsent { received: highest.max(received), sent });
    }
    let is_between = missing.lowest().is_none_or(|lowest| lowest > received)
        && missing.highest().is_none_or(|last| last < highest);
    if highest < received || !is_between {
        return Err(Lie::Contradiction { received, highest });
    }
    let (settled, returned) = (&settlements.settled, &settlements.returned);
    if let Some(settled) = settled.highest().max(returned.highest())
        && settled > received
    {
        return Err(Lie::SettledUnreceived { settled, received });
    }
    if settled.lowest() == Some(0) || returned.lowest() == Some(0) {
        return Err(Lie::ImpossibleNumber(0));
    }
    match echo {
        Some(Echo { frame, .. }) if frame > last_frame => {
            Err(Lie::AnsweredUnsent { answered: frame, sent: last_frame })
        }
        _ => Ok(()),
    }
}

//! One sentence about the state of a domain or component, or about the result of a command.

mod below;
mod component;
mod domain;
mod missing;
mod nodes;
mod result;

pub use self::{
    below::{below, unserved},
    component::component,
    domain::{Facts, state},
    missing::missing,
    result::{closed, closed_component, related, retried},
};
use crate::amount::Amount;

/// The state of a domain that the policy forbids.
const NOT_ALLOWED: &str =
    "not allowed by s2s.allow and s2s.deny of this node; stanzas to it are answered with not-allowed";

/// `12 stanzas wait`
fn waits(amount: Amount) -> String {
    match amount.stanzas {
        0 => "nothing waits".to_owned(),
        1 => "1 stanza waits".to_owned(),
        many => format!("{many} stanzas wait"),
    }
}

/// The same, with the number of those that are in the journal too, and of those that are on the disk only:
/// `12 stanzas wait, all of them in the journal, 4 of them on the disk only, because the queue is full`
fn waits_with_journal(waiting: Amount, kept: u64, on_disk: u64) -> String {
    with_journal(waits(waiting), waiting, kept, on_disk)
}

/// Adds to `waits` what is in the journal and on the disk.
fn with_journal(waits: String, waiting: Amount, kept: u64, on_disk: u64) -> String {
    let waits = match kept {
        0 => waits,
        kept if kept >= waiting.stanzas => format!("{waits}, all of them in the journal"),
        kept => format!("{waits}, {kept} of them in the journal"),
    };
    match on_disk {
        0 => waits,
        on_disk => format!("{waits}, {on_disk} of them on the disk only, because the queue is full"),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;

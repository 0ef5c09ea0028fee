//! One sentence about the state of a domain or component, or about the result of a command.

mod component;
mod domain;
mod result;

pub use self::{
    component::component,
    domain::{Facts, state},
    result::{closed, related, retried},
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

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;

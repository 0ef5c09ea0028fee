//! The sentence about a domain below a domain of the node that no component serves.

use super::NOT_ALLOWED;

/// Describes such a domain, with which the node has no link: what becomes of stanzas to it, and how to serve it.
pub fn unserved(domain: &str, above: &str, permitted: bool) -> String {
    let stanzas = match permitted {
        true => "stanzas to it are sent to a remote server, none came or went yet",
        false => NOT_ALLOWED,
    };
    format!("{domain}: {}; {stanzas}", below(domain, above))
}

/// The part of a sentence about any such domain, with the advice.
pub fn below(domain: &str, above: &str) -> String {
    format!("{}; {}", position(above), advice(domain, above))
}

/// The position alone.
pub(super) fn position(above: &str) -> String {
    format!("it lies below {above}, which this node serves, and no component serves it")
}

fn advice(domain: &str, above: &str) -> String {
    format!("to serve it here, add \"{domain}\" or \"*.{above}\" to names of a [[component]]")
}

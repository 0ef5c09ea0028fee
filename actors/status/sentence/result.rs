//! The sentences about the results of the commands `retry` and `close`, and about related domains.

use super::{NOT_ALLOWED, count, waits};
use crate::{
    answer::{Closed, Related},
    report::Pair,
};

/// Describes the result of `retry`.
pub fn retried(domain: &str, begun: &[Pair], under_way: usize, links: usize, permitted: bool) -> String {
    if !permitted {
        return format!("{domain}: {NOT_ALLOWED}");
    }
    match (begun.len(), under_way) {
        (1.., _) => {
            let pairs: Vec<String> = begun.iter().map(ToString::to_string).collect();
            format!("{domain}: retrying now ({})", pairs.join(", "))
        }
        (0, 1..) => format!("{domain}: a connection attempt is already being made"),
        (0, 0) if links > 0 => format!("{domain}: nothing to retry, the link is open"),
        (0, 0) => {
            format!("{domain}: nothing is queued; the next stanza will start a connection attempt")
        }
    }
}

/// Describes the result of `close`.
pub fn closed(closed: &Closed) -> String {
    let Closed { domain, outgoing, incoming, down, .. } = closed;
    if outgoing + incoming == 0 {
        return format!("{domain}: no open link to close; {}", waits(closed.waiting));
    }
    let count = count(outgoing + incoming, "link", "links");
    let done = if *down { "closed" } else { "closed on our side; the other side has not answered yet" };
    format!("{domain}: {count} {done} ({outgoing} opened here, {incoming} there); {}", waits(closed.waiting))
}

/// Lists related domains: `chat.b.example (1 link, nothing waits)`.
pub fn related(related: &[Related]) -> String {
    let one = |related: &Related| {
        let links = count(related.links, "link", "links");
        format!("{} ({links}, {})", related.domain, waits(related.waiting))
    };
    related.iter().map(one).collect::<Vec<_>>().join(", ")
}

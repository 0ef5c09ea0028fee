//! The sentences about the results of the commands `retry` and `close`, and about related domains.

use super::{NOT_ALLOWED, count, nodes::by, waits};
use crate::answer::{Closed, ClosedAt, PairAt, Related};

/// Describes the result of `retry`. `here` is the node that was asked, if the result is that of all nodes of a cluster.
pub fn retried(
    domain: &str,
    begun: &[PairAt],
    under_way: usize,
    links: usize,
    permitted: bool,
    here: Option<&str>,
) -> String {
    if !permitted {
        return format!("{domain}: {NOT_ALLOWED}");
    }
    match (begun.len(), under_way) {
        (1.., _) => {
            let one = |begun: &PairAt| format!("{}{}", begun.pair, by(begun.node.as_deref(), here));
            let pairs: Vec<String> = begun.iter().map(one).collect();
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
    let Closed { domain, outgoing, incoming, down, nodes, .. } = closed;
    if outgoing + incoming == 0 {
        return format!("{domain}: no open link to close; {}", waits(closed.waiting));
    }
    let count = count(outgoing + incoming, "link", "links");
    let done = if *down { "closed" } else { "closed on our side; the other side has not answered yet" };
    let on = on(nodes);
    format!(
        "{domain}: {count} {done} ({outgoing} opened here, {incoming} there){on}; {}",
        waits(closed.waiting)
    )
}

/// Describes the result of `close` for a component.
pub fn closed_component(closed: &Closed) -> String {
    let (name, on) = (&closed.domain, on(&closed.nodes));
    match (closed.incoming > 0, closed.down) {
        (false, _) => format!("{name}: the component is not connected"),
        (true, true) => {
            format!("{name}: the connection of the component is closed{on}; it may connect again")
        }
        (true, false) => format!("{name}: the connection of the component is being closed{on}"),
    }
}

/// ` on node b`, ` on nodes a, b`; nothing for a node that is alone.
fn on(nodes: &[ClosedAt]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [node] => format!(" on node {node}"),
        nodes => format!(" on nodes {}", nodes.join(", ")),
    }
}

/// Lists related domains: `chat.b.example (1 link, nothing waits)`.
pub fn related(related: &[Related]) -> String {
    let one = |related: &Related| {
        let links = count(related.links, "link", "links");
        format!("{} ({links}, {})", related.domain, waits(related.waiting))
    };
    related.iter().map(one).collect::<Vec<_>>().join(", ")
}

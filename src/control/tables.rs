//! Links and queues as tables.

use actors::{
    account::Amount,
    report::{Direction, Link, Queue, State, Wait},
};

use super::screen::{Screen, Size, Table};

/// Adds a table of links.
pub(crate) fn links(screen: &mut Screen, links: &[Link]) {
    if links.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "link",
        "opened by",
        "state",
        "since",
        "address",
        "auth",
        "encryption",
        "certificate",
        "in",
        "out",
        "waiting",
        "idle",
    ]);
    for link in links {
        table.row(&[
            pairs(link),
            opened_by(link.direction).to_owned(),
            state(link.state).to_owned(),
            screen.time(link.since),
            link.address.map_or_else(none, |address| address.to_string()),
            link.mechanism.clone().unwrap_or_else(none),
            link.tls.as_ref().map_or_else(none, |tls| {
                format!("{} {}", tls.protocol, tls.cipher.strip_prefix("TLS_").unwrap_or(&tls.cipher))
            }),
            link.tls.as_ref().map_or_else(none, |tls| tls.certificate.clone()),
            both(link.received),
            both(link.sent),
            both(link.waiting),
            link.idle.to_string(),
        ]);
    }
    screen.table(&table, "");
}

/// Adds a table of queues.
pub(crate) fn queues(screen: &mut Screen, queues: &[Queue]) {
    if queues.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "pair",
        "stanzas",
        "bytes",
        "oldest",
        "state",
        "next attempt",
        "failed",
        "last failure",
    ]);
    for queue in queues {
        table.row(&[
            format!("{} > {}", queue.local, queue.remote),
            queue.waiting.stanzas.to_string(),
            Size(queue.waiting.bytes).to_string(),
            queue.oldest.map_or_else(none, |oldest| oldest.to_string()),
            wait(queue.state).to_owned(),
            next_attempt(queue),
            format!("{}x", queue.failures),
            queue.trouble.as_ref().map_or_else(none, |trouble| trouble.reason.clone()),
        ]);
    }
    screen.table(&table, "");
}

fn pairs(link: &Link) -> String {
    let pairs: Vec<String> = link.pairs.iter().map(ToString::to_string).collect();
    match (pairs.len(), link.more_pairs) {
        (0, _) => none(),
        (_, 0) => pairs.join(", "),
        (_, more) => format!("{} and {more} more", pairs.join(", ")),
    }
}

/// When, unless nothing waits: then nothing is tried.
fn next_attempt(queue: &Queue) -> String {
    match queue.next_attempt {
        None => none(),
        Some(next) if next.0.is_zero() => "at once, when something is sent".to_owned(),
        Some(next) if queue.waiting.stanzas == 0 => format!("in {next}, when something is sent"),
        Some(next) => format!("in {next}"),
    }
}

fn opened_by(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => "us",
        Direction::Incoming => "them",
        Direction::Component => "component",
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Connecting => "connecting",
        State::Negotiating => "negotiating",
        State::Authenticated => "authenticated",
        State::Closing => "closing",
    }
}

fn wait(state: Wait) -> &'static str {
    match state {
        Wait::Turn => "waits for its turn",
        Wait::Attempt => "being tried",
        Wait::Handover => "linked, being written",
        Wait::Return => "link lost",
        Wait::Pause => "paused",
    }
}

/// `12/3.4 KiB`: stanzas, and the bytes of all.
fn both(amount: Amount) -> String {
    format!("{}/{}", amount.stanzas, Size(amount.bytes))
}

fn none() -> String {
    "-".to_owned()
}

//! Links and queues as tables.

use super::screen::{Screen, Size, Table};
use status::{
    amount::Amount,
    report::{Component, Direction, Link, Queue, State, Wait},
};

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
            link.tls.as_ref().map_or_else(none, |tls| tls.verdict.replace('-', " ")),
            both(link.received),
            both(link.sent),
            both(link.waiting),
            link.idle.to_string(),
        ]);
    }
    screen.table(&table, "");
}

/// Adds what is wrong with certificates, in full.
pub(crate) fn certificates(screen: &mut Screen, links: &[Link]) {
    for link in links {
        if let Some(tls) = link.tls.as_ref().filter(|tls| tls.verdict != "good") {
            screen.line(&format!("{}, certificate: {}", pairs(link), tls.certificate));
        }
    }
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
            wait(queue).to_owned(),
            next_attempt(queue),
            format!("{}x", queue.failures),
            queue.trouble.as_ref().map_or_else(none, |trouble| trouble.reason.clone()),
        ]);
    }
    screen.table(&table, "");
}

/// Adds a table of components.
pub(crate) fn components(screen: &mut Screen, components: &[Component]) {
    if components.is_empty() {
        return screen.line("no component is configured: add a [[component]] to the configuration");
    }
    let mut table = Table::new(&[
        "component",
        "state",
        "since",
        "address",
        "in",
        "out",
        "waiting",
        "refused",
        "wrong secret",
        "last end",
    ]);
    for component in components {
        let link = component.link.as_ref();
        table.row(&[
            component.name.clone(),
            if component.connected { "connected" } else { "missing" }.to_owned(),
            screen.time(component.since),
            link.and_then(|link| link.address).map_or_else(none, |address| address.to_string()),
            link.map_or_else(none, |link| both(link.received)),
            link.map_or_else(none, |link| both(link.sent)),
            link.map_or_else(none, |link| both(link.waiting)),
            component.refused.stanzas.to_string(),
            match (component.rejected.count, component.rejected.address) {
                (0, _) => none(),
                (count, Some(address)) => format!("{count}x, last from {address}"),
                (count, None) => format!("{count}x"),
            },
            component.last_end.as_ref().map_or_else(none, |ending| ending.reason.clone()),
        ]);
    }
    screen.table(&table, "");
}

fn pairs(link: &Link) -> String {
    let pairs: Vec<String> = link.pairs.iter().map(ToString::to_string).collect();
    match (pairs.len(), link.pairs_not_shown) {
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

fn wait(queue: &Queue) -> &'static str {
    match queue.state {
        Wait::Turn => "waits for its turn",
        Wait::Attempt => "being tried",
        Wait::Handover => "linked, being written",
        Wait::Return => "link lost",
        Wait::Pause if queue.waiting.stanzas == 0 => "idle, last attempt failed",
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use status::report::{Pair, Seconds, Side, Time, Tls, Trouble};

    fn now() -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    fn link() -> Link {
        let names: Vec<String> = (1..=6).map(|nth| format!("conference{nth}.example")).collect();
        let remote = Some("b.example".to_owned());
        Link {
            direction: Direction::Incoming,
            state: State::Authenticated,
            pairs: vec![Pair { local: "a.example".to_owned(), remote }],
            pairs_not_shown: 0,
            address: Some(([192, 0, 2, 7], 40_000).into()),
            since: now(),
            mechanism: Some("dialback".to_owned()),
            tls: Some(Tls {
                protocol: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                certificate: format!("is for other names ({}), not for b.example", names.join(", ")),
                verdict: "wrong-name".to_owned(),
                expires: None,
                fingerprint: None,
            }),
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            idle: Seconds::default(),
        }
    }

    fn queue(stanzas: u64) -> Queue {
        Queue {
            local: "a.example".to_owned(),
            remote: "b.example".to_owned(),
            state: Wait::Pause,
            waiting: Amount { stanzas, bytes: 100 * stanzas },
            oldest: None,
            next_attempt: Some(Seconds(Duration::from_secs(3))),
            failures: 1,
            trouble: Some(Trouble {
                reason: "no answer".to_owned(),
                definitive: false,
                cause: "no-answer".to_owned(),
                side: Side::Either,
                remedy: "look".to_owned(),
            }),
        }
    }

    #[test]
    fn a_certificate_takes_two_words_of_a_line() {
        let mut screen = Screen::new(now());
        links(&mut screen, &[link()]);
        let table = screen.finish();
        assert!(table.contains("  wrong name  "), "{table}");
        assert!(!table.contains("conference1"), "{table}");
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(200), "{widest:?}:\n{table}");
    }

    #[test]
    fn a_pause_in_which_nothing_waits_is_told_as_none() {
        let shown = |stanzas| {
            let mut screen = Screen::new(now());
            queues(&mut screen, &[queue(stanzas)]);
            screen.finish()
        };
        assert!(shown(1).contains("  paused  "), "{}", shown(1));
        assert!(shown(0).contains("  idle, last attempt failed  "), "{}", shown(0));
    }
}

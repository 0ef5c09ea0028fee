//! Tables of links, queues and components.

use std::collections::HashSet;

use status::{
    amount::Amount,
    report::{
        Acknowledgement, Acks, ComponentReport, Direction, LinkReport, LinkState, QueueReport, QueueState,
        TlsReport, Verdict,
    },
};

use super::page::Page;
use crate::text::{size::Size, table::Table};

/// Adds a table of links.
pub(crate) fn links(page: &mut Page, links: &[LinkReport]) {
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
        "acks",
        "open",
        "acked in",
        "idle",
    ]);
    for link in links {
        table.row([
            pairs(link),
            opened_by(link.direction).to_owned(),
            state(link.state).to_owned(),
            page.time_with_age(link.since),
            link.address.as_ref().map_or_else(none, ToString::to_string),
            link.mechanism.map_or_else(none, |mechanism| mechanism.as_str().to_owned()),
            link.tls.as_ref().map_or_else(none, |tls| {
                format!("{} {}", tls.protocol, tls.cipher.strip_prefix("TLS_").unwrap_or(&tls.cipher))
            }),
            verified(link).map_or_else(none, |tls| tls.verdict.as_str().replace('-', " ")),
            stanzas_and_bytes(link.received),
            stanzas_and_bytes(link.sent),
            stanzas_and_bytes(link.waiting),
            acks(link).map_or_else(none, |acks| acks.acks.as_str().to_owned()),
            acks(link).filter(|acks| acks.acks != Acks::No).map_or_else(none, open),
            acks(link).and_then(|acks| acks.ack_latency).map_or_else(none, |latency| latency.to_string()),
            link.idle.to_string(),
        ]);
    }
    page.table(&table);
}

/// Adds the problem of each certificate that is not good: a problem of several links once, with the first of
/// them.
pub(crate) fn certificates(page: &mut Page, links: &[LinkReport]) {
    let mut shown = HashSet::new();
    for link in links {
        let bad = verified(link).filter(|tls| tls.verdict != Verdict::Good);
        if let Some(tls) = bad.filter(|tls| shown.insert(&tls.certificate)) {
            page.line(&format!("{}, certificate: {}", pairs(link), tls.certificate));
        }
    }
}

/// Adds a table of queues.
pub(crate) fn queues(page: &mut Page, queues: &[QueueReport]) {
    if queues.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "pair",
        "stanzas",
        "bytes",
        "kept",
        "oldest",
        "state",
        "next attempt",
        "failed",
        "last failure",
    ]);
    for queue in queues {
        table.row([
            format!("{} > {}", queue.local, queue.remote),
            stanzas(queue),
            Size(queue.waiting.bytes).to_string(),
            if queue.kept > 0 { queue.kept.to_string() } else { none() },
            queue.oldest.map_or_else(none, |oldest| oldest.to_string()),
            wait(queue).to_owned(),
            next_attempt(queue),
            format!("{}x", queue.failures),
            queue.trouble.as_ref().map_or_else(none, |failure| failure.reason.clone()),
        ]);
    }
    page.table(&table);
}

/// Adds a table of components.
pub(crate) fn components(page: &mut Page, components: &[ComponentReport]) {
    if components.is_empty() {
        return page.line("no component is configured: add a [[component]] section to the configuration");
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
        table.row([
            component.name.clone(),
            if component.connected { "connected" } else { "not connected" }.to_owned(),
            page.time_with_age(component.since),
            link.map_or_else(none, address),
            link.map_or_else(none, |link| stanzas_and_bytes(link.received)),
            link.map_or_else(none, |link| stanzas_and_bytes(link.sent)),
            stanzas_and_bytes(link.map_or(component.waiting, |link| component.waiting.plus(link.waiting))),
            component.refused.stanzas.to_string(),
            match (component.rejected.count, &component.rejected.address) {
                (0, _) => none(),
                (count, Some(address)) => format!("{count}x, last from {address}"),
                (count, None) => format!("{count}x"),
            },
            component.last_end.as_ref().map_or_else(none, |ending| ending.reason.clone()),
        ]);
    }
    page.table(&table);
}

/// The address of a component, and its encryption if it has one.
fn address(link: &LinkReport) -> String {
    let address = link.address.as_ref().map_or_else(none, ToString::to_string);
    match &link.tls {
        Some(tls) => format!("{address}, {}", tls.protocol),
        None => address,
    }
}

/// The encryption of a link whose peer needs a certificate. A component proves its name by a secret.
fn verified(link: &LinkReport) -> Option<&TlsReport> {
    link.tls.as_ref().filter(|_| link.direction != Direction::Component)
}

fn pairs(link: &LinkReport) -> String {
    let pairs: Vec<String> = link.pairs.iter().map(ToString::to_string).collect();
    match (pairs.len(), link.pairs_not_shown) {
        (0, _) => none(),
        (_, 0) => pairs.join(", "),
        (_, more) => format!("{} and {more} more", pairs.join(", ")),
    }
}

/// The time of the next attempt. An empty queue has none until a stanza is sent.
fn next_attempt(queue: &QueueReport) -> String {
    match queue.next_attempt {
        None => none(),
        Some(next) if next.0.is_zero() => "immediately, when a stanza is sent".to_owned(),
        Some(next) if queue.waiting.stanzas == 0 => format!("in {next}, when a stanza is sent"),
        Some(next) => format!("in {next}"),
    }
}

/// The acknowledgements of a link between servers that is authenticated.
fn acks(link: &LinkReport) -> Option<&Acknowledgement> {
    let has_acks = link.direction != Direction::Component && link.mechanism.is_some();
    has_acks.then_some(&link.acknowledgement)
}

/// What is not acknowledged, and for how long: `37/4.1 KiB for 4 s`.
fn open(acks: &Acknowledgement) -> String {
    let amount = stanzas_and_bytes(acks.open);
    match acks.open_for.filter(|_| acks.open.stanzas > 0) {
        Some(age) => format!("{amount} for {age}"),
        None => amount,
    }
}

/// The stanzas of a queue: `12 (3 may have arrived)`.
fn stanzas(queue: &QueueReport) -> String {
    let waiting = queue.waiting.stanzas;
    let notes = [(queue.open.stanzas, "may have arrived"), (queue.on_disk.stanzas, "on the disk")];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    let notes: Vec<String> = notes.map(|(count, note)| format!("{count} {note}")).collect();
    if notes.is_empty() { waiting.to_string() } else { format!("{waiting} ({})", notes.join(", ")) }
}

fn opened_by(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => "us",
        Direction::Incoming => "them",
        Direction::Component => "component",
    }
}

fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Connecting => "connecting",
        LinkState::Negotiating => "negotiating",
        LinkState::Authenticated => "authenticated",
        LinkState::Closing => "closing",
    }
}

fn wait(queue: &QueueReport) -> &'static str {
    match queue.state {
        QueueState::Turn => "waiting for a slot",
        QueueState::Attempt => "connecting",
        QueueState::Handover => "connected, being sent",
        QueueState::Slow => "connected, read slowly",
        QueueState::Return => "connection lost",
        QueueState::Absent => "component not connected",
        QueueState::Pause if queue.waiting.stanzas == 0 => "idle, last attempt failed",
        QueueState::Pause => "paused",
    }
}

/// Stanzas and bytes: `12/3.4 KiB`.
fn stanzas_and_bytes(amount: Amount) -> String {
    format!("{}/{}", amount.stanzas, Size(amount.bytes))
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use status::{
        address::Address,
        report::{Authentication, FailureReport, Latency, Pair, Seconds, Side, Time},
    };

    use super::*;

    fn now() -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    fn link() -> LinkReport {
        let names: Vec<String> = (1..=6).map(|nth| format!("conference{nth}.example")).collect();
        let remote = Some("b.example".to_owned());
        LinkReport {
            direction: Direction::Incoming,
            state: LinkState::Authenticated,
            pairs: vec![Pair { local: "a.example".to_owned(), remote }],
            pairs_not_shown: 0,
            address: Some(Address::Tcp(([192, 0, 2, 7], 40_000).into())),
            since: now(),
            mechanism: Some(Authentication::Dialback),
            tls: Some(TlsReport {
                protocol: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                certificate: format!("is for other names ({}), not for b.example", names.join(", ")),
                verdict: Verdict::WrongName,
                expires: None,
                fingerprint: None,
            }),
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            acknowledgement: Acknowledgement::default(),
            idle: Seconds::default(),
        }
    }

    fn queue(stanzas: u64) -> QueueReport {
        QueueReport {
            local: "a.example".to_owned(),
            remote: "b.example".to_owned(),
            state: QueueState::Pause,
            waiting: Amount { stanzas, bytes: 100 * stanzas },
            kept: 0,
            on_disk: Amount::default(),
            open: Amount::default(),
            oldest: None,
            next_attempt: Some(Seconds(Duration::from_secs(3))),
            failures: 1,
            trouble: Some(FailureReport {
                reason: "no answer".to_owned(),
                definitive: false,
                cause: "no-answer".to_owned(),
                side: Side::Either,
                remedy: "look".to_owned(),
            }),
        }
    }

    #[test]
    fn a_link_shows_the_verdict_of_its_certificate_and_not_its_names() {
        let mut page = Page::new(now());
        links(&mut page, &[link()]);
        let table = page.finish();
        assert!(table.contains("  wrong name  "), "{table}");
        assert!(!table.contains("conference1"), "{table}");
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(200), "{widest:?}:\n{table}");
    }

    #[test]
    fn a_component_shows_its_socket_and_its_encryption_and_needs_no_certificate() {
        let mut component = link();
        let tls = TlsReport::of_component("TLSv1.3".to_owned(), "TLS_AES_256_GCM_SHA384".to_owned(), false);
        component.pairs = vec![Pair { local: "bot.a.example".to_owned(), remote: None }];
        (component.direction, component.tls) = (Direction::Component, Some(tls));
        let mut unix = component.clone();
        (unix.address, unix.tls) = (Some("unix:/run/component.sock".parse().unwrap()), None);
        let mut page = Page::new(now());
        let all = [component, unix];
        links(&mut page, &all);
        certificates(&mut page, &all);
        let table = page.finish();
        assert!(table.contains("TLSv1.3") && table.contains("  unix:/run/component.sock  "), "{table}");
        assert!(!table.contains("missing") && !table.contains("presented"), "{table}");
    }

    #[test]
    fn an_empty_queue_in_a_pause_is_shown_as_idle() {
        let shown = |stanzas| {
            let mut page = Page::new(now());
            queues(&mut page, &[queue(stanzas)]);
            page.finish()
        };
        assert!(shown(1).contains("  paused  "), "{}", shown(1));
        assert!(shown(0).contains("  idle, last attempt failed  "), "{}", shown(0));
    }

    #[test]
    fn a_link_shows_what_is_not_acknowledged() {
        let shown = |link: LinkReport| {
            let mut page = Page::new(now());
            links(&mut page, &[link]);
            page.finish()
        };
        let acknowledgement = Acknowledgement {
            acks: Acks::Resumable,
            open: Amount { stanzas: 37, bytes: 4200 },
            open_for: Some(Seconds(Duration::from_secs(4))),
            ack_latency: Some(Latency(Duration::from_micros(431))),
        };
        let table = shown(LinkReport { acknowledgement, ..link() });
        assert!(table.contains("  resumable  37/4.1 KiB for 4 s  0.4 ms  "), "{table}");
        let table = shown(link());
        assert!(table.contains("  no    -     -         0 ms"), "{table}");
        let table = shown(LinkReport { acknowledgement, mechanism: None, ..link() });
        assert!(!table.contains("resumable"), "{table}");
    }

    #[test]
    fn a_queue_shows_how_many_of_its_stanzas_may_have_arrived() {
        let mut page = Page::new(now());
        let open = Amount { stanzas: 3, bytes: 300 };
        queues(&mut page, &[QueueReport { open, ..queue(12) }]);
        let table = page.finish();
        assert!(table.contains("  12 (3 may have arrived)  "), "{table}");
    }
}

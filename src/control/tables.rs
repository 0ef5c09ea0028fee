//! Tables of links and queues. `tables/components.rs` has that of components.

mod components;

use std::collections::HashSet;

use status::{
    amount::Amount,
    report::{
        Acknowledgement, Acks, Direction, LinkReport, LinkState, QueueReport, QueueState, Time, TlsReport,
        Verdict,
    },
};

pub(crate) use self::components::components;
use super::page::{Cut, Page};
use crate::text::{
    size::Size,
    table::{Cell, Column, Table},
};

/// Adds a table of links.
pub(crate) fn links(page: &mut Page, links: &[LinkReport], cut: Cut) {
    if links.is_empty() {
        return;
    }
    let is_of_cluster = links.iter().any(|link| link.node.is_some());
    let mut columns = vec![
        Column::new("link").middle(LINK),
        Column::new("opened by").or("by").rank(3),
        Column::new("state").rank(1),
        Column::new("since").rank(6),
        Column::new("address").rank(8),
        Column::new("auth").rank(9),
        Column::new("encryption").rank(11),
        Column::new("certificate").or("cert").rank(7),
        Column::new("received").rank(2),
        Column::new("sent").rank(2),
        Column::new("waiting").rank(4),
        Column::new("acks").rank(12),
        Column::new("open").rank(10),
        Column::new("acked in").rank(13),
        Column::new("idle").rank(5),
    ];
    insert_node(&mut columns, is_of_cluster, Column::new("node").rank(1));
    let mut table = Table::new(columns);
    for link in links {
        let mut row = vec![
            pairs(link),
            opened_by(link.direction).into(),
            state(page, link),
            since(page, link.since),
            link.address.as_ref().map_or_else(none, |address| address.to_string().into()),
            link.mechanism.map_or_else(none, |mechanism| mechanism.as_str().into()),
            link.tls.as_ref().map_or_else(none, |tls| {
                let cipher = tls.cipher.strip_prefix("TLS_").unwrap_or(&tls.cipher);
                Cell::with_short(format!("{} {cipher}", tls.protocol), tls.protocol.clone())
            }),
            verified(link).map_or_else(none, |tls| tls.verdict.as_str().replace('-', " ").into()),
            stanzas_and_bytes(link.received),
            stanzas_and_bytes(link.sent),
            stanzas_and_bytes(link.waiting),
            acks(link).map_or_else(none, |acks| acks.acks.as_str().into()),
            acks(link).filter(|acks| acks.acks != Acks::No).map_or_else(none, open),
            acks(link)
                .and_then(|acks| acks.ack_latency)
                .map_or_else(none, |latency| latency.to_string().into()),
            link.idle.to_string().into(),
        ];
        insert_node(&mut row, is_of_cluster, node(link.node.as_deref()));
        table.row(row);
    }
    page.table(table, cut);
}

/// Adds the problem of each certificate that is not good: a problem of several links once, with the first of
/// them.
pub(crate) fn certificates(page: &mut Page, links: &[LinkReport]) {
    let mut shown = HashSet::new();
    for link in links {
        let bad = verified(link).filter(|tls| tls.verdict != Verdict::Good);
        if let Some(tls) = bad.filter(|tls| shown.insert(&tls.certificate)) {
            page.line(&format!("{}, certificate: {}", all_pairs(link), tls.certificate));
        }
    }
}

/// Adds a table of queues.
pub(crate) fn queues(page: &mut Page, queues: &[QueueReport], cut: Cut) {
    if queues.is_empty() {
        return;
    }
    let is_of_cluster = queues.iter().any(|queue| queue.node.is_some());
    let mut columns = vec![
        Column::new("pair").middle(PAIR),
        Column::new("stanzas").rank(1),
        Column::new("bytes").rank(7),
        Column::new("kept").rank(6),
        Column::new("oldest").rank(4),
        Column::new("state").rank(2),
        Column::new("next attempt").or("next").rank(3),
        Column::new("failed").rank(5),
        Column::new("last failure").rank(8).words(TEXT),
    ];
    insert_node(&mut columns, is_of_cluster, Column::new("node").rank(1));
    let mut table = Table::new(columns);
    for queue in queues {
        let mut row = vec![
            format!("{} > {}", queue.local, queue.remote).into(),
            stanzas(queue),
            Size(queue.waiting.bytes).to_string().into(),
            if queue.kept > 0 { queue.kept.to_string().into() } else { none() },
            queue.oldest.map_or_else(none, |oldest| oldest.to_string().into()),
            wait(queue),
            next_attempt(queue),
            format!("{}x", queue.failures).into(),
            queue.trouble.as_ref().map_or_else(none, |failure| failure.reason.as_str().into()),
        ];
        insert_node(&mut row, is_of_cluster, node(queue.node.as_deref()));
        table.row(row);
    }
    page.table(table, cut);
}

/// Inserts what a table of all nodes of a cluster has behind the first column. That of one node does not have it.
pub(super) fn insert_node<T>(row: &mut Vec<T>, is_of_cluster: bool, of_node: T) {
    if is_of_cluster {
        row.insert(1, of_node);
    }
}

/// The name of a node.
pub(super) fn node(name: Option<&str>) -> Cell {
    name.map_or_else(none, Cell::from)
}

/// The encryption of a link whose peer needs a certificate. A component proves its name by a secret.
fn verified(link: &LinkReport) -> Option<&TlsReport> {
    link.tls.as_ref().filter(|_| link.direction != Direction::Component)
}

/// The pairs of a link, all of them or the first: `a.example > b.example +2`.
fn pairs(link: &LinkReport) -> Cell {
    let more = link.pairs.len().saturating_sub(1) + link.pairs_not_shown;
    match link.pairs.first() {
        Some(first) if more > 0 => Cell::with_short(all_pairs(link), format!("{first} +{more}")),
        _ => all_pairs(link).into(),
    }
}

fn all_pairs(link: &LinkReport) -> String {
    let pairs: Vec<String> = link.pairs.iter().map(ToString::to_string).collect();
    match (pairs.len(), link.pairs_not_shown) {
        (0, _) => "-".to_owned(),
        (_, 0) => pairs.join(", "),
        (_, more) => format!("{} and {more} more", pairs.join(", ")),
    }
}

/// The time of the last change: `12:03:04 (34 s ago)` or `34 s ago`.
fn since(page: &Page, time: Time) -> Cell {
    Cell::with_short(page.time_with_age(time), format!("{} ago", page.age(time)))
}

/// The time of the next attempt. An empty queue has none until a stanza is sent.
pub(crate) fn next_attempt(queue: &QueueReport) -> Cell {
    match queue.next_attempt {
        None => none(),
        Some(next) if next.0.is_zero() => Cell::with_short("immediately, when a stanza is sent", "at once"),
        Some(next) if queue.waiting.stanzas == 0 => {
            Cell::with_short(format!("in {next}, when a stanza is sent"), format!("in {next}"))
        }
        Some(next) => format!("in {next}").into(),
    }
}

/// The acknowledgements of a link between servers that is authenticated.
fn acks(link: &LinkReport) -> Option<&Acknowledgement> {
    let has_acks = link.direction != Direction::Component && link.mechanism.is_some();
    has_acks.then_some(&link.acknowledgement)
}

/// What is not acknowledged, and for how long: `37/4.1 KiB for 4 s`.
fn open(acks: &Acknowledgement) -> Cell {
    match acks.open_for.filter(|_| acks.open.stanzas > 0) {
        Some(age) => {
            let amount = format!("{}/{}", acks.open.stanzas, Size(acks.open.bytes));
            Cell::with_short(format!("{amount} for {age}"), acks.open.stanzas.to_string())
        }
        None => stanzas_and_bytes(acks.open),
    }
}

/// The stanzas of a queue: `12 (3 may have arrived)`.
fn stanzas(queue: &QueueReport) -> Cell {
    let waiting = queue.waiting.stanzas;
    let notes = [(queue.open.stanzas, "may have arrived"), (queue.on_disk.stanzas, "on the disk")];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    let notes: Vec<String> = notes.map(|(count, note)| format!("{count} {note}")).collect();
    match notes.is_empty() {
        true => waiting.to_string().into(),
        false => Cell::with_short(format!("{waiting} ({})", notes.join(", ")), waiting.to_string()),
    }
}

fn opened_by(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => "us",
        Direction::Incoming => "them",
        Direction::Component => "component",
    }
}

/// The state of a link: `authenticated`, and for a component that does not answer a ping since when.
fn state(page: &Page, link: &LinkReport) -> Cell {
    let state = link.state.as_str();
    match &link.ping_unanswered {
        Some(ping) if link.state == LinkState::Authenticated => {
            let ping = format!("ping unanswered for {}", page.age(ping.since));
            Cell::with_short(format!("{state}, {ping}"), ping)
        }
        _ => state.into(),
    }
}

/// Why the stanzas of a queue wait.
pub(crate) fn wait(queue: &QueueReport) -> Cell {
    match queue.state {
        QueueState::Turn => Cell::with_short("waiting for a slot", "no slot"),
        QueueState::Claim => Cell::with_short("asking the other nodes", "asking nodes"),
        QueueState::Attempt => "connecting".into(),
        QueueState::Handover => Cell::with_short("connected, being sent", "being sent"),
        QueueState::Slow => Cell::with_short("connected, read slowly", "read slowly"),
        QueueState::Return => Cell::with_short("connection lost", "link lost"),
        QueueState::Absent => Cell::with_short("component not connected", "not connected"),
        QueueState::Pause if queue.waiting.stanzas == 0 => {
            Cell::with_short("idle, last attempt failed", "idle")
        }
        QueueState::Pause => "paused".into(),
    }
}

/// Stanzas and bytes: `12/3.4 KiB`. The short form has only the stanzas.
fn stanzas_and_bytes(amount: Amount) -> Cell {
    Cell::with_short(format!("{}/{}", amount.stanzas, Size(amount.bytes)), amount.stanzas.to_string())
}

/// The cell of a value that does not exist.
pub(crate) fn none() -> Cell {
    "-".into()
}

/// The least width of the domains of a link, in columns of the terminal. They are most of what a link is.
const LINK: usize = 40;

/// The least width of a reason beside the other columns.
const TEXT: usize = 44;

/// The least width of the domains of a queue. Both are recognisable.
const PAIR: usize = 34;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use status::{
        address::Address,
        report::{Authentication, FailureReport, Latency, Pair, Seconds, Side, UnansweredPing},
    };

    use crate::text::width::width;

    use super::*;

    fn now() -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    fn link() -> LinkReport {
        let names: Vec<String> = (1..=6).map(|nth| format!("conference{nth}.example")).collect();
        let remote = Some("b.example".to_owned());
        LinkReport {
            node: None,
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
            ping_unanswered: None,
            idle: Seconds::default(),
        }
    }

    fn queue(stanzas: u64) -> QueueReport {
        QueueReport {
            node: None,
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
        let mut page = Page::new(now(), None);
        links(&mut page, &[link()], Cut::LeftOut);
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
        let mut page = Page::new(now(), None);
        let all = [component, unix];
        links(&mut page, &all, Cut::LeftOut);
        certificates(&mut page, &all);
        let table = page.finish();
        assert!(table.contains("TLSv1.3") && table.contains("  unix:/run/component.sock  "), "{table}");
        assert!(!table.contains("missing") && !table.contains("presented"), "{table}");
    }

    #[test]
    fn a_component_that_does_not_answer_a_ping_shows_since_when() {
        let since = Time(now().0 - Duration::from_secs(40));
        let ping_unanswered = Some(UnansweredPing { since, closes: true });
        let mut page = Page::new(now(), None);
        let hanging = LinkReport { direction: Direction::Component, ping_unanswered, ..link() };
        links(&mut page, &[hanging], Cut::LeftOut);
        let table = page.finish();
        assert!(table.contains("  authenticated, ping unanswered for 40 s  "), "{table}");
    }

    #[test]
    fn an_empty_queue_in_a_pause_is_shown_as_idle() {
        let shown = |stanzas| {
            let mut page = Page::new(now(), None);
            queues(&mut page, &[queue(stanzas)], Cut::LeftOut);
            page.finish()
        };
        assert!(shown(1).contains("  paused  "), "{}", shown(1));
        assert!(shown(0).contains("  idle, last attempt failed  "), "{}", shown(0));
    }

    #[test]
    fn a_link_shows_what_is_not_acknowledged() {
        let shown = |link: LinkReport| {
            let mut page = Page::new(now(), None);
            links(&mut page, &[link], Cut::LeftOut);
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
        let mut page = Page::new(now(), None);
        let open = Amount { stanzas: 3, bytes: 300 };
        queues(&mut page, &[QueueReport { open, ..queue(12) }], Cut::LeftOut);
        let table = page.finish();
        assert!(table.contains("  12 (3 may have arrived)  "), "{table}");
    }

    /// The tables of links, queues and components at a width, with domains of the usual length.
    fn tables(columns: usize, cut: Cut) -> String {
        let pair =
            |remote: &str| Pair { local: "chat.example.org".to_owned(), remote: Some(remote.to_owned()) };
        let amount = Amount { stanzas: 123_456, bytes: 98_765_432 };
        let long = pair("conference.prosody.example");
        let many =
            LinkReport { pairs: vec![long, pair("b.example")], received: amount, sent: amount, ..link() };
        let waiting = QueueReport {
            node: None,
            local: "chat.example.org".to_owned(),
            remote: "conference.prosody.example".to_owned(),
            state: QueueState::Slow,
            oldest: Some(Seconds(Duration::from_secs(7_000))),
            open: Amount { stanzas: 3, bytes: 300 },
            ..queue(12_345)
        };
        let component = components::tests::refused(now());
        let mut page = Page::new(now(), Some(columns));
        links(&mut page, &[link(), many], cut);
        queues(&mut page, &[waiting, queue(0)], cut);
        super::components(&mut page, &[component], false, cut);
        page.finish()
    }

    #[test]
    fn all_tables_fit_a_terminal() {
        for columns in [60, 80, 100, 120, 160] {
            for cut in [Cut::Below, Cut::LeftOut] {
                let shown = tables(columns, cut);
                assert!(shown.lines().all(|line| width(line) <= columns), "{columns}:\n{shown}");
                assert!(shown.contains("the component closed the stream"), "{columns}:\n{shown}");
                assert!(shown.contains("no answer"), "{columns}:\n{shown}");
            }
        }
    }

    #[test]
    fn a_list_in_a_terminal_of_80_columns_has_a_line_for_each_link() {
        let shown = tables(80, Cut::LeftOut);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].starts_with("a.example > b.example  "), "{shown}");
        assert!(lines[2].starts_with("chat.") && lines[2].contains("mple +1  "), "{shown}");
        assert!(lines[3].starts_with("not shown: "), "{shown}");
        assert!(lines[3].contains("encryption") && shown.contains("--wide shows them"), "{shown}");
    }
}

//! The table of links.

use std::collections::HashSet;

use status::report::{Acknowledgement, Acks, Direction, LinkReport, LinkState, TlsReport, Verdict};

use super::{insert_node, node, none, since, stanzas_and_bytes};
use crate::{
    control::page::{Cut, Page},
    text::{
        size::Size,
        table::{Cell, Column, Table},
    },
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

/// The least width of the domains of a link, in columns of the terminal. They are most of what a link is.
const LINK: usize = 40;

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, SystemTime};

    use status::{
        address::Address,
        amount::Amount,
        report::{Authentication, Latency, Pair, Seconds, Time, UnansweredPing},
    };

    use super::*;

    pub(in crate::control::tables) fn now() -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    pub(in crate::control::tables) fn link() -> LinkReport {
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
}

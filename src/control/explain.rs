//! `nuncio explain`: a sentence about a domain, and the links, queues, totals and events behind it.

use status::{
    answer::{Answer, Explanation},
    event::Event,
    report::Account,
};

use super::{
    page::{Cut, Page, amount},
    tables,
};
use crate::text::{
    size::counted,
    table::{Cell, Column, Table},
};

/// Shows the explanation for a domain.
pub(crate) fn show(page: &mut Page, answer: &Answer<Explanation>) {
    let found = &answer.found;
    page.line(&found.sentence);
    if !found.links.is_empty() {
        page.heading("Links");
        tables::links(page, &found.links, Cut::Below);
        tables::certificates(page, &found.links);
        if found.links_total > found.links.len() {
            page.total("link", found.links.len(), found.links_total);
        }
    }
    if !found.queues.is_empty() {
        page.heading("Stanzas waiting for a link");
        tables::queues(page, &found.queues, Cut::Below);
        if found.queues_total > found.queues.len() {
            page.total("queue", found.queues.len(), found.queues_total);
        }
    }
    if !found.related.is_empty() {
        page.heading("Related domains with links or queues");
        let mut table = Table::without_header([
            Column::new("domain").middle(24),
            Column::new("links").rank(1),
            Column::new("waiting").rank(2),
        ]);
        for related in &found.related {
            let links = counted(related.links as u64, "link");
            let waiting = format!("{} waiting", amount(related.waiting));
            table.row([related.domain.clone(), links, waiting].map(Cell::from));
        }
        page.table(table, Cut::Below);
    }
    if found.account != Account::default() {
        page.heading("Stanzas sent to it");
        account(page, &found.account);
    }
    if !found.events.is_empty() {
        page.heading("Recent events");
        events(page, &found.events);
    }
    if found.events_lost > 0 {
        let lost = found.events_lost;
        page.line(&format!("{lost} events of all domains were not recorded: they came too fast"));
    }
}

fn account(page: &mut Page, figures: &Account) {
    let mut table = Table::without_header([
        Column::new("outcome"),
        Column::new("stanzas").rank(1),
        Column::new("meaning").rank(2).words(24),
    ]);
    let rows = [
        ("taken", figures.taken, "accepted from local senders"),
        ("written", figures.written, "sent on an open connection"),
        ("acknowledged", figures.acknowledged, "of the written: the remote server has them"),
        ("unacked", figures.unacked, "of the written: not acknowledged yet"),
        ("uncertain", figures.uncertain, "sent on a connection that was lost: they may have arrived"),
        ("relayed", figures.relayed, "given to other nodes of the cluster, which have settled them"),
        ("answered", figures.answered, "returned to the sender with an error"),
        ("expired", figures.expired, "returned with an error: no link could be established in time"),
        ("dropped", figures.dropped, "not returned: errors, IQ results, and stanzas replaced by newer ones"),
        ("waiting", figures.waiting, ""),
        (
            "repeated",
            figures.repeated,
            "sent again after a connection was lost, although they may have arrived: perhaps twice",
        ),
    ];
    for (name, figure, meaning) in rows {
        if figure.stanzas > 0 {
            table.row([name.into(), amount(figure).into(), meaning.into()]);
        }
    }
    page.table(table, Cut::Below);
}

fn events(page: &mut Page, events: &[Event]) {
    let is_of_cluster = events.iter().any(|event| event.node.is_some());
    let mut columns = vec![
        Column::new("time"),
        Column::new("age").rank(5),
        Column::new("event").rank(1),
        Column::new("local").rank(2).middle(20),
        Column::new("details").rank(4).words(24),
    ];
    tables::insert_node(&mut columns, is_of_cluster, Column::new("node").rank(3));
    let mut table = Table::without_header(columns);
    for event in events {
        let mut row = vec![
            page.time(event.last).into(),
            format!("{} ago", page.age(event.last)).into(),
            event.what.as_str().into(),
            event.local.as_deref().unwrap_or("-").into(),
            details(page, event).into(),
        ];
        tables::insert_node(&mut row, is_of_cluster, tables::node(event.node.as_deref()));
        table.row(row);
    }
    page.table(table, Cut::LeftOut);
}

/// The details of an event: `127.0.0.2:5269, TLSv1.3, certificate good`.
fn details(page: &Page, event: &Event) -> String {
    let mut parts: Vec<String> = event.address.iter().map(ToString::to_string).collect();
    if !event.text.is_empty() {
        parts.push(event.text.clone());
    }
    if event.count > 0 {
        parts.push(counted(event.count, "stanza"));
    }
    if event.at != event.last {
        parts.push(format!("since {}", page.time(event.at)));
    }
    parts.join(", ")
}

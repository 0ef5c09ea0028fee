//! `nuncio explain`: the sentence, and below it what it rests on.

use super::{
    screen::{Screen, Table, amount},
    tables,
};
use status::{
    answer::{Answer, Explanation},
    event::Event,
    report::Figures,
};

/// Shows why federation with a domain works, or does not.
pub(crate) fn show(screen: &mut Screen, answer: &Answer<Explanation>) {
    let found = &answer.found;
    screen.line(&found.sentence);
    if !found.links.is_empty() {
        screen.heading("Links");
        tables::links(screen, &found.links);
        tables::certificates(screen, &found.links);
        if found.links_total > found.links.len() {
            screen.more("link", found.links.len(), found.links_total);
        }
    }
    if !found.queues.is_empty() {
        screen.heading("What waits for a link");
        tables::queues(screen, &found.queues);
        if found.queues_total > found.queues.len() {
            screen.more("queue", found.queues.len(), found.queues_total);
        }
    }
    if !found.related.is_empty() {
        screen.heading("Related domains with links or queues");
        let mut table = Table::bare();
        for related in &found.related {
            let plural = if related.links == 1 { "" } else { "s" };
            let links = format!("{} link{plural}", related.links);
            table.row(&[related.domain.clone(), links, format!("{} waiting", amount(related.waiting))]);
        }
        screen.table(&table, "");
    }
    if found.account != Figures::default() {
        screen.heading("Stanzas to it");
        account(screen, &found.account);
    }
    if !found.events.is_empty() {
        screen.heading("What happened lately");
        events(screen, &found.events);
    }
    if found.events_lost > 0 {
        let lost = found.events_lost;
        screen.line(&format!("{lost} events, of all domains, came too fast to be remembered"));
    }
}

fn account(screen: &mut Screen, figures: &Figures) {
    let mut table = Table::bare();
    let rows = [
        ("taken", figures.taken, ""),
        ("written", figures.written, "on an open link"),
        ("uncertain", figures.uncertain, "written to a link that was lost: they may have arrived"),
        ("answered", figures.answered, "with an error"),
        ("expired", figures.expired, "answered with an error: no connection could be established in time"),
        ("dropped", figures.dropped, "by a rule: errors, results, and stanzas replaced by newer ones"),
        ("waiting", figures.waiting, ""),
    ];
    for (name, figure, meaning) in rows {
        if figure.stanzas > 0 {
            table.row(&[name.to_owned(), amount(figure), meaning.to_owned()]);
        }
    }
    screen.table(&table, "");
}

fn events(screen: &mut Screen, events: &[Event]) {
    let mut table = Table::bare();
    for event in events {
        table.row(&[
            screen.clock(event.last),
            format!("{} ago", screen.age(event.last)),
            event.what.as_str().to_owned(),
            event.local.clone().unwrap_or_else(|| "-".to_owned()),
            particulars(screen, event),
        ]);
    }
    screen.table(&table, "");
}

/// `127.0.0.2:5269, TLSv1.3, certificate good`
fn particulars(screen: &Screen, event: &Event) -> String {
    let mut parts: Vec<String> = event.address.iter().map(ToString::to_string).collect();
    if !event.text.is_empty() {
        parts.push(event.text.clone());
    }
    match event.count {
        0 => {}
        1 => parts.push("1 stanza".to_owned()),
        count => parts.push(format!("{count} stanzas")),
    }
    if event.at != event.last {
        parts.push(format!("since {}", screen.clock(event.at)));
    }
    parts.join(", ")
}

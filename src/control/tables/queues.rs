//! The table of queues.

use status::report::{QueueReport, QueueState};

use super::{insert_node, node, none};
use crate::{
    control::page::{Cut, Page},
    text::{
        size::Size,
        table::{Cell, Column, Table},
    },
};

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

/// The least width of a reason beside the other columns.
const TEXT: usize = 44;

/// The least width of the domains of a queue. Both are recognisable.
const PAIR: usize = 34;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use status::{
        amount::Amount,
        report::{FailureReport, Seconds, Side},
    };

    use super::*;
    use crate::control::tables::links::tests::now;

    pub(in crate::control::tables) fn queue(stanzas: u64) -> QueueReport {
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
    fn a_queue_shows_how_many_of_its_stanzas_may_have_arrived() {
        let mut page = Page::new(now(), None);
        let open = Amount { stanzas: 3, bytes: 300 };
        queues(&mut page, &[QueueReport { open, ..queue(12) }], Cut::LeftOut);
        let table = page.finish();
        assert!(table.contains("  12 (3 may have arrived)  "), "{table}");
    }
}

//! Tables of links, queues and components, and what they have in common.

mod components;
mod links;
mod queues;

use status::{amount::Amount, report::Time};

pub(crate) use self::{
    components::components,
    links::{certificates, links},
    queues::{next_attempt, queues, wait},
};
use super::page::Page;
use crate::text::{size::Size, table::Cell};

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

/// The time of the last change: `12:03:04 (34 s ago)` or `34 s ago`.
fn since(page: &Page, time: Time) -> Cell {
    Cell::with_short(page.time_with_age(time), format!("{} ago", page.age(time)))
}

/// Stanzas and bytes: `12/3.4 KiB`. The short form has only the stanzas.
fn stanzas_and_bytes(amount: Amount) -> Cell {
    Cell::with_short(format!("{}/{}", amount.stanzas, Size(amount.bytes)), amount.stanzas.to_string())
}

/// The cell of a value that does not exist.
pub(crate) fn none() -> Cell {
    "-".into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use status::report::{LinkReport, Pair, QueueReport, QueueState, Seconds};

    use super::{
        links::tests::{link, now},
        queues::tests::queue,
        *,
    };
    use crate::{control::page::Cut, text::width::width};

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

//! The answer of a node as text: lines, tables, and times with their age.

use status::{
    amount::Amount,
    answer::Missing,
    escape::escaped,
    report::{Seconds, Time},
    sentence,
};

use crate::text::{
    size::{Size, counted},
    table::Table,
    time::Clock,
    wrap,
};

/// What becomes of the columns of a table for which the terminal has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// They are below their rows: for a few rows with all particulars.
    Below,
    /// They are left out and named: for lists.
    LeftOut,
}

/// Text that grows from top to bottom.
pub(crate) struct Page {
    text: String,
    /// Displays times relative to the time of the answer.
    clock: Clock,
    /// Columns of the terminal; `None`: lines are not broken.
    width: Option<usize>,
}

impl Page {
    /// An empty page for an answer that the node gave at `now`, for a terminal of this width.
    pub(crate) fn new(now: Time, width: Option<usize>) -> Self {
        Self { text: String::new(), clock: Clock::new(now), width }
    }

    /// Adds a line. Hidden characters, which a peer may have sent, are escaped.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(&wrap::line(&escaped(line), self.width));
        self.text.push('\n');
    }

    /// Adds a heading, with an empty line above it.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.line(heading);
    }

    /// Adds a table. Columns that are left out are named below it.
    pub(crate) fn table(&mut self, table: Table, cut: Cut) {
        let table = match cut {
            Cut::Below => table,
            Cut::LeftOut => table.one_line_each(),
        };
        let fitted = table.fitted(self.width);
        for line in &fitted.lines {
            self.text.push_str(line);
            self.text.push('\n');
        }
        if let Some(note) = fitted.note() {
            self.line(&note);
        }
    }

    /// Adds the total of a list, and how many of its entries are not shown.
    pub(crate) fn total(&mut self, noun: &str, shown: usize, total: usize) {
        let all = counted(total as u64, noun);
        match total.saturating_sub(shown) {
            0 => self.line(&all),
            more => self.line(&format!("{all}, {more} not shown: use --limit N to show more")),
        }
    }

    /// Adds the parts of the node that did not answer in time, and the other nodes of which something is missing. Their names
    /// are in `unanswered` too.
    pub(crate) fn missing(&mut self, unanswered: &[String], missing: &[Missing]) {
        let others: Vec<String> = missing.iter().flat_map(Missing::names).collect();
        let own: Vec<&str> =
            unanswered.iter().filter(|part| !others.contains(part)).map(String::as_str).collect();
        if !own.is_empty() {
            let parts = own.join(", ");
            self.line(&format!("incomplete: {parts} did not answer in time; this node is overloaded"));
        }
        for missing in missing {
            self.line(&format!("incomplete: {}", sentence::missing(missing)));
        }
    }

    /// The time of the answer.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// A time of day with its age: `12:03:04 (34 s ago)`.
    pub(crate) fn time_with_age(&self, time: Time) -> String {
        self.clock.time_with_age(time)
    }

    /// A time of day, with the date if it is not today.
    pub(crate) fn time(&self, time: Time) -> String {
        self.clock.time(time)
    }

    /// The time between `time` and the answer.
    pub(crate) fn age(&self, time: Time) -> Seconds {
        self.clock.age(time)
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// A number of stanzas with their size: `12 stanzas, 3.4 KiB`.
pub(crate) fn amount(amount: Amount) -> String {
    format!("{}, {}", counted(amount.stanzas, "stanza"), Size(amount.bytes))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use status::answer::MissingWhy;

    use super::*;

    #[test]
    fn hidden_characters_of_a_peer_are_escaped() {
        let mut page = Page::new(Time(SystemTime::UNIX_EPOCH), None);
        page.line("bye\n\u{1b}[31mred\u{202e}");
        assert_eq!(page.finish(), "bye\\n\\u{1b}[31mred\\u{202e}\n");
    }

    #[test]
    fn own_parts_and_other_nodes_without_an_answer_have_a_line_each() {
        let told = |unanswered: &[&str], missing: &[Missing]| {
            let mut page = Page::new(Time(SystemTime::UNIX_EPOCH), None);
            let unanswered: Vec<String> = unanswered.iter().map(|part| (*part).to_owned()).collect();
            page.missing(&unanswered, missing);
            page.finish()
        };
        assert_eq!(told(&[], &[]), "");
        let own = "incomplete: router, promise did not answer in time; this node is overloaded\n";
        assert_eq!(told(&["router", "promise"], &[]), own);
        let missing = Missing { node: Some("c".to_owned()), why: MissingWhy::NoAnswer };
        let both = told(&["router", "node c"], std::slice::from_ref(&missing));
        assert!(
            both.starts_with("incomplete: router did not answer in time; this node is overloaded\n"),
            "{both}"
        );
        assert!(both.contains("\nincomplete: node c did not answer in time; nuncio nodes"), "{both}");
        assert!(!told(&["node c"], &[missing]).contains("this node"));
    }

    #[test]
    fn entries_that_are_not_shown_are_counted() {
        let mut page = Page::new(Time(SystemTime::UNIX_EPOCH), None);
        page.total("link", 1, 1);
        page.total("queue", 100, 1_234);
        assert_eq!(page.finish(), "1 link\n1234 queues, 1134 not shown: use --limit N to show more\n");
    }
}

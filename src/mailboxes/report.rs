//! The statistics of a whole log as plain text.

use super::{
    stats::Stats,
    table::{self, Bars, Period},
};

/// The newest figures, the history of the whole log, and the periods in which a mailbox was full, for a terminal of this
/// width.
pub(super) fn text(stats: &Stats, bars: Bars, width: Option<usize>) -> String {
    let kinds: Vec<_> = stats.kinds().iter().collect();
    let (incidents, dropped) = stats.incidents();
    let mut lines: Vec<String> = Vec::new();
    if let Some(time) = stats.latest() {
        lines.push(format!("as of {}", table::timestamp(time)));
    }
    lines.extend(
        table::kinds(&kinds, width.unwrap_or(usize::MAX), Period::All, bars).into_iter().map(|row| row.text),
    );
    lines.push(String::new());
    if incidents.is_empty() {
        lines.push("No mailbox was full.".to_owned());
    } else {
        lines
            .push("A mailbox was full (the peak reached the capacity, or messages were refused):".to_owned());
        lines.extend(table::incidents(&incidents, width).into_iter().map(|row| row.text));
    }
    if dropped > 0 {
        lines.push(format!("{dropped} earlier ones are not shown."));
    }
    if stats.ignored() > 0 {
        lines.push(format!("{} lines of further kinds of actors were ignored.", stats.ignored()));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(log: &str) -> Stats {
        let mut stats = Stats::default();
        log.lines().for_each(|line| stats.add_line(line.as_bytes()));
        stats
    }

    #[test]
    fn a_log_shows_when_a_mailbox_was_full_and_which_instance() {
        let stats = stats(include_str!("yesterday.log"));
        assert_eq!(text(&stats, Bars::UNICODE, None), include_str!("yesterday.txt"));
    }

    #[test]
    fn a_log_without_full_mailbox_says_so() {
        let stats = stats("mailbox actor=router instances=1 depth=0 deepest=- peak=1 capacity=4096 rate=0/s");
        let text = text(&stats, Bars::ASCII, None);
        assert!(text.ends_with("\nNo mailbox was full.\n"), "{text}");
        assert!(text.lines().nth(1).is_some_and(|row| row.ends_with("  _")), "{text}");
    }

    #[test]
    fn the_tables_fit_a_terminal() {
        let stats = stats(include_str!("yesterday.log"));
        for columns in [60, 80, 120] {
            let text = text(&stats, Bars::UNICODE, Some(columns));
            let tables = text.lines().filter(|line| !line.contains("(the peak reached"));
            assert!(tables.clone().all(|line| line.chars().count() <= columns), "{columns}:\n{text}");
        }
    }
}

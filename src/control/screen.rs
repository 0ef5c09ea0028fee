//! What a person sees: lines, tables with aligned columns, times of day with their age.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

use crate::fit;
use status::{
    amount::Amount,
    escape::escaped,
    report::{Seconds, Time},
};

/// Text that grows from top to bottom, and the time at which it is true.
pub(crate) struct Screen {
    text: String,
    now: Time,
    zone: TimeZone,
    /// Columns of the terminal.
    width: Option<usize>,
}

/// Rows of cells; the first names the columns.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    named: bool,
}

impl Screen {
    /// An empty one for an answer given at `now`.
    pub(crate) fn new(now: Time) -> Self {
        Self { width: fit::columns(), ..Self::in_zone(now, TimeZone::system()) }
    }

    fn in_zone(now: Time, zone: TimeZone) -> Self {
        Self { text: String::new(), now, zone, width: None }
    }

    /// Adds a line; what a peer wrote into it cannot leave it.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(&fit::line(&escaped(line), self.width));
        self.text.push('\n');
    }

    /// Adds a heading, with an empty line above it.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.line(heading);
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: &Table, indent: &str) {
        let width = self.width.map(|width| width.saturating_sub(indent.len()));
        for line in fit::table(&table.rows, table.named, width) {
            self.text.push_str(indent);
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Adds how many there are, and how many of them are not shown.
    pub(crate) fn more(&mut self, what: &str, shown: usize, total: usize) {
        let plural = if total == 1 { "" } else { "s" };
        match total.saturating_sub(shown) {
            0 => self.line(&format!("{total} {what}{plural}")),
            more => self.line(&format!("{total} {what}{plural}, {more} not shown: --limit shows more")),
        }
    }

    /// Adds whose answers did not come.
    pub(crate) fn missing(&mut self, parts: &[String]) {
        if !parts.is_empty() {
            let parts = parts.join(", ");
            self.line(&format!("incomplete: no answer in time from {parts}; this node is overloaded"));
        }
    }

    /// A time of day here, and how long ago that was: `12:03:04 (34 s ago)`.
    pub(crate) fn time(&self, time: Time) -> String {
        format!("{} ({} ago)", self.clock(time), self.age(time))
    }

    /// A time of day here; the day too if it is not today's.
    pub(crate) fn clock(&self, time: Time) -> String {
        let here = |time: Time| {
            Timestamp::try_from(time.0).map(|timestamp| timestamp.to_zoned(self.zone.clone())).ok()
        };
        match (here(time), here(self.now)) {
            (Some(then), Some(now)) if then.date() == now.date() => then.strftime("%H:%M:%S").to_string(),
            (Some(then), _) => then.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            (None, _) => "-".to_owned(),
        }
    }

    /// How long ago that was.
    pub(crate) fn age(&self, time: Time) -> Seconds {
        Seconds(time.before(self.now))
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|column| (*column).to_owned()).collect()], named: true }
    }

    /// A table whose columns need no names.
    pub(crate) fn bare() -> Self {
        Self { rows: Vec::new(), named: false }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: &[String; N]) {
        self.rows.push(cells.iter().map(|cell| escaped(cell).into_owned()).collect());
    }
}

/// `12 stanzas, 3.4 KiB`
pub(crate) fn amount(amount: Amount) -> String {
    let plural = if amount.stanzas == 1 { "" } else { "s" };
    format!("{} stanza{plural}, {}", amount.stanzas, Size(amount.bytes))
}

/// Bytes as a person reads them.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    /// 2026-11-22 12:00:00 UTC.
    fn noon() -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    fn before(seconds: u64) -> Time {
        Time(noon().0 - Duration::from_secs(seconds))
    }

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let screen = Screen::in_zone(noon(), TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!(screen.time(before(34)), "13:59:26 (34 s ago)");
        assert_eq!(screen.time(before(3 * 86_400)), "2026-11-19 14:00:00 (3 days ago)");
    }

    #[test]
    fn what_a_peer_wrote_stays_in_its_place() {
        let mut screen = Screen::in_zone(noon(), TimeZone::UTC);
        screen.line("bye\n\u{1b}[31mred\u{202e}");
        assert_eq!(screen.finish(), "bye\\n\\u{1b}[31mred\\u{202e}\n");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut screen = Screen::in_zone(noon(), TimeZone::UTC);
        screen.more("link", 1, 1);
        screen.more("queue", 100, 1_234);
        assert_eq!(screen.finish(), "1 link\n1234 queues, 1134 not shown: --limit shows more\n");
    }

    #[test]
    fn sizes_have_a_unit() {
        let sizes = [12, 1_536, 5 << 20, 3 << 30].map(|bytes| Size(bytes).to_string());
        assert_eq!(sizes, ["12 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }
}

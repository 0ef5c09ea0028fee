//! Text and tables in HTML. Everything that comes from a log is escaped here.

use std::time::{Duration, UNIX_EPOCH};

use crate::mailboxes::table;

/// Escapes a text for HTML, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// A time in milliseconds since 1970, in UTC to the second: `2026-11-21 09:00:50`.
pub(super) fn time(milliseconds: u64) -> String {
    // The last time that can be written is the end of the year 9999.
    let time = UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST_TIME));
    table::timestamp(time).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// A table. Its cells are text, and are escaped.
#[derive(Debug)]
pub(super) struct Table {
    html: String,
    /// The class of the cells of each column.
    classes: Vec<&'static str>,
    rows: usize,
}

impl Table {
    /// A table with a caption and the heads of its columns. `#` before a head marks a column of numbers, which are aligned to
    /// the right, and `@` one of times, which have one line.
    pub(super) fn new(caption: &str, heads: &[&str]) -> Self {
        let class = |head: &&str| match head.chars().next() {
            Some('#') => " class=\"number\"",
            Some('@') => " class=\"time\"",
            _ => "",
        };
        let classes: Vec<_> = heads.iter().map(class).collect();
        let mut html = format!(
            "<div class=\"table\" tabindex=\"0\"><table><caption>{}</caption><thead><tr>",
            escape(caption)
        );
        for (head, class) in heads.iter().zip(&classes) {
            let head = escape(head.trim_start_matches(['#', '@']));
            html += &format!("<th scope=\"col\"{class}>{head}</th>");
        }
        html += "</tr></thead><tbody>\n";
        Self { html, classes, rows: 0 }
    }

    /// Adds a row. Its first cell is its head.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.html += "<tr>";
        for (at, cell) in cells.into_iter().enumerate() {
            let class = self.classes.get(at).copied().unwrap_or_default();
            let cell = escape(&cell);
            self.html += &match at {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td{class}>{cell}</td>"),
            };
        }
        self.html += "</tr>\n";
        self.rows += 1;
    }

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The element.
    pub(super) fn html(self) -> String {
        self.html + "</tbody></table></div>\n"
    }
}

/// The last second of the year 9999, in milliseconds since 1970.
const LAST_TIME: u64 = 253_402_300_799_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_log_is_not_markup() {
        let mut table = Table::new("a <b>", &["name", "#number"]);
        assert!(table.is_empty());
        table.row(["</table><script>alert(1)</script>".to_owned(), "\"'&".to_owned()]);
        let html = table.html();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("<td class=\"number\">&quot;&#39;&amp;</td>"), "{html}");
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(1_795_251_650_999), "2026-11-21 09:00:50");
        assert_eq!(time(u64::MAX), "9999-12-31 23:59:59");
    }
}

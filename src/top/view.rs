//! The rows of the screen, and the text that `--once` prints.

use std::iter;

use status::report::Seconds;

use super::{
    now::{Now, Sort},
    parts::Part,
};
use crate::{
    screen::{self, Row, Style},
    text::{size::counted, time::Clock, width::width, wrap},
};

/// What the operator has chosen to see.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choice {
    /// One part, or all of them.
    pub(super) part: Option<Part>,
    pub(super) sort: Sort,
    /// Rows of the part that are above the screen.
    pub(super) above: usize,
}

/// A message above the tables.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) style: Style,
}

/// The rows of a screen of this width and height.
pub(super) fn screen(
    now: &Now,
    choice: &mut Choice,
    messages: &[Message],
    (width, height): (usize, usize),
) -> Vec<Row> {
    let mut rows = vec![Row::new(title(now), Style::Header)];
    for message in messages {
        let lines = wrap::wrapped(&message.text, width.max(1));
        rows.extend(lines.into_iter().map(|line| Row::new(line, message.style)));
    }
    let room = height.saturating_sub(rows.len() + 1);
    rows.extend(match choice.part {
        None => overview(now, width, room),
        Some(part) => alone(now, part, &mut choice.above, width, room),
    });
    if height > 1 {
        rows.truncate(height - 1);
        rows.resize(height - 1, Row::new("", Style::Plain));
        rows.push(Row::new(keys(choice, width), Style::Dim));
    }
    screen::cut(rows, (width, height))
}

/// The whole state as text.
pub(super) fn text(now: &Now, width: Option<usize>) -> String {
    let mut lines = vec![title(now)];
    lines.extend(notes(now));
    for part in Part::ALL {
        let (table, entries) = part.table(now);
        if !entries.is_empty() {
            lines.push(String::new());
            let fitted = table.fitted(width);
            let note = fitted.note();
            lines.extend(fitted.lines);
            lines.extend(note);
        }
    }
    lines.iter().map(|line| format!("{}\n", wrap::line(line, width))).collect()
}

/// What the node is and does, in one line.
fn title(now: &Now) -> String {
    let clock = Clock::new(now.time);
    let up = Seconds(now.started.before(now.time));
    let mut facts = vec![
        format!("nuncio {}", now.version),
        clock.time(now.time),
        format!("up {up}"),
        counted(now.links_total as u64, "link"),
    ];
    facts.push(match now.waiting.stanzas {
        0 => "nothing waits".to_owned(),
        stanzas => format!("{} waiting", counted(stanzas, "stanza")),
    });
    if !now.failing.is_empty() {
        facts.push(format!("{} failing", now.failing.len()));
    }
    facts.join(", ")
}

/// What is missing from the figures.
pub(super) fn notes(now: &Now) -> Vec<String> {
    let mut notes = Vec::new();
    if !now.unanswered.is_empty() {
        notes.push(format!(
            "incomplete: {} did not answer in time; this node is overloaded",
            now.unanswered.join(", ")
        ));
    }
    if now.links.len() < now.links_total {
        let shown = now.links.len();
        notes.push(format!(
            "the {shown} links that had a stanza last, of {}: --limit N reads more",
            now.links_total
        ));
    }
    notes
}

/// All parts that have an entry. Each gets the rows it needs, or an equal share of them.
fn overview(now: &Now, width: usize, room: usize) -> Vec<Row> {
    let parts: Vec<Vec<Row>> = Part::ALL.into_iter().map(|part| rows(now, part, width)).collect();
    let mut parts: Vec<Vec<Row>> = parts.into_iter().filter(|rows| rows.len() > 1).collect();
    // An empty row above each part; its header and one entry are the least.
    let fitting = (room / LEAST).max(1);
    parts.truncate(fitting);
    let mut left = room;
    let mut remaining = parts.len();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts[*at].len());
    // The short ones first: what they do not need is for the others.
    for at in order {
        let share = (left / remaining).saturating_sub(1);
        shorten(&mut parts[at], share);
        left = left.saturating_sub(parts[at].len() + 1);
        remaining -= 1;
    }
    parts.into_iter().flat_map(|rows| iter::once(Row::new("", Style::Plain)).chain(rows)).collect()
}

/// Cuts a table to `most` rows. The last one says how many entries are not shown.
fn shorten(rows: &mut Vec<Row>, most: usize) {
    if rows.len() > most {
        let kept = most.saturating_sub(1);
        let hidden = rows.len() - kept.max(1);
        rows.truncate(kept);
        if most > 1 {
            rows.push(Row::new(format!("… {hidden} more"), Style::Dim));
        }
    }
}

/// One part, from the row that the operator has moved to.
fn alone(now: &Now, part: Part, above: &mut usize, width: usize, room: usize) -> Vec<Row> {
    let mut rows = rows(now, part, width);
    let mut shown = vec![Row::new("", Style::Plain)];
    if rows.len() < 2 {
        shown.push(Row::new(format!("{}: none", part.as_str()), Style::Plain));
        return shown;
    }
    let entries = rows.split_off(1);
    let visible = room.saturating_sub(2);
    *above = (*above).min(entries.len().saturating_sub(visible));
    shown.extend(rows);
    let hidden = entries.len().saturating_sub(*above + visible);
    let mut entries: Vec<Row> = entries.into_iter().skip(*above).take(visible).collect();
    if hidden > 0
        && let Some(last) = entries.last_mut()
    {
        *last = Row::new(format!("… {} more", hidden + 1), Style::Dim);
    }
    shown.extend(entries);
    shown
}

/// The table of a part: the header, and a row for each entry.
fn rows(now: &Now, part: Part, width: usize) -> Vec<Row> {
    let (table, styles) = part.table(now);
    let styles = iter::once(Style::Header).chain(styles);
    table.lines(Some(width)).into_iter().zip(styles).map(|(line, style)| Row::new(line, style)).collect()
}

/// The keys, in a short form for a narrow screen.
fn keys(choice: &Choice, columns: usize) -> String {
    let parts = Part::ALL.iter().zip(1..).map(|(part, key)| {
        let name = part.as_str();
        if choice.part == Some(*part) { format!("{key} [{name}]") } else { format!("{key} {name}") }
    });
    let all = if choice.part.is_none() { "0 [all]" } else { "0 all" };
    let parts: Vec<String> = iter::once(all.to_owned()).chain(parts).collect();
    let sort = choice.sort.as_str();
    let long = format!("q quit  s order: {sort}  {}", parts.join("  "));
    if width(&long) <= columns { long } else { format!("q quit, s {sort} | {}", parts.join(" ")) }
}

/// The least rows of a part: an empty one, the header and an entry.
const LEAST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::now::tests::reading;

    fn now() -> Now {
        let origin = clock::now();
        let mut now = Now::between(Some(&reading(2, origin)), &reading(4, origin));
        now.sort(Sort::Busiest);
        now
    }

    #[test]
    fn rows_fit_a_screen_of_any_size() {
        let messages = [Message { text: "no answer from the node: ".repeat(9), style: Style::Alarm }];
        for (columns, height) in [(0, 0), (1, 1), (5, 3), (20, 5), (40, 10), (80, 24), (120, 40), (500, 100)]
        {
            for part in Part::ALL.into_iter().map(Some).chain([None]) {
                for messages in [&messages[..], &[]] {
                    let mut choice = Choice { part, sort: Sort::Name, above: 1_000 };
                    let rows = screen(&now(), &mut choice, messages, (columns, height));
                    assert!(rows.len() <= height, "{} rows at {columns}x{height}", rows.len());
                    assert!(
                        rows.iter().all(|row| width(&row.text) <= columns),
                        "{columns}x{height}: {rows:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_terminal_of_the_usual_size_shows_all_parts() {
        let rows = screen(&now(), &mut Choice::default(), &[], (80, 24));
        let text: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        assert!(text[0].starts_with("nuncio 1.2.3, "), "{text:#?}");
        assert!(text[0].ends_with("up 4 s, 3 links, 12 stanzas waiting, 2 failing"), "{text:#?}");
        for header in ["ACTOR", "COMPONENT", "LINK", "WAITING FOR", "FAILING"] {
            assert!(text.iter().any(|row| row.starts_with(header)), "no {header} in {text:#?}");
        }
        assert!(
            text.iter().any(|row| row.contains("conference.prosody.example") && row.contains("10/s")),
            "{text:#?}"
        );
        let style = |start: &str| rows.iter().find(|row| row.text.starts_with(start)).map(|row| row.style);
        assert_eq!((style("outgoing"), style("router")), (Some(Style::Alarm), Some(Style::Plain)));
        assert_eq!(style("bot.example.org"), Some(Style::Alarm));
        assert_eq!(
            text[23],
            "q quit, s traffic | 0 [all] 1 mailboxes 2 components 3 links 4 waiting 5 failing"
        );
    }

    #[test]
    fn a_short_screen_says_how_many_entries_are_hidden() {
        let mut now = now();
        now.links = vec![now.links[0].clone(); 50];
        let rows = screen(&now, &mut Choice::default(), &[], (80, 24));
        assert!(
            rows.iter().any(|row| row.text.starts_with("… ") && row.text.ends_with(" more")),
            "{rows:#?}"
        );
        let mut choice = Choice { part: Some(Part::Links), above: 1_000, ..Choice::default() };
        let rows = screen(&now, &mut choice, &[], (80, 24));
        assert_eq!(choice.above, 50 - 20, "the last page");
        assert_eq!(rows.iter().filter(|row| row.text.contains("prosody")).count(), 20, "{rows:#?}");
    }

    #[test]
    fn the_text_has_all_entries() {
        let text = text(&now(), None);
        for entry in [
            "router",
            "bot.example.org",
            "quiet.example",
            "away.example",
            "no answer from 192.0.2.7:5269 within 10 s",
        ] {
            assert!(text.contains(entry), "no {entry} in\n{text}");
        }
    }
}

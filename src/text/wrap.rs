//! Breaks text between words to fit the width of the terminal.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use super::width::width;

/// The width in columns of the terminal that standard output goes to; `None` if it goes elsewhere and no line
/// is broken.
///
/// The variable COLUMNS overrides the width of a terminal (POSIX, environment variables, section 8.3).
pub(crate) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let wanted = env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let actual = || crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
    wanted.filter(|columns| *columns > 0).or_else(actual).filter(|columns| *columns > 0)
}

/// Breaks text between words into lines of at most `columns`. A longer word gets a line of its own. A number stays with
/// its unit.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut taken = 0;
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let unit = words.next_if(|next| is_unit(next) && word.ends_with(|c: char| c.is_ascii_digit()));
        let its = width(word) + unit.map_or(0, |unit| 1 + width(unit));
        match lines.last_mut() {
            Some(line) if taken + 1 + its <= columns => {
                line.push(' ');
                line.push_str(word);
                taken += 1 + its;
            }
            _ => {
                lines.push(word.to_owned());
                taken = its;
            }
        }
        if let (Some(line), Some(unit)) = (lines.last_mut(), unit) {
            line.push(' ');
            line.push_str(unit);
        }
    }
    lines
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word.trim_end_matches([',', '.', ';', ':', ')']))
}

/// Breaks one line into lines of at most `width` columns. All of them have the indentation of the given line.
pub(crate) fn line(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let indent = text.chars().take_while(|c| *c == ' ').count();
    let room = width.saturating_sub(indent).max(NARROWEST);
    let lines = wrapped(text.trim_start_matches(' '), room);
    let pad = " ".repeat(indent);
    lines.iter().map(|line| format!("{pad}{line}")).collect::<Vec<_>>().join("\n")
}

/// The units in texts: times and sizes.
const UNITS: [&str; 9] = ["ms", "s", "min", "h", "days", "B", "KiB", "MiB", "GiB"];

/// Text of fewer columns than this is not broken: it would be mostly line ends.
pub(crate) const NARROWEST: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indentation() {
        assert_eq!(
            line("  one two three four five six seven", Some(26)),
            "  one two three four five\n  six seven"
        );
        assert_eq!(line("one two", None), "one two");
        let long = "x".repeat(200);
        assert_eq!(line(&long, Some(80)), long);
    }

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrapped("no answer within 10 s", 20), ["no answer within", "10 s"]);
        assert_eq!(wrapped("sent 4.1 KiB, twice", 8), ["sent", "4.1 KiB,", "twice"]);
        assert_eq!(wrapped("a b s 5 h", 3), ["a b", "s", "5 h"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(wrapped("例え 例え 例え", 10), ["例え 例え", "例え"]);
    }
}

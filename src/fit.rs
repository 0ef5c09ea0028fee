//! Fits text and tables to the terminal: lines break between words, and a table that is too wide becomes blocks.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

/// Columns of the terminal that standard output goes to; `None` where it goes elsewhere, and nothing has to be fitted.
pub(crate) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Breaks text between words into lines of at most `width` characters. A longer word has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One line of text as lines of at most `width` columns; the indentation of the first is that of the others.
pub(crate) fn line(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let indent = text.chars().take_while(|c| *c == ' ').count();
    let room = width.saturating_sub(indent).max(NARROWEST);
    let lines = wrapped(text.trim_start_matches(' '), room);
    let pad = " ".repeat(indent);
    lines.iter().map(|line| format!("{pad}{line}")).collect::<Vec<_>>().join("\n")
}

/// The lines of a table with columns two spaces apart. The first row names the columns if `named`. If that takes more
/// than `width` columns, each row becomes a block: its first cell, and the others below it with their names.
pub(crate) fn table(rows: &[Vec<String>], named: bool, width: Option<usize>) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let whole = widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1);
    let Some(width) = width.filter(|width| whole > *width) else {
        return rows.iter().map(|row| aligned(row, &widths)).collect();
    };
    let names = if named { rows.first() } else { None };
    // Text in the last column alone may be broken below its beginning.
    let before: usize = widths.iter().rev().skip(1).map(|column| column + GAP).sum();
    if before + NARROWEST <= width {
        return rows.iter().flat_map(|row| hanging(row, &widths, before, width)).collect();
    }
    rows.iter().skip(usize::from(named)).flat_map(|row| block(row, names, width)).collect()
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        // Text always takes what is written to it.
        let _ = write!(line, "{cell:<width$}{:GAP$}", "");
    }
    line.trim_end().to_owned()
}

/// A row whose last cell continues below itself.
fn hanging(row: &[String], widths: &[usize], before: usize, width: usize) -> Vec<String> {
    let Some((last, others)) = row.split_last() else { return Vec::new() };
    let mut parts = wrapped(last, width - before).into_iter();
    let mut first: Vec<String> = others.to_vec();
    first.push(parts.next().unwrap_or_default());
    let rest = parts.map(|part| format!("{:before$}{part}", ""));
    std::iter::once(aligned(&first, widths)).chain(rest).collect()
}

/// A row as its first cell and, below it, `name value` pairs.
fn block(row: &[String], names: Option<&Vec<String>>, width: usize) -> Vec<String> {
    let Some((first, others)) = row.split_first() else { return Vec::new() };
    let pairs = others.iter().enumerate().filter(|(_, cell)| !cell.is_empty() && *cell != "-");
    let pairs: Vec<String> = pairs
        .map(|(at, cell)| match names.and_then(|names| names.get(at + 1)) {
            Some(name) => format!("{name} {cell}"),
            None => cell.clone(),
        })
        .collect();
    let head = line(first, Some(width));
    let body = line(&format!("{INDENT}{}", pairs.join(", ")), Some(width));
    head.lines().chain(body.lines()).map(str::to_owned).collect()
}

/// Spaces between columns.
const GAP: usize = 2;

/// Columns below which text is not broken any more.
const NARROWEST: usize = 24;

/// Of what belongs to the line above.
const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = rows(&[&["pair", "stanzas"], &["a.example > bücher.example", "12"], &["a > b", "1"]]);
        let expected = [
            "pair                        stanzas",
            "a.example > bücher.example  12",
            "a > b                       1",
        ];
        assert_eq!(table(&rows, true, None), expected);
        assert_eq!(table(&rows, true, Some(80)), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
        let row: Vec<String> = (0..12).map(|nth| format!("value{nth} and more")).collect();
        let names: Vec<String> = (0..12).map(|nth| format!("column{nth}")).collect();
        let rows = [names, row];
        let words: Vec<&str> = rows[1].iter().flat_map(|cell| cell.split(' ')).collect();
        for width in [40, 60, 80, 100, 120, 150] {
            let lines = table(&rows, true, Some(width));
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            let text = lines.join(" ");
            assert!(words.iter().all(|word| text.contains(word)), "{width}: {text}");
        }
    }

    #[test]
    fn a_long_last_column_goes_on_below_itself() {
        let rows = rows(&[&["12:00", "no link", "one two three four five six seven eight nine ten"]]);
        assert_eq!(
            table(&rows, false, Some(45)),
            ["12:00  no link  one two three four five six", "                seven eight nine ten"]
        );
    }

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
}

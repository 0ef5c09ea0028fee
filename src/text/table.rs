//! Tables with aligned columns. A table that is wider than the terminal is shown as one block per row.

use std::fmt::Write as _;

use status::escape::escaped;

use super::wrap::{NARROWEST, line, wrapped};

/// Rows of cells. Hidden characters in cells are escaped.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// The first row contains the names of the columns.
    has_header: bool,
    /// Alignment of the columns; columns beyond the end are aligned to the left.
    alignment: &'static [Align],
}

/// On which side of its column a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Table {
    /// A table without rows, whose columns have names.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let header = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { rows: vec![header], has_header: true, alignment: &[] }
    }

    /// A table whose columns have no names.
    pub(crate) fn without_header() -> Self {
        Self { rows: Vec::new(), has_header: false, alignment: &[] }
    }

    /// Sets the alignment of the columns.
    pub(crate) fn align(self, alignment: &'static [Align]) -> Self {
        Self { alignment, ..self }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escaped(&cell).into_owned()).collect());
    }

    /// The lines of the table, the header first.
    ///
    /// If they take more than `width` columns, the last column is wrapped. If that is not enough, each row
    /// becomes a block: its first cell, and below it the other cells with the names of their columns.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths();
        let whole = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let Some(width) = width.filter(|width| whole > *width) else {
            return self.rows.iter().map(|row| self.aligned(row, &widths)).collect();
        };
        let before: usize = widths.iter().rev().skip(1).map(|column| column + GAP).sum();
        if before + NARROWEST <= width {
            return self.rows.iter().flat_map(|row| self.hanging(row, &widths, before, width)).collect();
        }
        let names = if self.has_header { self.rows.first() } else { None };
        self.rows.iter().skip(usize::from(self.has_header)).flat_map(|row| block(row, names, width)).collect()
    }

    /// The width of the widest cell of each column.
    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(widest).collect()
    }

    fn aligned(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a `String` does not fail.
            let _ = match self.alignment.get(column) {
                Some(Align::Right) => write!(line, "{cell:>width$}{:GAP$}", ""),
                Some(Align::Left) | None => write!(line, "{cell:<width$}{:GAP$}", ""),
            };
        }
        line.trim_end().to_owned()
    }

    /// A row with its last cell broken into several lines.
    fn hanging(&self, row: &[String], widths: &[usize], before: usize, width: usize) -> Vec<String> {
        let Some((last, others)) = row.split_last() else { return Vec::new() };
        let mut parts = wrapped(last, width - before).into_iter();
        let mut first: Vec<String> = others.to_vec();
        first.push(parts.next().unwrap_or_default());
        let rest = parts.map(|part| format!("{:before$}{part}", ""));
        std::iter::once(self.aligned(&first, widths)).chain(rest).collect()
    }
}

/// A row as its first cell and, below it, `name value` pairs. Empty cells are left out.
fn block(row: &[String], names: Option<&Vec<String>>, width: usize) -> Vec<String> {
    let Some((first, others)) = row.split_first() else { return Vec::new() };
    let pairs = others.iter().enumerate().filter(|(_, cell)| !cell.is_empty() && *cell != "-");
    let pairs: Vec<String> = pairs
        .map(|(column, cell)| match names.and_then(|names| names.get(column + 1)) {
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

/// Indentation of the pairs of a block.
const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let mut table = if columns.is_empty() { Table::without_header() } else { Table::new(columns) };
        rows.iter().for_each(|row| table.row(row.iter().map(|cell| (*cell).to_owned())));
        table
    }

    #[test]
    fn cells_are_aligned_to_their_columns() {
        let table = table(&["pair", "stanzas"], &[&["a.example > bücher.example", "12"], &["a > b", "1"]]);
        let expected = [
            "pair                        stanzas",
            "a.example > bücher.example  12",
            "a > b                       1",
        ];
        assert_eq!(table.lines(None), expected);
        assert_eq!(table.lines(Some(80)), expected);
        let right = table.align(&[Align::Left, Align::Right]);
        assert_eq!(right.lines(None)[1], "a.example > bücher.example       12");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
        let row: Vec<String> = (0..12).map(|nth| format!("value{nth} and more")).collect();
        let names: Vec<String> = (0..12).map(|nth| format!("column{nth}")).collect();
        let mut table = Table::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        table.row(row.clone());
        let words: Vec<&str> = row.iter().flat_map(|cell| cell.split(' ')).collect();
        for width in [40, 60, 80, 100, 120, 150] {
            let lines = table.lines(Some(width));
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            let text = lines.join(" ");
            assert!(words.iter().all(|word| text.contains(word)), "{width}: {text}");
        }
    }

    #[test]
    fn a_long_last_column_is_wrapped() {
        let table = table(&[], &[&["12:00", "no link", "one two three four five six seven eight nine ten"]]);
        assert_eq!(
            table.lines(Some(45)),
            ["12:00  no link  one two three four five six", "                seven eight nine ten"]
        );
    }

    #[test]
    fn hidden_characters_in_cells_are_escaped() {
        let table = table(&[], &[&["bye\n\u{1b}[31mred\u{202e}", "x"]]);
        assert_eq!(table.lines(None), ["bye\\n\\u{1b}[31mred\\u{202e}  x"]);
    }
}

//! Tables with aligned columns, which fit the width of the terminal.
//!
//! `table/fit.rs` decides which columns a terminal has room for.

mod fit;

use std::borrow::Cow;

use status::escape::escaped;

use self::fit::Plan;
use super::{
    width::{cut, padded, padded_before, shortened, shortened_name, width},
    wrap::{NARROWEST, wrapped},
};

/// Rows of cells. Hidden characters in cells are escaped.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    has_header: bool,
    further: Further,
}

/// A column: its name, and what becomes of it in a narrow terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    /// The name above short forms.
    short_name: &'static str,
    align: Align,
    /// Columns with a higher rank go first. Rank 0 always stays.
    rank: u8,
    fit: Fit,
    /// Its cells are never left out.
    is_kept: bool,
}

/// On which side of its column a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// How the cells of a column can be made narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Only by their short forms.
    Whole,
    /// They can be shortened in the middle, to this width at least.
    Middle(usize),
    /// They can lose their end, at this width at least.
    Beginning(usize),
    /// They can be broken between words, at this width at least.
    Words(usize),
}

/// What becomes of the columns for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Further {
    /// Their cells are in further, indented lines below the row.
    Below,
    /// They are left out, except those that are kept.
    LeftOut,
}

/// A cell, with a short form for narrow terminals if it has one.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    long: String,
    short: Option<String>,
}

/// The lines of a table for one width.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// The header first.
    pub(crate) lines: Vec<String>,
    /// The names of the columns that were left out, although they have content.
    pub(crate) left_out: Vec<&'static str>,
}

impl Fitted {
    /// The line below the table about columns that were left out.
    pub(crate) fn note(&self) -> Option<String> {
        let names = self.left_out.join(", ");
        (!names.is_empty()).then(|| format!("not shown: {names}; --wide shows them"))
    }
}

impl Column {
    /// A column that always stays.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, short_name: name, align: Align::Left, rank: 0, fit: Fit::Whole, is_kept: false }
    }

    /// The column has another name above the short forms of its cells.
    pub(crate) fn or(self, short_name: &'static str) -> Self {
        Self { short_name, ..self }
    }

    /// The column goes if the terminal is narrow, those with the highest rank first.
    pub(crate) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// Aligns the cells to the right.
    pub(crate) fn right(self) -> Self {
        Self { align: Align::Right, ..self }
    }

    /// The cells can be shortened in the middle, to `least` columns.
    pub(crate) fn middle(self, least: usize) -> Self {
        Self { fit: Fit::Middle(least), ..self }
    }

    fn name(&self, short: bool) -> &'static str {
        if short { self.short_name } else { self.name }
    }

    /// The cells can be cut to `least` columns: a text that says most at its beginning.
    pub(crate) fn beginning(self, least: usize) -> Self {
        Self { fit: Fit::Beginning(least), ..self }
    }

    /// The cells can be broken between words, if there is room for `least` columns. Only the last column can. If there is
    /// no room, its cells are below their rows, also in lists.
    pub(crate) fn words(self, least: usize) -> Self {
        Self { fit: Fit::Words(least), is_kept: true, ..self }
    }

    /// If there is no room for the column, its cells are below their rows, also in lists.
    pub(crate) fn kept(self) -> Self {
        Self { is_kept: true, ..self }
    }
}

impl Cell {
    /// A cell that has a short form for narrow terminals.
    pub(crate) fn with_short(long: impl Into<String>, short: impl Into<String>) -> Self {
        Self { long: long.into(), short: Some(short.into()) }
    }

    fn text(&self, short: bool) -> &str {
        self.short.as_deref().filter(|_| short).unwrap_or(&self.long)
    }

    /// Whether it says that there is nothing.
    fn is_empty(&self) -> bool {
        self.long.is_empty() || self.long == "-"
    }
}

impl From<String> for Cell {
    fn from(long: String) -> Self {
        Self { long, short: None }
    }
}

impl From<&str> for Cell {
    fn from(long: &str) -> Self {
        Self { long: long.to_owned(), short: None }
    }
}

impl Table {
    /// A table without rows, whose columns have names.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), has_header: true, further: Further::Below }
    }

    /// A table whose columns have no names.
    pub(crate) fn without_header(columns: impl Into<Vec<Column>>) -> Self {
        Self { has_header: false, ..Self::new(columns) }
    }

    /// Columns for which there is no room are left out. Otherwise their cells are below their rows.
    pub(crate) fn one_line_each(self) -> Self {
        Self { further: Further::LeftOut, ..self }
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let clean = |text: String| escaped(&text).into_owned();
        let cells = cells.into_iter();
        self.rows
            .push(cells.map(|cell| Cell { long: clean(cell.long), short: cell.short.map(clean) }).collect());
    }

    /// The lines of the table, the header first.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        self.fitted(width).lines
    }

    /// The lines of the table for a terminal of this width; `None`: one line for each row.
    ///
    /// No word is broken. If the table is too wide, columns without content are left out, and cells get their
    /// short form. Then the columns with the highest rank go, until the others fit with long cells shortened.
    pub(crate) fn fitted(&self, width: Option<usize>) -> Fitted {
        let plan = Plan::of(self, width);
        let mut lines = Vec::new();
        if self.has_header {
            let names = plan
                .shown
                .iter()
                .map(|shown| shortened(self.columns[shown.column].name(shown.short), shown.width));
            lines.push(self.aligned(names.map(Cow::into_owned).collect(), &plan));
        }
        for row in &self.rows {
            lines.extend(self.row_lines(row, &plan));
            if let Some(width) = width {
                lines.extend(self.below(row, &plan, width));
            }
        }
        let is_left_out = |column: &&usize| !self.goes_below(**column);
        let left_out = plan.further.iter().filter(is_left_out).map(|column| self.columns[*column].name);
        Fitted { lines, left_out: left_out.collect() }
    }

    fn goes_below(&self, column: usize) -> bool {
        self.further == Further::Below || self.columns[column].is_kept
    }

    /// The lines of a row: several if its last cell is broken.
    fn row_lines(&self, row: &[Cell], plan: &Plan) -> Vec<String> {
        let mut cells = Vec::new();
        let mut rest = Vec::new();
        for shown in &plan.shown {
            let cell = row.get(shown.column).map_or("", |cell| cell.text(shown.short));
            match self.columns[shown.column].fit {
                Fit::Words(_) => {
                    let mut parts = broken(cell, shown.width).into_iter();
                    cells.push(parts.next().unwrap_or_default());
                    rest = parts.collect();
                }
                Fit::Middle(_) => cells.push(shortened_name(cell, shown.width).into_owned()),
                Fit::Beginning(_) => cells.push(cut(cell, shown.width).into_owned()),
                Fit::Whole => cells.push(shortened(cell, shown.width).into_owned()),
            }
        }
        let before: usize = plan.shown.iter().rev().skip(1).map(|shown| shown.width + GAP).sum();
        let rest = rest.into_iter().map(|part| format!("{:before$}{part}", ""));
        std::iter::once(self.aligned(cells, plan)).chain(rest).collect()
    }

    fn aligned(&self, cells: Vec<String>, plan: &Plan) -> String {
        let cells = cells.into_iter().zip(&plan.shown);
        let cells = cells.map(|(cell, shown)| match self.columns[shown.column].align {
            Align::Left => padded(&cell, shown.width),
            Align::Right => padded_before(&cell, shown.width),
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    }

    /// The cells of a row for which there is no room, with the names of their columns. Empty ones are left out.
    fn below(&self, row: &[Cell], plan: &Plan, columns: usize) -> Vec<String> {
        let (mut pairs, mut texts) = (Vec::new(), Vec::new());
        for column in plan.further.iter().filter(|column| self.goes_below(**column)) {
            let Some(cell) = row.get(*column).filter(|cell| !cell.is_empty()) else { continue };
            let Column { name, fit, .. } = self.columns[*column];
            match (fit, self.has_header) {
                (Fit::Words(_), true) => texts.push(format!("{name}: {}", cell.long)),
                (_, true) => pairs.push(format!("{name} {}", cell.long)),
                (_, false) => pairs.push(cell.long.clone()),
            }
        }
        let room = columns.saturating_sub(INDENT).max(NARROWEST.min(columns));
        let indent = columns.saturating_sub(room).min(INDENT);
        let lines = listed(&pairs, room).into_iter().chain(texts);
        let lines = lines.flat_map(|line| broken(&line, room));
        lines.map(|line| format!("{:indent$}{line}", "")).collect()
    }
}

/// Lines of as many of the pairs as fit, with commas.
fn listed(pairs: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (nth, pair) in pairs.iter().enumerate() {
        let comma = if nth + 1 < pairs.len() { "," } else { "" };
        let pair = format!("{pair}{comma}");
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&pair) <= room => {
                line.push(' ');
                line.push_str(&pair);
            }
            _ => lines.push(pair),
        }
    }
    lines
}

/// Breaks text between words. A word that is wider than a line is shortened in the middle, so that the terminal
/// does not break it.
fn broken(text: &str, width: usize) -> Vec<String> {
    let lines = wrapped(text, width);
    lines.into_iter().map(|line| shortened(&line, width).into_owned()).collect()
}

/// Spaces between columns.
const GAP: usize = 2;

/// Indentation of the lines below a row.
const INDENT: usize = 4;

#[cfg(test)]
mod tests;

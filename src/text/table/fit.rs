//! Decides which columns of a table are shown in a terminal of some width, and how wide each is.

use super::{Column, Fit, GAP, Table};
use crate::text::width::width;

/// The columns of a table for one width.
pub(super) struct Plan {
    /// The columns that are shown, from left to right.
    pub(super) shown: Vec<Shown>,
    /// The columns for which there is no room, in the order of the table. Columns without content are not in it.
    pub(super) further: Vec<usize>,
}

/// A column that is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// The index of the column.
    pub(super) column: usize,
    /// The width in columns of the terminal.
    pub(super) width: usize,
    /// Cells have their short form.
    pub(super) short: bool,
}

impl Plan {
    /// The plan for a terminal of this width; `None`: all columns as wide as they are.
    pub(super) fn of(table: &Table, room: Option<usize>) -> Self {
        let mut shown: Vec<Shown> =
            (0..table.columns.len()).map(|column| table.shown(column, false)).collect();
        let fits = |shown: &[Shown]| room.is_none_or(|room| total(shown) <= room);
        let Some(room) = room.filter(|room| total(&shown) > *room) else {
            return Self { shown, further: Vec::new() };
        };
        shown.retain(|shown| shown.column == 0 || table.has_content(shown.column));
        let mut by_rank: Vec<usize> = (0..shown.len()).collect();
        by_rank.sort_by_key(|at| std::cmp::Reverse(table.columns[shown[*at].column].rank));
        for at in by_rank {
            if fits(&shown) {
                break;
            }
            shown[at] = table.shown(shown[at].column, true);
        }
        let mut further = Vec::new();
        while !table.fit(&mut shown, room) {
            // The last of the columns with the highest rank.
            let goes = (1..shown.len()).max_by_key(|at| table.columns[shown[*at].column].rank);
            let Some(goes) = goes else {
                // Only the first column is left, and it has no room.
                shown.iter_mut().for_each(|shown| shown.width = room);
                break;
            };
            further.push(shown.remove(goes).column);
        }
        further.sort_unstable();
        table.lengthen(&mut shown, room);
        Self { shown, further }
    }
}

impl Table {
    /// A column at the width of its widest cell.
    fn shown(&self, column: usize, short: bool) -> Shown {
        let name = if self.has_header { width(self.columns[column].name(short)) } else { 0 };
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        Shown { column, width: cells.map(|cell| width(cell.text(short))).fold(name, usize::max), short }
    }

    /// Gives cells their long forms again, the most important ones first, where columns that went have left room.
    fn lengthen(&self, shown: &mut [Shown], room: usize) {
        let is_whole = |at: &usize| self.columns[shown[*at].column].fit == Fit::Whole;
        let mut by_rank: Vec<usize> = (0..shown.len()).filter(is_whole).collect();
        by_rank.sort_by_key(|at| self.columns[shown[*at].column].rank);
        for at in by_rank {
            let long = self.shown(shown[at].column, false);
            if total(shown) - shown[at].width + long.width <= room {
                shown[at] = long;
            }
        }
    }

    fn has_content(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(column)).any(|cell| !cell.is_empty())
    }

    /// Makes columns narrower until all of them fit. Returns false, and changes nothing, if they cannot.
    fn fit(&self, shown: &mut [Shown], room: usize) -> bool {
        let least = |shown: &Shown| match self.columns[shown.column] {
            Column { fit: Fit::Whole, .. } => shown.width,
            Column { fit: Fit::Middle(least) | Fit::Beginning(least) | Fit::Words(least), .. } => {
                shown.width.min(least)
            }
        };
        let taken: usize = shown.iter().map(least).sum::<usize>() + gaps(shown.len());
        let Some(mut spare) = room.checked_sub(taken) else { return false };
        // Names get their room before texts, which can be broken. Columns of one kind share it evenly.
        let is_text = |shown: &Shown| matches!(self.columns[shown.column].fit, Fit::Words(_));
        for texts in [false, true] {
            let mut wishes: Vec<usize> = (0..shown.len())
                .filter(|at| is_text(&shown[*at]) == texts && least(&shown[*at]) < shown[*at].width)
                .collect();
            wishes.sort_by_key(|at| shown[*at].width - least(&shown[*at]));
            let mut left = wishes.len();
            for at in wishes {
                let more = (shown[at].width - least(&shown[at])).min(spare / left);
                shown[at].width = least(&shown[at]) + more;
                spare -= more;
                left -= 1;
            }
        }
        true
    }
}

/// The width of a row.
fn total(shown: &[Shown]) -> usize {
    shown.iter().map(|shown| shown.width).sum::<usize>() + gaps(shown.len())
}

fn gaps(columns: usize) -> usize {
    GAP * columns.saturating_sub(1)
}

//! Tables of the mailboxes and of the periods in which one was full, as styled rows.

use std::{env, time::SystemTime};

use super::stats::{ActorKind, Incident, Position};
pub(super) use crate::screen::{Row, Style};
use crate::text::{
    table::{Cell, Column as TableColumn, Table},
    width::{padded, padded_before, width as columns_of},
};

/// The characters for the shares in a history, from empty to full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars([char; 9]);

/// The part of the history that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// The latest lines, as many as fit.
    Latest,
    /// The whole log.
    All,
}

impl Bars {
    /// For a terminal with Unicode.
    pub(super) const UNICODE: Self = Self(['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);

    /// For other terminals.
    pub(super) const ASCII: Self = Self(['.', '_', ',', '-', '~', '=', '+', '*', '#']);

    /// The characters that the terminal can show, according to the locale.
    pub(super) fn from_env() -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| {
            let value = env::var(name).ok()?;
            (!value.is_empty()).then_some(value)
        });
        let unicode = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if unicode { Self::UNICODE } else { Self::ASCII }
    }

    /// The character of a share: the first only for 0, the last only for 1 and more.
    fn bar(self, share: f64) -> char {
        let last = self.0.len() - 1;
        let step = match share {
            ..=0.0 => 0,
            1.0.. => last,
            _ => (share * last as f64).ceil().clamp(1.0, last as f64 - 1.0) as usize,
        };
        self.0[step]
    }
}

/// The table of `kinds` with its header, at most `width` columns wide. Less important columns are left out
/// first.
pub(super) fn kinds(kinds: &[&ActorKind], width: usize, period: Period, bars: Bars) -> Vec<Row> {
    let cells: Vec<Vec<String>> =
        kinds.iter().map(|kind| COLUMNS.iter().map(|column| (column.cell)(kind)).collect()).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|at| cells.iter().map(|row| columns_of(&row[at])).fold(COLUMNS[at].head.len(), usize::max))
        .collect();
    let (shown, history) = fit(&widths, width);
    let line = |cell: &dyn Fn(usize) -> String, history: String| {
        let cells = shown.iter().map(|at| match at {
            0 => padded(&cell(0), widths[0]),
            _ => padded_before(&cell(*at), widths[*at]),
        });
        let mut words: Vec<String> = cells.collect();
        words.push(history);
        words.join(GAP).trim_end().to_owned()
    };
    let title = if history == 0 { "" } else { HISTORY };
    let header = Row::new(line(&|at| COLUMNS[at].head.to_owned(), title.to_owned()), Style::Header);
    let rows = kinds.iter().zip(&cells).map(|(kind, cells)| {
        let shares: Vec<f64> = match period {
            Period::Latest => kind.history.latest(history).collect(),
            Period::All => condensed(&kind.history.all().collect::<Vec<_>>(), history),
        };
        let bars = shares.into_iter().map(|share| bars.bar(share)).collect();
        Row::new(line(&|at| cells[at].clone(), bars), style(kind))
    });
    std::iter::once(header).chain(rows).collect()
}

/// Shares in at most `most` steps: each is the greatest of as many shares as are merged.
fn condensed(shares: &[f64], most: usize) -> Vec<f64> {
    match most {
        0 => Vec::new(),
        _ => {
            let merged = shares.len().div_ceil(most).max(1);
            shares.chunks(merged).map(|part| part.iter().copied().fold(0.0, f64::max)).collect()
        }
    }
}

/// The table of `incidents` with its header, in their order, at most `width` columns wide.
pub(super) fn incidents(incidents: &[&Incident], width: Option<usize>) -> Vec<Row> {
    let mut table = Table::new([
        TableColumn::new("FROM"),
        TableColumn::new("TO").rank(4),
        TableColumn::new("ACTOR"),
        TableColumn::new("PEAK").right().rank(2),
        TableColumn::new("REFUSED").right().rank(3),
        TableColumn::new("DEEPEST").middle(16).rank(1),
    ])
    .one_line_each();
    for incident in incidents {
        let deepest = incident.deepest.as_ref();
        table.row([
            position(incident.from),
            if incident.to == incident.from { "-".into() } else { position(incident.to) },
            incident.actor.as_str().into(),
            format!("{}/{}", incident.peak, incident.capacity).into(),
            incident.refused.to_string().into(),
            deepest.map_or_else(|| "-".into(), |(name, depth)| format!("{name} ({depth})").into()),
        ]);
    }
    let styles = std::iter::once(Style::Header).chain(std::iter::repeat(Style::Plain));
    table.lines(width).into_iter().zip(styles).map(|(line, style)| Row::new(line, style)).collect()
}

/// A point in time in UTC, to the second.
pub(super) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The time of a position, without the date in a narrow terminal, or the number of its line if the log contains no
/// times.
fn position(position: Position) -> Cell {
    match position.time.map(timestamp) {
        Some(time) => {
            let short = time.split('T').nth(1).map(|of_day| of_day.trim_end_matches('Z').to_owned());
            Cell::with_short(time.clone(), short.unwrap_or(time))
        }
        None => format!("line {}", position.line).into(),
    }
}

fn style(kind: &ActorKind) -> Style {
    match kind {
        kind if kind.is_full() => Style::Alarm,
        kind if kind.is_idle() => Style::Dim,
        kind if kind.last.share() >= 0.5 => Style::Warning,
        _ => Style::Plain,
    }
}

/// The columns that fit, and the width that is left for the history.
fn fit(widths: &[usize], width: usize) -> (Vec<usize>, usize) {
    let mut most = COLUMNS.len();
    loop {
        let shown: Vec<usize> = (0..COLUMNS.len()).filter(|at| COLUMNS[*at].rank <= most).collect();
        let taken: usize = shown.iter().map(|at| widths[*at] + GAP.len()).sum();
        let least = if HISTORY_RANK <= most { HISTORY.len() } else { 0 };
        if taken + least <= width {
            return (shown, if least == 0 { 0 } else { width - taken });
        }
        // The column of the actor is always shown, even if it does not fit.
        if most == 0 {
            return (shown, 0);
        }
        most -= 1;
    }
}

/// A figure, or `-` if the kind has no line in the log, since it was idle all the time.
fn known(kind: &ActorKind, figure: u64) -> String {
    if kind.last.is_unknown() { "-".to_owned() } else { figure.to_string() }
}

struct Column {
    head: &'static str,
    /// Columns with a higher rank are left out first.
    rank: usize,
    cell: fn(&ActorKind) -> String,
}

/// The columns. The first is aligned to the left, the others to the right.
const COLUMNS: [Column; 11] = [
    Column { head: "ACTOR", rank: 0, cell: |kind| kind.last.actor.clone() },
    Column { head: "INST", rank: 8, cell: |kind| known(kind, kind.last.instances) },
    Column { head: "DEPTH", rank: 4, cell: |kind| known(kind, kind.last.depth) },
    Column { head: "PEAK", rank: 1, cell: |kind| known(kind, kind.last.peak) },
    Column { head: "HIGHEST", rank: 11, cell: |kind| known(kind, kind.highest) },
    Column { head: "CAPACITY", rank: 2, cell: |kind| known(kind, kind.last.capacity) },
    Column { head: "RATE", rank: 7, cell: |kind| format!("{}/s", kind.rate()) },
    Column { head: "P50", rank: 9, cell: |kind| kind.last.wait_p50.clone() },
    Column { head: "P99", rank: 6, cell: |kind| kind.last.wait_p99.clone() },
    Column { head: "REFUSED", rank: 3, cell: |kind| known(kind, kind.last.refused) },
    Column { head: "RESTARTS", rank: 10, cell: |kind| known(kind, kind.last.restarts) },
];

/// The name of the column with the history.
const HISTORY: &str = "PEAK/CAPACITY";

/// The rank of the history among the columns.
const HISTORY_RANK: usize = 5;

/// The space between columns.
const GAP: &str = "  ";

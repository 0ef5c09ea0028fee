//! The figures as a table for a given width, and a small history in what is left of it.

use std::time::SystemTime;

use super::board::{Incident, Kind, Place};

/// A line to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// How much a line wants to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Head,
    Plain,
    /// More than half full.
    Warm,
    /// Full.
    Hot,
    /// Explains.
    LogLimiter,
}

/// The characters of a history, from empty to full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks([char; 9]);

/// Which part of the history is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// The latest lines, as many as there is room for.
    Latest,
    /// The whole log.
    All,
}

impl Row {
    /// A line of that tone.
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl Marks {
    /// For a terminal that shows Unicode.
    pub(super) const BLOCKS: Self = Self(['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);

    /// For any other.
    pub(super) const ASCII: Self = Self(['.', '_', ',', '-', '~', '=', '+', '*', '#']);

    /// The mark of a share: the first is nothing at all, the last is full.
    fn of(self, share: f64) -> char {
        let last = self.0.len() - 1;
        let step = match share {
            ..=0.0 => 0,
            1.0.. => last,
            // Between them even the smallest and the largest share keep apart from nothing and from full.
            _ => (share * last as f64).ceil().clamp(1.0, last as f64 - 1.0) as usize,
        };
        self.0[step]
    }
}

/// The table of `kinds` with its head, no wider than `width`: what matters less goes first.
pub(super) fn of(kinds: &[&Kind], width: usize, span: Span, marks: Marks) -> Vec<Row> {
    let cells: Vec<Vec<String>> =
        kinds.iter().map(|kind| COLUMNS.iter().map(|column| (column.cell)(kind)).collect()).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|at| cells.iter().map(|row| row[at].chars().count()).fold(COLUMNS[at].head.len(), usize::max))
        .collect();
    let (shown, history) = fit(&widths, width);
    let line = |cell: &dyn Fn(usize) -> String, history: String| {
        let cells = shown.iter().map(|at| match at {
            0 => format!("{:<1$}", cell(0), widths[0]),
            _ => format!("{:>1$}", cell(*at), widths[*at]),
        });
        let mut words: Vec<String> = cells.collect();
        words.push(history);
        words.join(GAP).trim_end().to_owned()
    };
    let title = if history == 0 { "" } else { HISTORY };
    let head = Row::new(line(&|at| COLUMNS[at].head.to_owned(), title.to_owned()), Tone::Head);
    let rows = kinds.iter().zip(&cells).map(|(kind, cells)| {
        let shares: Vec<f64> = match span {
            Span::Latest => kind.history.latest(history).collect(),
            Span::All if history > 0 => kind.history.all().collect(),
            Span::All => Vec::new(),
        };
        let marks = shares.into_iter().map(|share| marks.of(share)).collect();
        Row::new(line(&|at| cells[at].clone(), marks), tone(kind))
    });
    std::iter::once(head).chain(rows).collect()
}

/// The incidents with their head, in the order given.
pub(super) fn incidents(incidents: &[&Incident]) -> Vec<Row> {
    let mut cells = vec![["FROM", "TO", "ACTOR", "PEAK", "REFUSED", "DEEPEST"].map(str::to_owned)];
    cells.extend(incidents.iter().map(|incident| {
        let deepest = incident.deepest.as_ref();
        [
            place(incident.from),
            if incident.to == incident.from { "-".to_owned() } else { place(incident.to) },
            incident.actor.clone(),
            format!("{}/{}", incident.peak, incident.capacity),
            incident.refused.to_string(),
            deepest.map_or_else(|| "-".to_owned(), |(name, depth)| format!("{name} ({depth})")),
        ]
    }));
    let widths: [usize; 6] =
        std::array::from_fn(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    let line = |row: &[String; 6]| {
        let words = row.iter().enumerate().map(|(at, cell)| match at {
            3 | 4 => format!("{cell:>0$}", widths[at]),
            _ => format!("{cell:<0$}", widths[at]),
        });
        words.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let tones = std::iter::once(Tone::Head).chain(std::iter::repeat(Tone::Plain));
    cells.iter().zip(tones).map(|(row, tone)| Row::new(line(row), tone)).collect()
}

/// A point in time to the second; in a log without times the number of the line.
pub(super) fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn place(place: Place) -> String {
    place.time.map_or_else(|| format!("line {}", place.line), moment)
}

fn tone(kind: &Kind) -> Tone {
    match kind {
        kind if kind.is_full() => Tone::Hot,
        kind if kind.last.share() >= 0.5 => Tone::Warm,
        _ => Tone::Plain,
    }
}

/// Which columns have room, and how much is left for the history.
fn fit(widths: &[usize], width: usize) -> (Vec<usize>, usize) {
    let mut most = COLUMNS.len();
    loop {
        let shown: Vec<usize> = (0..COLUMNS.len()).filter(|at| COLUMNS[*at].rank <= most).collect();
        let taken: usize = shown.iter().map(|at| widths[*at] + GAP.len()).sum();
        let least = if HISTORY_RANK <= most { HISTORY.len() } else { 0 };
        if taken + least <= width {
            return (shown, if least == 0 { 0 } else { width - taken });
        }
        // The actor's name stays, if only its beginning can be seen.
        if most == 0 {
            return (shown, 0);
        }
        most -= 1;
    }
}

struct Column {
    head: &'static str,
    /// Those of a higher rank go first when there is no room.
    rank: usize,
    cell: fn(&Kind) -> String,
}

/// The first stands left, the others right.
const COLUMNS: [Column; 11] = [
    Column { head: "ACTOR", rank: 0, cell: |kind| kind.last.actor.clone() },
    Column { head: "INST", rank: 8, cell: |kind| kind.last.instances.to_string() },
    Column { head: "DEPTH", rank: 4, cell: |kind| kind.last.depth.to_string() },
    Column { head: "PEAK", rank: 1, cell: |kind| kind.last.peak.to_string() },
    Column { head: "HIGHEST", rank: 11, cell: |kind| kind.highest.0.to_string() },
    Column { head: "CAPACITY", rank: 2, cell: |kind| kind.last.capacity.to_string() },
    Column { head: "RATE", rank: 7, cell: |kind| format!("{}/s", kind.last.rate) },
    Column { head: "P50", rank: 9, cell: |kind| kind.last.wait_p50.clone() },
    Column { head: "P99", rank: 6, cell: |kind| kind.last.wait_p99.clone() },
    Column { head: "REFUSED", rank: 3, cell: |kind| kind.last.refused.to_string() },
    Column { head: "RESTARTS", rank: 10, cell: |kind| kind.last.restarts.to_string() },
];

/// What the history shows; it goes after the columns of a higher rank.
const HISTORY: &str = "PEAK/CAPACITY";
const HISTORY_RANK: usize = 5;

const GAP: &str = "  ";

//! The results table: figures of all servers side by side, with ratios and their targets.

use std::fmt::Write;

use crate::results::{Figure, Results};
use crate::servers::Kind;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) figure: Figure,
    /// Key in the results file.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    decimals: usize,
    /// Required ratio to ejabberd and to Prosody.
    targets: [Option<f64>; 2],
}

/// Whether a larger or a smaller value is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// Comparison of a figure with its lower bound; `at_most` is the maximum ratio, if one is required.
pub(crate) struct Limit {
    title: &'static str,
    figure: Figure,
    limit: Figure,
    at_most: Option<f64>,
}

const fn row(
    figure: Figure,
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
    decimals: usize,
    targets: [Option<f64>; 2],
) -> Row {
    Row { figure, key, title, unit, better, decimals, targets }
}

use Better::{Less, More};

/// The rows of the table, from top to bottom.
#[rustfmt::skip]
pub(crate) const ROWS: [Row; 15] = [
    row(Figure::FloodRate, "one_link_rate", "one warm link, stanzas", "/s", More, 0, [Some(15.0), Some(25.0)]),
    row(Figure::FloodCost, "one_link_cpu", "one warm link, CPU of both servers per 100,000", "s", Less, 2, [Some(18.0), Some(45.0)]),
    row(Figure::PairsRate, "pairs_rate", "50 pairs at once, stanzas", "/s", More, 0, [Some(15.0), Some(40.0)]),
    row(Figure::PairsCost, "pairs_cpu", "50 pairs at once, CPU per 100,000", "s", Less, 2, [None, None]),
    row(Figure::MixRate, "mix_rate", "as a chat server sends, stanzas", "/s", More, 0, [None, None]),
    row(Figure::MixCost, "mix_cpu", "as a chat server sends, CPU per 100,000", "s", Less, 2, [None, None]),
    row(Figure::HundredMedian, "at_100_p50", "100 stanzas/s, median latency", "ms", Less, 2, [None, None]),
    row(Figure::HundredTail, "at_100_p99", "100 stanzas/s, p99 latency", "ms", Less, 2, [None, None]),
    row(Figure::ThousandMedian, "at_1000_p50", "1,000 stanzas/s, median latency", "ms", Less, 2, [None, None]),
    row(Figure::ThousandTail, "at_1000_p99", "1,000 stanzas/s, p99 latency", "ms", Less, 2, [Some(5.0), Some(10.0)]),
    row(Figure::ColdTime, "cold_link", "cold link, EXTERNAL, first stanza there after", "ms", Less, 1, [Some(2.0), Some(4.0)]),
    row(Figure::DomainsTime, "domains_time", "1,000 cold domains, all there after", "s", Less, 2, [Some(3.0), Some(3.0)]),
    row(Figure::DomainsCost, "domains_cpu", "1,000 cold domains, CPU of each, both ends", "ms", Less, 2, [None, None]),
    row(Figure::DomainsMemory, "link_memory", "memory of a held link, both ends", "KiB", Less, 1, [Some(2.0), Some(2.0)]),
    row(Figure::RestMemory, "rest_memory", "memory of one server at rest", "MiB", Less, 1, [Some(6.0), Some(1.0)]),
];

const LIMITS: [Limit; 4] = [
    Limit {
        title: "one warm link: CPU against the bare pipeline",
        figure: Figure::FloodCost,
        limit: Figure::FloodCost,
        at_most: Some(2.0),
    },
    Limit {
        title: "1,000 stanzas/s: median latency against the bare pipeline",
        figure: Figure::ThousandMedian,
        limit: Figure::ThousandMedian,
        at_most: None,
    },
    Limit {
        title: "1,000 stanzas/s: p99 latency against the bare pipeline",
        figure: Figure::ThousandTail,
        limit: Figure::ThousandTail,
        at_most: None,
    },
    Limit {
        title: "cold link: CPU against its TLS handshake alone",
        figure: Figure::DomainsCost,
        limit: Figure::HandshakeCost,
        at_most: Some(1.5),
    },
];

/// Nuncio's ratio to another server, and the target.
pub(crate) struct Verdict {
    /// Factor by which Nuncio's median is better.
    pub(crate) ratio: f64,
    pub(crate) target: Option<f64>,
}

impl Verdict {
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.target.map(|target| self.ratio >= target)
    }
}

impl Row {
    /// Compares Nuncio's median with the median of another server.
    pub(crate) fn verdict(&self, results: &Results, kind: Kind) -> Option<Verdict> {
        let ours = results.median(self.figure, Kind::Nuncio)?;
        let theirs = results.median(self.figure, kind)?;
        let ratio = if self.better == More { ours / theirs } else { theirs / ours };
        let target = if kind == Kind::Ejabberd { self.targets[0] } else { self.targets[1] };
        Some(Verdict { ratio, target })
    }

    /// Formats a value with thousands separators and its unit.
    pub(crate) fn show(&self, value: f64) -> String {
        let text = format!("{value:.*}", self.decimals);
        let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        let mut shown = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 {
                shown.push(',');
            }
            shown.push(digit);
        }
        fraction.into_iter().for_each(|fraction| shown.extend([".", fraction]));
        shown + if self.unit == "/s" { "" } else { " " } + self.unit
    }
}

/// Renders the table in Markdown, with aligned columns so that it is readable as plain text.
pub(crate) fn render(results: &Results) -> String {
    let mut lines = vec![
        ["", "Nuncio", "ejabberd", "Prosody", "to ejabberd", "target", "to Prosody", "target"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in &ROWS {
        if Kind::SERVERS.iter().all(|kind| results.median(row.figure, *kind).is_none()) {
            continue;
        }
        let mut line = vec![row.title.to_owned()];
        for kind in Kind::SERVERS {
            line.push(
                results.median(row.figure, kind).map_or_else(|| "-".to_owned(), |value| row.show(value)),
            );
        }
        for kind in [Kind::Ejabberd, Kind::Prosody] {
            let verdict = row.verdict(results, kind);
            line.push(
                verdict.as_ref().map_or_else(|| "-".to_owned(), |verdict| format!("{:.1} x", verdict.ratio)),
            );
            line.push(verdict.map_or(String::new(), |verdict| target(&verdict)));
        }
        lines.push(line);
    }
    let mut text = aligned(&lines);
    for limit in &LIMITS {
        let ours = results.median(limit.figure, Kind::Nuncio);
        let least = results.median(limit.limit, Kind::Bare);
        if let (Some(ours), Some(least)) = (ours, least) {
            let _ = write!(text, "\n{}: {ours:.3} to {least:.3}, {:.2} times", limit.title, ours / least);
            if let Some(at_most) = limit.at_most {
                let met = if ours <= at_most * least { "met" } else { "missed" };
                let _ = write!(text, " (at most {at_most}: {met})");
            }
        }
    }
    text + &generator(results)
}

/// Formats the cost and the maximum rate of the load generator.
fn generator(results: &Results) -> String {
    let mut text = String::new();
    if let Some(rate) = results.median(Figure::GeneratorRate, Kind::Bare) {
        let fastest = Kind::SERVERS.into_iter().chain([Kind::Bare]);
        let costs: Vec<_> = fastest
            .filter_map(|kind| Some((kind, results.median(Figure::GeneratorCost, kind)?)))
            .map(|(kind, cost)| format!("{:.3} with {}", cost, kind.name()))
            .collect();
        let _ = write!(
            text,
            "\nload generator: {rate:.0} stanzas/s with its two ends connected to each other; CPU-s per 100,000: {}\n",
            costs.join(", ")
        );
    }
    text
}

fn target(verdict: &Verdict) -> String {
    match (verdict.target, verdict.is_met()) {
        (Some(target), Some(true)) => format!("{target}: met"),
        (Some(target), _) => format!("{target}: missed"),
        (None, _) => String::new(),
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let width = *width;
            let _ = if column == 0 {
                write!(text, "| {cell:width$} |")
            } else {
                write!(text, " {cell:>width$} |")
            };
        }
        text.push('\n');
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                let _ = if column == 0 { write!(text, "|{dashes}-|") } else { write!(text, "{dashes}:|") };
            }
            text.push('\n');
        }
    }
    text
}

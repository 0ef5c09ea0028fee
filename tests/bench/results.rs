//! Measured values, per figure and round.

use std::collections::BTreeMap;

use crate::servers::Kind;

/// A measured figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    RestMemory,
    FloodRate,
    FloodCost,
    PairsRate,
    PairsCost,
    MixRate,
    MixCost,
    HundredMedian,
    HundredTail,
    ThousandMedian,
    ThousandTail,
    ColdTime,
    DomainsTime,
    DomainsMemory,
    DomainsCost,
    HandshakeCost,
    /// Processor time of the load generator during the flood.
    GeneratorCost,
    /// Rate of the load generator with its two ends connected to each other.
    GeneratorRate,
}

/// The values of every figure and server kind, one per round.
#[derive(Debug, Default)]
pub(crate) struct Results {
    figures: BTreeMap<(Figure, Kind), Vec<f64>>,
    /// Descriptions of failed measurements.
    pub(crate) faults: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, figure: Figure, kind: Kind, value: f64) {
        self.figures.entry((figure, kind)).or_default().push(value);
    }

    /// Records a failed measurement, which adds no value.
    pub(crate) fn fault(&mut self, kind: Kind, work: &str, what: &str) {
        let fault = format!("{}, {work}: {what}", kind.name());
        eprintln!("  FAULT {fault}");
        self.faults.push(fault);
    }

    pub(crate) fn values(&self, figure: Figure, kind: Kind) -> &[f64] {
        self.figures.get(&(figure, kind)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn median(&self, figure: Figure, kind: Kind) -> Option<f64> {
        quantile(self.values(figure, kind), 0.5)
    }
}

/// The quantile `part` (0 to 1) of the values, interpolated; `None` without values.
pub(crate) fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let (place, middle) = (part * last as f64, part * last as f64 % 1.0);
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * middle)
}

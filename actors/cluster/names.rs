//! The domains and components that a node serves, and which of them only one of two nodes has.
//!
//! All nodes of a cluster serve the same ones. A node writes a [`Summary`] of them into its record, which has a limited length
//! however many names there are: all names if they are short enough together, else a sketch, from which
//! a few differences can be read.

mod sketch;

#[cfg(test)]
mod tests;

use crate::text::{fingerprint, printable};
use serde::{Deserialize, Serialize};
use sketch::Sketch;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The names that a node serves, each with its kind: `domain a.example`.
#[derive(Clone, Debug)]
pub struct Names {
    all: Arc<BTreeSet<String>>,
    sketch: Arc<Sketch>,
    summary: Summary,
}

/// What the record of a node says about the names that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The same if and only if all names are.
    pub fingerprint: String,
    /// How many there are; 0: an earlier version wrote the record.
    pub count: u64,
    /// The names; `None`: an earlier version wrote the record.
    pub shown: Option<Shown>,
}

/// The names in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// All of them.
    List(Vec<String>),
    /// They are too long for that: a sketch of them, in base64.
    Sketch(String),
}

/// Which names only one of two nodes has, as far as the record of the other one tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Those that only this node has.
    pub here: Few,
    /// Those that only the other node has.
    pub there: Few,
    /// Whether these are all.
    pub is_complete: bool,
    /// How many names this node has, and the other one.
    pub counts: (u64, u64),
}

/// The first of some names, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few {
    /// At most [`FEW`].
    pub names: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl Names {
    /// The names, each with its kind.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let all: BTreeSet<String> = names.into_iter().collect();
        let sketch = Sketch::of(all.iter().map(String::as_str));
        let is_short = all.iter().map(|name| name.len() + AROUND_A_NAME).sum::<usize>() <= LONGEST_LIST;
        let shown = if is_short {
            Shown::List(all.iter().cloned().collect())
        } else {
            Shown::Sketch(sketch.encode())
        };
        let lines: Vec<&str> = all.iter().map(String::as_str).collect();
        let summary = Summary {
            fingerprint: fingerprint(&lines.join("\n")),
            count: all.len() as u64,
            shown: Some(shown),
        };
        Self { all: Arc::new(all), sketch: Arc::new(sketch), summary }
    }

    /// For the record of the node.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What differs at a node with this summary; `None`: nothing.
    pub fn difference(&self, other: &Summary) -> Option<Difference> {
        if self.summary.fingerprint == other.fingerprint {
            return None;
        }
        let (here, there, is_complete) = match &other.shown {
            Some(Shown::List(list)) => {
                let theirs: BTreeSet<String> = list.iter().cloned().collect();
                let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect();
                (only(&self.all, &theirs), only(&theirs, &self.all), true)
            }
            Some(Shown::Sketch(text)) => match Sketch::decode(text) {
                Some(sketch) => self.sketch.difference(&sketch),
                None => (Vec::new(), Vec::new(), false),
            },
            None => (Vec::new(), Vec::new(), false),
        };
        let counts = (self.summary.count, other.count);
        // Names of which none seems to differ, and yet the fingerprint does, were written by another version.
        let is_complete = is_complete && !(here.is_empty() && there.is_empty());
        Some(Difference { here: Few::of(here), there: Few::of(there), is_complete, counts })
    }
}

impl Few {
    fn of(mut names: Vec<String>) -> Self {
        names.sort();
        let more = names.len().saturating_sub(FEW);
        names.truncate(FEW);
        // Another node has written them.
        let names = names.iter().map(|name| printable(name, LONGEST_SHOWN)).collect();
        Self { names, more }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl fmt::Display for Few {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { here, there, is_complete, counts: (own, theirs) } = self;
        let mut parts = Vec::new();
        if !here.is_empty() {
            parts.push(format!("only this node has {here}"));
        }
        if !there.is_empty() {
            parts.push(format!("only that node has {there}"));
        }
        if !is_complete {
            let theirs = if *theirs == 0 { "unknown".to_owned() } else { theirs.to_string() };
            let others = if parts.is_empty() { "" } else { "and more differ; " };
            parts.push(format!("{others}number of names: {own} on this node, {theirs} on that node"));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Names that are shown of each node: as many as one reads in a line.
pub const FEW: usize = 5;

/// Of all names together in a record, which each node reads every 3 s.
const LONGEST_LIST: usize = 2048;

/// Quotation marks and comma.
const AROUND_A_NAME: usize = 3;

/// Characters of a name: a domain of the DNS has at most 253.
const LONGEST_SHOWN: usize = 270;

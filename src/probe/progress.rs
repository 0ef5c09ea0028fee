//! The last step of a running probe, in one line of the terminal that is erased at the end.

use std::io::{self, IsTerminal as _, Write as _};

use status::escape::escaped;
use xmpp::DomainPair;

use super::step::Step;
use crate::text::{width::shortened, wrap};

/// The line on standard error, if both outputs are terminals. A program that reads them gets only the report.
pub(crate) struct Progress {
    columns: Option<usize>,
}

impl Progress {
    /// Shows that a probe begins.
    pub(crate) fn begin(pair: &DomainPair) -> Self {
        let columns = wrap::columns().filter(|_| io::stderr().is_terminal());
        let progress = Self { columns };
        progress.write(&format!("probing {} from {}", pair.remote, pair.local));
        progress
    }

    /// Shows a step.
    pub(crate) fn show(&self, step: &Step) {
        let text = step.lines().into_iter().next().unwrap_or_default();
        let place = step.location.address.map_or_else(String::new, |address| format!("{address}: "));
        self.write(&format!("{place}{} {text}", step.kind.as_str()));
    }

    /// Erases the line.
    pub(crate) fn end(&self) {
        if self.columns.is_some() {
            // A terminal that cannot be written shows nothing anyway.
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }

    fn write(&self, text: &str) {
        if let Some(columns) = self.columns {
            // In the last column some terminals begin a new line.
            let text = escaped(text);
            let _ = write!(io::stderr(), "{ERASE}{}", shortened(&text, columns.saturating_sub(1)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// To the first column, and erases the line (ECMA-48 section 8.3.41).
const ERASE: &str = "\r\u{1b}[K";

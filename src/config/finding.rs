//! A problem in a configuration file: what is wrong, in which line, and what to do.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// A problem in one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(super) file: PathBuf,
    /// Counted from 1; 0 for the file as a whole.
    pub(super) line: usize,
    /// The part of the file that is wrong, in bytes.
    pub(crate) span: Range<usize>,
    pub(super) key: String,
    pub(super) text: String,
    pub(super) help: Option<String>,
    pub(crate) severity: Severity,
}

/// Whether a node can start in spite of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The node cannot start.
    Problem,
    /// The node can start, but other servers will refuse it.
    Flaw,
    /// The node can start, but something is probably not intended.
    Warning,
    /// The node can start, and everything is probably as intended.
    Note,
}

/// The text of a finding: what is wrong, and what to do if that is not obvious.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(super) text: String,
    pub(super) help: Option<String>,
}

impl Finding {
    /// A problem of the file as a whole.
    pub(crate) fn of_file(file: &Path, message: impl Into<Message>) -> Self {
        let Message { text, help } = message.into();
        Self {
            file: file.to_owned(),
            line: 0,
            span: 0..0,
            key: String::new(),
            text,
            help,
            severity: Severity::Problem,
        }
    }

    /// Whether the node can start in spite of it.
    pub(crate) fn is_warning(&self) -> bool {
        self.severity != Severity::Problem
    }

    /// Whether it must be fixed before the node is of use.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Problem | Severity::Flaw)
    }

    /// Whether it concerns the file as a whole, and not a line of it.
    pub(crate) fn is_of_file(&self) -> bool {
        self.line == 0
    }

    /// The key, and what is wrong.
    pub(crate) fn title(&self) -> String {
        if self.key.is_empty() { self.text.clone() } else { format!("{}: {}", self.key, self.text) }
    }

    /// Whether it concerns a key of this section.
    pub(crate) fn is_in_section(&self, section: &str) -> bool {
        self.key.split_once('.').is_some_and(|(own, _)| own == section)
    }

    /// The remedy.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl Message {
    /// The problem and its remedy.
    pub(crate) fn with_help(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { text: text.into(), help: Some(help.into()) }
    }

    /// The problem.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self { text: text.into(), help: None }
    }
}

/// `nuncio.toml:7: s2s.tls: …`, the form of compilers, which editors understand. `{:#}` leaves out the word
/// `warning`, for a log line that has a level.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if self.is_warning() && !f.alternate() {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", self.title())?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

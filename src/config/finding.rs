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
    pub(super) text: Text,
    pub(super) help: Option<String>,
    pub(crate) severity: Severity,
}

/// What is wrong. Findings that differ only in their names are shown as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    before: String,
    /// The domains that are concerned, if it is about some.
    names: Vec<String>,
    after: String,
}

/// Whether a node can start in spite of a finding. The worst come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The node cannot start.
    Problem,
    /// The node can start, but other servers or the message broker of the cluster will refuse it.
    Flaw,
    /// The node can start, but something is probably not intended.
    Warning,
    /// The node can start, and everything is probably as intended.
    Note,
}

/// The text of a finding: what is wrong, and what to do if that is not obvious.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(super) text: Text,
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
        if self.key.is_empty() { self.text.to_string() } else { format!("{}: {}", self.key, self.text) }
    }

    /// The order of findings: errors, warnings, notes; then by line.
    pub(super) fn order(&self) -> (Severity, usize) {
        // Both keep the node from being of use.
        let severity = if self.is_error() { Severity::Problem } else { self.severity };
        (severity, self.line)
    }

    /// Takes over the names of `other` if it says the same, of other names or in another place. Returns whether it does.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        let is_same = (self.severity, &self.key, &self.help) == (other.severity, &other.key, &other.help)
            && self.text.before == other.text.before
            && self.text.after == other.text.after;
        if is_same {
            let names = &mut self.text.names;
            let new: Vec<_> = other.text.names.iter().filter(|name| !names.contains(name)).cloned().collect();
            names.extend(new);
        }
        is_same
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
        Self { help: Some(help.into()), ..Self::from(text) }
    }

    /// The problem of a domain, whose name stands between two texts.
    pub(crate) fn of_name(
        before: impl Into<String>,
        name: impl Into<String>,
        after: impl Into<String>,
    ) -> Self {
        let text = Text { before: before.into(), names: vec![name.into()], after: after.into() };
        Self { text, help: None }
    }

    /// The same with a remedy.
    pub(crate) fn and_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The problem.
    pub(crate) fn text(&self) -> String {
        self.text.to_string()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, names, after } = self;
        let shown = names.len().min(MAX_NAMES);
        let more = names.len() - shown;
        write!(f, "{before}{}", names[..shown].join(", "))?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        f.write_str(after)
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self { text: Text { before: text.into(), ..Text::default() }, help: None }
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

/// Names in one text, which fill some lines of a terminal.
const MAX_NAMES: usize = 20;

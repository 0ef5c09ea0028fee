//! What is wrong with a configuration file, and in which line.

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
};

/// Something to tell the operator about one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    file: PathBuf,
    /// Counted from 1; 0 is the file as a whole.
    line: usize,
    key: String,
    text: String,
    severity: Severity,
}

/// Whether a node can start all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It cannot.
    Problem,
    /// It can, and the operator should know.
    Warning,
}

/// A configuration file while it is read: where its lines are, and what was found so far.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    findings: RefCell<Vec<Finding>>,
}

impl Finding {
    /// Says something about the file as a whole.
    pub(crate) fn of_file(file: &Path, text: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            key: String::new(),
            text: text.into(),
            severity: Severity::Problem,
        }
    }

    /// Whether the node can start all the same.
    pub(crate) fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }
}

/// `nuncio.toml:7: s2s.tls: …`, as compilers write it, so that editors can jump there; `{:#}` does not say that a warning
/// is one.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if self.is_warning() && !f.alternate() {
            f.write_str(" warning:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.text)
    }
}

impl Source {
    /// Begins to read `text`, the content of `file`.
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_owned(),
            lines: std::iter::once(0).chain(after_newlines).collect(),
            findings: RefCell::default(),
        }
    }

    /// The line, counted from 1, that the byte at `offset` stands in.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// A path of the file: relative ones start at the file's own directory.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        self.file.parent().map_or_else(|| PathBuf::from(text), |directory| directory.join(text))
    }

    /// Notes something about `key`, which stands at `offset`.
    pub(crate) fn find(&self, severity: Severity, offset: usize, key: &str, text: impl Into<String>) {
        self.findings.borrow_mut().push(Finding {
            file: self.file.clone(),
            line: self.line(offset),
            key: key.to_owned(),
            text: text.into(),
            severity,
        });
    }

    /// Ends the reading: what was found, in the order of the file.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|finding| finding.line);
        findings
    }
}

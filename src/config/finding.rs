//! What is wrong with a configuration file, and in which line.

use std::{
    cell::RefCell,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// Something to tell the operator about one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    file: PathBuf,
    /// Counted from 1; 0 is the file as a whole.
    line: usize,
    /// What it is about, in bytes of the file.
    pub(crate) span: Range<usize>,
    key: String,
    text: String,
    help: Option<String>,
    pub(crate) severity: Severity,
}

/// Whether a node can start all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It cannot.
    Problem,
    /// It can, and other servers will not take it as it is.
    Flaw,
    /// It can, and the operator should know.
    Warning,
    /// It can, and that is most likely as it should be.
    Note,
}

/// What is wrong, and what to do about it where that is another sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    text: String,
    help: Option<String>,
}

/// A configuration file while it is read: where its lines are, and what was found so far.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    findings: RefCell<Vec<Finding>>,
    places: RefCell<Vec<Place>>,
}

/// Where something stands that can only be judged together with the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `listen.s2s`
    pub(crate) key: String,
    /// The string, as the file means it.
    pub(crate) value: String,
    /// In bytes of the file.
    pub(crate) span: Range<usize>,
}

impl Finding {
    /// Says something about the file as a whole.
    pub(crate) fn of_file(file: &Path, said: impl Into<Said>) -> Self {
        let Said { text, help } = said.into();
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

    /// Whether the node can start all the same.
    pub(crate) fn is_warning(&self) -> bool {
        self.severity != Severity::Problem
    }

    /// Whether it is something to mend before anything else.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(self.severity, Severity::Problem | Severity::Flaw)
    }

    /// Whether it is about the file, and not about a line of it.
    pub(crate) fn is_of_file(&self) -> bool {
        self.line == 0
    }

    /// What is wrong, with the key it is about.
    pub(crate) fn title(&self) -> String {
        if self.key.is_empty() { self.text.clone() } else { format!("{}: {}", self.key, self.text) }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl Said {
    /// What is wrong, and what to do about it.
    pub(crate) fn with_help(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { text: text.into(), help: Some(help.into()) }
    }

    /// What is wrong.
    pub(crate) fn what(&self) -> &str {
        &self.text
    }
}

impl<T: Into<String>> From<T> for Said {
    fn from(text: T) -> Self {
        Self { text: text.into(), help: None }
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
        write!(f, " {}", self.title())?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl Source {
    /// Begins to read `text`, the content of `file`.
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(after_newlines).collect(),
            findings: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// The line, counted from 1, that the byte at `offset` stands in.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// A path of the file: relative ones start at the file's own directory.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        self.file.parent().map_or_else(|| PathBuf::from(text), |directory| directory.join(text))
    }

    /// The file as it was given.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// What stands in the line, counted from 1, and the offset at which it begins.
    pub(crate) fn line_text(&self, line: usize) -> (usize, &str) {
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(self.text.len());
        let rest = &self.text[start..];
        (start, rest.split('\n').next().unwrap_or_default().trim_end_matches('\r'))
    }

    /// RecorderHandle something about `key`, which stands at `span`.
    pub(crate) fn find(&self, severity: Severity, span: Range<usize>, key: &str, said: impl Into<Said>) {
        let Said { text, help } = said.into();
        self.findings.borrow_mut().push(Finding {
            file: self.file.clone(),
            line: self.line(span.start),
            span,
            key: key.to_owned(),
            text,
            help,
            severity,
        });
    }

    /// RecorderHandle something that no line says, as it is the default.
    pub(crate) fn find_in_default(&self, severity: Severity, key: &str, said: impl Into<Said>) {
        let Said { text, help } = said.into();
        let key = key.to_owned();
        let finding = Finding { key, help, severity, ..Finding::of_file(&self.file, text) };
        self.findings.borrow_mut().push(finding);
    }

    /// Whether a problem of `key` was noted.
    pub(crate) fn is_wrong(&self, key: &str) -> bool {
        self.findings
            .borrow()
            .iter()
            .any(|finding| finding.key == key && finding.severity == Severity::Problem)
    }

    /// Remembers where something stands.
    pub(crate) fn place(&self, key: String, value: &str, span: Range<usize>) {
        self.places.borrow_mut().push(Place { key, value: value.to_owned(), span });
    }

    /// Where the strings of these keys stand.
    pub(crate) fn places(&self, keys: &[&str]) -> Vec<Place> {
        let places = self.places.borrow();
        places.iter().filter(|place| keys.contains(&place.key.as_str())).cloned().collect()
    }

    /// What was found so far, in the order of the file.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.borrow().clone();
        findings.sort_by_key(|finding| finding.line);
        findings
    }
}

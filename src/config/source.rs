//! The text of a configuration file, with findings and the positions of values.

use std::{
    cell::RefCell,
    ops::Range,
    path::{Path, PathBuf},
};

use super::finding::{Finding, Message, Severity};

/// A configuration file that is being read.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    findings: RefCell<Vec<Finding>>,
    values: RefCell<Vec<Value>>,
}

/// A value that can be checked only against the machine or the DNS, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// With its section: `listen.s2s`.
    pub(crate) key: String,
    /// The string, without quotes and escapes.
    pub(crate) text: String,
    /// In bytes of the file.
    pub(crate) span: Range<usize>,
}

impl Source {
    /// A source with `text` as the content of `file`.
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(after_newlines).collect(),
            findings: RefCell::default(),
            values: RefCell::default(),
        }
    }

    /// The number of the line, from 1, with the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Resolves a path of the file: a relative path starts at the directory of the file.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        self.file.parent().map_or_else(|| PathBuf::from(text), |directory| directory.join(text))
    }

    /// The path of the file, as given.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The offset of the first byte of a line, counted from 1, and the text of the line without its end.
    pub(crate) fn line_text(&self, line: usize) -> (usize, &str) {
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(self.text.len());
        let rest = &self.text[start..];
        (start, rest.split('\n').next().unwrap_or_default().trim_end_matches('\r'))
    }

    /// Adds a finding about `key`, which is at `span`.
    pub(crate) fn add(&self, severity: Severity, span: Range<usize>, key: &str, message: impl Into<Message>) {
        let Message { text, help } = message.into();
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

    /// Adds a finding about the default of `key`, which is in no line of the file.
    pub(crate) fn add_for_default(&self, severity: Severity, key: &str, message: impl Into<Message>) {
        let key = key.to_owned();
        let finding = Finding { key, severity, ..Finding::of_file(&self.file, message) };
        self.findings.borrow_mut().push(finding);
    }

    /// Whether there is a problem with `key`.
    pub(crate) fn has_problem(&self, key: &str) -> bool {
        self.findings
            .borrow()
            .iter()
            .any(|finding| finding.key == key && finding.severity == Severity::Problem)
    }

    /// Remembers a value and its position.
    pub(crate) fn remember(&self, key: String, text: &str, span: Range<usize>) {
        self.values.borrow_mut().push(Value { key, text: text.to_owned(), span });
    }

    /// The remembered values of these keys.
    pub(crate) fn values(&self, keys: &[&str]) -> Vec<Value> {
        let values = self.values.borrow();
        values.iter().filter(|value| keys.contains(&value.key.as_str())).cloned().collect()
    }

    /// The findings so far: errors, warnings, then notes, each kind in the order of the file. Those that say the same of
    /// several names in one place are one.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for finding in self.findings.borrow().iter() {
            let mut there = findings.iter_mut().filter(|known| known.span == finding.span);
            if !there.any(|known| known.absorb(finding)) {
                findings.push(finding.clone());
            }
        }
        findings.sort_by_key(Finding::order);
        findings
    }
}

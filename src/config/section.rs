//! Reads one table of the configuration file key by key, and reports unknown keys.

pub(super) mod synonyms;
mod unknown_key;
mod wrong_kind;

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(super) use self::unknown_key::REPEATABLE;
use self::{
    unknown_key::{is_other_word, unknown_key},
    wrong_kind::{Expected, kind},
};
use super::{
    finding::{Message, Severity},
    source::Source,
};

/// A table of the file. A key is known once it was read or refused; [`Section::finish`] reports the others.
///
/// Each read method returns `None` if the value is absent or wrong, and adds a finding if it is wrong. The
/// caller then uses the default, so that the remaining problems are found too.
#[must_use = "unknown keys are reported by `finish`"]
pub(crate) struct Section<'a> {
    source: &'a Source,
    /// `s2s`; empty for the top of the file.
    name: &'static str,
    /// The position of its header, in bytes.
    at: usize,
    /// `None` if the file does not have it.
    table: Option<&'a DeTable<'a>>,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// The keys above the first header.
    pub(crate) fn top(source: &'a Source, table: &'a DeTable<'a>) -> Self {
        Self::new(source, "", 0, Some(table))
    }

    /// The table `[key]`; empty if the file does not have it.
    pub(crate) fn section(&self, key: &'static str) -> Self {
        let Some(value) = self.value(key) else { return Self::new(self.source, key, self.at, None) };
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            match value.get_ref() {
                DeValue::Array(items) if items.iter().any(|item| item.get_ref().as_table().is_some()) => {
                    let text = format!("use [{key}] (single brackets): this section cannot be repeated");
                    self.add(Severity::Problem, value.span(), key, text);
                }
                _ => self.wrong_kind(key, value, &format!("a section that begins with [{key}]")),
            }
            return Self::new(self.source, key, at, None);
        };
        Self::new(self.source, key, at, Some(table))
    }

    /// The tables `[[key]]`.
    pub(crate) fn sections(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let expected = format!("sections that begin with [[{key}]]");
        if let DeValue::Table(table) = value.get_ref() {
            let text = format!("use [[{key}]] (two brackets): there can be several {key}s");
            self.add(Severity::Problem, value.span(), key, text);
            // The other problems of the section are reported too.
            return vec![Self::new(self.source, key, value.span().start, Some(table))];
        }
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(key, value, &expected);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Self::new(self.source, key, item.span().start, Some(table)));
                }
                _ => self.wrong_kind(key, item, &expected),
            }
        }
        sections
    }

    /// The string at `key`, parsed. An error of `parse` becomes the text of a problem.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(key, value, &Expected::string(self.name, key));
            return None;
        };
        self.remember(key, text, value.span());
        parse(text).map_err(|error| self.add(Severity::Problem, value.span(), key, error)).ok()
    }

    /// Like [`Section::read`], for a key that is required.
    pub(crate) fn require<T>(
        &self,
        key: &'static str,
        parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) && !self.has_other_word_for(key) {
            self.problem(key, "is missing: this key is required");
        }
        self.read(key, parse)
    }

    /// The strings of the list at `key`, each parsed. Wrong ones are reported and left out.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(key, value, &Expected::list(self.name, key));
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for item in items.iter() {
            let text = item.get_ref().as_str();
            text.iter().for_each(|text| self.remember(key, text, item.span()));
            match text.map(&parse) {
                Some(Ok(read)) => list.push(read),
                Some(Err(error)) => self.add(Severity::Problem, item.span(), key, error),
                None => self.wrong_kind(key, item, &Expected::string(self.name, key)),
            }
        }
        Some(list)
    }

    /// The integer at `key`, which is at least `minimum`.
    pub(crate) fn count(&self, key: &'static str, minimum: usize) -> Option<usize> {
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_kind(key, value, "an integer without quotes, for example 64");
            return None;
        };
        let read = usize::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none_or(|count| count < minimum) {
            let text = format!("{number} is out of range: expected {minimum} or more");
            self.add(Severity::Problem, value.span(), key, text);
            return None;
        }
        self.remember(key, number.as_str(), value.span());
        read
    }

    /// The `true` or `false` at `key`.
    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_kind(key, value, &format!("true or false without quotes, for example {key} = true"));
        }
        flag
    }

    /// Whether the value at `key` is an integer.
    pub(crate) fn is_integer(&self, key: &str) -> bool {
        let value = self.table.and_then(|table| table.get(key));
        value.is_some_and(|value| matches!(value.get_ref(), DeValue::Integer(_)))
    }

    /// Adds a problem if the section has `key`, which is valid in another section.
    pub(crate) fn refuse(&self, key: &'static str, reason: &str) {
        self.refused.borrow_mut().push(key);
        if self.has(key) {
            self.problem(key, reason);
        }
    }

    /// Whether the section has `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the section has an unknown key that means `key` in the configuration of another program. It is reported as
    /// unknown, with `key` as the hint; that `key` is missing would be the same problem again.
    pub(crate) fn has_other_word_for(&self, key: &str) -> bool {
        let mut entries = self.table.into_iter().flat_map(DeTable::iter);
        entries.any(|(other, value)| is_other_word(self.name, other.get_ref(), value.get_ref(), key))
    }

    /// Whether there is a problem with `key` already.
    pub(crate) fn has_problem(&self, key: &str) -> bool {
        self.source.has_problem(&self.full(key))
    }

    /// Adds a finding that keeps the node from starting.
    pub(crate) fn problem(&self, key: &str, message: impl Into<Message>) {
        self.add(Severity::Problem, self.position(key), key, message);
    }

    /// Adds a finding that is probably not intended.
    pub(crate) fn warning(&self, key: &str, message: impl Into<Message>) {
        self.add(Severity::Warning, self.position(key), key, message);
    }

    /// Adds a finding for which other servers will refuse the node.
    pub(crate) fn flaw(&self, key: &str, message: impl Into<Message>) {
        self.add(Severity::Flaw, self.position(key), key, message);
    }

    /// The line of its header.
    pub(crate) fn line(&self) -> usize {
        self.source.line(self.at)
    }

    /// The file that contains it.
    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Adds a problem for each key that was neither read nor refused, with the nearest known key.
    pub(crate) fn finish(self) {
        let (known, refused) = (self.known.borrow(), self.refused.borrow());
        for (key, value) in self.table.into_iter().flat_map(DeTable::iter) {
            let (at, key) = (key.span(), key.get_ref().as_ref());
            if known.contains(&key) || refused.contains(&key) {
                continue;
            }
            let message = unknown_key(self.name, key, value.get_ref(), &known);
            self.add(Severity::Problem, at, key, message);
        }
    }

    fn new(source: &'a Source, name: &'static str, at: usize, table: Option<&'a DeTable<'a>>) -> Self {
        Self { source, name, at, table, known: RefCell::default(), refused: RefCell::default() }
    }

    /// The value at `key`, which becomes a known key.
    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// The position of `key`, or of the section if it does not have the key.
    fn position(&self, key: &str) -> Range<usize> {
        let entry = self.table.and_then(|table| table.get_key_value(key));
        entry.map_or(self.at..self.at, |(key, _)| key.span())
    }

    fn wrong_kind(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let text = format!("expected {expected}, got {}", kind(value.get_ref()));
        self.add(Severity::Problem, value.span(), key, text);
    }

    fn add(&self, severity: Severity, span: Range<usize>, key: &str, message: impl Into<Message>) {
        self.source.add(severity, span, &self.full(key), message);
    }

    /// Remembers a value of [`REMEMBERED`].
    fn remember(&self, key: &str, value: &str, span: Range<usize>) {
        let full = self.full(key);
        if REMEMBERED.contains(&full.as_str()) {
            self.source.remember(full, value, span);
        }
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// The keys whose values `nuncio check` compares with the machine and the DNS.
const REMEMBERED: [&str; 33] = [
    "domain.certificate",
    "component.certificate",
    "s2s.trust",
    "remote.trust",
    "listen.s2s",
    "listen.s2s_tls",
    "listen.component",
    "listen.component_tls",
    "listen.component_socket_group",
    "listen.metrics",
    "listen.control",
    "domain.name",
    "component.secret",
    "s2s.dialback_secret",
    "remote.dialback_secret",
    "domain.key",
    "component.name",
    "component.names",
    "component.allow_file",
    "component.deny_file",
    "component.key",
    "component.secret_file",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
    "journal.path",
    "journal.max_bytes",
    "journal.key_file",
    "cluster.name",
    "cluster.node",
    "cluster.servers",
    "cluster.user",
    "cluster.password_file",
    "cluster.replicas",
];

//! Reads one table of the file key by key, and knows at the end which keys nobody asked for.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::finding::{Said, Severity, Source};

/// A table of the file. A key counts as known once it was read or refused; [`Section::finish`] reports the others.
///
/// Every reader notes what is wrong and answers `None`, for a value that is absent as for one that is wrong: the
/// caller goes on with the default, and the next problem is found too.
#[must_use = "unknown keys are reported by `finish`"]
pub(crate) struct Section<'a> {
    source: &'a Source,
    /// `s2s`; empty for the top of the file.
    name: &'static str,
    /// Where its header stands, in bytes.
    at: usize,
    /// `None`: the file does not have it.
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
                    let said = format!("use [{key}] (single brackets): there is only one such section");
                    self.find(Severity::Problem, value.span(), key, said);
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
        let wanted = format!("sections that begin with [[{key}]]");
        if let DeValue::Table(table) = value.get_ref() {
            let said = format!("use [[{key}]] (two brackets): there may be several {key}s");
            self.find(Severity::Problem, value.span(), key, said);
            // What else is wrong with it is found too.
            return vec![Self::new(self.source, key, value.span().start, Some(table))];
        }
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(key, value, &wanted);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Self::new(self.source, key, item.span().start, Some(table)));
                }
                _ => self.wrong_kind(key, item, &wanted),
            }
        }
        sections
    }

    /// The string at `key`, made into a `T`; what `parse` says of it becomes the problem.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(key, value, &string_for(value.get_ref(), |text| parse(text).is_ok()));
            return None;
        };
        self.place(key, text, value.span());
        parse(text).map_err(|why| self.find(Severity::Problem, value.span(), key, why)).ok()
    }

    /// As [`Section::read`], for a key that has to be there.
    pub(crate) fn require<T>(
        &self,
        key: &'static str,
        parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.problem(key, "is missing; it has no default");
        }
        self.read(key, parse)
    }

    /// The strings of the list at `key`, each made into a `T`. Those that are wrong are reported and left out.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_kind(key, value, "a list of quoted strings, for example [\"…\", \"…\"]");
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for item in items.iter() {
            let text = item.get_ref().as_str();
            text.iter().for_each(|text| self.place(key, text, item.span()));
            match text.map(&parse) {
                Some(Ok(read)) => list.push(read),
                Some(Err(why)) => self.find(Severity::Problem, item.span(), key, why),
                None => {
                    self.wrong_kind(key, item, &string_for(item.get_ref(), |text| parse(text).is_ok()));
                }
            }
        }
        Some(list)
    }

    /// The whole number at `key`.
    pub(crate) fn count(&self, key: &'static str, at_least: usize) -> Option<usize> {
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_kind(key, value, "a whole number without quotes, for example 64");
            return None;
        };
        let read = usize::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none_or(|count| count < at_least) {
            let why = format!("{number} is not a number from {at_least} up");
            self.find(Severity::Problem, value.span(), key, why);
            return None;
        }
        read
    }

    /// The `true` or `false` at `key`.
    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_kind(key, value, "true or false without quotes");
        }
        flag
    }

    /// Reports `key` if it is there: a key that other sections or later versions have, and why not this one.
    pub(crate) fn refuse(&self, key: &'static str, why: &str) {
        self.refused.borrow_mut().push(key);
        if self.has(key) {
            self.problem(key, why);
        }
    }

    /// Whether the file says anything about `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether a problem of `key` was noted already.
    pub(crate) fn was_wrong(&self, key: &str) -> bool {
        self.source.is_wrong(&self.full(key))
    }

    /// RecorderHandle what keeps the node from starting.
    pub(crate) fn problem(&self, key: &str, said: impl Into<Said>) {
        self.find(Severity::Problem, self.position(key), key, said);
    }

    /// RecorderHandle what the operator should know.
    pub(crate) fn warning(&self, key: &str, said: impl Into<Said>) {
        self.find(Severity::Warning, self.position(key), key, said);
    }

    /// RecorderHandle what other servers will hold against the node.
    pub(crate) fn flaw(&self, key: &str, said: impl Into<Said>) {
        self.find(Severity::Flaw, self.position(key), key, said);
    }

    /// The line its header stands in.
    pub(crate) fn line(&self) -> usize {
        self.source.line(self.at)
    }

    /// The file it is of.
    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Reports every key that was neither read nor refused, with the nearest that would have been read.
    pub(crate) fn finish(self) {
        let (known, refused) = (self.known.borrow(), self.refused.borrow());
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let (at, key) = (key.span(), key.get_ref().as_ref());
            if known.contains(&key) || refused.contains(&key) {
                continue;
            }
            let place = if self.name.is_empty() { "the top of the file" } else { self.name };
            let what = format!("\"{key}\" is unknown in {place}");
            let elsewhere = ELSEWHERE.iter().find(|(known, section)| *known == key && *section != self.name);
            let synonym = SYNONYMS.iter().find(|(section, word, _)| *section == self.name && *word == key);
            let help = match (elsewhere, synonym, nearest(key, &known)) {
                (_, Some((_, _, meant)), _) => format!("did you mean {meant}?"),
                (Some((_, section)), ..) => format!("it belongs in [{section}]"),
                (.., Some(near)) => format!("the nearest known key is \"{near}\""),
                _ => format!("the known keys are \"{}\"", known.join("\", \"")),
            };
            let why = Said::with_help(what, help);
            self.find(Severity::Problem, at, key, why);
        }
    }

    fn new(source: &'a Source, name: &'static str, at: usize, table: Option<&'a DeTable<'a>>) -> Self {
        Self { source, name, at, table, known: RefCell::default(), refused: RefCell::default() }
    }

    /// The value at `key`, which is known from now on.
    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// Where `key` stands, or else its section.
    fn position(&self, key: &str) -> Range<usize> {
        let entry = self.table.and_then(|table| table.get_key_value(key));
        entry.map_or(self.at..self.at, |(key, _)| key.span())
    }

    fn wrong_kind(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let why = format!("expected {wanted}, got {}", kind(value.get_ref()));
        self.find(Severity::Problem, value.span(), key, why);
    }

    fn find(&self, severity: Severity, span: Range<usize>, key: &str, said: impl Into<Said>) {
        self.source.find(severity, span, &self.full(key), said);
    }

    /// Remembers a value that only the machine can judge.
    fn place(&self, key: &str, value: &str, span: Range<usize>) {
        let full = self.full(key);
        if PLACED.contains(&full.as_str()) {
            self.source.place(full, value, span);
        }
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// The string that is expected where `value` stands, with an example if a number only lacks its unit.
fn string_for(value: &DeValue<'_>, mut is_right: impl FnMut(&str) -> bool) -> String {
    let example = match value {
        DeValue::Integer(number) if is_right(&format!("{number} B")) => Some("512 KiB"),
        DeValue::Integer(number) if is_right(&format!("{number}s")) => Some("30s"),
        // Zero and negative numbers are wrong with a unit, too.
        DeValue::Integer(_) if is_right("1 B") => Some("512 KiB"),
        DeValue::Integer(_) | DeValue::Float(_) if is_right("1s") => Some("30s"),
        DeValue::Float(_) if is_right("1 B") => Some("512 KiB"),
        _ => None,
    };
    match example {
        Some(example) => format!("a quoted string with a unit, for example \"{example}\""),
        None => "a quoted string".to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word that takes the fewest changes to come from `word`, for its length, unless they have little in common.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |near: &&str| strsim::normalized_damerau_levenshtein(word, near);
    let like = known.iter().copied().filter(|near| likeness(near) >= LIKELY);
    like.max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// Of 1: as much as two words have in common when one was meant for the other.
const LIKELY: f64 = 0.6;

/// Keys of one section that are looked for in others, or taken for a section.
const ELSEWHERE: [(&str, &str); 16] = [
    ("metrics", "listen"),
    ("control", "listen"),
    ("s2s_tls", "listen"),
    ("allow", "s2s"),
    ("deny", "s2s"),
    ("tls", "s2s"),
    ("auth", "s2s"),
    ("trust", "s2s"),
    ("idle_timeout", "s2s"),
    ("keepalive", "s2s"),
    ("dialback_secret", "s2s"),
    ("max_connections", "limits"),
    ("max_connections_unauthenticated", "limits"),
    ("max_depth", "limits"),
    ("backoff", "promise"),
    ("nameservers", "dns"),
];

/// Words that other programs or habit suggest: the section, the word, and the key that is meant.
const SYNONYMS: [(&str, &str, &str); 36] = [
    ("", "domains", "[[domain]]"),
    ("", "components", "[[component]]"),
    ("", "remotes", "[[remote]]"),
    ("", "host", "[[domain]] with \"name\""),
    ("", "hosts", "[[domain]] with \"name\""),
    ("", "log_level", "\"log\""),
    ("", "loglevel", "\"log\""),
    ("", "threads", "\"workers\""),
    ("listen", "port", "\"s2s\", for example [\"0.0.0.0:5269\"]"),
    ("listen", "ports", "\"s2s\", for example [\"0.0.0.0:5269\"]"),
    ("listen", "server", "\"s2s\""),
    ("listen", "components", "\"component\""),
    ("listen", "prometheus", "\"metrics\""),
    ("listen", "socket", "\"control\""),
    ("domain", "host", "\"name\""),
    ("domain", "domain", "\"name\""),
    ("domain", "cert", "\"certificate\""),
    ("domain", "private_key", "\"key\""),
    ("component", "password", "\"secret\""),
    ("component", "pass", "\"secret\""),
    ("component", "passwd", "\"secret\""),
    ("component", "password_file", "\"secret_file\""),
    ("component", "host", "\"name\""),
    ("component", "domain", "\"name\""),
    ("component", "jid", "\"name\""),
    ("component", "cert", "\"certificate\""),
    ("s2s", "secret", "\"dialback_secret\""),
    ("s2s", "secret_file", "\"dialback_secret_file\""),
    ("s2s", "require_tls", "\"tls\", for example \"required\""),
    ("s2s", "encryption", "\"tls\", for example \"required\""),
    ("s2s", "whitelist", "\"allow\""),
    ("s2s", "blacklist", "\"deny\""),
    ("s2s", "max_stanza_size", "\"max_stanza\""),
    ("remote", "host", "\"address\", for example \"192.0.2.7:5269\""),
    ("remote", "domain", "\"name\""),
    ("dns", "servers", "\"nameservers\""),
];

/// The keys whose values `nuncio check` holds against the machine and the DNS.
const PLACED: [&str; 19] = [
    "domain.certificate",
    "component.certificate",
    "s2s.trust",
    "remote.trust",
    "listen.s2s",
    "listen.s2s_tls",
    "listen.component",
    "listen.metrics",
    "listen.control",
    "domain.name",
    "component.secret",
    "s2s.dialback_secret",
    "remote.dialback_secret",
    "domain.key",
    "component.name",
    "component.key",
    "component.secret_file",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
];

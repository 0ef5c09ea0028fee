//! The parts of a log line: time, target, and the `key=value` pairs of the event. Also with the prefix of a log daemon.

use std::{borrow::Cow, time::SystemTime};

use status::escape::escaped;

/// A log line in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The time at which the node wrote the line, if the line contains it.
    pub(super) time: Option<SystemTime>,
    /// The target without `nuncio::`.
    pub(super) target: &'a str,
    /// The message, then the pairs.
    pub(super) event: &'a str,
}

impl<'a> Entry<'a> {
    /// Splits a line without escape sequences; `None` if it is not a line of a node.
    ///
    /// The first log target in a line is written by the node. Text of a peer, which may imitate it, is further right.
    pub(super) fn split(line: &'a str) -> Option<Self> {
        let (prefix, rest) = line.split_once(TARGETS)?;
        let (target, event) = rest.split_once(' ')?;
        let time = prefix.split_whitespace().rev().find_map(time);
        Some(Self { time, target, event: event.trim_start() })
    }

    /// The pairs of the event, if `message` is its message.
    pub(super) fn pairs_of(&self, message: &str) -> Option<Pairs<'a>> {
        let pairs = self.event.strip_prefix(message)?.strip_prefix(' ')?;
        let (key, _) = pairs.split_once('=')?;
        (!key.contains(char::is_whitespace)).then_some(Pairs(pairs))
    }
}

/// Iterates over the `key=value` pairs of an event.
#[derive(Debug)]
pub(super) struct Pairs<'a>(pub(super) &'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.0.trim_start().split_once('=')?;
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            self.0 = &rest[end..];
            return Some((key, rest[..end].to_owned()));
        };
        let (mut value, mut escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    self.0 = &quoted[at + 1..];
                    return Some((key, value));
                }
                _ => {
                    value.push(c);
                    escaped = false;
                }
            }
        }
        self.0 = "";
        Some((key, value))
    }
}

/// The number at the beginning of `text`: 1823 for `1823/s`.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// A word, escaped and cut to `max` characters.
pub(super) fn word(text: &str, max: usize) -> Option<String> {
    let shown: String = escaped(text).chars().take(max).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A time at the end of a word, in the form of the node: `2026-11-22T16:48:25.123Z`.
fn time(word: &str) -> Option<SystemTime> {
    let tail = word.get(word.len().saturating_sub(TIME_LENGTH)..)?;
    humantime::parse_rfc3339(tail).or_else(|_| humantime::parse_rfc3339(word)).ok()
}

/// Removes escape sequences for colours.
pub(super) fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        clean.push_str(before);
        let end = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
        rest = end.and_then(|end| after.get(end + 1..)).unwrap_or_default();
    }
    (clean + rest).into()
}

/// The beginning of every log target of the node, after a space.
const TARGETS: &str = " nuncio::";

/// The length of `2026-11-22T16:48:25.123Z`. In JSON, other characters precede it in the same word.
const TIME_LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_time_a_target_and_an_event() {
        let line =
            "2026-11-22T16:48:25.123Z INFO  nuncio::outgoing closed pair=\"a > b\" reason=\"x=1 y\" lived=7s";
        let entry = Entry::split(line).unwrap();
        assert_eq!(entry.target, "outgoing");
        assert_eq!(entry.time, humantime::parse_rfc3339("2026-11-22T16:48:25.123Z").ok());
        let pairs: Vec<_> = entry.pairs_of("closed").unwrap().collect();
        let own = |value: &str| value.to_owned();
        assert_eq!(pairs, [("pair", own("a > b")), ("reason", own("x=1 y")), ("lived", own("7s"))]);
        assert!(entry.pairs_of("close").is_none());
    }

    #[test]
    fn a_sentence_is_not_an_event_with_pairs() {
        let line = "2026-11-22T16:48:25.123Z INFO  nuncio::outgoing closed links on request remote=b.example";
        assert!(Entry::split(line).unwrap().pairs_of("closed").is_none());
        assert_eq!(Entry::split("Nov 22 17:48:25 host kernel: closed"), None);
    }
}

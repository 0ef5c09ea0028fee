//! Parses a mailbox line of a log, also with the prefix of a log daemon.

use std::time::SystemTime;

use status::escape::escaped;

/// A mailbox line: the figures of one kind of actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailboxLine {
    /// The time at which the node wrote the line, if the line contains it.
    pub(super) time: Option<SystemTime>,
    pub(super) actor: String,
    pub(super) instances: u64,
    pub(super) depth: u64,
    /// The fullest instance and the number of messages that wait there, `b.example:31`; `None` if no message
    /// waits.
    pub(super) deepest: Option<String>,
    pub(super) peak: u64,
    pub(super) capacity: u64,
    pub(super) rate: u64,
    /// As written: `35us`.
    pub(super) wait_p50: String,
    /// As written: `1.2ms`.
    pub(super) wait_p99: String,
    pub(super) refused: u64,
    pub(super) restarts: u64,
}

impl MailboxLine {
    /// Parses a line; `None` if it is not a complete mailbox line.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let text = without_escapes(&String::from_utf8_lossy(line));
        let (prefix, pairs) = prefix_and_pairs(&text)?;
        let mut parsed = Self {
            time: prefix.split_whitespace().rev().find_map(time),
            actor: String::new(),
            instances: 0,
            depth: 0,
            deepest: None,
            peak: 0,
            capacity: 0,
            rate: 0,
            wait_p50: "-".to_owned(),
            wait_p99: "-".to_owned(),
            refused: 0,
            restarts: 0,
        };
        let mut found = [false; 2];
        for (key, value) in Pairs(pairs) {
            match key {
                "actor" => parsed.actor = word(&value, MAX_ACTOR)?,
                "instances" => parsed.instances = number(&value)?,
                "depth" => parsed.depth = number(&value)?,
                "deepest" => parsed.deepest = word(&value, MAX_INSTANCE).filter(|word| word != "-"),
                "peak" => (parsed.peak, found[0]) = (number(&value)?, true),
                "capacity" => (parsed.capacity, found[1]) = (number(&value)?, true),
                "rate" => parsed.rate = number(&value)?,
                "wait_p50" => parsed.wait_p50 = word(&value, MAX_WAIT)?,
                "wait_p99" => parsed.wait_p99 = word(&value, MAX_WAIT)?,
                "refused" => parsed.refused = number(&value)?,
                "restarts" => parsed.restarts = number(&value)?,
                _ => {}
            }
        }
        (!parsed.actor.is_empty() && found == [true; 2]).then_some(parsed)
    }

    /// Whether a mailbox was full at some time since the line before.
    pub(super) fn reached_capacity(&self) -> bool {
        self.capacity > 0 && self.peak >= self.capacity
    }

    /// The peak divided by the capacity.
    pub(super) fn share(&self) -> f64 {
        if self.capacity == 0 { 0.0 } else { self.peak as f64 / self.capacity as f64 }
    }
}

/// The text before the event, and the pairs of the event.
///
/// The first log target in a line is written by the node. Text of a peer, which may imitate it, is further
/// right.
fn prefix_and_pairs(text: &str) -> Option<(&str, &str)> {
    let (prefix, event) = match text.trim_start().strip_prefix(EVENT) {
        Some(pairs) => ("", pairs),
        None => {
            let (prefix, event) = text.split_once(TARGETS)?;
            (prefix, event.strip_prefix(TARGET)?.trim_start().strip_prefix(EVENT)?)
        }
    };
    event.starts_with("actor=").then_some((prefix, event))
}

/// Iterates over the `key=value` pairs of an event.
struct Pairs<'a>(&'a str);

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
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// A word, escaped and cut to `max` characters.
fn word(text: &str, max: usize) -> Option<String> {
    let shown: String = escaped(text).chars().take(max).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A time at the end of a word, in the form of the node: `2026-11-22T16:48:25.123Z`.
fn time(word: &str) -> Option<SystemTime> {
    let tail = word.get(word.len().saturating_sub(TIME_LENGTH)..)?;
    humantime::parse_rfc3339(tail).or_else(|_| humantime::parse_rfc3339(word)).ok()
}

/// Removes escape sequences for colours.
fn without_escapes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        clean.push_str(before);
        let end = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
        rest = end.and_then(|end| after.get(end + 1..)).unwrap_or_default();
    }
    clean + rest
}

/// The beginning of every log target of the node, after a space.
const TARGETS: &str = " nuncio::";

/// The rest of the log target of mailbox lines.
const TARGET: &str = "mailbox ";

/// The message of the event.
const EVENT: &str = "mailbox ";

/// Maximum number of characters of a kind of actor; those of the node have up to nine.
const MAX_ACTOR: usize = 24;

/// Maximum number of characters of an instance: a domain pair of common length. The DNS allows 253 characters
/// for each domain.
const MAX_INSTANCE: usize = 100;

/// Maximum number of characters of a waiting time.
const MAX_WAIT: usize = 8;

/// The length of `2026-11-22T16:48:25.123Z`. In JSON, other characters precede it in the same word.
const TIME_LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "mailbox actor=outgoing instances=212 depth=40 deepest=b.example:31 peak=512 capacity=1024 \
         handled=18233 rate=1823/s wait_p50=35us wait_p99=1.2ms refused=7 restarts=1";

    #[test]
    fn every_value_of_a_line_is_parsed() {
        let parsed = MailboxLine::parse(LINE.as_bytes()).unwrap();
        let expected = MailboxLine {
            time: None,
            actor: "outgoing".to_owned(),
            instances: 212,
            depth: 40,
            deepest: Some("b.example:31".to_owned()),
            peak: 512,
            capacity: 1024,
            rate: 1823,
            wait_p50: "35us".to_owned(),
            wait_p99: "1.2ms".to_owned(),
            refused: 7,
            restarts: 1,
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn prefixes_of_log_daemons_are_ignored() {
        let own = format!("2026-11-22T16:48:25.123Z INFO  nuncio::mailbox {LINE}");
        let time = humantime::parse_rfc3339("2026-11-22T16:48:25.123Z").unwrap();
        for line in [
            own.clone(),
            own.replace("INFO ", "\u{1b}[32mINFO \u{1b}[0m"),
            format!("Nov 22 17:48:25 host nuncio[812]: {own}"),
            format!("nuncio-1  | {own}\r"),
            format!(r#"{{"log":"{own}\n","stream":"stderr","time":"2026-11-22T16:48:26.5Z"}}"#),
        ] {
            let parsed = MailboxLine::parse(line.as_bytes()).unwrap_or_else(|| panic!("not read: {line}"));
            assert_eq!((parsed.time, parsed.refused, parsed.restarts), (Some(time), 7, 1), "{line}");
            assert_eq!(parsed.deepest.as_deref(), Some("b.example:31"), "{line}");
        }
    }

    #[test]
    fn an_instance_with_two_domains_is_quoted() {
        let line = LINE.replace("b.example:31", "\"a.example > b.example:31\"");
        assert_eq!(
            MailboxLine::parse(line.as_bytes()).unwrap().deepest.as_deref(),
            Some("a.example > b.example:31")
        );
        let line = LINE.replace("b.example:31", "-");
        assert_eq!(MailboxLine::parse(line.as_bytes()).unwrap().deepest, None);
    }

    #[test]
    fn text_of_a_peer_is_not_a_mailbox_line() {
        let said =
            format!("2026-11-22T16:48:25Z WARN  nuncio::incoming closed text=\"x nuncio::mailbox {LINE}\"");
        assert_eq!(MailboxLine::parse(said.as_bytes()), None);
        let said = format!("2026-11-22T16:48:25Z INFO  nuncio::incoming {LINE}");
        assert_eq!(MailboxLine::parse(said.as_bytes()), None);
    }

    #[test]
    fn invalid_and_incomplete_lines_are_ignored() {
        for length in 0..LINE.len() {
            // The result does not matter; parsing must not panic.
            let _ = MailboxLine::parse(&LINE.as_bytes()[..length]);
        }
        for line in [
            &b"\xff\xfe\x00 nuncio::mailbox mailbox actor=\xff peak=1 capacity=x"[..],
            b"mailbox actor= peak=1 capacity=1",
            b"mailbox actor=router peak=99999999999999999999 capacity=1",
            b"mailbox actor=router depth=1",
            b"\x1b[",
            b"",
        ] {
            assert_eq!(MailboxLine::parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn control_characters_of_a_line_are_escaped() {
        let line = LINE.replace("b.example:31", "\u{7}b\u{9b}2J\u{1b}]0;x");
        let shown = MailboxLine::parse(line.as_bytes()).unwrap().deepest.unwrap();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}

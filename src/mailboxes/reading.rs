//! One mailbox line of a log, whatever a log daemon put around it.

use std::time::SystemTime;

use status::escape::escaped;

/// What one line says of the mailboxes of one actor kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// When the node wrote it, where the line says so.
    pub(super) time: Option<SystemTime>,
    pub(super) actor: String,
    pub(super) instances: u64,
    pub(super) depth: u64,
    /// The fullest instance and what waits there, `b.example:31`; `None` where nothing waits.
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

impl Reading {
    /// Reads a line; `None` if it is none of ours, or says too little.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let text = without_escapes(&String::from_utf8_lossy(line));
        let (prefix, pairs) = halves(&text)?;
        let mut reading = Self {
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
        let mut counted = [false; 2];
        for (key, value) in Pairs(pairs) {
            match key {
                "actor" => reading.actor = name(&value, LONGEST_ACTOR)?,
                "instances" => reading.instances = number(&value)?,
                "depth" => reading.depth = number(&value)?,
                "deepest" => reading.deepest = name(&value, LONGEST_INSTANCE).filter(|name| name != "-"),
                "peak" => (reading.peak, counted[0]) = (number(&value)?, true),
                "capacity" => (reading.capacity, counted[1]) = (number(&value)?, true),
                "rate" => reading.rate = number(&value)?,
                "wait_p50" => reading.wait_p50 = name(&value, LONGEST_WAIT)?,
                "wait_p99" => reading.wait_p99 = name(&value, LONGEST_WAIT)?,
                "refused" => reading.refused = number(&value)?,
                "restarts" => reading.restarts = number(&value)?,
                _ => {}
            }
        }
        (!reading.actor.is_empty() && counted == [true; 2]).then_some(reading)
    }

    /// Whether a mailbox was as full as it may be since the line before.
    pub(super) fn reached_capacity(&self) -> bool {
        self.capacity > 0 && self.peak >= self.capacity
    }

    /// Peak by capacity.
    pub(super) fn share(&self) -> f64 {
        if self.capacity == 0 { 0.0 } else { self.peak as f64 / self.capacity as f64 }
    }
}

/// What stands before the event, and its pairs.
///
/// The first target in a line is the node's own word; what a peer said stands further right, and may look like this.
fn halves(text: &str) -> Option<(&str, &str)> {
    let (prefix, event) = match text.trim_start().strip_prefix(EVENT) {
        Some(pairs) => ("", pairs),
        None => {
            let (prefix, event) = text.split_once(TARGETS)?;
            (prefix, event.strip_prefix(TARGET)?.trim_start().strip_prefix(EVENT)?)
        }
    };
    event.starts_with("actor=").then_some((prefix, event))
}

/// The `key=value` pairs of an event, as the log writes them.
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

/// The number that `text` begins with: `1823/s`.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// A word to be shown, cut to `longest` characters; nothing in it moves the cursor.
fn name(text: &str, longest: usize) -> Option<String> {
    let shown: String = escaped(text).chars().take(longest).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A point in time as the node writes it, `2026-11-22T16:48:25.123Z`, with nothing behind it.
fn time(word: &str) -> Option<SystemTime> {
    let tail = word.get(word.len().saturating_sub(LONGEST_TIME)..)?;
    humantime::parse_rfc3339(tail).or_else(|_| humantime::parse_rfc3339(word)).ok()
}

/// Cuts the sequences that colour a terminal.
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

/// What every target of the node begins with.
const TARGETS: &str = " nuncio::";

/// The rest of the target of the mailbox lines.
const TARGET: &str = "mailbox ";

/// What the event says before its pairs.
const EVENT: &str = "mailbox ";

/// Ours have up to nine letters.
const LONGEST_ACTOR: usize = 24;

/// Room for a domain pair of common length; DNS allows 253 letters for each.
const LONGEST_INSTANCE: usize = 100;

const LONGEST_WAIT: usize = 8;

/// `2026-11-22T16:48:25.123Z`; in JSON other letters stand before it.
const LONGEST_TIME: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "mailbox actor=outgoing instances=212 depth=40 deepest=b.example:31 peak=512 capacity=1024 \
         handled=18233 rate=1823/s wait_p50=35us wait_p99=1.2ms refused=7 restarts=1";

    #[test]
    fn the_line_of_the_interface_is_read_value_for_value() {
        let reading = Reading::of(LINE.as_bytes()).unwrap();
        let expected = Reading {
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
        assert_eq!(reading, expected);
    }

    #[test]
    fn what_others_put_around_it_does_not_matter() {
        let own = format!("2026-11-22T16:48:25.123Z INFO  nuncio::mailbox {LINE}");
        let time = humantime::parse_rfc3339("2026-11-22T16:48:25.123Z").unwrap();
        for line in [
            own.clone(),
            own.replace("INFO ", "\u{1b}[32mINFO \u{1b}[0m"),
            format!("Nov 22 17:48:25 host nuncio[812]: {own}"),
            format!("nuncio-1  | {own}\r"),
            format!(r#"{{"log":"{own}\n","stream":"stderr","time":"2026-11-22T16:48:26.5Z"}}"#),
        ] {
            let reading = Reading::of(line.as_bytes()).unwrap_or_else(|| panic!("not read: {line}"));
            assert_eq!((reading.time, reading.refused, reading.restarts), (Some(time), 7, 1), "{line}");
            assert_eq!(reading.deepest.as_deref(), Some("b.example:31"), "{line}");
        }
    }

    #[test]
    fn an_instance_of_two_domains_stands_in_quotes() {
        let line = LINE.replace("b.example:31", "\"a.example > b.example:31\"");
        assert_eq!(
            Reading::of(line.as_bytes()).unwrap().deepest.as_deref(),
            Some("a.example > b.example:31")
        );
        let line = LINE.replace("b.example:31", "-");
        assert_eq!(Reading::of(line.as_bytes()).unwrap().deepest, None);
    }

    #[test]
    fn nobody_but_the_node_writes_mailbox_lines() {
        let said =
            format!("2026-11-22T16:48:25Z WARN  nuncio::incoming closed text=\"x nuncio::mailbox {LINE}\"");
        assert_eq!(Reading::of(said.as_bytes()), None);
        let said = format!("2026-11-22T16:48:25Z INFO  nuncio::incoming {LINE}");
        assert_eq!(Reading::of(said.as_bytes()), None);
    }

    #[test]
    fn garbage_and_halves_are_passed_over() {
        for length in 0..LINE.len() {
            // Whatever comes of it, it has to be read without a panic.
            let _ = Reading::of(&LINE.as_bytes()[..length]);
        }
        for line in [
            &b"\xff\xfe\x00 nuncio::mailbox mailbox actor=\xff peak=1 capacity=x"[..],
            b"mailbox actor= peak=1 capacity=1",
            b"mailbox actor=router peak=99999999999999999999 capacity=1",
            b"mailbox actor=router depth=1",
            b"\x1b[",
            b"",
        ] {
            assert_eq!(Reading::of(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn nothing_of_a_line_moves_the_cursor() {
        let line = LINE.replace("b.example:31", "\u{7}b\u{9b}2J\u{1b}]0;x");
        let shown = Reading::of(line.as_bytes()).unwrap().deepest.unwrap();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}

//! What the lines of a log say that concern mailboxes, links and the account.

use std::time::SystemTime;

use serde::Serialize;

use super::{
    entry::{Entry, Pairs, number, without_escapes, word},
    line::{MAILBOX, MAX_ACTOR, MailboxLine},
};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The figures of one kind of actor.
    Mailbox(MailboxLine),
    /// The kinds of actors that had nothing to do in the last minutes.
    Idle { time: Option<SystemTime>, kinds: Vec<String> },
    /// The account of all domains.
    Account { time: Option<SystemTime>, account: Account },
    /// A link was opened or closed.
    Link { time: Option<SystemTime>, link: Link },
    /// The node was started or stopped.
    Node { time: Option<SystemTime>, event: NodeEvent },
}

/// A start or a stop of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NodeEvent {
    /// It accepts connections.
    Started,
    /// It has closed its connections and ends.
    Stopped,
}

/// Figures of the account of all domains, in stanzas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) taken: u64,
    pub(super) written: u64,
    /// Answered with an error, at once or after a wait.
    pub(super) answered: u64,
    pub(super) dropped: u64,
    pub(super) waiting: u64,
    pub(super) difference: u64,
}

/// An event of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Opened(Direction),
    Closed(Direction),
    /// An attempt to connect failed, and stanzas wait or were answered.
    Failed,
}

/// The direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Outgoing,
    Incoming,
    Component,
}

impl Record {
    /// Parses a line; `None` if it says nothing of these.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let text = without_escapes(&text);
        // A line of which a tool has cut off time and target.
        if let Some(pairs) = text.trim_start().strip_prefix("mailbox ") {
            return Self::mailbox(None, pairs);
        }
        let entry = Entry::split(&text)?;
        match entry.target {
            MAILBOX => Self::mailbox(entry.time, entry.event.strip_prefix("mailbox ")?),
            "account" => Self::account(&entry),
            "node" => Self::node(&entry),
            "outgoing" => Self::link(&entry, "authenticated", "closed", Direction::Outgoing),
            "incoming" => Self::link(&entry, "authenticated", "closed", Direction::Incoming),
            "component" => Self::link(&entry, "connected", "disconnected", Direction::Component),
            "promise" => {
                entry.pairs_of("no link")?;
                Some(Self::Link { time: entry.time, link: Link::Failed })
            }
            _ => None,
        }
    }

    /// The time at which the node wrote the line.
    pub(super) fn time(&self) -> Option<SystemTime> {
        match self {
            Self::Mailbox(line) => line.time,
            Self::Idle { time, .. }
            | Self::Account { time, .. }
            | Self::Link { time, .. }
            | Self::Node { time, .. } => *time,
        }
    }

    fn mailbox(time: Option<SystemTime>, pairs: &str) -> Option<Self> {
        if pairs.starts_with("actor=") {
            return MailboxLine::of(time, Pairs(pairs)).map(Self::Mailbox);
        }
        let (key, value) = Pairs(pairs).next()?;
        let kinds = value.split(',').filter_map(|kind| word(kind, MAX_ACTOR)).take(MAX_IDLE).collect();
        (key == "idle").then_some(Self::Idle { time, kinds })
    }

    fn account(entry: &Entry<'_>) -> Option<Self> {
        let mut account = Account::default();
        for (key, value) in entry.pairs_of("account")? {
            match key {
                "domain" if value != "*" => return None,
                "taken" => account.taken = number(&value)?,
                "written" => account.written = number(&value)?,
                "answered" | "expired" => account.answered = account.answered.saturating_add(number(&value)?),
                "dropped" => account.dropped = number(&value)?,
                "waiting" => account.waiting = number(&value)?,
                "difference" => account.difference = number(&value)?,
                _ => {}
            }
        }
        Some(Self::Account { time: entry.time, account })
    }

    fn node(entry: &Entry<'_>) -> Option<Self> {
        let event = match entry.event.split_once([' ', ',']).map_or(entry.event, |(word, _)| word).trim_end()
        {
            "ready" => NodeEvent::Started,
            "stopped" => NodeEvent::Stopped,
            _ => return None,
        };
        Some(Self::Node { time: entry.time, event })
    }

    fn link(entry: &Entry<'_>, opens: &str, closes: &str, direction: Direction) -> Option<Self> {
        let link = if entry.pairs_of(opens).is_some() {
            Link::Opened(direction)
        } else {
            // Of an incoming stream that was never authenticated, no pair is known.
            let never_opened = |(key, value): (&str, String)| key == "pair" && value == "-";
            let is_link = !entry.pairs_of(closes)?.any(never_opened);
            is_link.then_some(Link::Closed(direction))?
        };
        Some(Self::Link { time: entry.time, link })
    }
}

/// Maximum number of kinds that a line names as idle, several times those of a node.
const MAX_IDLE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "mailbox actor=outgoing instances=212 depth=40 deepest=b.example:31 peak=512 capacity=1024 \
         handled=18233 rate=1823/s wait_p50=35us wait_p99=1.2ms refused=7 restarts=1";

    fn mailbox(line: &[u8]) -> Option<MailboxLine> {
        match Record::parse(line)? {
            Record::Mailbox(line) => Some(line),
            _ => None,
        }
    }

    #[test]
    fn every_value_of_a_line_is_parsed() {
        let parsed = mailbox(LINE.as_bytes()).unwrap();
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
            let parsed = mailbox(line.as_bytes()).unwrap_or_else(|| panic!("not read: {line}"));
            assert_eq!((parsed.time, parsed.refused, parsed.restarts), (Some(time), 7, 1), "{line}");
            assert_eq!(parsed.deepest.as_deref(), Some("b.example:31"), "{line}");
        }
    }

    #[test]
    fn an_instance_with_two_domains_is_quoted() {
        let line = LINE.replace("b.example:31", "\"a.example > b.example:31\"");
        assert_eq!(mailbox(line.as_bytes()).unwrap().deepest.as_deref(), Some("a.example > b.example:31"));
        let line = LINE.replace("b.example:31", "-");
        assert_eq!(mailbox(line.as_bytes()).unwrap().deepest, None);
    }

    #[test]
    fn text_of_a_peer_is_not_a_mailbox_line() {
        let said =
            format!("2026-11-22T16:48:25Z WARN  nuncio::incoming closed text=\"x nuncio::mailbox {LINE}\"");
        assert_eq!(mailbox(said.as_bytes()), None);
        let said = format!("2026-11-22T16:48:25Z INFO  nuncio::incoming {LINE}");
        assert_eq!(mailbox(said.as_bytes()), None);
    }

    #[test]
    fn invalid_and_incomplete_lines_are_ignored() {
        for length in 0..LINE.len() {
            // The result does not matter; parsing must not panic.
            let _ = mailbox(&LINE.as_bytes()[..length]);
        }
        for line in [
            &b"\xff\xfe\x00 nuncio::mailbox mailbox actor=\xff peak=1 capacity=x"[..],
            b"mailbox actor= peak=1 capacity=1",
            b"mailbox actor=router peak=99999999999999999999 capacity=1",
            b"mailbox actor=router depth=1",
            b"\x1b[",
            b"",
        ] {
            assert_eq!(mailbox(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_idle_kinds_of_a_line_are_parsed() {
        let line = "2026-11-22T16:48:25Z INFO  nuncio::mailbox mailbox idle=router,promise since=5m";
        let Some(Record::Idle { time, kinds }) = Record::parse(line.as_bytes()) else { panic!() };
        assert!(time.is_some());
        assert_eq!(kinds, ["router", "promise"]);
        let many = format!("mailbox idle={} since=5m", "x,".repeat(10_000));
        let Some(Record::Idle { kinds, .. }) = Record::parse(many.as_bytes()) else { panic!() };
        assert_eq!(kinds.len(), MAX_IDLE);
    }

    #[test]
    fn the_account_of_all_domains_is_parsed() {
        let line = "2026-11-22T16:48:25Z INFO  nuncio::account account domain=* taken=9 taken_bytes=900 restored=0 \
             written=4 acknowledged=4 unacked=0 uncertain=0 repeated=0 answered=1 expired=2 dropped=0 kept=0 \
             journaled=0 waiting=2 waiting_bytes=200 difference=0 difference_bytes=0";
        let Some(Record::Account { account, .. }) = Record::parse(line.as_bytes()) else { panic!() };
        let expected = Account { taken: 9, written: 4, answered: 3, dropped: 0, waiting: 2, difference: 0 };
        assert_eq!(account, expected);
        assert_eq!(Record::parse(line.replace("domain=*", "domain=b.example").as_bytes()), None);
    }

    #[test]
    fn the_node_is_started_and_stopped() {
        let event =
            |event: &str| match Record::parse(format!("2026-11-22T16:48:25Z INFO  {event}").as_bytes()) {
                Some(Record::Node { event, time: Some(_) }) => Some(event),
                None => None,
                other => panic!("{other:?}"),
            };
        for (line, expected) in [
            (
                "nuncio::node ready s2s=127.0.0.1:5269 domains=a.example components=-",
                Some(NodeEvent::Started),
            ),
            ("nuncio::node stopping signal=SIGTERM", None),
            ("nuncio::node stopped", Some(NodeEvent::Stopped)),
            (
                "nuncio::node stopped immediately, without closing the links signal=SIGTERM",
                Some(NodeEvent::Stopped),
            ),
            ("nuncio::node reloaded file=nuncio.toml", None),
            ("nuncio::router refused reason=\" nuncio::node stopped\"", None),
        ] {
            assert_eq!(event(line), expected, "{line}");
        }
    }

    #[test]
    fn links_are_opened_and_closed() {
        let link = |event: &str| match Record::parse(format!("2026-11-22T16:48:25Z INFO  {event}").as_bytes())
        {
            Some(Record::Link { link, .. }) => Some(link),
            None => None,
            other => panic!("{other:?}"),
        };
        use Direction::{Component, Incoming, Outgoing};
        for (event, expected) in [
            ("nuncio::outgoing authenticated pair=\"a > b\" address=1", Some(Link::Opened(Outgoing))),
            ("nuncio::outgoing connected pair=\"a > b\" address=1", None),
            ("nuncio::outgoing closed pair=\"a > b\" reason=\"x\"", Some(Link::Closed(Outgoing))),
            ("nuncio::incoming authenticated address=1 pair=\"a > b\"", Some(Link::Opened(Incoming))),
            ("nuncio::incoming closed address=1 pair=\"a > b\"", Some(Link::Closed(Incoming))),
            ("nuncio::incoming closed address=1 pair=- from=-", None),
            ("nuncio::component connected address=1 name=c", Some(Link::Opened(Component))),
            ("nuncio::component disconnected address=1 name=c", Some(Link::Closed(Component))),
            ("nuncio::promise no link pair=\"a > b\" reason=\"x\"", Some(Link::Failed)),
            ("nuncio::promise queued pair=\"a > b\"", None),
        ] {
            assert_eq!(link(event), expected, "{event}");
        }
    }

    #[test]
    fn control_characters_of_a_line_are_escaped() {
        let line = LINE.replace("b.example:31", "\u{7}b\u{9b}2J\u{1b}]0;x");
        let shown = mailbox(line.as_bytes()).unwrap().deepest.unwrap();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}

//! What actors say of themselves when somebody asks: links, what waits, what happened. Plain values, which
//! `nuncio sessions --json` and its like write as they are.
//!
//! Architecture Invariant: no actor, and nothing that changes after it was said.

mod time;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use xmpp::{Domain, DomainPair, certificate::Problem, policy::Policy, stream::Secured};

pub use self::time::{Seconds, Time};
use crate::{
    amount::Amount,
    display::{in_words, name_of},
};

/// A link, as the actor that owns it sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Who opened it, and what for.
    pub direction: Direction,
    /// How far it is.
    pub state: State,
    /// Whom it carries stanzas for; of a stream that proved many, the first few.
    pub pairs: Vec<Pair>,
    /// Pairs beyond those.
    pub pairs_not_shown: usize,
    /// The other end.
    pub address: Option<SocketAddr>,
    /// When it began.
    pub since: Time,
    /// What the other side, or we, authenticated with: `EXTERNAL`, `dialback`, `handshake`.
    pub mechanism: Option<String>,
    /// Absent in clear text.
    pub tls: Option<Tls>,
    /// What came.
    pub received: Amount,
    /// What was written.
    pub sent: Amount,
    /// What is still to be written.
    pub waiting: Amount,
    /// Since the last stanza.
    pub idle: Seconds,
}

/// Who opened a link, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// We, to another server.
    Outgoing,
    /// Another server.
    Incoming,
    /// A program that serves one of our domains.
    Component,
}

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Looking up names, opening the connection, or waiting for its first byte.
    Connecting,
    /// Before authentication.
    Negotiating,
    /// Stanzas pass.
    Authenticated,
    /// The closing tag is out.
    Closing,
}

/// Two domains that a link is for. A component's link has no remote one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair {
    /// Of this node.
    pub local: String,
    /// The other server's.
    pub remote: Option<String>,
}

/// How a link is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// What the peer's certificate is worth: `good`, or why it does not prove the domain.
    pub certificate: String,
    /// The same in a word or two: `good`, `expired`, `wrong-name` …
    pub verdict: String,
    /// Its last day, `2026-11-01`.
    pub expires: Option<String>,
    /// SHA-256, lower-case hex.
    pub fingerprint: Option<String>,
}

/// What waits for a link of one pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Of this node.
    pub local: String,
    /// The other server's.
    pub remote: String,
    /// What is being done about it.
    pub state: Wait,
    /// How much.
    pub waiting: Amount,
    /// How long the oldest of it has been waiting.
    pub oldest: Option<Seconds>,
    /// Until the next attempt, which is made only if something waits then.
    pub next_attempt: Option<Seconds>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// How the last one failed.
    pub trouble: Option<Trouble>,
}

/// A configured component, connected or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// The domain that it serves.
    pub name: String,
    /// Whether a connection serves it.
    pub connected: bool,
    /// Since when it is connected, or is not; the start of the node if it never was.
    pub since: Time,
    /// The end of its last connection.
    pub last_end: Option<Ending>,
    /// Stanzas that were answered with an error because it was not connected.
    pub refused: Amount,
    /// Connections that named it and had a wrong secret.
    pub rejected: Rejections,
    /// Its connection.
    pub link: Option<Link>,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Time,
    /// Why, as in the log.
    pub reason: String,
}

/// Connections with a wrong secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejections {
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last: Option<Time>,
    /// Where that came from.
    pub address: Option<IpAddr>,
}

/// What is being done about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// Too many attempts are under way; this one's turn comes.
    Turn,
    /// An attempt is being made.
    Attempt,
    /// The link stands and is being given what waited.
    Handover,
    /// A link has ended and gives back what it had not written.
    Return,
    /// Nothing, until the pause is over.
    Pause,
}

/// Why there is no link, and who can do something about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What went wrong.
    pub reason: String,
    /// Waiting would not mend it.
    pub definitive: bool,
    /// Its id among the causes that the probe knows too.
    pub cause: String,
    /// Whose side has to act.
    pub side: Side,
    /// What to do, as a sentence without its full stop.
    pub remedy: String,
}

/// Whose side has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The other server's administrator.
    Remote,
    /// This node's.
    Local,
    /// It cannot be told from here.
    Either,
    /// Time mends it.
    Nobody,
}

/// What became of the stanzas to one domain, or to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Taken in.
    pub taken: Amount,
    /// Given to the kernel on a link that stood.
    pub written: Amount,
    /// On the wire when a link died.
    pub uncertain: Amount,
    /// Answered with an error.
    pub answered: Amount,
    /// Answered because their time was over.
    pub expired: Amount,
    /// Let go by a rule.
    pub dropped: Amount,
    /// Held somewhere in the node.
    pub waiting: Amount,
}

/// At most [`TEXT`] bytes of a text that a peer may have written.
pub fn bounded(mut text: String) -> String {
    if text.len() > TEXT {
        let end = (0..=TEXT - ELLIPSIS.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str(ELLIPSIS);
    }
    text
}

impl Link {
    /// The domain that it is sorted by: the remote one, of a component its own.
    pub fn name(&self) -> &str {
        self.pairs.first().map_or("", |pair| pair.remote.as_deref().unwrap_or(&pair.local))
    }

    /// Whether it is for that remote domain.
    pub fn concerns(&self, remote: &Domain) -> bool {
        self.pairs.iter().any(|pair| pair.remote.as_deref() == Some(remote.as_str()))
    }
}

impl Pair {
    /// A few of them, and how many there are besides.
    pub fn few<'a>(pairs: impl ExactSizeIterator<Item = &'a DomainPair>) -> (Vec<Self>, usize) {
        let more = pairs.len().saturating_sub(PAIRS);
        (pairs.take(PAIRS).map(Self::from).collect(), more)
    }
}

impl Direction {
    /// The name in the log, in metrics and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Component => "component",
        }
    }
}

impl State {
    /// The name in the log and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Negotiating => "negotiating",
            Self::Authenticated => "authenticated",
            Self::Closing => "closing",
        }
    }
}

impl From<&DomainPair> for Pair {
    fn from(pair: &DomainPair) -> Self {
        Self { local: pair.local.to_string(), remote: Some(pair.remote.to_string()) }
    }
}

impl fmt::Display for Pair {
    /// Writes `a.example > b.example`, as the log does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{} > {remote}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

impl Tls {
    /// That of a stream; `remote` is whom its certificate has to prove, once that is known.
    pub fn of(secured: Option<&Secured>, remote: Option<&Domain>, policy: &Policy) -> Option<Self> {
        let secured = secured?;
        let shown = secured.certificate.as_ref();
        let judged = remote.map(|remote| secured.proves(remote, policy));
        let (certificate, verdict) = match judged {
            Some(verdict) => (in_words(&verdict), name_of(&verdict)),
            None if shown.is_some() => ("not judged yet".to_owned(), "not-judged"),
            None => ("was not presented".to_owned(), Problem::Missing.as_str()),
        };
        Some(Self {
            protocol: secured.protocol.clone(),
            cipher: secured.cipher.clone(),
            certificate: bounded(certificate),
            verdict: verdict.to_owned(),
            expires: shown.map(|certificate| certificate.expires.clone()),
            fingerprint: shown.map(|certificate| certificate.fingerprint.clone()),
        })
    }
}

impl Figures {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken.plus(other.taken),
            written: self.written.plus(other.written),
            uncertain: self.uncertain.plus(other.uncertain),
            answered: self.answered.plus(other.answered),
            expired: self.expired.plus(other.expired),
            dropped: self.dropped.plus(other.dropped),
            waiting: self.waiting.plus(other.waiting),
        }
    }
}

/// Bytes of a text in a report: a sentence and a half.
pub const TEXT: usize = 240;

const ELLIPSIS: &str = "…";

/// Pairs told of one link: dialback lets a stream prove any number.
const PAIRS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = bounded("ü".repeat(TEXT));
        assert!(text.len() <= TEXT && text.ends_with("ü…"), "{text}");
        assert_eq!(bounded("short".to_owned()), "short");
    }
}

//! What the probe has to tell: a step, and what was found there.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::cause::Cause;

/// A step on the way, taken.
#[derive(Debug)]
pub(crate) struct Step {
    /// `dns`, `tcp`, `tls` …: for machines, and the first column for people.
    pub(crate) name: &'static str,
    /// Where on the way.
    pub(crate) place: Place,
    /// What happened, for people; may have several lines.
    pub(crate) words: String,
    /// What happened, for machines.
    pub(crate) facts: Map<String, Value>,
    /// It went wrong; a later step says what follows from that.
    pub(crate) trouble: bool,
    /// What is wrong or odd.
    pub(crate) finding: Option<Finding>,
}

/// Where a step was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// On the way to ourselves, not to the remote.
    pub(crate) own: bool,
    /// The target of the DNS: `xmpp.b.example:5269`.
    pub(crate) target: Option<String>,
    /// TLS from the first byte.
    pub(crate) direct_tls: bool,
    /// Its address.
    pub(crate) address: Option<SocketAddr>,
    /// A stream of its own to try dialback, where EXTERNAL has worked.
    pub(crate) dialback_alone: bool,
}

/// What is wrong or odd.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The cause.
    pub(crate) cause: &'static Cause,
    /// What happened, in one sentence.
    pub(crate) happened: String,
    /// It ends this way; else it is only to be known.
    pub(crate) grave: bool,
    /// On our own side.
    pub(crate) own: bool,
}

impl Step {
    /// A step that went well.
    pub(crate) fn good(name: &'static str, place: &Place, words: impl Into<String>) -> Self {
        Self {
            name,
            place: place.clone(),
            words: words.into(),
            facts: Map::new(),
            trouble: false,
            finding: None,
        }
    }

    /// A step that ended the way.
    pub(crate) fn failed(
        name: &'static str,
        place: &Place,
        cause: &'static Cause,
        happened: impl Into<String>,
    ) -> Self {
        let happened = happened.into();
        let finding = Finding { cause, happened: happened.clone(), grave: true, own: place.own };
        Self { finding: Some(finding), ..Self::good(name, place, happened) }
    }

    /// A step that was taken, and about which there is something to know.
    pub(crate) fn odd(
        name: &'static str,
        place: &Place,
        cause: &'static Cause,
        happened: impl Into<String>,
    ) -> Self {
        let mut step = Self::failed(name, place, cause, happened);
        step.finding.iter_mut().for_each(|finding| finding.grave = false);
        step
    }

    /// Puts words before those that say what is wrong.
    pub(crate) fn prefix(mut self, words: &str) -> Self {
        self.words = format!("{words}{}", self.words);
        self
    }

    /// Adds what machines want to know.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Adds what is wrong or odd.
    pub(crate) fn finding(self, finding: Option<Finding>) -> Self {
        Self { finding, ..self }
    }

    /// `ok`, `trouble`, `warning` or `failed`.
    pub(crate) fn result(&self) -> &'static str {
        match &self.finding {
            None if self.trouble => "trouble",
            None => "ok",
            Some(finding) if finding.grave => "failed",
            Some(_) => "warning",
        }
    }
}

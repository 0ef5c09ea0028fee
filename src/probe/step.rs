//! A step of the probe: its result, its text, and what is wrong.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::cause::Cause;

/// A step that was taken.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) location: Location,
    /// Text before that of the finding, on the same line.
    prefix: &'static str,
    /// Lines of text. The text of the finding precedes them.
    lines: Vec<String>,
    /// The result for programs, as JSON.
    pub(crate) facts: Map<String, Value>,
    /// It failed, and a later step reports the consequence.
    pub(crate) trouble: bool,
    /// A query without a problem, to which the answer is that there is no record. Only the text shows it.
    pub(crate) nothing_found: bool,
    pub(crate) finding: Option<Finding>,
}

/// The kind of a step: what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Loading the configuration.
    Configuration,
    /// Checking `allow` and `deny`.
    Policy,
    /// A DNS query.
    Dns,
    /// Sorting the targets.
    Order,
    Tcp,
    Tls,
    Certificate,
    /// Comparing the clock with a certificate.
    Clock,
    /// A stream header.
    Stream,
    /// Stream features.
    Features,
    /// SASL EXTERNAL.
    External,
    Dialback,
    /// Acknowledgements (XEP-0198).
    Acks,
    /// A stream error see-other-host.
    Redirect,
    /// The node itself.
    Probe,
}

impl Kind {
    /// The name in the first column of the text, and in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Policy => "policy",
            Self::Dns => "dns",
            Self::Order => "order",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Stream => "stream",
            Self::Features => "features",
            Self::External => "external",
            Self::Dialback => "dialback",
            Self::Acks => "acks",
            Self::Redirect => "redirect",
            Self::Probe => "probe",
        }
    }
}

/// Where a step was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Location {
    /// At our own server, not at the remote server.
    pub(crate) own: bool,
    /// The target from the DNS or the configuration: `xmpp.b.example:5269`.
    pub(crate) target: Option<String>,
    /// The target expects TLS from the first byte (XEP-0368).
    pub(crate) direct_tls: bool,
    /// The address of the target.
    pub(crate) address: Option<SocketAddr>,
    /// On a separate stream that tests dialback, after EXTERNAL succeeded.
    pub(crate) dialback_alone: bool,
}

/// A problem that a step found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) cause: &'static Cause,
    /// The result, as one sentence.
    pub(crate) text: String,
    /// It ends the attempt. Other findings are notes.
    pub(crate) fatal: bool,
    /// On our own side.
    pub(crate) own: bool,
}

impl Step {
    /// A step that succeeded. `text` may have several lines.
    pub(crate) fn ok(kind: Kind, location: &Location, text: &str) -> Self {
        Self {
            kind,
            location: location.clone(),
            prefix: "",
            lines: text.lines().map(str::to_owned).collect(),
            facts: Map::new(),
            trouble: false,
            nothing_found: false,
            finding: None,
        }
    }

    /// A step that failed.
    pub(crate) fn failed(
        kind: Kind,
        location: &Location,
        cause: &'static Cause,
        text: impl Into<String>,
    ) -> Self {
        let finding = Finding { cause, text: text.into(), fatal: true, own: location.own };
        Self { finding: Some(finding), ..Self::ok(kind, location, "") }
    }

    /// A step that succeeded, but found a problem.
    pub(crate) fn noted(
        kind: Kind,
        location: &Location,
        cause: &'static Cause,
        text: impl Into<String>,
    ) -> Self {
        let mut step = Self::failed(kind, location, cause, text);
        step.finding.iter_mut().for_each(|finding| finding.fatal = false);
        step
    }

    /// Adds text before that of the finding.
    pub(crate) fn with_prefix(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// Adds a fact for programs.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a finding.
    pub(crate) fn with_finding(self, finding: Option<Finding>) -> Self {
        Self { finding, ..self }
    }

    /// Whether the step has no text but that of its finding.
    pub(crate) fn is_only_finding(&self) -> bool {
        self.lines.is_empty() && self.prefix.is_empty() && self.finding.is_some()
    }

    /// The step with its finding as plain text.
    pub(crate) fn without_finding(mut self) -> Self {
        self.lines = self.lines();
        self.finding = None;
        self
    }

    /// The lines of the whole text: that of the finding first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines_with(|finding| finding.text.clone())
    }

    /// The same with another text for the finding.
    pub(crate) fn lines_with(&self, text: impl Fn(&Finding) -> String) -> Vec<String> {
        let finding = self.finding.iter().map(|finding| format!("{}{}", self.prefix, text(finding)));
        finding.chain(self.lines.iter().cloned()).collect()
    }

    /// The result in JSON: `ok`, `trouble`, `warning` or `failed`.
    pub(crate) fn result(&self) -> &'static str {
        match &self.finding {
            None if self.trouble => "trouble",
            None => "ok",
            Some(finding) if finding.fatal => "failed",
            Some(_) => "warning",
        }
    }
}

//! The verdict of a probe: the path that works, what failed, and what was not tested.

use xmpp::{Domain, DomainPair, certificate::Problem, policy::Mechanism};

use super::step::Finding;

/// The verdict.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    /// The first path on which the remote server authenticated us.
    pub(crate) path: Option<&'a Path>,
    /// Findings that ended an attempt.
    pub(crate) failures: Vec<&'a Finding>,
    /// Other findings.
    pub(crate) notes: Vec<&'a Finding>,
    pub(crate) untested: Vec<&'a Untested>,
    /// No path works, but one was not tested.
    pub(crate) unknown: Option<&'a OnlyDialback>,
}

impl Verdict<'_> {
    /// The result in JSON: `ok`, `unknown` or `failed`.
    pub(crate) fn result(&self) -> &'static str {
        match (self.path, self.unknown) {
            (Some(_), _) => "ok",
            (None, Some(_)) => "unknown",
            (None, None) => "failed",
        }
    }
}

/// A path on which only dialback could authenticate us, and dialback could not be tested.
#[derive(Debug)]
pub(crate) struct OnlyDialback {
    /// The problem of the remote certificate that excludes EXTERNAL.
    pub(crate) certificate: Option<Problem>,
}

impl OnlyDialback {
    /// The verdict, as a sentence.
    pub(crate) fn sentence(&self, remote: &Domain) -> String {
        let because = self.certificate.as_ref().map(|problem| format!(" (its certificate {problem})"));
        format!(
            "Only dialback is left for {remote}{}, and it could not be tested: set s2s.dialback_secret, restart the \
             node and probe again.",
            because.unwrap_or_default()
        )
    }
}

/// A path to the remote server that works.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// Target and address.
    pub(crate) at: String,
    /// The mechanism that authenticated us.
    pub(crate) mechanism: Mechanism,
    /// Whether the server acknowledges and resumes: `no`, `yes`, `resumable`.
    pub(crate) acks: &'static str,
    /// What the loss of a connection means.
    pub(crate) consequence: &'static str,
}

/// Something that the probe did not test, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untested {
    /// The probe sends no stanza.
    Stanzas,
    /// The probe cannot connect to this machine from outside.
    Firewall,
    /// `s2s.auth` does not contain dialback.
    DialbackNotConfigured,
    /// The remote server does not offer dialback.
    DialbackNotOffered,
    /// The running node has a random dialback secret, which the probe does not know.
    DialbackSecret,
    /// Our own server requires a certificate that only the remote server has.
    OwnDialback,
}

impl Untested {
    /// The reason, as a sentence.
    pub(crate) fn sentence(&self, pair: &DomainPair) -> String {
        let remote = &pair.remote;
        match self {
            Self::Stanzas => "Stanzas: none was sent.".to_owned(),
            Self::Firewall => format!(
                "Connections from {remote} to this machine through a firewall: the probe connected from this machine."
            ),
            Self::DialbackNotConfigured => "Dialback: s2s.auth does not contain it.".to_owned(),
            Self::DialbackNotOffered => format!("Dialback: {remote} does not offer it."),
            Self::DialbackSecret => {
                "Dialback: s2s.dialback_secret is not set, so the running node uses a random secret \
                                     and would answer `invalid` for a key of this probe. Set it (or \
                                     dialback_secret_file), restart the node and probe again."
                    .to_owned()
            }
            Self::OwnDialback => format!(
                "Steps 2 and 3 of dialback at our own listener: it requires the certificate of {remote} on every \
                 connection."
            ),
        }
    }
}

//! The settings and the other actors that all incoming streams of a listener use.

use std::sync::Arc;

use super::{Authorized, LogLimits};
use crate::{
    dial::remote_policy::RemotePolicies,
    flow::{
        journal::Keeping,
        route::{Refuse, Route},
    },
    observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    streams::{accepted, resumer::Resumer, verifier::Verifier},
};
use mailbox::{Mailbox, Outlet};
use net::tls::{self, Tls};
use status::report::Direction;

/// The mailboxes of the router that a stream reports to.
#[derive(Debug)]
pub(crate) struct Owners {
    /// Stanzas.
    pub routes: Outlet<Route>,
    /// Refused stanzas.
    pub refused: Outlet<Refuse>,
}

/// Shared dependencies of all incoming streams.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The policies towards remote domains.
    pub policies: RemotePolicies,
    /// Certificates.
    pub tls: Tls,
    /// The mailboxes that streams report to.
    pub owners: Arc<Owners>,
    /// Verifies dialback keys.
    pub verifier: Mailbox<Verifier>,
    /// Remembers the counts of streams that can be resumed.
    pub resumer: Mailbox<Resumer>,
    /// The promise, which tries reachable domains again.
    pub authorized: Outlet<Authorized>,
    /// Keeps the fingerprints of certificates.
    pub fingerprints: Mailbox<Fingerprints>,
    /// Counts TLS sessions, certificate verdicts and authenticated streams.
    pub metrics: MetricsHandle,
    /// The index of the listening socket that accepted the stream.
    pub socket: usize,
    /// The listener, which counts the streams of an address.
    pub ended: Outlet<accepted::Ended>,
    /// The listener, which counts authenticated streams separately.
    pub authenticated: Outlet<accepted::Authenticated>,
    /// Limits of log lines that peers can cause.
    pub log_limits: LogLimits,
    /// The history of remote domains.
    pub recorder: RecorderHandle,
    /// Takes what waits for a while, if there is a journal.
    pub journal: Option<Keeping>,
}

impl Environment {
    pub(super) fn count_secured(&self, session: &tls::Session) {
        self.metrics.count_secured(Direction::Incoming, &session.protocol, &session.cipher);
    }
}

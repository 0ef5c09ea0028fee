//! The stream that we open to a remote domain: the handshake, and the open stream in which it ends.
//!
//! A [`Handshake`] has one of two goals. A [`Session`] authenticates us for one pair of domains and gives an
//! [`Open`] stream, which takes stanzas. A [`Verification`] asks the server of a domain about a dialback key
//! and gives its [`Answer`](crate::dialback::Answer). Both share everything up to authentication: header,
//! features, TLS.
use super::{End, Error, Header, Secured, error::Fault, features::Features, wire::Wire};
use crate::{
    DomainPair, acks,
    framer::Frame,
    policy::{Bounds, Policy},
    xml::ns,
};
use bytes::BytesMut;

mod acknowledging;
mod counted;
mod ending;
mod failure;
mod goal;
mod negotiation;
pub mod open;
mod output;
mod reading;
mod reason;
mod session;
mod state;
mod stray;
mod verification;

use goal::{Steps, Waiting};
use reason::Heard;
use state::{Protection, State};

pub use counted::{Acks, Resumable, Resumption};
pub use failure::{Cause, Failure};
pub use goal::Goal;
pub use open::Open;
pub use output::{Note, Output};
pub use session::Session;
pub use stray::Stray;
pub use verification::Verification;

/// The terms of a stream.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Our domain and the remote one.
    pub pair: DomainPair,
    /// The terms for the remote domain.
    pub policy: Policy,
    /// The most that the peer can make us read.
    pub bounds: Bounds,
    /// The TLS session, if TLS comes first (XEP-0368).
    pub direct_tls: Option<Secured>,
    /// We have a certificate for `pair.local`.
    pub certificate: bool,
    /// The acks that we want. A verification wants none.
    pub acks: acks::Options,
}

/// A stream from its header to its goal, `G`: a [`Session`] or a [`Verification`].
#[derive(Debug)]
pub struct Handshake<G: Goal> {
    plan: Plan,
    goal: G,
    wire: Wire<Output<G::Outcome>>,
    state: State<G>,
    protection: Protection,
    /// The peer's current header.
    header: Header,
    /// The peer's current offers.
    features: Features,
    /// The peer has sent a stream header, so it supports XMPP.
    greeted: bool,
    /// Elements read so far.
    elements: usize,
    /// Bytes read so far.
    bytes: usize,
    /// The last of these bytes on the stream as it is.
    heard: Heard,
    /// An answer without a question was reported.
    unsolicited: bool,
}

impl<G: Goal> Handshake<G> {
    /// A handshake whose header is ready to be transmitted.
    fn new(mut plan: Plan, goal: G) -> Self {
        let limits = plan.bounds.for_unauthenticated(plan.policy.max_stanza_unauthenticated);
        let direct_tls = plan.direct_tls.take();
        let mut handshake = Self {
            plan,
            goal,
            wire: Wire::new(ns::SERVER, limits, Output::Transmit),
            state: State::Header,
            protection: Protection::Clear { guessed: false },
            header: Header::default(),
            features: Features::default(),
            greeted: false,
            elements: 0,
            bytes: 0,
            heard: Heard::default(),
            unsolicited: false,
        };
        match direct_tls {
            Some(secured) => handshake.begin_secured(secured),
            None => handshake.begin(),
        }
        handshake
    }

    /// Takes bytes that were read from the peer.
    pub fn receive(&mut self, bytes: BytesMut) {
        match self.state {
            State::Over => {}
            State::Tls if !bytes.is_empty() => self.fail(Fault::Injected.into()),
            State::Reason(_) => self.hear_reason(&bytes),
            _ => {
                if !self.is_closing() {
                    self.bytes += bytes.len();
                    self.heard.push(&bytes);
                }
                self.wire.receive(bytes);
            }
        }
    }

    /// Takes the TLS session that [`Output::StartTls`] asked for.
    pub fn secured(&mut self, secured: Secured) {
        if matches!(self.state, State::Tls) {
            self.wire.restart();
            self.begin_secured(secured);
        }
    }

    /// Whether the handshake has failed for a cause that we concluded, and the peer may still send its own
    /// reason. The driver should wait for it no longer than a round trip, then call [`Handshake::conclude`].
    pub fn awaits_reason(&self) -> bool {
        matches!(self.state, State::Reason(_))
    }

    /// The peer sends no reason: [`Output::Failed`] follows with our cause.
    pub fn conclude(&mut self) {
        if let State::Reason(cause) = &self.state {
            self.failed(cause.clone());
        }
    }

    /// Gives the handshake up and closes the stream. [`Output::Ended`] follows when the peer has closed its
    /// side too.
    pub fn close(&mut self, error: Option<Error>) {
        match self.state {
            State::Closing(_) | State::Over => {}
            State::Reason(_) => self.conclude(),
            // No tag can be read during a TLS handshake (RFC 6120 section 5.4.3.2).
            State::Tls => self.end(error.map_or(End::Closed, End::ByUs)),
            _ => {
                self.wire.close(error.as_ref());
                self.state = State::Closing(error.map_or(End::Closed, End::ByUs));
            }
        }
    }

    /// The next thing to do; `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output<G::Outcome>> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            match std::mem::replace(&mut self.state, State::Over) {
                State::Reached(reached) => return Some(Output::Completed(G::outcome(self, reached))),
                State::Over => return None,
                state @ (State::Tls | State::Reason(_)) => {
                    self.state = state;
                    return None;
                }
                state => self.state = state,
            }
            let step = match self.next() {
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Element(element))) => self.element(&element),
                Ok(Some(Frame::Footer)) => self.footer(),
                Ok(None) if self.is_ready() => G::authenticate(self),
                Ok(None) => return None,
                Err(fault) => Err(fault.into()),
            };
            if let Err(cause) = step {
                self.fail(cause);
            }
        }
    }

    /// Whether the peer's closing tag is missing. A peer owes one as soon as it has our header.
    pub fn is_open(&self) -> bool {
        !self.wire.is_closed()
    }

    /// The TLS session; `None` in clear text, and after [`Output::Completed`] of a session, which has it
    /// then.
    pub fn transport(&self) -> Option<&Secured> {
        match &self.protection {
            Protection::Clear { .. } => None,
            Protection::Tls { secured, .. } => Some(secured),
        }
    }

    /// Whether all received bytes are read, so that authentication goes on.
    fn is_ready(&self) -> bool {
        match self.state {
            State::Unversioned => true,
            State::Goal(waiting) => waiting.is_answered(),
            _ => false,
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, Fault> {
        if !self.is_closing() && self.bytes > self.plan.bounds.early_bytes {
            return Err(Fault::TooMany("bytes before authentication"));
        }
        self.wire.next()
    }

    fn begin(&mut self) {
        let header = Header {
            from: Some(self.plan.pair.local.clone()),
            to: Some(self.plan.pair.remote.clone()),
            version: Some(super::header::VERSION),
            dialback: self.goal.uses_dialback(&self.plan.policy),
            ..Header::default()
        };
        self.wire.open(&header);
        self.heard.clear();
        self.state = State::Header;
    }

    /// Goes on within TLS, if the policy accepts the certificate.
    fn begin_secured(&mut self, secured: Secured) {
        let verdict = secured.proves(&self.plan.pair.remote, &self.plan.policy);
        self.wire.emit(Output::CertificateVerified(verdict.clone()));
        self.protection = Protection::Tls { secured: Box::new(secured), verdict };
        self.begin();
        if let Err(cause) = self.admit() {
            self.fail(cause);
        }
    }
}

#[cfg(test)]
mod tests;

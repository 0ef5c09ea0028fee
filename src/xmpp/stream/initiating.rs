//! The stream that we open to a remote domain: the handshake, and the open stream in which it ends.
//!
//! A [`Handshake`] has one of two goals. A [`Session`] authenticates us for one pair of domains and gives an
//! [`Open`] stream, which takes stanzas. A [`Verification`] asks the server of a domain about a dialback key
//! and gives its [`Answer`](crate::dialback::Answer). Both share everything up to authentication: header,
//! features, TLS.
use super::{
    End, Error, Header, Secured, Stage,
    error::Fault,
    features::Features,
    wire::{self, Wire},
};
use crate::{
    DomainPair, acks,
    certificate::Problem,
    framer::{self, Frame},
    policy::{Bounds, Mechanism, Policy},
    sasl,
    truncate::truncate,
    xml::{self, ns},
};
use bytes::{Bytes, BytesMut};

mod acknowledging;
mod counted;
mod ending;
mod failure;
mod goal;
mod negotiation;
pub mod open;
mod reason;
mod session;
mod stray;
mod verification;

use goal::{Steps, Waiting};
use reason::Heard;

pub use counted::{Acks, Resumable, Resumption};
pub use failure::{Cause, Failure};
pub use goal::Goal;
pub use open::Open;
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

/// The next thing for the driver to do. `T` is the outcome of the goal.
#[derive(Debug)]
pub enum Output<T> {
    /// Write these bytes.
    Transmit(Bytes),
    /// Begin the TLS handshake once everything transmitted is written, then call [`Handshake::secured`].
    StartTls,
    /// Whether the peer's certificate proves its domain, for the log.
    CertificateVerified(Result<(), Problem>),
    /// A step of the negotiation, for an observer.
    Noted(Note),
    /// The peer has sent an answer to a question that we did not ask. It is ignored; reported once, for the
    /// log.
    Unsolicited {
        /// `result` or `verify`.
        element: String,
    },
    /// The goal is reached, and the handshake is over: an [`Open`] stream, or the answer about a dialback
    /// key.
    Completed(T),
    /// The goal cannot be reached. Write what was transmitted, then close.
    Failed(Failure),
    /// The stream is over after [`Handshake::close`]. Write what was transmitted, then close.
    Ended(End),
}

/// A step of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The peer has answered our header with this one.
    Greeted(Header),
    /// The peer offers these features now.
    Offered(Features),
    /// We try this mechanism.
    Tried(Mechanism),
    /// The peer has refused our certificate. Another mechanism may follow.
    ExternalRefused(sasl::Failure),
}

/// The next thing that the handshake needs.
#[derive(Debug)]
enum State<G: Goal> {
    /// The peer's header.
    Header,
    /// The end of the received bytes: the peer is from before XMPP 1.0 and has no features, but may have sent
    /// an error behind its header.
    Unversioned,
    /// The peer's features.
    Features,
    /// The answer to `<starttls/>`.
    Proceed,
    /// The TLS session.
    Tls,
    /// The answer that the goal waits for.
    Goal(G::Waiting),
    /// The driver: it takes the outcome once it has taken everything that is ready.
    Reached(G::Reached),
    /// The peer's reason. The handshake has failed with this cause of ours, and our closing tag is sent.
    Reason(Cause),
    /// The peer's closing tag. Ours is sent, and the stream ends like this.
    Closing(End),
    /// Nothing.
    Over,
}

/// The protection of the connection.
#[derive(Debug)]
enum Protection {
    /// None so far.
    Clear {
        /// TLS was requested although it was not offered, and the answer is missing.
        guessed: bool,
    },
    /// TLS.
    Tls {
        /// The session.
        secured: Box<Secured>,
        /// Whether the certificate proves the remote domain.
        verdict: Result<(), Problem>,
    },
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

    /// The point at which the handshake is.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Header => Stage::Header,
            State::Unversioned | State::Features => Stage::Features,
            State::Proceed => Stage::StartTls,
            State::Tls => Stage::Tls,
            State::Goal(waiting) => waiting.stage(),
            State::Reached(_) => Stage::Open,
            State::Reason(_) | State::Closing(_) => Stage::ClosingTag,
            State::Over => Stage::Over,
        }
    }

    fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(_))
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

    fn header(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if !matches!(self.state, State::Header) {
            return Ok(());
        }
        let header = self.wire.header(bytes);
        self.greeted |= !matches!(header, Err(Fault::NotAStream));
        self.header = header?;
        self.wire.emit(Output::Noted(Note::Greeted(self.header.clone())));
        self.features = Features::default();
        // COMPAT: servers from before XMPP 1.0 send no features; dialback is all they know.
        self.state = if self.header.is_modern() { State::Features } else { State::Unversioned };
        Ok(())
    }

    fn element(&mut self, element: &framer::RawElement) -> Result<(), Cause> {
        let closing = self.is_closing();
        if closing && !open::concerns_the_stream(element, &self.plan.policy) {
            return Ok(());
        }
        if wire::is_stanza(element) {
            return Err(Fault::AgainstTheStream.into());
        }
        self.elements += 1;
        if self.elements > open::ELEMENTS {
            return Err(Fault::TooMany("elements that are not an answer").into());
        }
        let element = self.wire.read(element, wire::TAGS_OF_FEATURES)?;
        match (element.namespace.as_str(), element.name.as_str(), &self.state) {
            (ns::STREAM, "error", _) => self.peer_error(Error::parse(&element)),
            (_, _, State::Closing(_)) => Ok(()),
            (ns::STREAM, "features", State::Features | State::Unversioned) => {
                self.features = Features::parse(&element);
                self.wire.emit(Output::Noted(Note::Offered(self.features.clone())));
                self.negotiate()
            }
            (ns::STREAM, "features", _) => Ok(()),
            (ns::TLS, "proceed", State::Proceed) => self.start_tls(),
            (ns::TLS, "failure", State::Proceed) if self.has_guessed() => Err(Cause::TlsUnavailable),
            (ns::TLS, "failure", State::Proceed) => Err(Cause::TlsRefused),
            (_, _, State::Goal(waiting)) => {
                let waiting = *waiting;
                match G::answered(self, waiting, &element)? {
                    true => Ok(()),
                    false => self.unexpected(&element),
                }
            }
            _ => self.unexpected(&element),
        }
    }

    fn unexpected(&mut self, element: &xml::Element) -> Result<(), Cause> {
        match element.namespace.as_str() {
            // An answer without a question is ignored (XEP-0220 sections 2.1.1 and 2.1.2).
            ns::DIALBACK => {
                self.report_unsolicited(element);
                Ok(())
            }
            // Acks without a request end no stream.
            ns::ACKS if self.plan.acks.enabled => Ok(()),
            ns::CLIENT | ns::COMPONENT => Err(Fault::ForeignElement { name: element.name.clone() }.into()),
            _ => Err(Fault::Unexpected { name: element.name.clone() }.into()),
        }
    }

    fn report_unsolicited(&mut self, element: &xml::Element) {
        if !std::mem::replace(&mut self.unsolicited, true) {
            self.wire.emit(Output::Unsolicited { element: truncate(&element.name).into_owned() });
        }
    }
}

#[cfg(test)]
mod tests;

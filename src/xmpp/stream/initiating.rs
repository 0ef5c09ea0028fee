//! The stream that we open to a remote domain: we authenticate ourselves for one pair of domains, then send stanzas.
//!
//! Nothing but answers is taken from it, those of the negotiation and error stanzas: the remote's own stanzas come on a
//! stream that it opens.
use super::{
    End, Error, Header, Secured,
    error::Fault,
    features::Features,
    wire::{self, Wire},
};
use crate::{
    DomainPair, Stanza,
    brief::brief,
    certificate::Problem,
    dialback,
    framer::{self, Frame},
    policy::{self, Admission, Bounds, Mechanism, Policy, Refusal},
    sasl,
    stanza::Intake,
    xml::{self, ns},
};
use bytes::{Bytes, BytesMut};

mod answers;
mod ending;
mod failure;
mod negotiation;
mod reason;

use reason::Heard;

pub use answers::Stray;
pub use failure::{Cause, Failure};

/// What the stream is for and on which terms.
#[derive(Clone, Debug)]
pub struct Plan {
    /// who speaks to whom
    pub pair: DomainPair,
    /// what for
    pub purpose: Purpose,
    /// terms for the remote domain
    pub policy: Policy,
    /// what the peer may make us read
    pub bounds: Bounds,
    /// what TLS gave, when it comes first (XEP-0368)
    pub direct_tls: Option<Secured>,
    /// whether we can show a certificate for `pair.local`
    pub certificate: bool,
}

/// What a stream is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// stanzas
    Session,
    /// asks the authoritative server of `pair.remote` about a key that was shown to `pair.local`
    Verify(dialback::Request),
}

/// The machine.
#[derive(Debug)]
pub struct Initiating {
    plan: Plan,
    wire: Wire<Output>,
    state: State,
    /// there once TLS is
    secured: Option<Secured>,
    /// over TLS: whether the certificate proves the remote
    certificate: Result<(), Problem>,
    /// the peer's current header
    header: Header,
    /// the peer sent a stream header, so it speaks XMPP
    met: bool,
    /// what the peer offers now
    features: Features,
    /// TLS was asked for although it was not offered
    unoffered: bool,
    /// how EXTERNAL failed
    external: Option<sasl::Failure>,
    /// our identity was asked for again
    challenged: bool,
    /// SASL succeeded
    authenticated: bool,
    /// elements that had to be read so far; few are needed, and none but an error once it is established
    elements: usize,
    /// bytes before there was an outcome
    early_bytes: usize,
    /// the last of these bytes on the stream as it is
    heard: Heard,
    /// why it failed, unless the peer gives another reason
    conclusion: Option<Cause>,
    /// reads error stanzas, once it is established
    intake: Option<Intake>,
    /// the peer answered what nobody asked, and that was told
    unasked: bool,
    /// there was an outcome, or it is no longer wanted
    settled: bool,
    /// how the stream ends when the peer closes too
    ending: End,
}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// begin the handshake once everything transmitted is written, then call [`Initiating::secured`]
    StartTls,
    /// what the peer's certificate is worth; for the log
    Judged(Result<(), Problem>),
    /// how far the negotiation is; for whoever watches
    Noted(Note),
    /// stanzas may be written from now on
    Established(Established),
    /// the answer to `Purpose::Verify`; `Ended` follows
    Verified(dialback::Answer),
    /// it will not be established; flush what was transmitted, then close
    Failed(Failure),
    /// the peer sent what answers nothing of ours, and was not believed; for the log, once a stream
    Unasked {
        /// `result` or `verify`
        element: String,
    },
    /// an error stanza between the domains of the pair: the answer to one of ours
    Answer(Stanza),
    /// the peer sent something else on an established stream, which is dropped
    Stray(Stray),
    /// it was established (or closed by us) and is over; flush what was transmitted, then close
    Ended(End),
}

/// A step of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// the peer answered our header with this one
    Greeted(Header),
    /// it offers this now
    Offered(Features),
    /// we try this mechanism
    Tried(Mechanism),
    /// it refused our certificate; another mechanism may follow
    ExternalRefused(sasl::Failure),
}

/// What came out of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// what authenticated us
    pub mechanism: Mechanism,
    /// over TLS
    pub secured: bool,
    /// the peer's limit for one stanza, in bytes (XEP-0478)
    pub max_stanza: Option<usize>,
    /// after how many seconds without traffic the peer closes (XEP-0478)
    pub idle_seconds: Option<u64>,
}

/// What the stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectHeader,
    /// nothing: the peer is from before XMPP 1.0, and what came with its header may end the stream before we speak
    Unversioned,
    ExpectFeatures,
    ExpectProceed,
    ExpectTls,
    /// of SASL
    ExpectOutcome,
    /// nothing: EXTERNAL was refused, and what came with the refusal may end the stream before the next mechanism
    Refused,
    /// of dialback
    ExpectResult,
    /// on somebody else's key
    ExpectVerdict,
    /// nothing: it is ours to speak
    Established,
    /// the peer's reason: it failed, our closing tag is out
    ExpectReason,
    /// our closing tag is out
    ExpectFooter,
    Over,
}

impl Initiating {
    /// A stream whose header waits to be transmitted.
    pub fn new(plan: Plan) -> Self {
        let limits = plan.bounds.for_stranger(plan.policy.max_stanza_unauthenticated);
        let wire = Wire::new(ns::SERVER, limits, Output::Transmit);
        let mut stream = Self {
            wire,
            state: State::ExpectHeader,
            secured: None,
            certificate: Err(Problem::Missing),
            header: Header::default(),
            met: false,
            features: Features::default(),
            unoffered: false,
            external: None,
            challenged: false,
            authenticated: false,
            elements: 0,
            early_bytes: 0,
            heard: Heard::default(),
            conclusion: None,
            intake: None,
            unasked: false,
            settled: false,
            ending: End::Closed,
            plan,
        };
        match stream.plan.direct_tls.take() {
            Some(secured) => stream.begin_secured(secured),
            None => stream.begin(),
        }
        stream
    }

    /// Takes what was read.
    pub fn receive(&mut self, bytes: BytesMut) {
        match self.state {
            State::Over => {}
            State::ExpectTls if !bytes.is_empty() => self.fail(Fault::Injected.into()),
            State::ExpectReason => self.hear_reason(&bytes),
            _ => {
                if !self.settled {
                    self.early_bytes += bytes.len();
                    self.heard.push(&bytes);
                }
                if let Some(intake) = &mut self.intake {
                    intake.begin_read();
                }
                self.wire.receive(bytes);
            }
        }
    }

    /// Takes what the handshake gave that [`Output::StartTls`] asked for.
    pub fn secured(&mut self, secured: Secured) {
        if self.state == State::ExpectTls {
            self.wire.restart();
            self.begin_secured(secured);
        }
    }

    /// Whether the stream has failed for a reason that we concluded, and the peer may still tell its own, which takes
    /// no longer than its answer to our closing tag.
    pub fn awaits_reason(&self) -> bool {
        self.state == State::ExpectReason
    }

    /// Takes that the peer tells no reason: [`Output::Failed`] follows with ours.
    pub fn conclude(&mut self) {
        if let Some(cause) = self.conclusion.take() {
            self.failed(cause);
        }
    }

    /// Closes the stream; [`Output::Ended`] follows when the peer closed its side too.
    pub fn close(&mut self, error: Option<Error>) {
        if matches!(self.state, State::ExpectReason | State::ExpectFooter | State::Over) {
            return self.conclude();
        }
        self.settled = true;
        match self.state {
            // No tag can be read in the middle of a handshake (RFC 6120 5.4.3.2).
            State::ExpectTls => self.end(error.map_or(End::Closed, End::ByUs)),
            _ => {
                self.wire.close(error.as_ref());
                self.ending = error.map_or(End::Closed, End::ByUs);
                self.state = State::ExpectFooter;
            }
        }
    }

    /// The next thing to do, `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            if matches!(self.state, State::ExpectTls | State::ExpectReason | State::Over) {
                return None;
            }
            let step = match self.next() {
                Ok(None) if self.state == State::Refused => self.authenticate(),
                Ok(None) if self.state == State::Unversioned => self.go_on_without_features(),
                Ok(None) => return None,
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Element(element))) => self.element(element),
                Ok(Some(Frame::Footer)) => self.footer(),
                Err(fault) => Err(fault.into()),
            };
            if let Err(cause) = step {
                self.fail(cause);
            }
        }
    }

    /// Whether the peer's closing tag is still to come. It answers our header, also when we close before it could.
    pub fn is_open(&self) -> bool {
        !self.wire.is_closed()
    }

    /// Whether stanzas may be written.
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// What TLS gave; `None`: clear text.
    pub fn transport(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// The terms for the peer.
    pub fn policy(&self) -> &Policy {
        &self.plan.policy
    }

    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        match self.state {
            State::ExpectHeader => EXPECT_HEADER,
            State::Unversioned | State::ExpectFeatures => "waiting for the stream features",
            State::ExpectProceed => "waiting for leave to start TLS",
            State::ExpectTls => "negotiating TLS",
            State::ExpectOutcome | State::Refused => "waiting for the answer to our certificate",
            State::ExpectResult => EXPECT_RESULT,
            State::ExpectVerdict => "waiting for the verdict on a dialback key",
            State::Established => "established",
            State::ExpectReason | State::ExpectFooter => "waiting for the closing tag",
            State::Over => "over",
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, Fault> {
        if !self.settled && self.early_bytes > self.plan.bounds.early_bytes {
            return Err(Fault::TooMany("bytes before authentication"));
        }
        self.wire.next()
    }

    fn begin(&mut self) {
        let header = Header {
            from: Some(self.plan.pair.local.clone()),
            to: Some(self.plan.pair.remote.clone()),
            version: Some(super::header::VERSION),
            dialback: self.is_verification() || self.plan.policy.allows(Mechanism::Dialback),
            ..Header::default()
        };
        self.wire.open(&header);
        self.heard.clear();
        self.state = State::ExpectHeader;
    }

    /// Goes on within TLS, if the certificate lets it.
    fn begin_secured(&mut self, secured: Secured) {
        self.certificate = secured.proves(&self.plan.pair.remote, &self.plan.policy);
        self.secured = Some(secured);
        self.wire.emit(Output::Judged(self.certificate.clone()));
        self.begin();
        if let Err(cause) = self.admit() {
            self.fail(cause);
        }
    }

    /// Asks the policy what may vouch for the remote on this link as it is.
    fn admit(&self) -> Result<Admission, Cause> {
        let verdict = policy::admit(&self.plan.policy, self.secured.is_some(), self.certificate.clone());
        verdict.map_err(|refused| match refused {
            Refusal::TlsRequired => Cause::TlsUnavailable,
            Refusal::TlsForbidden => Cause::TlsForbidden,
            Refusal::Certificate(problem) => Cause::Certificate(problem),
            Refusal::NoMechanism => Cause::NoMechanism,
        })
    }

    fn is_verification(&self) -> bool {
        matches!(self.plan.purpose, Purpose::Verify(_))
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if self.state != State::ExpectHeader {
            return Ok(());
        }
        let header = self.wire.header(bytes);
        self.met |= !matches!(header, Err(Fault::NotAStream));
        self.header = header?;
        self.wire.emit(Output::Noted(Note::Greeted(self.header.clone())));
        self.features = Features::default();
        if self.header.is_modern() {
            self.state = State::ExpectFeatures;
            return Ok(());
        }
        self.state = State::Unversioned;
        Ok(())
    }

    /// COMPAT: servers from before XMPP 1.0 send no features; dialback is all they know.
    fn go_on_without_features(&mut self) -> Result<(), Cause> {
        match self.authenticated {
            true => self.establish(Mechanism::External),
            false => self.authenticate(),
        }
    }

    fn element(&mut self, element: framer::Element) -> Result<(), Cause> {
        if self.settled && !self.may_concern_the_stream(&element) {
            self.take_answer(element);
            return Ok(());
        }
        if wire::is_stanza(&element) {
            return Err(Fault::AgainstTheStream.into());
        }
        self.elements += 1;
        if self.elements > ELEMENTS {
            return Err(Fault::TooMany("elements that are not an answer").into());
        }
        let element = self.wire.read(&element, wire::TAGS_OF_FEATURES)?;
        match (element.namespace.as_str(), element.name.as_str(), self.state) {
            (ns::STREAM, "error", _) => self.peer_error(Error::parse(&element)),
            (_, _, State::ExpectFooter) => Ok(()),
            (ns::STREAM, "features", State::ExpectFeatures | State::Unversioned) => {
                self.features = Features::parse(&element);
                self.wire.emit(Output::Noted(Note::Offered(self.features.clone())));
                self.negotiate()
            }
            (ns::STREAM, "features", _) => Ok(()),
            (ns::TLS, "proceed", State::ExpectProceed) => self.start_tls(),
            (ns::TLS, "failure", State::ExpectProceed) if self.unoffered => Err(Cause::TlsUnavailable),
            (ns::TLS, "failure", State::ExpectProceed) => Err(Cause::TlsRefused),
            (ns::SASL, _, State::ExpectOutcome) => self.outcome(&element),
            (ns::DIALBACK, "result", State::ExpectResult) => self.dialback_result(&element),
            (ns::DIALBACK, "verify", State::ExpectVerdict) => self.dialback_verdict(&element),
            // What answers no question of ours is dropped (XEP-0220 2.1.1, 2.1.2).
            (ns::DIALBACK, ..) => {
                self.tell_unasked(&element);
                Ok(())
            }
            _ if self.settled => {
                self.wire.emit(Output::Stray(Stray::NoStanza));
                Ok(())
            }
            (ns::CLIENT | ns::COMPONENT, ..) => Err(Fault::ForeignElement { name: element.name }.into()),
            _ => Err(Fault::Unexpected { name: element.name }.into()),
        }
    }

    /// Notes an answer of dialback to something else than what we asked on this stream.
    fn tell_unasked(&mut self, element: &xml::Element) {
        if !std::mem::replace(&mut self.unasked, true) {
            self.wire.emit(Output::Unasked { element: brief(&element.name).into_owned() });
        }
    }
}

/// What a stream waits for at first, and again behind TLS.
pub const EXPECT_HEADER: &str = "waiting for the stream header";

/// What a stream waits for whose dialback key the peer is having verified.
pub const EXPECT_RESULT: &str = "waiting for the answer to our dialback key";

/// Elements of one stream that are read: a negotiation takes about ten. Those that an established stream drops unread do
/// not count.
const ELEMENTS: usize = 64;

#[cfg(test)]
mod tests;

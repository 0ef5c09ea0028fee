//! The stream that a remote server opens to us: the handshake, and the open stream in which it ends.
//!
//! A [`Handshake`] lasts until the peer has proved itself for a first pair of domains. It gives an [`Open`]
//! stream, which brings the stanzas of that pair. The peer may go on to negotiate there: a new header follows
//! EXTERNAL, and dialback proves further pairs. We send nothing but answers of the negotiation: stanzas to
//! the remote take a stream that we open.
use super::{
    End, Error, Header, Secured, Stage,
    error::Fault,
    wire::{self, Wire},
};
use crate::{
    Domain,
    certificate::{Certificate, Problem},
    dialback,
    framer::{self, Frame},
    policy::{Rules, Tls},
    stanza,
    xml::{Element, ns},
};
use bytes::{Bytes, BytesMut};
use std::{fmt, sync::Arc};

mod acknowledging;
mod acks;
mod authentication;
mod change;
mod negotiation;
pub mod open;
mod opening;
mod refusing;
mod status;

use negotiation::{Asked, Common, Negotiation, Proved, Verified};

pub use acknowledging::Claim;
pub use open::Open;
pub use status::Status;

/// A stream from its header to the first pair of domains that the peer proves.
pub struct Handshake {
    negotiation: Negotiation<Output>,
    /// The first pairs that the peer has proved. The stream opens once everything ready is with the driver.
    proved: Vec<Proved>,
    /// `<proceed/>` is sent, and the TLS session is missing.
    awaits_tls: bool,
    /// Elements read so far.
    elements: usize,
    /// Bytes read so far.
    bytes: usize,
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// Begin the TLS handshake once everything transmitted is written, then call [`Handshake::secured`].
    StartTls,
    /// An acceptable header came: on the plain stream, and again after TLS. When it has no `to`, this waits
    /// for the first question of dialback, which has one.
    Opened {
        /// The peer, as it calls itself.
        from: Option<Domain>,
        /// Our domain that it wants.
        to: Domain,
        /// The verdict on the peer's certificate, over TLS and when `from` is there. For the log.
        certificate: Option<Result<(), Problem>>,
    },
    /// Ask the authoritative server of `pair.remote`, then call [`Handshake::verified`], or
    /// [`Open::verified`] if the stream has opened meanwhile.
    Verify(dialback::Request),
    /// The peer did not get what it requested, and the stream goes on. Reported once for each kind, for the
    /// log.
    Refused {
        /// The peer, as it calls itself.
        remote: Option<Domain>,
        /// The reason, in plain words.
        reason: String,
    },
    /// The peer has proved itself, and the handshake is over. The first output of the open stream names the
    /// pair.
    Completed(Box<Open>),
    /// The stream is over. Write what was transmitted, then close.
    Ended(End),
}

impl From<Common> for Output {
    fn from(common: Common) -> Self {
        match common {
            Common::Verify(request) => Self::Verify(request),
            Common::Refused { remote, reason } => Self::Refused { remote, reason },
            Common::Ended(end) => Self::Ended(end),
        }
    }
}

impl Handshake {
    /// A stream that waits for its header. `ids` gives unpredictable stream ids, each of them once.
    pub fn new(
        rules: Arc<Rules>,
        direct_tls: Option<Secured>,
        ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        let max = rules.default_policy().max_stanza_unauthenticated;
        let wire = Wire::new(ns::SERVER, rules.bounds().for_unauthenticated(max), Output::Transmit);
        Self {
            negotiation: Negotiation::new(rules, direct_tls, ids, wire),
            proved: Vec::new(),
            awaits_tls: false,
            elements: 0,
            bytes: 0,
        }
    }

    /// Takes bytes that were read from the peer. Those between `<proceed/>` and TLS are thrown away (RFC 6120
    /// section 5.4.3.3).
    pub fn receive(&mut self, bytes: BytesMut) {
        if !self.awaits_tls && !self.negotiation.is_over() {
            self.bytes += bytes.len();
            self.negotiation.wire.receive(bytes);
        }
    }

    /// Takes the TLS session that [`Output::StartTls`] asked for.
    pub fn secured(&mut self, secured: Secured) {
        if std::mem::take(&mut self.awaits_tls) {
            self.negotiation.secured = Some(secured);
            self.negotiation.exchange = crate::sasl::Exchange::default();
            self.negotiation.restart();
        }
    }

    /// Takes the answer to [`Output::Verify`]. `Err` is the error for the peer if no server could be asked.
    pub fn verified(&mut self, request: &dialback::Request, answer: Result<dialback::Answer, stanza::Error>) {
        match self.negotiation.verified(request, answer, &[]) {
            Some(Verified::Proved(proved)) => self.proved.push(proved),
            // Nothing that the peer can do is left.
            Some(Verified::Invalid) if !self.negotiation.is_verifying() => {
                self.negotiation.wire.close(None);
                self.negotiation.end(End::Closed);
            }
            Some(Verified::Invalid) | None => {}
        }
    }

    /// Closes the stream. [`Output::Ended`] follows when the peer has closed its side too.
    pub fn close(&mut self, error: Option<Error>) {
        if std::mem::take(&mut self.awaits_tls) {
            // No tag can be read during a TLS handshake (RFC 6120 section 5.4.3.2).
            return self.negotiation.end(error.map_or(End::Closed, End::ByUs));
        }
        self.negotiation.close(error);
    }

    /// The next thing to do; `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.negotiation.wire.take() {
                return Some(output);
            }
            if !self.proved.is_empty() && !self.negotiation.is_closing() {
                return Some(Output::Completed(Box::new(self.complete())));
            }
            if self.awaits_tls || self.negotiation.is_over() {
                return None;
            }
            let step = match self.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Element(element))) => self.element(&element),
                Ok(Some(Frame::Footer)) => {
                    self.negotiation.footer();
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.negotiation.fail(fault);
            }
        }
    }

    /// The status of the stream.
    pub fn status(&self) -> Status<'_> {
        self.negotiation.status()
    }

    /// The point at which the handshake is.
    pub fn stage(&self) -> Stage {
        match self.negotiation.stage() {
            Stage::Open if self.awaits_tls => Stage::Tls,
            Stage::Open if self.negotiation.is_verifying() => Stage::Verification,
            Stage::Open => Stage::Authentication,
            stage => stage,
        }
    }

    /// Takes the result of another verification of the peer's certificate: the trust stores are others, or time has
    /// passed. `None` proves no domain. To be called before [`Handshake::adopt`], since the rules name trust stores by
    /// their numbers.
    pub fn certificate_verified(&mut self, certificate: Option<Certificate>) {
        self.negotiation.certificate_verified(certificate);
    }

    /// Notes that the peer's certificate has expired: it proves nothing more.
    pub fn certificate_ended(&mut self) {
        self.negotiation.certificate_ended();
    }

    /// Goes on under other rules. When they forbid the stream, gives the error that it has to be closed with.
    pub fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        let denied = self.negotiation.adopt(rules);
        self.negotiation.refuse_pending();
        if denied.is_none() {
            self.negotiation.confine();
        }
        denied
    }

    fn next(&mut self) -> Result<Option<Frame>, Fault> {
        if self.bytes > self.negotiation.rules.bounds().early_bytes {
            return Err(Fault::TooMany("bytes before authentication"));
        }
        self.negotiation.wire.next()
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.negotiation.expects_header() {
            return Ok(());
        }
        if let Some(opened) = self.negotiation.open(bytes)? {
            self.negotiation.wire.emit(opened);
        }
        Ok(())
    }

    fn element(&mut self, framed: &framer::RawElement) -> Result<(), Fault> {
        if wire::is_stanza(framed) {
            return Err(Fault::Early);
        }
        self.elements += 1;
        if self.elements > self.negotiation.rules.bounds().early_elements {
            return Err(Fault::TooMany("elements before authentication"));
        }
        let element = self.negotiation.read(framed)?;
        match (element.namespace.as_str(), element.name.as_str()) {
            (ns::STREAM, "error") => self.negotiation.peer_error(Error::parse(&element)),
            // Nothing can be answered behind our closing tag.
            _ if self.negotiation.is_closing() => {}
            (ns::TLS, "starttls") => self.start_tls(&element),
            (ns::SASL, _) => {
                let proved = self.negotiation.sasl(&element)?;
                self.proved.extend(proved);
            }
            (ns::DIALBACK, "result") => {
                self.name_later(&element);
                let proved = self.negotiation.dialback_result(&element, &[]);
                self.proved.extend(proved);
            }
            (ns::DIALBACK, "verify") => {
                self.name_later(&element);
                self.negotiation.dialback_verify(&element);
            }
            (ns::ACKS, name) if self.negotiation.policy().acks.is_some() => self.refuse_acks(name),
            (ns::CLIENT | ns::COMPONENT, _) => return Err(Fault::ForeignElement { name: element.name }),
            _ => return Err(Fault::Unexpected { name: element.name }),
        }
        Ok(())
    }

    /// Refuses acks before authentication (XEP-0198 section 3). An ack without a request ends no stream.
    fn refuse_acks(&mut self, name: &str) {
        if matches!(name, "enable" | "resume") {
            self.negotiation.wire.write(&crate::acks::failed("unexpected-request", None));
        }
    }

    /// Reports the domains that the header left out, from the first question of dialback.
    fn name_later(&mut self, element: &Element) {
        if let Some(opened) = self.negotiation.name_later(element) {
            self.negotiation.wire.emit(opened);
        }
    }

    fn start_tls(&mut self, command: &Element) {
        let negotiation = &mut self.negotiation;
        let to = negotiation.header.to.as_ref();
        let offered = to.and_then(|to| negotiation.rules.hosted(to)).is_some_and(|ours| ours.certificate)
            && negotiation.policy().tls != Tls::Disabled
            && negotiation.secured.is_none();
        // Everything from before TLS is discarded (RFC 6120 section 5.4.3.3), so nothing may depend on it
        // yet. A command with content is malformed (section 5.4.2.1).
        if !offered || !command.children.is_empty() || negotiation.is_verifying() {
            return negotiation.refuse_tls();
        }
        negotiation.wire.write(&Element::new("proceed", ns::TLS));
        if negotiation.wire.has_unread() {
            negotiation.report(Asked::Tls, "bytes after <starttls/> were discarded".to_owned());
            negotiation.wire.discard();
        }
        negotiation.wire.emit(Output::StartTls);
        self.awaits_tls = true;
    }

    /// Ends the handshake and passes its connection on to the open stream.
    fn complete(&mut self) -> Open {
        let negotiation = self.negotiation.hand_over(open::Output::Transmit);
        Open::new(negotiation, std::mem::take(&mut self.proved))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The stream that a remote server opens to us: it authenticates itself for pairs of domains, then sends stanzas.
//!
//! Nothing is sent back but answers of the negotiation: stanzas to the remote take a stream that we open.
use super::{
    End, Error, Header, Secured,
    error::Fault,
    wire::{self, Wire},
};
use crate::{
    Domain, DomainPair, Stanza,
    certificate::Problem,
    dialback,
    framer::{self, Frame},
    policy::{Mechanism, Proof, Rules, Tls, UnknownRecipient},
    sasl,
    stanza::{self, Rejection},
    xml::{Element, ns},
};
use bytes::{Bytes, BytesMut};
use std::{fmt, sync::Arc};

mod authentication;
mod change;
mod opening;
mod refusing;

/// The machine.
pub struct Receiving {
    rules: Arc<Rules>,
    ids: Box<dyn FnMut() -> String + Send>,
    wire: Wire<Output>,
    state: State,
    /// there once TLS is
    secured: Option<Secured>,
    /// the peer's current header
    header: Header,
    /// the domains of the first question of dialback, when no header has a `to`
    named_later: Option<DomainPair>,
    /// of our current header: what dialback keys are for
    id: String,
    intake: stanza::Intake,
    exchange: sasl::Exchange,
    /// whom SASL authenticated
    identity: Option<DomainPair>,
    /// for whom stanzas are taken
    pairs: Vec<DomainPair>,
    /// how each of them was proved
    proofs: Vec<Proof>,
    /// the peer's certificate proved one of them: by SASL, or in place of a call-back
    certified: bool,
    /// the peer asked about a key that is ours
    vouched: bool,
    /// keys that are being verified
    pending: Vec<dialback::Request>,
    /// elements before authentication
    early: usize,
    /// bytes before authentication
    early_bytes: usize,
    /// bytes allowed to the most trusted of the pairs
    max_stanza: usize,
    /// work for elements that brought no stanza, since the driver asked last
    unproductive: usize,
    /// what was refused already, so that each is told once
    refused: Vec<Asked>,
    /// how the stream ends when the peer closes too
    ending: End,
}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// begin the handshake once everything transmitted is written, then call [`Receiving::secured`]
    StartTls,
    /// an acceptable header came: on the plain stream, and again after TLS. When it has no `to`, this waits for the first
    /// question of dialback, which has
    Opened {
        /// who it says it is
        from: Option<Domain>,
        /// whom it wants
        to: Domain,
        /// over TLS, when `from` is there: what the peer's certificate is worth; for the log
        certificate: Option<Result<(), Problem>>,
    },
    /// ask the authoritative server of `pair.remote`, then call [`Receiving::verified`]
    Verify(dialback::Request),
    /// stanzas of this pair will come from now on
    Authorized {
        /// `remote` proved itself to `local`
        pair: DomainPair,
        /// how
        mechanism: Mechanism,
    },
    /// a stanza of an authorised pair
    Stanza(Stanza),
    /// a stanza that was refused, and the stream goes on; its answer leaves on a stream of our own
    StanzaRefused(Box<stanza::Refused>),
    /// the peer did not get what it asked for, the stream goes on; for the log, once a kind
    Refused {
        /// who
        remote: Option<Domain>,
        /// why, in plain words
        reason: String,
    },
    /// the stream is over: flush what was transmitted, then close
    Ended(End),
}

/// What the stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectHeader,
    /// anything that the negotiation allows, and stanzas of authorised pairs
    ExpectElement,
    ExpectTls,
    /// our closing tag is out
    ExpectFooter,
    Over,
}

/// What a peer may ask for and not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Tls,
    External,
    Dialback,
    /// in an answer to nothing
    Belief,
}

impl Receiving {
    /// A stream that waits for its header. `ids` gives unpredictable stream ids, never one twice.
    pub fn new(
        rules: Arc<Rules>,
        direct_tls: Option<Secured>,
        ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        let max = rules.default_policy().max_stanza_unauthenticated;
        let wire = Wire::new(ns::SERVER, rules.bounds().for_stranger(max), Output::Transmit);
        Self {
            rules,
            ids,
            intake: wire.intake(None),
            wire,
            state: State::ExpectHeader,
            secured: direct_tls,
            header: Header::default(),
            named_later: None,
            id: String::new(),
            exchange: sasl::Exchange::default(),
            identity: None,
            pairs: Vec::new(),
            proofs: Vec::new(),
            certified: false,
            vouched: false,
            pending: Vec::new(),
            early: 0,
            early_bytes: 0,
            max_stanza: 0,
            unproductive: 0,
            refused: Vec::new(),
            ending: End::Closed,
        }
    }

    /// Takes what was read. What comes between `<proceed/>` and TLS is thrown away (RFC 6120 5.4.3.3).
    pub fn receive(&mut self, bytes: BytesMut) {
        if !matches!(self.state, State::ExpectTls | State::Over) {
            if self.pairs.is_empty() {
                self.early_bytes += bytes.len();
            }
            self.intake.begin_read();
            self.wire.receive(bytes);
        }
    }

    /// Takes what the handshake gave that [`Output::StartTls`] asked for.
    pub fn secured(&mut self, secured: Secured) {
        if self.state == State::ExpectTls {
            self.secured = Some(secured);
            self.exchange = sasl::Exchange::default();
            self.restart();
        }
    }

    /// Closes the stream; stanzas under way are still taken until the peer's closing tag, then `Ended`.
    pub fn close(&mut self, error: Option<Error>) {
        match self.state {
            State::ExpectFooter | State::Over => return,
            // No tag can be read in the middle of a handshake (RFC 6120 5.4.3.2).
            State::ExpectTls => return self.end(error.map_or(End::Closed, End::ByUs)),
            State::ExpectHeader => self.answer_header(Some(super::header::VERSION), false),
            State::ExpectElement => {}
        }
        self.wire.close(error.as_ref());
        self.ending = error.map_or(End::Closed, End::ByUs);
        self.state = State::ExpectFooter;
    }

    /// The next thing to do, `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            if matches!(self.state, State::ExpectTls | State::Over) {
                return None;
            }
            let step = match self.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Header(bytes))) => self.open(&bytes),
                Ok(Some(Frame::Element(element))) => {
                    let established = !self.pairs.is_empty();
                    let step = match wire::is_stanza(&element) {
                        true => match self.stanza(element) {
                            // Nothing is ready that would come before it.
                            Ok(Some(stanza)) => return Some(Output::Stanza(stanza)),
                            step => step.map(drop),
                        },
                        false => self.element(&element),
                    };
                    if let (Err(fault), true) = (&step, established) {
                        debug_assert!(fault.ends_established(), "{fault} must cost one stanza");
                    }
                    step
                }
                Ok(Some(Frame::Footer)) => {
                    self.footer();
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.fail(fault);
            }
        }
    }

    /// Whether the peer has opened its stream and not closed it.
    pub fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Who the peer says it is, in its last header, or in its first question of dialback when no header says it.
    pub fn claimed(&self) -> Option<&Domain> {
        self.header.from.as_ref().or_else(|| self.named_later.as_ref().map(|pair| &pair.remote))
    }

    /// What TLS gave; `None`: clear text.
    pub fn transport(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// The pairs whose stanzas are taken.
    pub fn pairs(&self) -> &[DomainPair] {
        &self.pairs
    }

    /// Whether the peer has asked about a dialback key that is ours: it is a server that we opened a stream to.
    pub fn has_vouched(&self) -> bool {
        self.vouched
    }

    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        match self.state {
            State::ExpectHeader => "waiting for the stream header",
            State::ExpectElement if !self.pairs.is_empty() => "open",
            State::ExpectElement if !self.pending.is_empty() => "verifying a dialback key",
            State::ExpectElement => "waiting for authentication",
            State::ExpectTls => "negotiating TLS",
            State::ExpectFooter => "waiting for the closing tag",
            State::Over => "over",
        }
    }

    /// Whether the closing tag is out, or all is over.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::ExpectFooter | State::Over)
    }

    /// Whether the peer waits for us, who ask about a key of its.
    pub fn is_verifying(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The number of the element that has begun and is not whole: as long as it stays the same, the peer is slow.
    pub fn unfinished(&self) -> Option<u64> {
        self.wire.unfinished()
    }

    /// The work since the last call for elements of an established stream that brought no stanza, in elements of at most
    /// 256 bytes. A driver that bounds its rate keeps one peer from taking the time of all.
    pub fn take_unproductive(&mut self) -> usize {
        std::mem::take(&mut self.unproductive)
    }

    fn next(&mut self) -> Result<Option<Frame>, Fault> {
        if self.pairs.is_empty() && self.early_bytes > self.rules.bounds().early_bytes {
            return Err(Fault::TooMany("bytes before authentication"));
        }
        self.wire.next()
    }

    fn element(&mut self, framed: &framer::Element) -> Result<(), Fault> {
        let established = !self.pairs.is_empty();
        if established {
            self.unproductive += wire::work_of(framed);
        }
        if established && !NEGOTIATION.contains(&&*self.intake.namespace(framed)) {
            return self.refuse(framed, Rejection::UnsupportedStanzaType);
        }
        if !established {
            self.early += 1;
            if self.early > self.rules.bounds().early_elements {
                return Err(Fault::TooMany("elements before authentication"));
            }
        }
        // Nothing of a negotiation is longer for being said after the first proof.
        self.wire.confine(framed, self.policy().max_stanza_unauthenticated)?;
        let element = self.wire.read(framed, wire::TAGS)?;
        match (element.namespace.as_str(), element.name.as_str()) {
            (ns::STREAM, "error") => {
                if self.state != State::ExpectFooter {
                    self.wire.close(None);
                }
                self.end(End::ByPeer(Error::parse(&element)));
                Ok(())
            }
            // Nothing can be answered behind our closing tag.
            _ if self.state == State::ExpectFooter => Ok(()),
            (ns::TLS, "starttls") => {
                self.start_tls(&element);
                Ok(())
            }
            (ns::SASL, _) if self.identity.is_none() => self.sasl(&element),
            (ns::DIALBACK, "result") => {
                self.dialback_result(&element);
                Ok(())
            }
            (ns::DIALBACK, "verify") => {
                self.dialback_verify(&element);
                Ok(())
            }
            _ if established => self.refuse(framed, Rejection::UnsupportedStanzaType),
            (ns::CLIENT | ns::COMPONENT, _) => Err(Fault::ForeignElement { name: element.name }),
            _ => Err(Fault::Unexpected { name: element.name }),
        }
    }

    /// Takes a stanza in; `None` when it is refused and the stream goes on.
    fn stanza(&mut self, element: framer::Element) -> Result<Option<Stanza>, Fault> {
        if self.pairs.is_empty() {
            return Err(Fault::Early);
        }
        let stanza = match self.intake.take(element) {
            Ok(stanza) => stanza,
            Err(refused) => {
                self.unproductive += wire::work_of(&refused.1);
                return self.refuse(&refused.1, refused.0).map(|()| None);
            }
        };
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        if self.pairs.iter().any(|pair| pair.remote == *from && pair.local == *to) {
            return Ok(Some(stanza));
        }
        match self.pairs.iter().find(|pair| pair.remote == *from) {
            None => Err(Fault::Spoofed(from.clone())),
            Some(pair) if self.rules.policy(from).unknown_recipient == UnknownRecipient::Bounce => {
                let proved_to = pair.local.clone();
                self.bounce(&stanza, &proved_to);
                Ok(None)
            }
            Some(_) => Err(Fault::Misdirected(to.clone())),
        }
    }

    fn start_tls(&mut self, command: &Element) {
        let offered =
            self.header.to.as_ref().and_then(|to| self.rules.hosted(to)).is_some_and(|ours| ours.certificate)
                && self.policy().tls != Tls::Disabled
                && self.secured.is_none();
        // What was learned before TLS is to be forgotten, so it must not be worth anything yet. A command that holds
        // something is malformed (RFC 6120 5.4.2.1).
        if !offered || !command.children.is_empty() || !self.pairs.is_empty() || !self.pending.is_empty() {
            self.tell(Asked::Tls, "TLS is not offered at this point".to_owned());
            self.wire.write(&Element::new("failure", ns::TLS));
            self.wire.close(None);
            return self.end(End::Closed);
        }
        self.wire.write(&Element::new("proceed", ns::TLS));
        if self.wire.has_unread() {
            self.tell(Asked::Tls, "what came along with <starttls/> was thrown away".to_owned());
            self.wire.discard();
        }
        self.wire.emit(Output::StartTls);
        self.state = State::ExpectTls;
    }

    fn footer(&mut self) {
        if self.state != State::ExpectFooter {
            self.wire.close(None);
        }
        self.end(self.ending.clone());
    }

    /// Waits for the peer's next header. Keys are for the id of a stream, so those of this one are void.
    fn restart(&mut self) {
        self.pending.clear();
        self.named_later = None;
        self.wire.restart();
        self.state = State::ExpectHeader;
    }

    fn answer_header(&mut self, version: Option<(u32, u32)>, dialback: bool) {
        self.id = (self.ids)();
        let meant = self.header.to.as_ref().filter(|to| self.rules.hosted(to).is_some());
        let header = Header {
            // COMPAT: ejabberd 23.01 takes an empty one for malformed, and reads no error that follows.
            from: meant.or_else(|| self.rules.first()).cloned(),
            to: self.header.from.clone(),
            id: Some(self.id.clone()),
            version,
            lang: Some(LANG.to_owned()),
            dialback,
        };
        self.wire.open(&header);
    }

    fn fail(&mut self, fault: Fault) {
        let error = Error::from(fault);
        match self.state {
            State::Over => return,
            State::ExpectFooter => return self.end(End::ByUs(error)),
            // An error needs an opening tag before it (RFC 6120 4.9.1.2).
            State::ExpectHeader => self.answer_header(Some(super::header::VERSION), false),
            State::ExpectElement | State::ExpectTls => {}
        }
        self.wire.close(Some(&error));
        self.end(End::ByUs(error));
    }

    fn end(&mut self, end: End) {
        self.state = State::Over;
        self.wire.emit(Output::Ended(end));
    }

    fn tell(&mut self, asked: Asked, reason: String) {
        if !self.refused.contains(&asked) {
            self.refused.push(asked);
            self.wire.emit(Output::Refused { remote: self.claimed().cloned(), reason });
        }
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("state", &self.state)
            .field("pairs", &self.pairs)
            .finish_non_exhaustive()
    }
}

/// Namespaces of first-level elements that are read on an established stream though they are no stanzas.
const NEGOTIATION: [&str; 4] = [ns::STREAM, ns::TLS, ns::SASL, ns::DIALBACK];

/// Of the texts that we send.
const LANG: &str = "en";

#[cfg(test)]
mod tests;

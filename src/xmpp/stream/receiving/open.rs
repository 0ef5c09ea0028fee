//! The open stream from a remote server: the stanzas of the pairs of domains that it has proved.
use super::{
    End, Error, Fault, Stage, Status,
    acks::{Acks, Ending, Gate},
    negotiation::{Common, Negotiation, Proved, Verified},
    wire,
};
use crate::{
    Domain, DomainPair, dialback,
    framer::{self, Frame},
    policy::{Mechanism, Proof, UnknownRecipient},
    stanza::{self, Intake, Rejection, Stanza},
    xml::ns,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// An open stream from a remote server. [`Handshake`](super::Handshake) gives it.
pub struct Open {
    pub(super) negotiation: Negotiation<Output>,
    pub(super) intake: Intake,
    /// The pair that EXTERNAL has proved.
    identity: Option<DomainPair>,
    /// The pairs whose stanzas are taken.
    pub(super) pairs: Vec<DomainPair>,
    /// How each of them was proved.
    pub(super) proofs: Vec<Proof>,
    /// The peer's certificate has proved one of them: by SASL, or in place of a call-back.
    pub(super) certified: bool,
    /// The limit for the most trusted of the pairs, in bytes.
    pub(super) max_stanza: usize,
    /// The work for elements that brought no stanza, since the driver asked last.
    pub(super) unproductive: usize,
    pub(super) acks: Acks,
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// Stanzas of this pair come from now on.
    Authorized {
        /// `remote` has proved itself to `local`.
        pair: DomainPair,
        /// The mechanism that proved it.
        mechanism: Mechanism,
    },
    /// A stanza of an authorised pair.
    Stanza(Stanza),
    /// A stanza that is refused, and the stream goes on. Its answer leaves on a stream of our own.
    StanzaRefused(Box<stanza::Refused>),
    /// Ask the authoritative server of `pair.remote`, then call [`Open::verified`].
    Verify(dialback::Request),
    /// The peer did not get what it requested, and the stream goes on. Reported once for each kind, for the
    /// log.
    Refused {
        /// The peer, as it calls itself.
        remote: Option<Domain>,
        /// The reason, in plain words.
        reason: String,
    },
    /// The peer has requested acks, and gets them: the stanzas behind this output count.
    AcksEnabled {
        /// The id with which the peer may resume the stream after a loss; `None` if it cannot.
        resume: Option<String>,
    },
    /// The peer has requested an ack. Call [`Open::acknowledge`] once the stanzas before this output are
    /// [handled](Open::handled).
    AckDue,
    /// The peer wants to continue a stream that was lost. Call [`Open::resumed`]; nothing is read until then.
    Resume {
        /// The id of the lost stream, as the peer gives it: 1 to 4000 bytes.
        previd: String,
        /// The number of stanzas of ours that the peer has handled. It is 0: none leave on such a stream.
        h: u32,
    },
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

impl Open {
    /// Goes on with the negotiation of a handshake, in which the peer has proved the first pairs.
    pub(super) fn new(negotiation: Negotiation<Output>, proved: Vec<Proved>) -> Self {
        let mut open = Self {
            intake: negotiation.wire.intake(negotiation.header.lang.clone()),
            negotiation,
            identity: None,
            pairs: Vec::new(),
            proofs: Vec::new(),
            certified: false,
            max_stanza: 0,
            unproductive: 0,
            acks: Acks::default(),
        };
        proved.into_iter().for_each(|proved| open.authorize(proved));
        open
    }

    /// Takes bytes that were read from the peer.
    pub fn receive(&mut self, bytes: BytesMut) {
        if !self.negotiation.is_over() {
            self.intake.begin_read();
            self.negotiation.wire.receive(bytes);
        }
    }

    /// Takes the answer to [`Output::Verify`]. `Err` is the error for the peer if no server could be asked.
    pub fn verified(&mut self, request: &dialback::Request, answer: Result<dialback::Answer, stanza::Error>) {
        if let Some(Verified::Proved(proved)) = self.negotiation.verified(request, answer, &self.pairs) {
            self.authorize(proved);
        }
    }

    /// Closes the stream. Stanzas under way are still taken until the peer's closing tag, then
    /// [`Output::Ended`] follows.
    ///
    /// A stream with acks takes nothing more. Its last ack and closing tag are sent as soon as the stanzas
    /// that were output are [handled](Open::handled) or [given up](Open::give_up_unhandled).
    pub fn close(&mut self, error: Option<Error>) {
        if !self.negotiation.is_closing() {
            self.end_by(Ending::Close(error));
        }
    }

    /// The next thing to do; `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.negotiation.wire.take() {
                return Some(output);
            }
            if self.negotiation.is_over() {
                return None;
            }
            match self.acks.gate() {
                Gate::Reading => {}
                Gate::Waiting => return None,
                Gate::Ending(ending) => {
                    self.finish(*ending);
                    continue;
                }
            }
            let step = match self.negotiation.wire.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Element(element))) => {
                    let step = match wire::is_stanza(&element) {
                        true if !self.accepts() => Ok(()),
                        true => match self.stanza(element) {
                            // Nothing is ready that would come before it.
                            Ok(Some(stanza)) => {
                                self.acks.output();
                                return Some(Output::Stanza(stanza));
                            }
                            step => step.map(drop),
                        },
                        false => self.element(&element),
                    };
                    if let Err(fault) = &step {
                        debug_assert!(fault.ends_established(), "{fault} must cost one stanza");
                    }
                    step
                }
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Footer)) => {
                    self.end_by(Ending::Footer);
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.end_by(Ending::Fault(fault));
            }
        }
    }

    /// The status of the stream.
    pub fn status(&self) -> Status<'_> {
        Status { is_closing: self.is_closing(), ..self.negotiation.status() }
    }

    /// Whether our closing tag is sent or about to be, or the stream is over.
    pub(super) fn is_closing(&self) -> bool {
        self.acks.is_ending() || self.negotiation.is_closing()
    }

    /// The pairs whose stanzas are taken. There is at least one until other rules forbid it, see
    /// [`Open::adopt`].
    pub fn pairs(&self) -> &[DomainPair] {
        &self.pairs
    }

    /// The pairs whose stanzas are taken, each with the mechanism that proved it.
    pub fn proofs(&self) -> impl Iterator<Item = (&DomainPair, Mechanism)> {
        self.pairs.iter().zip(self.proofs.iter().map(|proof| proof.mechanism()))
    }

    /// The work since the last call for elements that brought no stanza, in elements of at most 256 bytes. A
    /// driver that limits its rate keeps one peer from taking the time of all.
    pub fn take_unproductive(&mut self) -> usize {
        std::mem::take(&mut self.unproductive)
    }

    /// The point at which the stream is.
    pub fn stage(&self) -> Stage {
        match self.negotiation.stage() {
            Stage::Open if self.acks.is_ending() => Stage::ClosingTag,
            stage => stage,
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(identity) = self.identity.as_ref().filter(|_| self.negotiation.expects_header()) else {
            return Ok(());
        };
        self.negotiation.reopen(bytes, identity)?;
        self.intake = self.negotiation.wire.intake(self.negotiation.header.lang.clone());
        Ok(())
    }

    fn element(&mut self, framed: &framer::RawElement) -> Result<(), Fault> {
        if self.is_of_acks(framed) {
            return self.acks_element(framed);
        }
        self.unproductive += wire::work_of(framed);
        if !NEGOTIATION.contains(&&*self.intake.namespace(framed)) {
            return self.refuse(framed, Rejection::UnsupportedStanzaType);
        }
        let element = self.negotiation.read(framed)?;
        match (element.namespace.as_str(), element.name.as_str()) {
            (ns::STREAM, "error") => self.end_by(Ending::ByPeer(Error::parse(&element))),
            // Nothing can be answered behind our closing tag.
            _ if self.is_closing() => {}
            (ns::TLS, "starttls") => self.end_by(Ending::StartTls),
            // A new header would be a new stream, which would have no acks.
            (ns::SASL, _) if self.identity.is_none() && self.acks.are_off() => {
                if let Some(proved) = self.negotiation.sasl(&element)? {
                    self.authorize(proved);
                }
            }
            (ns::DIALBACK, "result") => {
                if let Some(proved) = self.negotiation.dialback_result(&element, &self.pairs) {
                    self.authorize(proved);
                }
            }
            (ns::DIALBACK, "verify") => self.negotiation.dialback_verify(&element),
            _ => return self.refuse(framed, Rejection::UnsupportedStanzaType),
        }
        Ok(())
    }

    /// Takes a stanza in; `None` when it is refused and the stream goes on.
    fn stanza(&mut self, element: framer::RawElement) -> Result<Option<Stanza>, Fault> {
        let stanza = match self.intake.take(element) {
            Ok(stanza) => stanza,
            Err(refused) => {
                self.unproductive += wire::work_of(&refused.1);
                return self.refuse(&refused.1, refused.0).map(|()| None);
            }
        };
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        if self.pairs.iter().any(|pair| pair.remote == *from && pair.local == *to) {
            if self.is_denied(&stanza) {
                self.unproductive += 1;
                return Ok(None);
            }
            return Ok(Some(stanza));
        }
        let bounces =
            |from| self.negotiation.rules.policy(from).unknown_recipient == UnknownRecipient::Bounce;
        match self.pairs.iter().find(|pair| pair.remote == *from) {
            None => Err(Fault::Spoofed(from.clone())),
            Some(pair) if bounces(from) => {
                let proved_to = pair.local.clone();
                self.bounce(&stanza, &proved_to);
                Ok(None)
            }
            Some(_) => Err(Fault::Misdirected(to.clone())),
        }
    }

    /// Takes stanzas of a pair from now on, and confirms it to the peer.
    fn authorize(&mut self, Proved { pair, proof }: Proved) {
        let mechanism = proof.mechanism();
        let rules = &self.negotiation.rules;
        self.max_stanza = self.max_stanza.max(rules.policy(&pair.remote).max_stanza);
        let limits = rules.bounds().for_known(self.max_stanza);
        self.negotiation.wire.limit(limits);
        self.certified |= mechanism == Mechanism::External;
        match self.pairs.iter().position(|known| *known == pair) {
            Some(place) => self.proofs[place] = proof,
            None => {
                self.pairs.push(pair.clone());
                self.proofs.push(proof);
            }
        }
        self.negotiation.wire.emit(Output::Authorized { pair: pair.clone(), mechanism });
        match proof {
            Proof::External => {
                self.identity = Some(pair);
                self.negotiation.restart();
            }
            Proof::Dialback | Proof::Shortcut => self.negotiation.confirm(&pair),
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("stage", &self.stage())
            .field("pairs", &self.pairs)
            .finish_non_exhaustive()
    }
}

/// Namespaces of first-level elements that are read on an open stream though they are no stanzas.
const NEGOTIATION: [&str; 4] = [ns::STREAM, ns::TLS, ns::SASL, ns::DIALBACK];

//! The negotiation with a remote server, during the handshake and on the open stream.
use super::{End, Error, Fault, Header, Output, Secured, Stage, Wire, wire};
use crate::{
    Domain, DomainPair, dialback, framer,
    policy::{Bounds, Policy, Proof, Rules},
    sasl,
    xml::{Element, ns},
};
use bytes::Bytes;
use std::sync::Arc;

/// The negotiation with a remote server. `O` is the output of the machine that owns it.
pub(super) struct Negotiation<O> {
    pub(super) rules: Arc<Rules>,
    ids: Box<dyn FnMut() -> String + Send>,
    pub(super) wire: Wire<O>,
    state: State,
    /// The TLS session, once there is one.
    pub(super) secured: Option<Secured>,
    /// The peer's current header.
    pub(super) header: Header,
    /// The domains of the first question of dialback, when no header has a `to`.
    pub(super) named_later: Option<DomainPair>,
    /// The id in our current header, which dialback keys are for.
    pub(super) id: String,
    pub(super) exchange: sasl::Exchange,
    /// Keys that are being verified.
    pub(super) pending: Vec<dialback::Request>,
    /// The peer has asked about a key that is ours.
    pub(super) vouched: bool,
    /// The kinds of requests that were refused. Each is reported once.
    refused: Vec<Asked>,
}

/// The outputs that the handshake and the open stream have in common.
pub(super) enum Common {
    Verify(dialback::Request),
    Refused { remote: Option<Domain>, reason: String },
    Ended(End),
}

/// The next thing that the stream needs.
#[derive(Debug)]
enum State {
    /// The peer's header.
    Header,
    /// An element, or the peer's closing tag.
    Element,
    /// The peer's closing tag. Ours is sent, and the stream ends like this.
    Closing(End),
    /// Nothing.
    Over,
}

/// A request of the peer that may be refused while the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Tls,
    External,
    Dialback,
    /// To take an answer to a question that we did not ask.
    Belief,
    /// To take an element of acks that has no place.
    Acks,
}

/// A pair of domains that the peer has proved, and how.
pub(super) struct Proved {
    pub(super) pair: DomainPair,
    pub(super) proof: Proof,
}

/// The result of the verification of a key.
pub(super) enum Verified {
    Proved(Proved),
    Invalid,
}

impl<O> Negotiation<O> {
    pub(super) fn new(
        rules: Arc<Rules>,
        secured: Option<Secured>,
        ids: Box<dyn FnMut() -> String + Send>,
        wire: Wire<O>,
    ) -> Self {
        Self {
            rules,
            ids,
            wire,
            state: State::Header,
            secured,
            header: Header::default(),
            named_later: None,
            id: String::new(),
            exchange: sasl::Exchange::default(),
            pending: Vec::new(),
            vouched: false,
            refused: Vec::new(),
        }
    }

    /// Moves the negotiation to another machine. This one keeps what is ready for the driver, and is over.
    pub(super) fn hand_over<P>(&mut self, transmit: fn(Bytes) -> P) -> Negotiation<P> {
        Negotiation {
            rules: Arc::clone(&self.rules),
            ids: std::mem::replace(&mut self.ids, Box::new(String::new)),
            wire: self.wire.hand_over(transmit),
            state: std::mem::replace(&mut self.state, State::Over),
            secured: self.secured.take(),
            header: std::mem::take(&mut self.header),
            named_later: self.named_later.take(),
            id: std::mem::take(&mut self.id),
            exchange: std::mem::take(&mut self.exchange),
            pending: std::mem::take(&mut self.pending),
            vouched: self.vouched,
            refused: std::mem::take(&mut self.refused),
        }
    }

    pub(super) fn expects_header(&self) -> bool {
        matches!(self.state, State::Header)
    }

    pub(super) fn expects_element(&self) -> bool {
        matches!(self.state, State::Element)
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing(_) | State::Over)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn is_verifying(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The point at which the stream is. `Open` is for the machine to interpret.
    pub(super) fn stage(&self) -> Stage {
        match self.state {
            State::Header => Stage::Header,
            State::Element => Stage::Open,
            State::Closing(_) => Stage::ClosingTag,
            State::Over => Stage::Over,
        }
    }

    pub(super) fn claimed(&self) -> Option<&Domain> {
        self.header.from.as_ref().or_else(|| self.named_later.as_ref().map(|pair| &pair.remote))
    }

    pub(super) fn policy(&self) -> &Policy {
        self.rules.policy_for(self.header.from.as_ref())
    }

    pub(super) fn bounds(&self) -> &Bounds {
        self.rules.bounds()
    }

    /// Reads an element of the negotiation. None is longer for being sent after the first proof.
    pub(super) fn read(&self, framed: &framer::RawElement) -> Result<Element, Fault> {
        self.wire.confine(framed, self.policy().max_stanza_unauthenticated)?;
        self.wire.read(framed, wire::TAGS)
    }

    /// Waits for the peer's next header. Keys are for the id of a stream, so those of this one are void.
    pub(super) fn restart(&mut self) {
        self.pending.clear();
        self.named_later = None;
        self.wire.restart();
        self.state = State::Header;
    }

    /// Takes the peer's header and answers it with ours.
    pub(super) fn answer(&mut self, header: Header) {
        let version = header.is_modern().then_some(super::super::header::VERSION);
        let dialback = self.rules.policy_for(header.from.as_ref()).allows(crate::policy::Mechanism::Dialback);
        self.header = header;
        self.state = State::Element;
        self.write_header(version, dialback);
    }

    /// An unpredictable id that was not given before.
    pub(super) fn new_id(&mut self) -> String {
        (self.ids)()
    }

    fn write_header(&mut self, version: Option<(u32, u32)>, dialback: bool) {
        self.id = self.new_id();
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

    /// An error needs an opening tag before it (RFC 6120 section 4.9.1.2).
    fn open_for_error(&mut self) {
        if self.expects_header() {
            self.write_header(Some(super::super::header::VERSION), false);
        }
    }

    pub(super) fn close(&mut self, error: Option<Error>) {
        if !self.is_closing() {
            self.open_for_error();
            self.wire.close(error.as_ref());
            self.state = State::Closing(error.map_or(End::Closed, End::ByUs));
        }
    }
}

impl<O: From<Common>> Negotiation<O> {
    pub(super) fn emit(&mut self, common: Common) {
        self.wire.emit(common.into());
    }

    /// Reports a refusal, unless one of its kind was reported.
    pub(super) fn report(&mut self, asked: Asked, reason: String) {
        if !self.refused.contains(&asked) {
            self.refused.push(asked);
            let remote = self.claimed().cloned();
            self.emit(Common::Refused { remote, reason });
        }
    }

    /// Answers that the key of a pair is valid.
    pub(super) fn confirm(&mut self, pair: &DomainPair) {
        self.wire.write(&dialback::result_answer(&pair.local, &pair.remote, &dialback::Answer::Valid));
    }

    /// Refuses a `<starttls/>` that is out of place, which ends the stream (RFC 6120 section 5.4.2.2).
    pub(super) fn refuse_tls(&mut self) {
        let to = self.header.to.as_ref();
        let without = to.filter(|to| self.rules.hosted(to).is_some_and(|ours| !ours.certificate));
        let reason = match without.filter(|_| self.secured.is_none()) {
            Some(local) => format!("TLS is not offered: {local}, a domain of this node, has no certificate"),
            None => "TLS is not offered at this point".to_owned(),
        };
        self.report(Asked::Tls, reason);
        self.wire.write(&Element::new("failure", ns::TLS));
        self.wire.close(None);
        self.end(End::Closed);
    }

    pub(super) fn peer_error(&mut self, error: Error) {
        if !self.is_closing() {
            self.wire.close(None);
        }
        self.end(End::ByPeer(error));
    }

    pub(super) fn footer(&mut self) {
        let end = match &self.state {
            State::Closing(end) => end.clone(),
            State::Header | State::Element | State::Over => {
                self.wire.close(None);
                End::Closed
            }
        };
        self.end(end);
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        let error = Error::from(fault);
        if !self.is_closing() {
            self.open_for_error();
            self.wire.close(Some(&error));
        }
        if !self.is_over() {
            self.end(End::ByUs(error));
        }
    }

    pub(super) fn end(&mut self, end: End) {
        self.state = State::Over;
        self.emit(Common::Ended(end));
    }
}

impl Negotiation<Output> {
    /// Limits elements to what the peer may send before it has proved itself.
    pub(super) fn confine(&mut self) {
        let limits = self.bounds().for_unauthenticated(self.policy().max_stanza_unauthenticated);
        self.wire.limit(limits);
    }
}

/// The language of our texts.
const LANG: &str = "en";

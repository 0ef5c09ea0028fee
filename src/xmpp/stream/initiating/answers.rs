//! Stanzas on a stream that we opened, where the peer may send none: each costs itself, and the stream goes on.
//!
//! COMPAT: ejabberd (23.01 and later) answers some of our stanzas, such as one to an address that it cannot read, on the
//! stream that they came on. An error stanza from the remote domain to ours is therefore taken as the answer that it is.
//!
//! That is safe enough: the peer is the one that our stanzas for this domain go to, on terms that are no weaker than
//! those for a stream from it, so whoever could forge an answer could have kept the stanza. An error is never answered,
//! so nothing is amplified. A `result` carries data and no deployed server sends one here: it has to come on a stream
//! that the remote opens, like everything else.
use super::{Initiating, Output, State};
use crate::{framer, stanza::Stanza, stream::wire, xml};
use std::fmt;

/// What an element was that the peer had no reason to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stray {
    /// a stanza whose addresses or namespace cannot be read
    Malformed,
    /// a stanza between other domains
    OtherDomains,
    /// a stanza that is no error
    NoAnswer,
    /// something else
    NoStanza,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a stanza that cannot be read",
            Self::OtherDomains => "a stanza between other domains",
            Self::NoAnswer => "a stanza that is no error",
            Self::NoStanza => "no stanza",
        })
    }
}

impl Initiating {
    /// Gets ready to read answers, as large as our stanzas may be.
    pub(super) fn expect_answers(&mut self) {
        let longest = self.plan.policy.max_stanza.saturating_add(ANSWER);
        self.wire.limit(self.plan.bounds.for_known(longest));
        // A header that declares much would make each answer long. No answer is taken then.
        if self.wire.confine_header(&self.header).is_ok() {
            self.intake = Some(self.wire.intake(self.header.lang.clone()));
        }
    }

    /// Takes an error stanza between the domains of the pair, and drops everything else.
    pub(super) fn take_answer(&mut self, element: framer::Element) {
        match self.read_answer(element) {
            Ok(answer) => self.wire.emit(Output::Answer(answer)),
            Err(_) if self.state == State::ExpectFooter => {}
            Err(stray) => self.wire.emit(Output::Stray(stray)),
        }
    }

    /// Whether an element on an established stream may end it, or be a late answer of the negotiation. Others need not
    /// be read.
    pub(super) fn may_concern_the_stream(&self, element: &framer::Element) -> bool {
        let name = element.head.name.of(&element.bytes);
        let local = name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..]);
        matches!(local, b"error" | b"features" | b"result" | b"verify")
            && element.bytes.len() <= self.plan.policy.max_stanza_unauthenticated
    }

    fn read_answer(&mut self, element: framer::Element) -> Result<Stanza, Stray> {
        if !wire::is_stanza(&element) {
            return Err(Stray::NoStanza);
        }
        let stanza = self.intake.as_mut().map(|intake| intake.admit(element));
        let Some(Ok(stanza)) = stanza else { return Err(Stray::Malformed) };
        let pair = &self.plan.pair;
        if *stanza.from_domain() != pair.remote || *stanza.to_domain() != pair.local {
            return Err(Stray::OtherDomains);
        }
        match stanza.type_().map(xml::unescape).as_deref() {
            Some("error") => Ok(stanza),
            _ => Err(Stray::NoAnswer),
        }
    }
}

/// What an answer may be longer than the stanza that it answers: by its error, with a text.
const ANSWER: usize = 4 * 1024;

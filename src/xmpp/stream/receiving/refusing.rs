//! A stanza that is refused costs itself: it is answered where it may be, and the stream goes on.
//!
//! The answer comes from the domain of ours that the stanza was for, if its sender proved itself to that one,
//! and else from the first one that it proved itself to. It goes to the stanza's sender. A stanza with an
//! unusable `from` has no answer: nobody knows who would want it.
use super::open::{Open, Output};
use crate::{
    Domain, Stanza, framer,
    policy::MalformedStanza,
    stanza::{
        Address, Reason, Refused, Rejection,
        refusal::{domain, explain, sound_domain},
    },
    stream::error::Fault,
};

impl Open {
    /// Refuses an element that is no stanza that can go on.
    ///
    /// # Errors
    /// Gives the fault that ends the stream: a sender who did not prove itself, or `malformed_stanza =
    /// "close"`.
    pub(super) fn refuse(&mut self, element: &framer::Element, rejection: Rejection) -> Result<(), Fault> {
        let reason = rejection.reason();
        let sender = match reason {
            // Nobody sends what is no stanza, whatever its attributes are called.
            Reason::NotAStanza => None,
            _ => sound_domain(element, Address::From),
        };
        if let Some(sender) = sender.as_ref().filter(|sender| !self.proved(sender)) {
            return Err(Fault::Spoofed(sender.clone()));
        }
        if self.closes_for_malformed(sender.as_ref()) {
            return Err(rejection.into());
        }
        let recipient = domain(element, Address::To);
        let from_sender =
            || self.pairs.iter().filter(|pair| sender.as_ref().is_none_or(|sender| pair.remote == *sender));
        let meant = from_sender().find(|pair| recipient.as_ref() == Some(&pair.local));
        let Some(pair) = meant.or_else(|| from_sender().next()).cloned() else { return Ok(()) };

        let text = explain(element, &rejection);
        let answer = match sender {
            Some(_) => self.intake.answer(element, &pair.local, None, &reason.error(&*text)),
            None => None,
        };
        let bytes = element.bytes.len();
        let refused = Refused { reason, text, local: pair.local, remote: pair.remote, bytes, answer };
        self.negotiation.wire.emit(Output::StanzaRefused(Box::new(refused)));
        Ok(())
    }

    /// Answers a stanza whose sender did not prove itself to its recipient. In the name of a domain that is
    /// not ours we say nothing, not even that: then the answer is from the domain that the sender did prove
    /// itself to.
    pub(super) fn bounce(&mut self, stanza: &Stanza, proved_to: &Domain) {
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        let ours = self.negotiation.rules.hosted(to).is_some();
        let (reason, text, local) = match ours {
            true => (Reason::NotProved, format!("{from} is not authenticated to {to} on this stream"), to),
            false => (Reason::NotServed, format!("{to} is not served here"), proved_to),
        };
        let answer = stanza.bounce(&reason.error(&*text));
        let refused = Refused {
            reason,
            text,
            local: local.clone(),
            remote: from.clone(),
            bytes: stanza.bytes().len(),
            answer: if ours { answer } else { answer.map(|answer| answer.sent_by(proved_to)) },
        };
        self.negotiation.wire.emit(Output::StanzaRefused(Box::new(refused)));
    }

    fn proved(&self, remote: &Domain) -> bool {
        self.pairs.iter().any(|pair| pair.remote == *remote)
    }

    /// Whether a malformed stanza ends the stream. One of an unknown sender does when all the domains on the
    /// stream are to be treated like that: the fault of one must not end the pairs of others.
    fn closes_for_malformed(&self, sender: Option<&Domain>) -> bool {
        let closes = |remote: &Domain| {
            self.negotiation.rules.policy(remote).malformed_stanza == MalformedStanza::Close
        };
        match sender {
            Some(sender) => closes(sender),
            // A stream whose pairs were all withdrawn is closing already.
            None => !self.pairs.is_empty() && self.pairs.iter().all(|pair| closes(&pair.remote)),
        }
    }
}

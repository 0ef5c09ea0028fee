//! Refused stanzas: each is answered where the RFC allows it, and the stream goes on.
//!
//! The answer comes from the domain of ours that the stanza was for, if its sender has proved itself to that
//! one, or else from the first domain that it has proved itself to. It goes to the sender of the stanza. A
//! stanza with an unusable `from` has no answer, since its sender is unknown.
use super::open::{Open, Output};
use crate::{
    Domain, DomainPair, Stanza, framer,
    policy::MalformedStanza,
    stanza::{
        Address, Denied, Reason, Refused, Rejection,
        refusal::{domain, explain, sound_domain},
    },
    stream::error::Fault,
};

impl Open {
    /// Refuses an element that cannot be relayed as a stanza.
    ///
    /// # Errors
    /// Gives the fault that ends the stream: a sender that has not proved itself, or `malformed_stanza =
    /// "close"`.
    pub(super) fn refuse(&mut self, element: &framer::RawElement, rejection: Rejection) -> Result<(), Fault> {
        let reason = rejection.reason();
        let sender = match reason {
            // An element that is no stanza has no sender, whatever its attributes are.
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
        if reason.is_about_a_stanza() {
            self.acks.output();
        }
        let DomainPair { local, remote } = pair;
        let refused = Refused { reason, text, local, remote, bytes, answer, denied: None };
        self.negotiation.wire.emit(Output::StanzaRefused(Box::new(refused)));
        Ok(())
    }

    /// Answers a stanza whose sender has not proved itself to its recipient. A domain that is not ours cannot
    /// be the sender of an answer: then it is from the domain that the sender has proved itself to.
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
            denied: None,
        };
        self.acks.output();
        self.negotiation.wire.emit(Output::StanzaRefused(Box::new(refused)));
    }

    /// Answers a stanza whose sender may not write to its component. `false`: it may.
    pub(super) fn is_denied(&mut self, stanza: &Stanza) -> bool {
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        let Some(access) = self.negotiation.rules.access(to) else { return false };
        if access.permits(from, &stanza.from()) {
            return false;
        }
        let text = format!("stanzas from this address to {to} are not permitted");
        let answer = stanza.bounce(&access.denial.error(&*text));
        let (reason, local, remote) = (Reason::Denied, to.clone(), from.clone());
        let (bytes, denied) = (stanza.bytes().len(), Some(Denied::of(stanza, false)));
        let refused = Refused { reason, text, local, remote, bytes, answer, denied };
        self.acks.output();
        self.negotiation.wire.emit(Output::StanzaRefused(Box::new(refused)));
        true
    }

    fn proved(&self, remote: &Domain) -> bool {
        self.pairs.iter().any(|pair| pair.remote == *remote)
    }

    /// Whether a malformed stanza ends the stream. A stanza of an unknown sender ends it if the policy for
    /// all domains on the stream says so: the fault of one domain must not end the pairs of others.
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

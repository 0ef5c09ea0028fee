//! The proof of a remote on a stream that it opened: EXTERNAL once, dialback for each pair.
use super::negotiation::{Asked, Common, Negotiation, Proved, Verified};
use crate::{
    Domain, DomainPair,
    dialback::{self, Answer},
    policy::{Proof, Refusal},
    sasl::{Claim, Reply},
    stanza::{Condition, Error, ErrorType},
    stream::error::Fault,
    truncate::truncate,
    xml::{Element, ns},
};

impl<O: From<Common>> Negotiation<O> {
    /// Takes the answer about a key. `Err` is the error for the peer if no server could be asked.
    pub(super) fn verified(
        &mut self,
        request: &dialback::Request,
        answer: Result<Answer, Error>,
        pairs: &[DomainPair],
    ) -> Option<Verified> {
        let place = self.pending.iter().position(|pending| pending == request)?;
        self.pending.swap_remove(place);
        if !self.expects_element() {
            return None;
        }
        let pair = &request.pair;
        let answer = match answer {
            Ok(Answer::Error(error)) => Answer::Error(passed_on(&pair.remote, &error)),
            // The rules may have changed since the key came.
            Ok(Answer::Valid) => self.admit_pair(pair, pairs).map_or_else(Answer::Error, |()| Answer::Valid),
            Ok(answer) => answer,
            Err(error) => Answer::Error(error),
        };
        let verdict = match &answer {
            // The open stream sends the answer.
            Answer::Valid => {
                return Some(Verified::Proved(Proved { pair: pair.clone(), proof: Proof::Dialback }));
            }
            Answer::Invalid => {
                let reason = format!("the server of {} answered `invalid` for its dialback key", pair.remote);
                self.report(Asked::Dialback, reason);
                Some(Verified::Invalid)
            }
            Answer::Error(error) => {
                self.report(Asked::Dialback, format!("dialback for {}: {error}", pair.remote));
                None
            }
        };
        self.wire.write(&dialback::result_answer(&pair.local, &pair.remote, &answer));
        verdict
    }

    /// Takes an element of SASL. A peer that has proved itself has to send a new header next.
    pub(super) fn sasl(&mut self, element: &Element) -> Result<Option<Proved>, Fault> {
        match self.exchange.handle(element, &self.claim()) {
            Reply::Challenge => self.wire.write(&Element::new("challenge", ns::SASL)),
            Reply::Failed(failure) => {
                self.wire.write(&failure.element());
                self.report(Asked::External, format!("EXTERNAL refused: {failure}"));
                if self.exchange.is_exhausted() {
                    return Err(Fault::TooMany("failed authentications"));
                }
            }
            Reply::Success => {
                self.wire.write(&Element::new("success", ns::SASL));
                if let (Some(local), Some(remote)) = (self.header.to.clone(), self.header.from.clone()) {
                    let pair = DomainPair { local, remote };
                    return Ok(Some(Proved { pair, proof: Proof::External }));
                }
                self.restart();
            }
        }
        Ok(None)
    }

    /// The identity that EXTERNAL can prove: the one in which the peer's certificate and its header within
    /// TLS agree.
    fn claim(&self) -> Claim {
        if self.secured.is_none() {
            return Claim::Plain;
        }
        let Some(from) = &self.header.from else {
            return Claim::Unproved("the stream header has no 'from'".to_owned());
        };
        if self.header.to.is_none() {
            return Claim::Unproved("the stream header has no 'to'".to_owned());
        }
        if let Some(gone) = self.header.to.as_ref().filter(|to| self.rules.hosted(to).is_none()) {
            return Claim::Unproved(format!("{gone} is no longer served here"));
        }
        match (self.admit(from), self.certificate(from)) {
            (Ok(admission), _) if admission.external => Claim::Proved(from.clone()),
            (_, Some(Err(problem))) => Claim::Unproved(format!("certificate of {from} {problem}")),
            _ => Claim::Unproved(format!("EXTERNAL is not allowed for {from}")),
        }
    }

    /// Takes a key, or answers at once. A `type` would make it an answer, and we ask nothing on this stream.
    /// `pairs` are those that the peer has proved. The open stream sends the answer about a pair that needs
    /// no verification.
    pub(super) fn dialback_result(&mut self, element: &Element, pairs: &[DomainPair]) -> Option<Proved> {
        if element.attribute("type").is_some() {
            self.report_unsolicited();
            return None;
        }
        let (from, to) = match (address(element, "from"), address(element, "to")) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(error), _) | (_, Err(error)) => {
                self.refuse_malformed(element, error);
                return None;
            }
        };
        let pair = DomainPair { local: to.clone(), remote: from.clone() };
        let text = element.text();
        let key = text.trim();
        if self.pending.iter().any(|pending| pending.pair == pair) {
            // The answer to the first key counts for both.
        } else if pairs.contains(&pair) {
            self.wire.write(&dialback::result_answer(&to, &from, &Answer::Valid));
        } else if let Err(error) = self.admit_pair(&pair, pairs).and_then(|()| admit_key(key)) {
            self.report(Asked::Dialback, format!("dialback for {from}: {error}"));
            self.wire.write(&dialback::result_answer(&to, &from, &Answer::Error(error)));
        } else if self.needs_no_call_back(&from) {
            return Some(Proved { pair, proof: Proof::Shortcut });
        } else {
            let request = dialback::Request { pair, id: self.id.clone(), key: key.to_owned() };
            self.pending.push(request.clone());
            self.emit(Common::Verify(request));
        }
        None
    }

    /// Answers a key or a question with an invalid address. A fault in one pair does not affect the others.
    fn refuse_malformed(&mut self, element: &Element, error: Error) {
        self.report(Asked::Dialback, format!("dialback: {error}"));
        self.wire.write(&dialback::malformed_answer(element, error));
    }

    /// Answers as the authoritative server of our domains whether a key is ours. This needs no state
    /// (XEP-0185) and proves nothing about the peer, so it is done on any stream, in clear text too, whatever
    /// `tls` requires: a receiving server without TLS has no other way to ask, and the key is our own.
    pub(super) fn dialback_verify(&mut self, element: &Element) {
        if element.attribute("type").is_some() {
            return self.report_unsolicited();
        }
        let (receiving, originating) = match (address(element, "from"), address(element, "to")) {
            (Ok(receiving), Ok(originating)) => (receiving, originating),
            (Err(error), _) | (_, Err(error)) => return self.refuse_malformed(element, error),
        };
        let id = element.attribute("id").unwrap_or_default();
        let pair = DomainPair { local: originating.clone(), remote: receiving.clone() };
        let answer = match self.permit_pair(&pair) {
            Ok(()) => {
                let key = element.text();
                dialback::verify(
                    &self.rules.policy(&receiving).secret,
                    &receiving,
                    &originating,
                    id,
                    key.trim(),
                )
            }
            Err(error) => Answer::Error(error),
        };
        self.vouched |= answer == Answer::Valid;
        self.wire.write(&dialback::verify_answer(&originating, &receiving, id, &answer));
    }

    /// Whether the key of a pair is worth verifying (XEP-0220 section 2.5 for the conditions).
    fn admit_pair(&self, pair: &DomainPair, pairs: &[DomainPair]) -> Result<(), Error> {
        self.permit_pair(pair)?;
        let refusal = match self.admit(&pair.remote) {
            // A remote that has failed with the stronger proof may not use the weaker one, unless the
            // operator allows it.
            Ok(admission) if admission.dialback && self.lost_external(&pair.remote) => Some(format!(
                "{} may not use dialback on a stream where its EXTERNAL was refused",
                pair.remote
            )),
            Ok(admission) if admission.dialback => None,
            Ok(_) => Some(Refusal::NoMechanism.explain(&pair.remote)),
            Err(refusal) => Some(refusal.explain(&pair.remote)),
        };
        if let Some(text) = refusal {
            return Err(error(ErrorType::Cancel, Condition::PolicyViolation, text));
        }
        let bounds = self.rules.bounds();
        let many = if self.pending.len() >= bounds.pending_keys {
            Some("too many keys of one stream are being verified")
        } else {
            (pairs.len() >= bounds.pairs).then_some("too many domain pairs on one stream")
        };
        if let Some(text) = many.map(str::to_owned) {
            return Err(error(ErrorType::Wait, Condition::ResourceConstraint, text));
        }
        Ok(())
    }

    /// Checks whether the two domains may exchange stanzas at all.
    pub(super) fn permit_pair(&self, pair: &DomainPair) -> Result<(), Error> {
        if self.rules.hosted(&pair.local).is_none() {
            return Err(not_served(&pair.local));
        }
        if self.rules.hosted(&pair.remote).is_some() || !self.rules.permits(&pair.remote) {
            let text = format!("{} may not federate with {}", pair.remote, pair.local);
            return Err(error(ErrorType::Cancel, Condition::NotAllowed, text));
        }
        Ok(())
    }

    /// Whether the certificate proves the sender of a key, so that no server has to be asked (XEP-0344
    /// section 2.4). It has to prove this name, also on a stream with other pairs that it has proved (section
    /// 2.6).
    fn needs_no_call_back(&self, remote: &Domain) -> bool {
        self.rules.policy(remote).dialback_shortcut
            && self.admit(remote).is_ok_and(|admission| admission.external)
    }

    /// Reports a dialback answer, which is dropped: we ask nothing on this stream (XEP-0220 section 2.1).
    fn report_unsolicited(&mut self) {
        self.report(Asked::Belief, "an answer to a dialback question that was not asked here".to_owned());
    }
}

impl<O> Negotiation<O> {
    /// Whether a refused EXTERNAL on this stream excludes dialback (RFC 6120 section 6.4.5 allows both).
    pub(super) fn lost_external(&self, remote: &Domain) -> bool {
        self.exchange.was_refused() && !self.rules.policy(remote).dialback_after_external
    }
}

pub(super) fn address(element: &Element, attribute: &'static str) -> Result<Domain, Error> {
    let value = element.attribute(attribute).unwrap_or_default();
    Domain::new(value).map_err(|_| {
        let text = format!("\"{}\" in '{attribute}' is not a domain", truncate(value));
        error(ErrorType::Modify, Condition::JidMalformed, text)
    })
}

/// Refuses a text that is too long for a key, before it is stored and sent to another server.
fn admit_key(key: &str) -> Result<(), Error> {
    if key.len() > KEY {
        let text = format!("a dialback key of more than {KEY} bytes");
        return Err(error(ErrorType::Cancel, Condition::PolicyViolation, text));
    }
    Ok(())
}

fn not_served(domain: &Domain) -> Error {
    error(ErrorType::Cancel, Condition::ItemNotFound, format!("{domain} is not served here"))
}

/// The answer to the initiator when the authoritative server answered with an error (XEP-0220 section 2.5).
/// An unknown domain is permanent, everything else may be temporary. The text is not passed on: the initiator
/// has proved nothing, and may have led us to a server that is not its own.
fn passed_on(remote: &Domain, said: &Error) -> Error {
    let text = dialback::unverified(remote);
    match said.condition {
        Condition::ItemNotFound | Condition::RemoteServerNotFound => {
            error(ErrorType::Cancel, Condition::RemoteServerNotFound, text)
        }
        _ => error(ErrorType::Wait, Condition::RemoteServerTimeout, text),
    }
}

fn error(type_: ErrorType, condition: Condition, text: String) -> Error {
    Error { type_, condition, text }
}

/// The limit for a key, in bytes. Keys of XEP-0185 have 64 hexadecimal digits.
const KEY: usize = 256;

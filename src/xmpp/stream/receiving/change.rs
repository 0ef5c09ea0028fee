//! An open stream under new rules, with a new verdict on the peer's certificate, or after that has expired.
use super::{
    negotiation::{Asked, Common, Negotiation},
    open::Open,
};
use crate::{
    Domain, DomainPair,
    certificate::{Certificate, Problem},
    dialback::{self, Answer},
    policy::{self, Proof, Rules, Withdrawal},
    stream::{Condition, Error},
};
use std::sync::Arc;

impl<O> Negotiation<O> {
    pub(super) fn certificate_verified(&mut self, certificate: Option<Certificate>) {
        if let Some(secured) = &mut self.secured {
            secured.certificate = certificate;
        }
    }

    pub(super) fn certificate_ended(&mut self) {
        if let Some(certificate) = self.secured.as_mut().and_then(|secured| secured.certificate.as_mut()) {
            certificate.end();
        }
    }

    /// Takes other rules. When they deny the peer, gives the error that the stream has to be closed with.
    pub(super) fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        self.rules = rules;
        self.header.from.iter().find(|remote| !self.rules.permits(remote)).map(denial)
    }
}

impl<O: From<Common>> Negotiation<O> {
    /// Refuses the keys under verification that the rules, which are new, do not permit.
    pub(super) fn refuse_pending(&mut self) {
        for request in std::mem::take(&mut self.pending) {
            match self.permit_pair(&request.pair) {
                Ok(()) => self.pending.push(request),
                Err(error) if self.expects_element() => {
                    let DomainPair { local, remote } = &request.pair;
                    self.report(Asked::Dialback, format!("dialback for {remote}: {error}"));
                    self.wire.write(&dialback::result_answer(local, remote, &Answer::Error(error)));
                }
                Err(_) => {}
            }
        }
    }
}

impl Open {
    /// Takes the result of another verification of the peer's certificate: the trust stores are others, or time has
    /// passed. `None` proves no domain. To be called before [`Open::adopt`], since the rules name trust stores by their
    /// numbers.
    pub fn certificate_verified(&mut self, certificate: Option<Certificate>) {
        self.negotiation.certificate_verified(certificate);
    }

    /// Notes that the peer's certificate has expired: it proves nothing more. Gives whether the trust in the
    /// peer ends with it: the certificate proved one of the pairs, or the policy for one requires it to be
    /// valid.
    pub fn certificate_ended(&mut self) -> bool {
        self.negotiation.certificate_ended();
        let strict = |pair: &DomainPair| self.negotiation.rules.policy(&pair.remote).strict_certificates;
        self.certified || self.pairs.iter().any(strict)
    }

    /// Goes on under other rules. When they forbid one of the pairs, gives the error that the stream has to
    /// be closed with; stanzas of forbidden pairs are not taken from now on.
    pub fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        let denied = self.negotiation.adopt(rules);
        let gone = self.keep_pairs();
        self.negotiation.refuse_pending();
        denied.or(gone).or_else(|| self.take_limits())
    }

    /// Drops the pairs that the rules do not admit now. Gives the reason for the first of them.
    fn keep_pairs(&mut self) -> Option<Error> {
        let (pairs, proofs) = (std::mem::take(&mut self.pairs), std::mem::take(&mut self.proofs));
        let mut gone = None;
        for (pair, proof) in pairs.into_iter().zip(proofs) {
            match self.keep(&pair, proof) {
                Ok(()) => {
                    self.pairs.push(pair);
                    self.proofs.push(proof);
                }
                Err(error) => {
                    gone.get_or_insert(error);
                }
            }
        }
        gone
    }

    /// Checks whether a proved pair may go on.
    fn keep(&self, pair: &DomainPair, proof: Proof) -> Result<(), Error> {
        let DomainPair { local, remote } = pair;
        if !self.negotiation.rules.permits(remote) {
            return Err(denial(remote));
        }
        if self.negotiation.rules.hosted(local).is_none() {
            return Err(Error::new(Condition::HostGone, format!("{local} is no longer served here")));
        }
        let withdrawn =
            |withdrawal: Withdrawal| Error::new(Condition::PolicyViolation, withdrawal.explain(remote));
        let verdict = self.negotiation.certificate(remote).unwrap_or(Err(Problem::Missing));
        policy::readmit(
            self.negotiation.rules.policy(remote),
            self.negotiation.secured.is_some(),
            verdict,
            proof,
        )
        .map_err(withdrawn)?;
        match proof {
            Proof::Dialback if self.negotiation.lost_external(remote) => {
                Err(withdrawn(Withdrawal::AfterExternal))
            }
            _ => Ok(()),
        }
    }

    /// Takes the limits of the rules. A peer relies on the limit for stanzas that was announced, and only a
    /// new stream can announce a lower one.
    fn take_limits(&mut self) -> Option<Error> {
        let bounds = *self.negotiation.rules.bounds();
        let most =
            self.pairs.iter().map(|pair| self.negotiation.rules.policy(&pair.remote).max_stanza).max()?;
        if most < self.max_stanza {
            let text = "the limit for stanzas is lower now; a new stream announces it";
            return Some(Error::new(Condition::Reset, text));
        }
        self.max_stanza = most;
        self.negotiation.wire.limit(bounds.for_known(most));
        None
    }
}

fn denial(remote: &Domain) -> Error {
    Error::new(Condition::PolicyViolation, format!("{remote} may no longer federate with this server"))
}

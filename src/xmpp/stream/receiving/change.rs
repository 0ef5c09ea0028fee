//! What a stream that stands makes of other rules, and of the end of the peer's certificate.
use super::{Asked, Receiving, State};
use crate::{
    DomainPair,
    dialback::{self, Answer},
    policy::Rules,
    stream::{Condition, Error},
};
use std::sync::Arc;

impl Receiving {
    /// Goes on under other rules. When they forbid what the stream is for, gives the error that it has to be closed
    /// with; stanzas of forbidden pairs are not taken from now on.
    pub fn adopt(&mut self, rules: Arc<Rules>) -> Option<Error> {
        self.rules = rules;
        let claims = self.header.from.iter().chain(self.pairs.iter().map(|pair| &pair.remote));
        let denied = claims.into_iter().find(|remote| !self.rules.permits(remote)).cloned();
        let gone = self.pairs.iter().find(|pair| self.rules.hosted(&pair.local).is_none());
        let gone = gone.map(|pair| pair.local.clone());
        let rules = &self.rules;
        self.pairs.retain(|pair| rules.permits(&pair.remote) && rules.hosted(&pair.local).is_some());
        self.refuse_pending();
        let denied = denied.map(|remote| {
            Error::new(
                Condition::PolicyViolation,
                format!("{remote} may not federate with this server any more"),
            )
        });
        denied.or_else(|| {
            Some(Error::new(Condition::HostGone, format!("{} is not served here any more", gone?)))
        })
    }

    /// Notes that the peer's certificate has ended: it proves nothing more. Gives whether the trust in the peer ends
    /// with it: it proved itself by it, or the policy wants it good.
    pub fn certificate_ended(&mut self) -> bool {
        if let Some(certificate) = self.secured.as_mut().and_then(|secured| secured.certificate.as_mut()) {
            certificate.end();
        }
        let strict = |pair: &DomainPair| self.rules.policy(&pair.remote).strict_certificates;
        self.certified || self.pairs.iter().any(strict)
    }

    /// Refuses the keys under verification that the rules, which are new, do not permit.
    fn refuse_pending(&mut self) {
        for request in std::mem::take(&mut self.pending) {
            match self.permit_pair(&request.pair) {
                Ok(()) => self.pending.push(request),
                Err(error) if self.state == State::ExpectElement => {
                    let DomainPair { local, remote } = &request.pair;
                    self.tell(Asked::Dialback, format!("dialback for {remote}: {error}"));
                    self.wire.write(&dialback::result_answer(local, remote, &Answer::Error(error)));
                }
                Err(_) => {}
            }
        }
    }
}

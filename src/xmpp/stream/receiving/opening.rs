//! What a header of the peer is answered with: a header, and the features that its name and its policy make it worth.
use super::{Output, Receiving, State};
use crate::{
    Domain, DomainPair,
    certificate::Problem,
    policy::{self, Admission, Mechanism, Policy, Refusal, Tls},
    stream::{
        error::Fault,
        features::{Features, Limits, Necessity},
        header::VERSION,
    },
};

impl Receiving {
    pub(super) fn open(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.state != State::ExpectHeader {
            return Ok(());
        }
        let header = self.wire.header(bytes)?;
        self.wire.confine_header(&header)?;
        let hosted = header.to.as_ref().and_then(|to| self.rules.hosted(to));
        let version = header.is_modern().then_some(VERSION);
        let policy = self.rules.policy_for(header.from.as_ref());
        let dialback = policy.allows(Mechanism::Dialback);
        if self.pairs.is_empty() {
            self.wire.limit(self.rules.bounds().for_stranger(policy.max_stanza_unauthenticated));
        }
        self.intake = self.wire.intake(header.lang.clone());
        self.header = header;
        self.state = State::ExpectElement;

        let ours = self.header.to.clone().filter(|_| hosted.is_some());
        self.answer_header(version, dialback);
        if ours.is_none() && !self.may_name_later() {
            return Err(Fault::UnknownHost(self.header.to.as_ref().map(Domain::to_string)));
        }
        let admission = self.admit_header(ours.as_ref())?;
        if let Some(to) = ours.filter(|_| self.identity.is_none()) {
            let from = self.header.from.clone();
            let certificate = from.as_ref().and_then(|from| self.certificate(from));
            self.wire.emit(Output::Opened { from, to, certificate });
        }
        if version.is_some() {
            let certificate = hosted.is_some_and(|hosted| hosted.certificate);
            self.wire.write(&self.features(certificate, admission).element());
        }
        Ok(())
    }

    /// Whether the header may lack `to`, so that the first question of dialback says which of our domains is wanted
    /// (RFC 3920 8.3). Nothing but dialback is offered then, and each of its questions is judged by the domains that it
    /// names.
    ///
    /// COMPAT: jabberd2 2.7.0 without TLS sends neither `to`, `from` nor `version`; QXmpp until 2020 neither `to` nor
    /// `from`; Openfire until 2015 no `to` where it only verifies a key.
    fn may_name_later(&self) -> bool {
        self.header.to.is_none()
            && self.identity.is_none()
            && (self.header.dialback || !self.header.is_modern())
    }

    /// Takes the domains that the header left out from a question of dialback, once. They are for the log: what the peer
    /// gets does not depend on them.
    pub(super) fn name_later(&mut self, pair: &DomainPair) {
        if self.header.to.is_some() || self.named_later.is_some() || self.rules.hosted(&pair.local).is_none()
        {
            return;
        }
        self.named_later = Some(pair.clone());
        let from = self.claimed().cloned();
        let certificate = from.as_ref().and_then(|from| self.certificate(from));
        self.wire.emit(Output::Opened { from, to: pair.local.clone(), certificate });
    }

    /// Judges `from` of the current header: nobody else after authentication, none of ours, nobody who is denied.
    fn admit_header(&self, to: Option<&Domain>) -> Result<Option<Admission>, Fault> {
        if let Some(identity) = &self.identity {
            return match (&self.header.from, to) {
                (Some(from), _) if *from != identity.remote => Err(Fault::From(from.clone())),
                (_, Some(to)) if *to != identity.local => Err(Fault::OtherHost(to.clone())),
                _ => Ok(None),
            };
        }
        let Some(from) = &self.header.from else {
            return Ok(None);
        };
        if self.rules.hosted(from).is_some() {
            return Err(Fault::From(from.clone()));
        }
        if !self.rules.permits(from) {
            return Err(Fault::Denied(from.clone()));
        }
        match self.admit(from) {
            Ok(admission) => Ok(Some(admission)),
            Err(refusal @ (Refusal::Certificate(_) | Refusal::TlsForbidden)) => {
                Err(Fault::Refused(from.clone(), refusal))
            }
            // TLS may follow, and questions about our own keys are answered on any stream.
            Err(Refusal::TlsRequired | Refusal::NoMechanism) => Ok(None),
        }
    }

    /// What may vouch for `remote` on this stream.
    pub(super) fn admit(&self, remote: &Domain) -> Result<Admission, Refusal> {
        let policy = self.rules.policy(remote);
        policy::admit(policy, self.secured.is_some(), self.certificate(remote).unwrap_or(Ok(())))
    }

    /// Over TLS: whether the peer's certificate proves `remote`.
    pub(super) fn certificate(&self, remote: &Domain) -> Option<Result<(), Problem>> {
        Some(self.secured.as_ref()?.proves(remote, self.rules.policy(remote)))
    }

    /// What is offered now. Before a TLS that is required, nothing that authenticates (RFC 6120 5.3.1).
    fn features(&self, certificate: bool, admission: Option<Admission>) -> Features {
        let policy = self.policy();
        if self.identity.is_some() {
            return Features { limits: announced(policy), ..Features::default() };
        }
        let starttls = match policy.tls {
            _ if self.secured.is_some() || !certificate => None,
            Tls::Required => Some(Necessity::Required),
            Tls::Optional => Some(Necessity::Voluntary),
            Tls::Disabled => None,
        };
        let lawful = match policy.tls {
            Tls::Required => self.secured.is_some(),
            Tls::Optional => true,
            Tls::Disabled => self.secured.is_none(),
        };
        let dialback = match admission {
            Some(admission) => admission.dialback,
            // Without a `from`, each key is judged under the policy for its own domain.
            None => self.header.from.is_none() && lawful && policy.allows(Mechanism::Dialback),
        };
        // Nothing follows dialback in which the limits could be told, so they stand beside it.
        let limits = if dialback { announced(policy) } else { Limits::default() };
        // It would prove the peer to the domain in `to`.
        let external = self.header.to.is_some() && admission.is_some_and(|admission| admission.external);
        Features { starttls, external, dialback, limits, unknown: None }
    }

    pub(super) fn policy(&self) -> &Policy {
        self.rules.policy_for(self.header.from.as_ref())
    }
}

fn announced(policy: &Policy) -> Limits {
    let idle_seconds = Some(policy.idle_seconds).filter(|seconds| *seconds != 0);
    Limits { max_bytes: Some(policy.max_stanza), idle_seconds }
}

//! The answer to a header of the peer: our header, and the features that the peer's name and its policy
//! allow.
use super::{Output, authentication::address, negotiation::Negotiation};
use crate::{
    Domain, DomainPair,
    certificate::Problem,
    policy::{self, Admission, Mechanism, Policy, Refusal, Tls},
    stream::{
        error::Fault,
        features::{Features, Necessity, StreamLimits},
    },
    xml::Element,
};

impl Negotiation<Output> {
    /// Takes the header of a peer that has proved nothing yet.
    pub(super) fn open(&mut self, bytes: &[u8]) -> Result<Option<Output>, Fault> {
        let header = self.wire.header(bytes)?;
        self.wire.confine_header(&header)?;
        let modern = header.is_modern();
        self.answer(header);
        self.confine();

        let wanted = self.header.to.as_ref();
        let hosted = wanted.and_then(|to| self.rules.hosted(to));
        if hosted.is_none() && !self.may_name_later() {
            return Err(Fault::UnknownHost(wanted.map(Domain::to_string)));
        }
        let admission = self.admit_header()?;
        let opened = self.header.to.clone().map(|to| self.opened(to));
        if modern {
            let certificate = hosted.is_some_and(|hosted| hosted.certificate);
            let features = self.features(certificate, admission);
            self.wire.write(&features.element());
        }
        Ok(opened)
    }

    /// Whether the header may lack `to`, so that the first question of dialback names the one of our domains
    /// that the peer wants (RFC 3920 section 8.3). Only dialback is offered then, and each of its questions
    /// is decided by the domains that it names.
    ///
    /// COMPAT: jabberd2 2.7.0 without TLS sends neither `to`, `from` nor `version`; QXmpp until 2020 neither
    /// `to` nor `from`; Openfire until 2015 no `to` where it only verifies a key.
    fn may_name_later(&self) -> bool {
        self.header.to.is_none() && (self.header.dialback || !self.header.is_modern())
    }

    /// Takes the domains that the header left out from a question of dialback, once. They are for the log:
    /// the answer to the peer does not depend on them.
    pub(super) fn name_later(&mut self, question: &Element) -> Option<Output> {
        if self.header.to.is_some() || self.named_later.is_some() || question.attribute("type").is_some() {
            return None;
        }
        let (local, remote) = (address(question, "to").ok()?, address(question, "from").ok()?);
        self.rules.hosted(&local)?;
        self.named_later = Some(DomainPair { local: local.clone(), remote });
        Some(self.opened(local))
    }

    fn opened(&self, to: Domain) -> Output {
        let from = self.claimed().cloned();
        let certificate = from.as_ref().and_then(|from| self.certificate(from));
        Output::Opened { from, to, certificate }
    }

    /// Judges `from` of the current header: none of our domains, and none that is denied.
    fn admit_header(&self) -> Result<Option<Admission>, Fault> {
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

    /// The features that are offered now. Before a TLS that is required, none that authenticates (RFC 6120
    /// section 5.3.1).
    fn features(&self, certificate: bool, admission: Option<Admission>) -> Features {
        let policy = self.policy();
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
            // Without a `from`, each key is admitted under the policy for its own domain.
            None => self.header.from.is_none() && lawful && policy.allows(Mechanism::Dialback),
        };
        // Nothing follows dialback in which the limits could be announced, so they are announced with it.
        let limits = if dialback { announced(policy) } else { StreamLimits::default() };
        // It would prove the peer to the domain in `to`.
        let external = self.header.to.is_some() && admission.is_some_and(|admission| admission.external);
        // The same holds for acks. What is offered in clear text may change within TLS.
        let acks = dialback && self.secured.is_some() && policy.acks.is_some();
        Features { starttls, external, dialback, limits, acks, unknown: None }
    }
}

impl<O> Negotiation<O> {
    /// Takes the header that follows EXTERNAL. It has to be of the same domains, and gets no more offers.
    pub(super) fn reopen(&mut self, bytes: &[u8], identity: &DomainPair) -> Result<(), Fault> {
        let header = self.wire.header(bytes)?;
        self.wire.confine_header(&header)?;
        let modern = header.is_modern();
        self.answer(header);
        match (&self.header.to, &self.header.from) {
            (to, _) if to.as_ref().is_none_or(|to| self.rules.hosted(to).is_none()) => {
                return Err(Fault::UnknownHost(to.as_ref().map(Domain::to_string)));
            }
            (_, Some(from)) if *from != identity.remote => return Err(Fault::From(from.clone())),
            (Some(to), _) if *to != identity.local => return Err(Fault::OtherHost(to.clone())),
            _ => {}
        }
        if modern {
            let policy = self.policy();
            let (limits, acks) = (announced(policy), policy.acks.is_some());
            let features = Features { limits, acks, ..Features::default() };
            self.wire.write(&features.element());
        }
        Ok(())
    }

    /// The mechanisms that may prove `remote` on this stream.
    pub(super) fn admit(&self, remote: &Domain) -> Result<Admission, Refusal> {
        let policy = self.rules.policy(remote);
        policy::admit(policy, self.secured.is_some(), self.certificate(remote).unwrap_or(Ok(())))
    }

    /// Over TLS: whether the peer's certificate proves `remote`.
    pub(super) fn certificate(&self, remote: &Domain) -> Option<Result<(), Problem>> {
        Some(self.secured.as_ref()?.proves(remote, self.rules.policy(remote)))
    }
}

fn announced(policy: &Policy) -> StreamLimits {
    let idle_seconds = Some(policy.idle_seconds).filter(|seconds| *seconds != 0);
    StreamLimits { max_bytes: Some(policy.max_stanza), idle_seconds }
}

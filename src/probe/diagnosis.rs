//! Maps a failure of the node to the step at which it occurred, and to a cause.

use xmpp::{
    policy::{Mechanism, Policy},
    stream::{Condition, initiating},
};

use super::{
    cause::{self, Cause},
    certificate,
    observed::Observed,
    step::Kind,
};
use actors::attempt::{AttemptError, Observations};
use net::dns;

/// The context of a failure, which helps to find its cause.
pub(crate) struct Context<'a> {
    pub(crate) observed: &'a Observed,
    /// The policy for the remote domain.
    pub(crate) policy: &'a Policy,
    /// We have a certificate.
    pub(crate) has_certificate: bool,
}

impl Context<'_> {
    fn observations(&self) -> Observations {
        let Self { observed, policy, has_certificate } = self;
        Observations {
            received: Some(observed.received.clone()),
            has_header: observed.header.is_some(),
            secured: observed.presented.is_some(),
            chain_incomplete: observed.presented.as_ref().is_some_and(certificate::is_incomplete),
            wants_external: policy.allows(Mechanism::External),
            has_certificate: *has_certificate,
            offers_external: observed.offered.as_ref().is_some_and(|features| features.external),
            allows_dialback: policy.allows(Mechanism::Dialback),
        }
    }
}

/// The step at which an attempt failed, and the cause.
pub(crate) fn of(failure: &AttemptError, context: &Context<'_>) -> (Kind, &'static Cause) {
    let mut cause = failure.cause(&context.observations());
    if cause == &cause::DIALBACK_REFUSED && !context.policy.secret.is_shared() {
        // The running node has another secret and could not confirm the key: nothing is known about dialback.
        cause = &cause::DIALBACK_UNTESTABLE;
    }
    (step(failure, cause), cause)
}

fn step(failure: &AttemptError, cause: &Cause) -> Kind {
    match failure {
        AttemptError::Denied => Kind::Policy,
        AttemptError::Dns(_) | AttemptError::Loop(_) | AttemptError::TlsForbidden => Kind::Dns,
        AttemptError::Connect(_) => Kind::Tcp,
        AttemptError::Tls { .. } => Kind::Tls,
        AttemptError::Stream { .. } | AttemptError::TimedOut { .. }
            if cause == &cause::AUTHORITY_UNREACHABLE =>
        {
            Kind::Dialback
        }
        AttemptError::Stream { failure, .. } => of_stream(&failure.cause),
        AttemptError::Unauthenticated { .. } => Kind::External,
        AttemptError::Refused { error, .. } => step(error, cause),
        AttemptError::Broken { .. } | AttemptError::TimedOut { .. } => Kind::Stream,
        AttemptError::Stopping
        | AttemptError::Late
        | AttemptError::ShortLived
        | AttemptError::Overloaded
        | AttemptError::Crowded(_)
        | AttemptError::Crashed => Kind::Probe,
    }
}

fn of_stream(failure: &initiating::Cause) -> Kind {
    use initiating::Cause;
    match failure {
        Cause::TlsUnavailable | Cause::TlsForbidden | Cause::NoMechanism => Kind::Features,
        Cause::TlsRefused => Kind::Tls,
        Cause::Certificate(_) => Kind::Certificate,
        Cause::ExternalRefused(_) => Kind::External,
        Cause::DialbackInvalid | Cause::DialbackError(_) => Kind::Dialback,
        Cause::NotXmpp
        | Cause::Stream(_)
        | Cause::Closed
        | Cause::Redirected { .. }
        | Cause::Misbehaved(_) => Kind::Stream,
    }
}

/// The same for a connection to our own server. All of its causes are ours to fix.
pub(crate) fn of_own(failure: &AttemptError) -> (Kind, &'static Cause) {
    match failure {
        AttemptError::Dns(failure) => (Kind::Dns, of_own_dns(failure)),
        AttemptError::Stream { failure, .. } => match &failure.cause {
            initiating::Cause::Certificate(problem) => (Kind::Certificate, certificate::of_own(problem)),
            initiating::Cause::TlsUnavailable => (Kind::Features, &cause::OWN_MISSING),
            initiating::Cause::Stream(error) if error.condition != Condition::HostUnknown => {
                (Kind::Stream, &cause::OWN_REFUSES)
            }
            _ => (Kind::Stream, &cause::OWN_IS_ANOTHER),
        },
        AttemptError::Tls { .. } => (Kind::Tls, &cause::OWN_IS_ANOTHER),
        AttemptError::Connect(_) => (Kind::Tcp, &cause::OWN_UNREACHABLE),
        _ => (Kind::Stream, &cause::OWN_UNREACHABLE),
    }
}

/// The cause for a failure to look up our own domain.
fn of_own_dns(failure: &dns::LookupError) -> &'static Cause {
    match failure {
        dns::LookupError::NoSuchDomain { .. }
        | dns::LookupError::NotOffered { .. }
        | dns::LookupError::NoService { .. }
        | dns::LookupError::NoAddress { .. } => &cause::OWN_NOT_IN_DNS,
        dns::LookupError::Silent { .. } => &cause::OWN_DNS_FAILS,
        dns::LookupError::Refused { code: dns::Rcode::ServerFailure, .. } => &cause::OWN_DNS_FAILS,
        dns::LookupError::Refused { .. } => &cause::DNS_REFUSED,
        dns::LookupError::Bogus { .. } => &cause::OWN_BOGUS,
        dns::LookupError::Unusable { .. } => &cause::DNS_UNUSABLE,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use xmpp::{
        Domain, DomainPair,
        certificate::{Problem, TrustStore},
        dialback::Secret,
        policy::{MalformedStanza, Tls, UnknownRecipient},
        sasl,
        stanza::{self, ErrorType},
        stream::{Header, Stage, error, initiating::Cause},
    };

    use super::*;
    use actors::attempt::At;
    use net::{happy_eyeballs, tls};

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn policy() -> Policy {
        Policy {
            tls: Tls::Required,
            auth: vec![Mechanism::External, Mechanism::Dialback],
            strict_certificates: false,
            dialback_after_external: false,
            dialback_shortcut: false,
            trust: TrustStore(0),
            max_stanza: 1 << 18,
            max_stanza_unauthenticated: 1 << 16,
            unknown_recipient: UnknownRecipient::Bounce,
            malformed_stanza: MalformedStanza::Bounce,
            idle_seconds: 0,
            secret: Secret::new("shared"),
            acks: None,
        }
    }

    /// One failure of each kind.
    fn every_failure() -> Vec<AttemptError> {
        let address = ([192, 0, 2, 7], 5269).into();
        let question = || dns::Question { name: "b.example".to_owned(), kind: "A" };
        let refused = |code| dns::LookupError::Refused { question: question(), code };
        let name = || "b.example".to_owned();
        let dns = [
            dns::LookupError::NoSuchDomain { domain: name() },
            dns::LookupError::NotOffered { domain: name() },
            dns::LookupError::NoService { domain: name() },
            dns::LookupError::NoAddress { host: name(), exists: true },
            dns::LookupError::NoAddress { host: name(), exists: false },
            dns::LookupError::Silent { question: question(), after: Duration::from_secs(5) },
            refused(dns::Rcode::ServerFailure),
            refused(dns::Rcode::Refused),
            dns::LookupError::Bogus { question: question() },
            dns::LookupError::Unusable { question: question(), reason: "no way".to_owned() },
        ];
        let connect = [
            happy_eyeballs::ConnectError::Silent(Duration::from_secs(10)),
            happy_eyeballs::ConnectError::Refused,
            happy_eyeballs::ConnectError::Unreachable,
            happy_eyeballs::ConnectError::Other(io::ErrorKind::PermissionDenied),
        ];
        let alerts = (0..=120).map(tls::Error::Alert);
        let tls = [
            tls::Error::Identity { domain: domain("a.example"), reason: "no key".to_owned() },
            tls::Error::NoIdentity,
            tls::Error::Setup("no memory".to_owned()),
            tls::Error::Closed,
            tls::Error::Broken(io::ErrorKind::ConnectionReset),
            tls::Error::NotTls,
            tls::Error::NoCommonVersion,
            tls::Error::NoCommonCipher,
            tls::Error::OtherProtocol,
            tls::Error::Failed("other".to_owned()),
        ];
        let problems = [
            Problem::Missing,
            Problem::Expired { on: "2026-11-01".to_owned() },
            Problem::NotYetValid { until: "2040-01-01".to_owned(), soon: false },
            Problem::NotYetValid { until: "2040-01-01".to_owned(), soon: true },
            Problem::AuthorityExpired { authority: "Toy R1".to_owned(), on: "2026-11-01".to_owned() },
            Problem::AuthorityNotYetValid {
                authority: "Toy R1".to_owned(),
                until: "2040-01-01".to_owned(),
                soon: false,
            },
            Problem::AuthorityNotYetValid {
                authority: "Toy R1".to_owned(),
                until: "2040-01-01".to_owned(),
                soon: true,
            },
            Problem::Revoked { on: "2026-11-01".to_owned() },
            Problem::SelfSigned,
            Problem::UnknownAuthority { issuer: "Toy".to_owned() },
            Problem::WrongPurpose,
            Problem::WrongName { wanted: domain("b.example"), names: String::new() },
            Problem::Other("weak".to_owned()),
        ];
        let mut causes = vec![
            Cause::NotXmpp,
            Cause::TlsUnavailable,
            Cause::TlsForbidden,
            Cause::TlsRefused,
            Cause::NoMechanism,
            Cause::ExternalRefused(sasl::Failure {
                condition: sasl::Condition::NotAuthorized,
                text: String::new(),
            }),
            Cause::DialbackInvalid,
            Cause::Closed,
            Cause::Redirected { host: "c.example".to_owned(), secured: true },
            Cause::Redirected { host: "c.example".to_owned(), secured: false },
        ];
        causes.extend(problems.map(Cause::Certificate));
        causes.extend(STANZA_CONDITIONS.split_whitespace().map(|name| {
            let condition = stanza::Condition::parse(name).expect(name);
            Cause::DialbackError(stanza::Error { type_: ErrorType::Cancel, condition, text: String::new() })
        }));
        for name in STREAM_CONDITIONS.split_whitespace() {
            let condition = Condition::parse(name).expect(name);
            causes.push(Cause::Stream(error::Error::new(condition, "")));
            causes.push(Cause::Misbehaved(error::Error::new(condition, "")));
        }
        let after = Duration::from_secs(30);
        let stages = [Stage::Header, Stage::Features, Stage::DialbackResult];
        let mut all = vec![
            AttemptError::Denied,
            AttemptError::Stopping,
            AttemptError::Late,
            AttemptError::ShortLived,
            AttemptError::Overloaded,
            AttemptError::Crowded([192, 0, 2, 7].into()),
            AttemptError::Loop(address),
            AttemptError::Crashed,
        ];
        all.extend(dns.map(AttemptError::Dns));
        all.extend(connect.map(|failure| AttemptError::Connect(vec![(address, failure)])));
        all.extend(tls.into_iter().chain(alerts).map(|error| AttemptError::Tls { address, error }));
        for stage in stages {
            let at = || At { address, stage, distrusted: None };
            all.push(AttemptError::Broken { at: at(), error: None });
            all.push(AttemptError::Broken { at: at(), error: Some(io::ErrorKind::ConnectionReset) });
            all.push(AttemptError::TimedOut { at: at(), after });
            all.extend(causes.iter().map(|cause| {
                let failure = initiating::Failure { remote: domain("b.example"), cause: cause.clone() };
                AttemptError::Stream { at: at(), failure }
            }));
        }
        all
    }

    #[test]
    fn explain_and_probe_find_the_same_cause_for_every_failure() {
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        let (nothing, policy) = (Observed::default(), policy());
        let header = Observed {
            received: b"<stream:stream".to_vec(),
            header: Some(Header::default()),
            ..Observed::default()
        };
        let mut differ = Vec::new();
        for failure in every_failure() {
            let stage = match &failure {
                AttemptError::Stream { at, .. }
                | AttemptError::Broken { at, .. }
                | AttemptError::TimedOut { at, .. } => Some(at.stage),
                _ => None,
            };
            let first = stage == Some(Stage::Header);
            let observed = if first { &nothing } else { &header };
            let context = Context { observed, policy: &policy, has_certificate: true };
            let (_, cause) = of(&failure, &context);
            for address in [None, Some("192.0.2.7:5269")] {
                let report = failure.report(&pair, address);
                let remedy = cause.remedy(&pair, address);
                if report.side != cause.side || report.cause != cause.id || report.remedy != remedy {
                    differ.push(format!("{failure:?}: {} {:?}, but {report:?}", cause.id, cause.side));
                }
            }
        }
        assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    }

    const STANZA_CONDITIONS: &str = "bad-request conflict feature-not-implemented forbidden gone \
        internal-server-error item-not-found jid-malformed not-acceptable not-allowed not-authorized \
        policy-violation recipient-unavailable redirect registration-required remote-server-not-found \
        remote-server-timeout resource-constraint service-unavailable subscription-required \
        undefined-condition unexpected-request";

    const STREAM_CONDITIONS: &str = "bad-format bad-namespace-prefix conflict connection-timeout host-gone \
        host-unknown improper-addressing internal-server-error invalid-from invalid-namespace invalid-xml \
        not-authorized not-well-formed policy-violation remote-connection-failed reset resource-constraint \
        restricted-xml see-other-host system-shutdown undefined-condition unsupported-encoding \
        unsupported-feature unsupported-stanza-type unsupported-version";
}

//! From the node's own words for a failure to a step of the way and a cause.

use xmpp::{
    policy::{Mechanism, Policy},
    stream::{Condition, initiating},
};

use super::{
    cause::{self, Cause},
    judgement,
    sight::Sight,
};
use actors::dial::failure::{
    Failure,
    diagnosis::{Seen, of_certificate},
};
use net::dns;

/// What a failure has to be seen with.
pub(crate) struct Circumstances<'a> {
    /// What was seen of the connection.
    pub(crate) sight: &'a Sight,
    /// The terms for the remote.
    pub(crate) policy: &'a Policy,
    /// We have a certificate to show.
    pub(crate) certificate: bool,
}

impl Circumstances<'_> {
    fn seen(&self) -> Seen {
        let Self { sight, policy, certificate } = self;
        Seen {
            heard: Some(sight.heard.clone()),
            greeted: sight.greeting.is_some(),
            secured: sight.shown.is_some(),
            chain_incomplete: sight.shown.as_ref().is_some_and(judgement::is_incomplete),
            wants_external: policy.allows(Mechanism::External),
            has_certificate: *certificate,
            offers_external: sight.offered.as_ref().is_some_and(|features| features.external),
            allows_dialback: policy.allows(Mechanism::Dialback),
        }
    }
}

/// The step at which the way to a remote ended, and why.
pub(crate) fn of(failure: &Failure, circumstances: &Circumstances<'_>) -> (&'static str, &'static Cause) {
    let mut cause = failure.cause(&circumstances.seen());
    if cause == &cause::DIALBACK_REFUSED && !circumstances.policy.secret.is_shared() {
        // With a good certificate dialback would not have been needed: that is what can be mended there.
        cause = match failure {
            Failure::Stream { distrusted: Some(problem), .. } => {
                let incomplete = circumstances.sight.shown.as_ref().is_some_and(judgement::is_incomplete);
                of_certificate(problem, incomplete)
            }
            _ => &cause::DIALBACK_UNTESTABLE,
        };
    }
    (step(failure, cause), cause)
}

fn step(failure: &Failure, cause: &Cause) -> &'static str {
    match failure {
        Failure::Denied => "policy",
        Failure::Dns(_) | Failure::Loop(_) | Failure::TlsForbidden => "dns",
        Failure::Connect(_) => "tcp",
        Failure::Tls { .. } => "tls",
        Failure::Stream { .. } | Failure::TimedOut { .. } if cause == &cause::AUTHORITY_UNREACHABLE => {
            "dialback"
        }
        Failure::Stream { failure, .. } => of_stream(&failure.cause),
        Failure::Unauthenticated { .. } => "external",
        Failure::Refused { failure, .. } => step(failure, cause),
        Failure::Broken { .. } | Failure::TimedOut { .. } => "stream",
        Failure::Stopping
        | Failure::Late
        | Failure::ShortLived
        | Failure::Overloaded
        | Failure::Crowded(_)
        | Failure::Crashed => "probe",
    }
}

fn of_stream(failure: &initiating::Cause) -> &'static str {
    use initiating::Cause;
    match failure {
        Cause::TlsUnavailable | Cause::TlsForbidden | Cause::NoMechanism => "features",
        Cause::TlsRefused => "tls",
        Cause::Certificate(_) => "certificate",
        Cause::ExternalRefused(_) => "external",
        Cause::DialbackInvalid | Cause::DialbackError(_) => "dialback",
        Cause::NotXmpp
        | Cause::Stream(_)
        | Cause::Closed
        | Cause::Redirected { .. }
        | Cause::Misbehaved(_) => "stream",
    }
}

/// The same for the way to ourselves: whatever it is, we have to act.
pub(crate) fn of_own(failure: &Failure) -> (&'static str, &'static Cause) {
    match failure {
        Failure::Dns(failure) => ("dns", of_own_dns(failure)),
        Failure::Stream { failure, .. } => match &failure.cause {
            initiating::Cause::Certificate(problem) => ("certificate", judgement::of_own(problem)),
            initiating::Cause::TlsUnavailable => ("features", &cause::OWN_MISSING),
            initiating::Cause::Stream(error) if error.condition != Condition::HostUnknown => {
                ("stream", &cause::OWN_REFUSES)
            }
            _ => ("stream", &cause::OWN_IS_ANOTHER),
        },
        Failure::Tls { .. } => ("tls", &cause::OWN_IS_ANOTHER),
        Failure::Connect(_) => ("tcp", &cause::OWN_UNREACHABLE),
        _ => ("stream", &cause::OWN_UNREACHABLE),
    }
}

/// What the DNS did not say is no word about our records.
fn of_own_dns(failure: &dns::Failure) -> &'static Cause {
    match failure {
        dns::Failure::NoSuchDomain { .. }
        | dns::Failure::NotOffered { .. }
        | dns::Failure::NoService { .. }
        | dns::Failure::NoAddress { .. } => &cause::OWN_NOT_IN_DNS,
        dns::Failure::Silent { .. } => &cause::OWN_DNS_FAILS,
        dns::Failure::Refused { code: dns::Rcode::ServFail, .. } => &cause::OWN_DNS_FAILS,
        dns::Failure::Refused { .. } => &cause::DNS_REFUSED,
        dns::Failure::Bogus { .. } => &cause::OWN_BOGUS,
        dns::Failure::Unusable { .. } => &cause::DNS_UNUSABLE,
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
        }
    }

    /// One failure of each kind that there is.
    fn every_failure() -> Vec<Failure> {
        let address = ([192, 0, 2, 7], 5269).into();
        let question = || dns::Question { name: "b.example".to_owned(), kind: "A" };
        let refused = |code| dns::Failure::Refused { question: question(), code };
        let name = || "b.example".to_owned();
        let dns = [
            dns::Failure::NoSuchDomain { domain: name() },
            dns::Failure::NotOffered { domain: name() },
            dns::Failure::NoService { domain: name() },
            dns::Failure::NoAddress { host: name(), exists: true },
            dns::Failure::NoAddress { host: name(), exists: false },
            dns::Failure::Silent { question: question(), after: Duration::from_secs(5) },
            refused(dns::Rcode::ServFail),
            refused(dns::Rcode::Refused),
            dns::Failure::Bogus { question: question() },
            dns::Failure::Unusable { question: question(), reason: "no way".to_owned() },
        ];
        let connect = [
            happy_eyeballs::Failure::Silent(Duration::from_secs(10)),
            happy_eyeballs::Failure::Refused,
            happy_eyeballs::Failure::Unreachable,
            happy_eyeballs::Failure::Other(io::ErrorKind::PermissionDenied),
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
            Failure::Denied,
            Failure::Stopping,
            Failure::Late,
            Failure::ShortLived,
            Failure::Overloaded,
            Failure::Crowded([192, 0, 2, 7].into()),
            Failure::Loop(address),
            Failure::Crashed,
        ];
        all.extend(dns.map(Failure::Dns));
        all.extend(connect.map(|failure| Failure::Connect(vec![(address, failure)])));
        all.extend(tls.into_iter().chain(alerts).map(|error| Failure::Tls { address, error }));
        for stage in stages {
            all.push(Failure::Broken { address, stage, error: None, distrusted: None });
            all.push(Failure::Broken {
                address,
                stage,
                error: Some(io::ErrorKind::ConnectionReset),
                distrusted: None,
            });
            all.push(Failure::TimedOut { address, stage, after, distrusted: None });
            all.extend(causes.iter().map(|cause| {
                let failure = initiating::Failure { remote: domain("b.example"), cause: cause.clone() };
                Failure::Stream { address, stage, failure, distrusted: None }
            }));
        }
        all
    }

    #[test]
    fn explain_blames_whom_the_probe_blames_for_every_failure() {
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        let (nothing, policy) = (Sight::default(), policy());
        let header = Sight {
            heard: b"<stream:stream".to_vec(),
            greeting: Some(Header::default()),
            ..Sight::default()
        };
        let mut differ = Vec::new();
        for failure in every_failure() {
            let first = matches!(
                failure,
                Failure::Stream { stage: Stage::Header, .. }
                    | Failure::Broken { stage: Stage::Header, .. }
                    | Failure::TimedOut { stage: Stage::Header, .. }
            );
            let sight = if first { &nothing } else { &header };
            let seen = Circumstances { sight, policy: &policy, certificate: true };
            let (_, cause) = of(&failure, &seen);
            let trouble = failure.trouble(&pair);
            if trouble.side != cause.side
                || trouble.cause != cause.id
                || trouble.remedy != cause.remedy(&pair)
            {
                differ.push(format!("{failure:?}: {} {:?}, but {trouble:?}", cause.id, cause.side));
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

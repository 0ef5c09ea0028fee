//! The cause of an error: the side that has to act, and the action.

use std::net::SocketAddr;

use xmpp::{
    DomainPair,
    certificate::Problem,
    stanza,
    stream::{Condition, Stage, initiating},
};

use super::AttemptError;
use net::{address, dns, happy_eyeballs, tls};
use status::{
    cause::{self, Cause},
    report::{FailureReport, bounded},
};

/// The observations of a connection. They help to find the cause of an error, but are not necessary.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The first bytes that were received; `None` if nothing was observed.
    pub received: Option<Vec<u8>>,
    /// A stream header was received.
    pub has_header: bool,
    /// The TLS handshake succeeded.
    pub secured: bool,
    /// The peer sent its certificate without the intermediate ones.
    pub chain_incomplete: bool,
    /// The policy allows EXTERNAL.
    pub wants_external: bool,
    /// We have a certificate.
    pub has_certificate: bool,
    /// The peer offers EXTERNAL.
    pub offers_external: bool,
    /// The policy allows dialback.
    pub allows_dialback: bool,
}

impl AttemptError {
    /// The error as a report for the operator: reason, side that has to act, advice. `address` is that of the remote domain
    /// in the configuration, if it has one.
    pub fn report(&self, pair: &DomainPair, address: Option<&str>) -> FailureReport {
        let cause = self.cause(&Observations::default());
        FailureReport {
            reason: bounded(self.sentence(&pair.remote)),
            definitive: self.is_definitive(),
            cause: cause.id.to_owned(),
            side: cause.side,
            remedy: bounded(cause.remedy(pair, address)),
        }
    }

    /// The cause, as far as the error and the observations show it.
    pub fn cause(&self, observations: &Observations) -> &'static Cause {
        match self {
            Self::Denied => &cause::DENIED,
            Self::TlsForbidden => &cause::TLS_FORBIDDEN,
            Self::Stopping => &cause::STOPPING,
            Self::Late => &cause::LATE,
            Self::ShortLived => &cause::SHORT_LIVED,
            Self::Overloaded => &cause::OVERLOADED,
            Self::Crowded(_) => &cause::CROWDED,
            Self::Crashed => &cause::INTERNAL,
            Self::Loop(_) => &cause::LOOP,
            Self::Dns(failure) => of_dns(failure),
            Self::Connect(failures) => of_tcp(failures, address::has_route_to),
            Self::Tls { error, .. } => of_tls(error),
            Self::Stream { at, failure } => of_stream(&failure.cause, at.stage, observations),
            Self::Unauthenticated { external: error, .. } | Self::Refused { error, .. } => {
                error.cause(observations)
            }
            Self::Broken { at, error } => match (observations.received_nothing(at.stage), error) {
                (true, _) => &cause::CLOSED_AT_ONCE,
                (false, None) => &cause::CLOSED,
                (false, Some(_)) => &cause::BROKEN,
            },
            Self::TimedOut { at, .. } => match at.stage {
                Stage::DialbackResult => &cause::AUTHORITY_UNREACHABLE,
                _ if observations.is_http() => &cause::HTTP,
                stage if observations.received_nothing(stage) => &cause::SILENT,
                _ => &cause::TOO_SLOW,
            },
        }
    }
}

impl Observations {
    /// Whether the peer had sent nothing when the stream failed at `stage`.
    fn received_nothing(&self, stage: Stage) -> bool {
        match &self.received {
            Some(received) => received.is_empty() && !self.secured,
            None => stage == Stage::Header,
        }
    }

    /// Whether the peer had sent no stream header when the stream failed at `stage`.
    fn is_unanswered(&self, stage: Stage) -> bool {
        match &self.received {
            Some(_) => !self.has_header,
            None => stage == Stage::Header,
        }
    }

    fn is_http(&self) -> bool {
        self.received.as_ref().is_some_and(|received| received.starts_with(b"HTTP/"))
    }
}

fn of_dns(failure: &dns::LookupError) -> &'static Cause {
    match failure {
        dns::LookupError::NoSuchDomain { .. } => &cause::NO_SUCH_DOMAIN,
        dns::LookupError::NotOffered { .. } => &cause::NOT_OFFERED,
        dns::LookupError::NoService { .. } => &cause::NO_RECORD,
        dns::LookupError::NoAddress { .. } => &cause::TARGET_WITHOUT_ADDRESS,
        dns::LookupError::Silent { .. } => &cause::DNS_SILENT,
        dns::LookupError::Refused { code: dns::Rcode::ServerFailure, .. } => &cause::SERVER_FAILURE,
        dns::LookupError::Refused { .. } => &cause::DNS_REFUSED,
        dns::LookupError::Bogus { .. } => &cause::BOGUS,
        dns::LookupError::Unusable { .. } => &cause::DNS_UNUSABLE,
    }
}

/// The cause if none of these addresses could be connected to. Missing IPv6 on this machine explains it only
/// if there are no IPv4 addresses.
fn of_tcp(
    failures: &[(SocketAddr, happy_eyeballs::ConnectError)],
    has_way_to: impl Fn(SocketAddr) -> bool,
) -> &'static Cause {
    use happy_eyeballs::ConnectError::{LocalScope, Other, Refused, Silent, Unreachable};
    let no_ipv6 = |(address, failure): &&(SocketAddr, happy_eyeballs::ConnectError)| {
        address.is_ipv6() && *failure == Unreachable && !has_way_to(*address)
    };
    let relevant: Vec<_> =
        failures.iter().filter(|tried| !no_ipv6(tried)).map(|(_, failure)| failure).collect();
    match relevant.first() {
        None if failures.is_empty() => &cause::CONNECT_FAILED,
        None => &cause::NO_IPV6_HERE,
        _ if relevant.iter().any(|failure| matches!(failure, Silent(_))) => &cause::NO_ANSWER,
        _ if relevant.iter().any(|failure| matches!(failure, Other(_))) => &cause::CONNECT_FAILED,
        _ if relevant.iter().any(|failure| matches!(failure, Unreachable | LocalScope)) => {
            &cause::UNREACHABLE
        }
        Some(Refused | Unreachable | LocalScope | Silent(_) | Other(_)) => &cause::REFUSED,
    }
}

fn of_tls(error: &tls::Error) -> &'static Cause {
    match error {
        tls::Error::Identity { .. } => &cause::OWN_BAD,
        tls::Error::NoIdentity => &cause::OWN_MISSING,
        tls::Error::Setup(_) => &cause::INTERNAL,
        tls::Error::Closed => &cause::CLOSED_IN_TLS,
        tls::Error::Broken(_) => &cause::BROKEN,
        tls::Error::TooLong => &cause::TLS_TOO_LONG,
        tls::Error::NotTls => &cause::NOT_TLS,
        tls::Error::NoCommonVersion => &cause::TLS_TOO_OLD,
        tls::Error::NoCommonCipher => &cause::NO_COMMON_CIPHER,
        tls::Error::OtherProtocol => &cause::OTHER_ALPN,
        // Alerts of RFC 8446 section 6.2. Most servers send handshake_failure (40) if there is no common
        // cipher.
        tls::Error::Alert(40 | 71) => &cause::NO_COMMON_CIPHER,
        tls::Error::Alert(70) => &cause::TLS_TOO_OLD,
        error if error.blames_our_certificate() => &cause::OUR_CERTIFICATE_REFUSED,
        tls::Error::Alert(112) => &cause::TLS_NAME_UNKNOWN,
        tls::Error::Alert(120) => &cause::OTHER_ALPN,
        tls::Error::Alert(_) | tls::Error::Failed(_) => &cause::TLS_FAILED,
    }
}

fn of_stream(failure: &initiating::Cause, stage: Stage, observations: &Observations) -> &'static Cause {
    use initiating::Cause;
    match failure {
        Cause::NotXmpp if observations.is_http() => &cause::HTTP,
        Cause::NotXmpp => &cause::NOT_XMPP,
        Cause::TlsUnavailable => &cause::NO_STARTTLS,
        Cause::TlsForbidden => &cause::TLS_FORBIDDEN,
        Cause::TlsRefused => &cause::STARTTLS_REFUSED,
        Cause::Certificate(problem) => certificate_cause(problem, observations.chain_incomplete),
        Cause::NoMechanism => without_mechanism(observations),
        Cause::ExternalRefused(_) => &cause::EXTERNAL_REFUSED,
        Cause::DialbackInvalid => &cause::DIALBACK_REFUSED,
        Cause::DialbackError(error) => of_dialback(error.condition),
        Cause::Stream(error) => of_stream_error(error.condition, stage),
        Cause::Closed if observations.is_unanswered(stage) => &cause::CLOSED_AT_ONCE,
        Cause::Closed => &cause::CLOSED,
        Cause::Redirected { .. } => &cause::REDIRECTED,
        Cause::Misbehaved(error) if error.condition == Condition::InvalidNamespace => &cause::WRONG_NAMESPACE,
        Cause::Misbehaved(_) => &cause::BREACH,
    }
}

/// The cause for a problem with the certificate of a remote domain.
pub fn certificate_cause(problem: &Problem, chain_incomplete: bool) -> &'static Cause {
    match problem {
        Problem::Expired { .. } => &cause::EXPIRED,
        Problem::NotYetValid { soon: true, .. } | Problem::AuthorityNotYetValid { soon: true, .. } => {
            &cause::CLOCK_SKEW
        }
        Problem::NotYetValid { .. } | Problem::AuthorityNotYetValid { .. } => &cause::NOT_YET_VALID,
        Problem::AuthorityExpired { .. } => &cause::AUTHORITY_EXPIRED,
        Problem::Revoked { .. } => &cause::REVOKED,
        Problem::SelfSigned => &cause::SELF_SIGNED,
        Problem::UnknownAuthority { .. } if chain_incomplete => &cause::INCOMPLETE_CHAIN,
        Problem::UnknownAuthority { .. } => &cause::UNKNOWN_AUTHORITY,
        Problem::WrongPurpose => &cause::WRONG_PURPOSE,
        Problem::WrongName { .. } => &cause::WRONG_NAME,
        // A missing certificate does not occur: the ciphers that we offer require one.
        Problem::Missing | Problem::Other(_) => &cause::CERTIFICATE_BAD,
    }
}

/// The cause if no mechanism is possible: which side lacks one.
fn without_mechanism(observations: &Observations) -> &'static Cause {
    let Observations { wants_external, has_certificate, offers_external, allows_dialback, .. } =
        *observations;
    match (wants_external, has_certificate, offers_external) {
        (true, false, true) => &cause::OWN_MISSING,
        (true, true, false) if !allows_dialback => &cause::EXTERNAL_NOT_OFFERED,
        _ => &cause::NOTHING_IN_COMMON,
    }
}

/// The cause for an error in the answer to our dialback key (XEP-0220 section 2.5).
fn of_dialback(condition: stanza::Condition) -> &'static Cause {
    use stanza::Condition::{
        Forbidden, ItemNotFound, NotAllowed, NotAuthorized, PolicyViolation, RemoteConnectionFailed,
        RemoteServerNotFound, RemoteServerTimeout,
    };
    match condition {
        RemoteConnectionFailed | RemoteServerTimeout => &cause::AUTHORITY_UNREACHABLE,
        RemoteServerNotFound => &cause::AUTHORITY_NOT_FOUND,
        ItemNotFound => &cause::HOST_UNKNOWN,
        Forbidden | NotAllowed | NotAuthorized | PolicyViolation => &cause::DIALBACK_FORBIDDEN,
        _ => &cause::DIALBACK_ERROR,
    }
}

fn of_stream_error(condition: Condition, stage: Stage) -> &'static Cause {
    match condition {
        Condition::RemoteConnectionFailed => &cause::AUTHORITY_UNREACHABLE,
        Condition::ConnectionTimeout if stage == Stage::DialbackResult => &cause::AUTHORITY_UNREACHABLE,
        Condition::HostUnknown | Condition::HostGone => &cause::HOST_UNKNOWN,
        Condition::PolicyViolation => &cause::POLICY_VIOLATION,
        Condition::NotAuthorized => &cause::NOT_AUTHORIZED,
        Condition::ConnectionTimeout
        | Condition::InternalServerError
        | Condition::Reset
        | Condition::ResourceConstraint
        | Condition::SystemShutdown => &cause::BUSY,
        Condition::ImproperAddressing | Condition::InvalidFrom => &cause::NAME_REFUSED,
        Condition::InvalidNamespace => &cause::WRONG_NAMESPACE,
        Condition::SeeOtherHost => &cause::REDIRECTED,
        _ => &cause::STREAM_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xmpp::{Domain, stream::initiating::Cause};

    use super::{super::At, *};
    use status::report::Side;

    fn pair() -> DomainPair {
        DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new("b.example").unwrap() }
    }

    fn at(stage: Stage) -> At {
        At { address: ([127, 0, 0, 1], 5269).into(), stage, distrusted: None }
    }

    fn of_cause(cause: Cause) -> FailureReport {
        let failure = initiating::Failure { remote: pair().remote, cause };
        AttemptError::Stream { at: at(Stage::Features), failure }.report(&pair(), None)
    }

    #[test]
    fn the_remote_side_has_to_renew_an_expired_certificate() {
        let report = of_cause(Cause::Certificate(Problem::Expired { on: "2026-11-01".to_owned() }));
        assert_eq!(report.reason, "certificate of b.example expired on 2026-11-01");
        assert_eq!(report.remedy, "the operator of b.example must renew it");
        assert_eq!((report.side, report.definitive), (Side::Remote, true));
        assert_eq!(report.cause, "certificate-expired");
    }

    #[test]
    fn an_expired_authority_certificate_is_not_reported_as_the_servers_own() {
        let (authority, on) = ("Toy R1".to_owned(), "2026-11-01".to_owned());
        let report = of_cause(Cause::Certificate(Problem::AuthorityExpired { authority, on }));
        let reason = "certificate of b.example comes from an authority (Toy R1) whose own certificate expired on 2026-11-01";
        assert_eq!(report.reason, reason);
        assert!(report.remedy.contains("the authority's current certificate"), "{}", report.remedy);
        assert_eq!((report.cause.as_str(), report.side), ("certificate-authority-expired", Side::Remote));
    }

    #[test]
    fn the_remedy_for_a_configured_address_names_the_address() {
        let address = ([192, 0, 2, 7], 5269).into();
        let refused = AttemptError::Connect(vec![(address, happy_eyeballs::ConnectError::Refused)]);
        let remedy = |address| refused.report(&pair(), address).remedy;
        assert!(remedy(None).contains("in the DNS"), "{}", remedy(None));
        let fixed = remedy(Some("192.0.2.7:5269"));
        assert!(fixed.contains("`address` (192.0.2.7:5269)") && !fixed.contains("DNS"), "{fixed}");
    }

    #[test]
    fn our_side_decides_about_a_denied_domain() {
        let report = AttemptError::Denied.report(&pair(), None);
        assert_eq!(report.side, Side::Local);
        assert!(report.remedy.contains("s2s.deny"), "{}", report.remedy);
    }

    #[test]
    fn our_side_has_to_fix_its_dns_when_the_remote_finds_our_key_invalid() {
        let report = of_cause(Cause::DialbackInvalid);
        assert_eq!(report.side, Side::Local);
        assert!(report.remedy.contains("DNS records of a.example"), "{}", report.remedy);
    }

    #[test]
    fn a_remote_that_forbids_dialback_differs_from_one_that_cannot_reach_us() {
        let of = |condition| {
            let text = String::new();
            let type_ = stanza::ErrorType::Cancel;
            of_cause(Cause::DialbackError(stanza::Error { type_, condition, text }))
        };
        let forbidden = of(stanza::Condition::Forbidden);
        assert_eq!(forbidden.side, Side::Remote);
        let wanted = "the operator of b.example must allow a.example to authenticate by dialback";
        assert!(forbidden.remedy.starts_with(wanted), "{}", forbidden.remedy);
        let unreachable = of(stanza::Condition::RemoteServerTimeout);
        assert_eq!(unreachable.side, Side::Local);
        assert!(unreachable.remedy.contains("this node can be reached"), "{}", unreachable.remedy);
    }

    #[test]
    fn a_key_that_gets_no_answer_means_that_the_remote_cannot_reach_us() {
        let timed_out = |stage| {
            let after = Duration::from_secs(30);
            AttemptError::TimedOut { at: at(stage), after }.report(&pair(), None)
        };
        assert_eq!(timed_out(Stage::DialbackResult).side, Side::Local);
        assert_eq!(timed_out(Stage::Features).side, Side::Remote);
    }

    #[test]
    fn the_firewall_of_either_side_may_drop_a_connection_without_an_answer() {
        let address = ([192, 0, 2, 7], 5269).into();
        let connect = |failure| AttemptError::Connect(vec![(address, failure)]).report(&pair(), None).side;
        assert_eq!(connect(happy_eyeballs::ConnectError::Silent(Duration::from_secs(10))), Side::Either);
        assert_eq!(connect(happy_eyeballs::ConnectError::Refused), Side::Remote);
    }

    #[test]
    fn missing_ipv6_is_the_cause_only_without_ipv4_addresses() {
        let (four, six) = ("192.0.2.7:5269".parse().unwrap(), "[2001:db8::7]:5269".parse().unwrap());
        let unreachable = |address| (address, happy_eyeballs::ConnectError::Unreachable);
        let without = |failures: &[_]| of_tcp(failures, |address| address.is_ipv4()).id;
        assert_eq!(without(&[unreachable(six)]), "no-ipv6-here");
        assert_eq!(without(&[unreachable(six), unreachable(four)]), "unreachable");
        assert_eq!(
            without(&[unreachable(six), (four, happy_eyeballs::ConnectError::Refused)]),
            "connection-refused"
        );
        assert_eq!(without(&[(six, happy_eyeballs::ConnectError::Refused)]), "connection-refused");
        assert_eq!(of_tcp(&[unreachable(six)], |_| true).id, "unreachable");
    }

    #[test]
    fn an_internal_error_is_on_our_side() {
        for error in [
            AttemptError::Crashed,
            AttemptError::Tls {
                address: ([127, 0, 0, 1], 5269).into(),
                error: tls::Error::Setup("no memory".into()),
            },
        ] {
            let report = error.report(&pair(), None);
            assert_eq!((report.cause.as_str(), report.side), ("internal-error", Side::Local));
        }
    }
}

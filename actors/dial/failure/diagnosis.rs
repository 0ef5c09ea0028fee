//! From a failure to its cause, and so to who can do something about it, and what.

use std::net::SocketAddr;

use xmpp::{
    DomainPair,
    certificate::Problem,
    stanza,
    stream::{Condition, Stage, initiating},
};

use super::Failure;
use net::{dns, happy_eyeballs, tls};
use status::{
    cause::{self, Cause},
    report::{Trouble, bounded},
};

/// What somebody who looked on saw of the connection. Without it the failure itself says enough for its cause, if not
/// always for the closest one.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The first bytes that came; `None`: nobody looked.
    pub heard: Option<Vec<u8>>,
    /// A stream header came.
    pub greeted: bool,
    /// TLS stood.
    pub secured: bool,
    /// The certificate came alone, though its authority says where the one between is to be had.
    pub chain_incomplete: bool,
    /// EXTERNAL would have been allowed.
    pub wants_external: bool,
    /// We had a certificate to show.
    pub has_certificate: bool,
    /// The peer would have taken one.
    pub offers_external: bool,
    /// Dialback would have been allowed.
    pub allows_dialback: bool,
}

impl Failure {
    /// The failure as a person is told of it: what happened, whose side has to act, what to do.
    pub fn trouble(&self, pair: &DomainPair) -> Trouble {
        let cause = self.cause(&Seen::default());
        Trouble {
            reason: bounded(self.sentence(&pair.remote)),
            definitive: self.is_definitive(),
            cause: cause.id.to_owned(),
            side: cause.side,
            remedy: bounded(cause.remedy(pair)),
        }
    }

    /// Why it is, seen with what is known besides.
    pub fn cause(&self, seen: &Seen) -> &'static Cause {
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
            Self::Connect(failures) => of_tcp(failures, happy_eyeballs::has_way_to),
            Self::Tls { error, .. } => of_tls(error),
            Self::Stream { failure, stage, .. } => of_stream(&failure.cause, *stage, seen),
            Self::Unauthenticated { external: told, .. } | Self::Refused { failure: told, .. } => {
                told.cause(seen)
            }
            Self::Broken { error, stage, .. } => match (seen.heard_nothing(*stage), error) {
                (true, _) => &cause::CLOSED_AT_ONCE,
                (false, None) => &cause::CLOSED,
                (false, Some(_)) => &cause::BROKEN,
            },
            Self::TimedOut { stage: Stage::DialbackResult, .. } => &cause::AUTHORITY_UNREACHABLE,
            Self::TimedOut { .. } if seen.is_http() => &cause::HTTP,
            Self::TimedOut { stage, .. } if seen.heard_nothing(*stage) => &cause::SILENT,
            Self::TimedOut { .. } => &cause::TOO_SLOW,
        }
    }
}

impl Seen {
    /// Whether the peer said nothing at all until it ended at `stage`.
    fn heard_nothing(&self, stage: Stage) -> bool {
        match &self.heard {
            Some(heard) => heard.is_empty() && !self.secured,
            None => stage == Stage::Header,
        }
    }

    /// Whether it ended at `stage` before it sent a header.
    fn is_unanswered(&self, stage: Stage) -> bool {
        match &self.heard {
            Some(_) => !self.greeted,
            None => stage == Stage::Header,
        }
    }

    fn is_http(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| heard.starts_with(b"HTTP/"))
    }
}

fn of_dns(failure: &dns::Failure) -> &'static Cause {
    match failure {
        dns::Failure::NoSuchDomain { .. } => &cause::NO_SUCH_DOMAIN,
        dns::Failure::NotOffered { .. } => &cause::NOT_OFFERED,
        dns::Failure::NoService { .. } => &cause::NO_RECORD,
        dns::Failure::NoAddress { .. } => &cause::TARGET_WITHOUT_ADDRESS,
        dns::Failure::Silent { .. } => &cause::DNS_SILENT,
        dns::Failure::Refused { code: dns::Rcode::ServFail, .. } => &cause::SERVER_FAILURE,
        dns::Failure::Refused { .. } => &cause::DNS_REFUSED,
        dns::Failure::Bogus { .. } => &cause::BOGUS,
        dns::Failure::Unusable { .. } => &cause::DNS_UNUSABLE,
    }
}

/// Why none of these addresses could be connected to. That this machine has no IPv6 explains nothing while there are
/// other addresses.
fn of_tcp(
    failures: &[(SocketAddr, happy_eyeballs::Failure)],
    has_way_to: impl Fn(SocketAddr) -> bool,
) -> &'static Cause {
    use happy_eyeballs::Failure::{Near, Other, Refused, Silent, Unreachable};
    let no_ipv6 = |(address, failure): &&(SocketAddr, happy_eyeballs::Failure)| {
        address.is_ipv6() && *failure == Unreachable && !has_way_to(*address)
    };
    let telling: Vec<_> =
        failures.iter().filter(|tried| !no_ipv6(tried)).map(|(_, failure)| failure).collect();
    match telling.first() {
        None if failures.is_empty() => &cause::CONNECT_FAILED,
        None => &cause::NO_IPV6_HERE,
        _ if telling.iter().any(|failure| matches!(failure, Silent(_))) => &cause::NO_ANSWER,
        _ if telling.iter().any(|failure| matches!(failure, Other(_))) => &cause::CONNECT_FAILED,
        _ if telling.iter().any(|failure| matches!(failure, Unreachable | Near)) => &cause::UNREACHABLE,
        Some(Refused | Unreachable | Near | Silent(_) | Other(_)) => &cause::REFUSED,
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
        // RFC 8446 section 6.2. Servers say "handshake failure" most often when there is no cipher left.
        tls::Error::Alert(40 | 71) => &cause::NO_COMMON_CIPHER,
        tls::Error::Alert(70) => &cause::TLS_TOO_OLD,
        error if error.blames_our_certificate() => &cause::OUR_CERTIFICATE_REFUSED,
        tls::Error::Alert(112) => &cause::TLS_NAME_UNKNOWN,
        tls::Error::Alert(120) => &cause::OTHER_ALPN,
        tls::Error::Alert(_) | tls::Error::Failed(_) => &cause::TLS_FAILED,
    }
}

fn of_stream(failure: &initiating::Cause, stage: Stage, seen: &Seen) -> &'static Cause {
    use initiating::Cause;
    match failure {
        Cause::NotXmpp if seen.is_http() => &cause::HTTP,
        Cause::NotXmpp => &cause::NOT_XMPP,
        Cause::TlsUnavailable => &cause::NO_STARTTLS,
        Cause::TlsForbidden => &cause::TLS_FORBIDDEN,
        Cause::TlsRefused => &cause::STARTTLS_REFUSED,
        Cause::Certificate(problem) => of_certificate(problem, seen.chain_incomplete),
        Cause::NoMechanism => without_mechanism(seen),
        Cause::ExternalRefused(_) => &cause::EXTERNAL_REFUSED,
        Cause::DialbackInvalid => &cause::DIALBACK_REFUSED,
        Cause::DialbackError(error) => of_dialback(error.condition),
        Cause::Stream(error) => of_stream_error(error.condition, stage),
        Cause::Closed if seen.is_unanswered(stage) => &cause::CLOSED_AT_ONCE,
        Cause::Closed => &cause::CLOSED,
        Cause::Redirected { .. } => &cause::REDIRECTED,
        Cause::Misbehaved(error) if error.condition == Condition::InvalidNamespace => &cause::WRONG_NAMESPACE,
        Cause::Misbehaved(_) => &cause::BREACH,
    }
}

/// What is wrong with a remote's certificate.
pub fn of_certificate(problem: &Problem, chain_incomplete: bool) -> &'static Cause {
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
        // Without any, no cipher that we offer lets a server get this far.
        Problem::Missing | Problem::Other(_) => &cause::CERTIFICATE_BAD,
    }
}

/// Which of the two lacks what the other has.
fn without_mechanism(seen: &Seen) -> &'static Cause {
    match (seen.wants_external, seen.has_certificate, seen.offers_external) {
        (true, false, true) => &cause::OWN_MISSING,
        (true, true, false) if !seen.allows_dialback => &cause::EXTERNAL_NOT_OFFERED,
        _ => &cause::NOTHING_IN_COMMON,
    }
}

/// XEP-0220 section 2.5.
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

    use super::*;
    use status::report::Side;

    fn pair() -> DomainPair {
        DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new("b.example").unwrap() }
    }

    fn of_cause(cause: Cause) -> Trouble {
        let failure = initiating::Failure { remote: pair().remote, cause };
        let address = ([127, 0, 0, 1], 5269).into();
        Failure::Stream { address, stage: Stage::Features, failure, distrusted: None }.trouble(&pair())
    }

    #[test]
    fn an_expired_certificate_is_its_owners_to_renew() {
        let trouble = of_cause(Cause::Certificate(Problem::Expired { on: "2026-11-01".to_owned() }));
        assert_eq!(trouble.reason, "certificate of b.example expired on 2026-11-01");
        assert_eq!(trouble.remedy, "b.example's administrator has to renew it");
        assert_eq!((trouble.side, trouble.definitive), (Side::Remote, true));
        assert_eq!(trouble.cause, "certificate-expired");
    }

    #[test]
    fn an_expired_authority_is_not_told_as_the_servers_own_certificate() {
        let (authority, on) = ("Toy R1".to_owned(), "2026-11-01".to_owned());
        let trouble = of_cause(Cause::Certificate(Problem::AuthorityExpired { authority, on }));
        let reason = "certificate of b.example comes from an authority (Toy R1) whose own certificate expired on 2026-11-01";
        assert_eq!(trouble.reason, reason);
        assert!(trouble.remedy.contains("the authority's current certificate"), "{}", trouble.remedy);
        assert_eq!((trouble.cause.as_str(), trouble.side), ("certificate-authority-expired", Side::Remote));
    }

    #[test]
    fn a_denied_domain_is_this_nodes_own_decision() {
        let trouble = Failure::Denied.trouble(&pair());
        assert_eq!(trouble.side, Side::Local);
        assert!(trouble.remedy.contains("s2s.deny"), "{}", trouble.remedy);
    }

    #[test]
    fn our_own_dns_is_ours_to_mend_when_a_key_is_called_invalid() {
        let trouble = of_cause(Cause::DialbackInvalid);
        assert_eq!(trouble.side, Side::Local);
        assert!(trouble.remedy.contains("DNS records of a.example"), "{}", trouble.remedy);
    }

    #[test]
    fn who_does_not_want_dialback_is_not_told_as_who_cannot_reach_us() {
        let of = |condition| {
            let text = String::new();
            let type_ = stanza::ErrorType::Cancel;
            of_cause(Cause::DialbackError(stanza::Error { type_, condition, text }))
        };
        let forbidden = of(stanza::Condition::Forbidden);
        assert_eq!(forbidden.side, Side::Remote);
        let wanted = "b.example's administrator has to allow a.example to connect by dialback";
        assert!(forbidden.remedy.starts_with(wanted), "{}", forbidden.remedy);
        let unreachable = of(stanza::Condition::RemoteServerTimeout);
        assert_eq!(unreachable.side, Side::Local);
        assert!(unreachable.remedy.contains("this node can be reached"), "{}", unreachable.remedy);
    }

    #[test]
    fn a_key_that_is_never_answered_is_one_that_nobody_could_ask_us_about() {
        let waiting = |stage| {
            let after = Duration::from_secs(30);
            let address = ([127, 0, 0, 1], 5269).into();
            Failure::TimedOut { address, stage, after, distrusted: None }.trouble(&pair())
        };
        assert_eq!(waiting(Stage::DialbackResult).side, Side::Local);
        assert_eq!(waiting(Stage::Features).side, Side::Remote);
    }

    #[test]
    fn a_connection_that_nobody_answers_may_be_either_sides_firewall() {
        let address = ([192, 0, 2, 7], 5269).into();
        let connect = |failure| Failure::Connect(vec![(address, failure)]).trouble(&pair()).side;
        assert_eq!(connect(happy_eyeballs::Failure::Silent(Duration::from_secs(10))), Side::Either);
        assert_eq!(connect(happy_eyeballs::Failure::Refused), Side::Remote);
    }

    #[test]
    fn that_we_have_no_ipv6_explains_something_only_where_there_is_nothing_else() {
        let (four, six) = ("192.0.2.7:5269".parse().unwrap(), "[2001:db8::7]:5269".parse().unwrap());
        let unreachable = |address| (address, happy_eyeballs::Failure::Unreachable);
        let without = |failures: &[_]| of_tcp(failures, |address| address.is_ipv4()).id;
        assert_eq!(without(&[unreachable(six)]), "no-ipv6-here");
        assert_eq!(without(&[unreachable(six), unreachable(four)]), "unreachable");
        assert_eq!(
            without(&[unreachable(six), (four, happy_eyeballs::Failure::Refused)]),
            "connection-refused"
        );
        assert_eq!(without(&[(six, happy_eyeballs::Failure::Refused)]), "connection-refused");
        assert_eq!(of_tcp(&[unreachable(six)], |_| true).id, "unreachable");
    }

    #[test]
    fn what_is_a_fault_of_ours_is_told_as_one() {
        for failure in [
            Failure::Crashed,
            Failure::Tls {
                address: ([127, 0, 0, 1], 5269).into(),
                error: tls::Error::Setup("no memory".into()),
            },
        ] {
            let trouble = failure.trouble(&pair());
            assert_eq!((trouble.cause.as_str(), trouble.side), ("internal-error", Side::Local));
        }
    }
}

//! From the node's own words for a failure to a cause.

use actors::{connect, dns, failure::Failure, tls};
use xmpp::{
    policy::{Mechanism, Policy},
    stanza,
    stream::{Condition, initiating},
};

use super::{
    cause::{self, Cause},
    judgement,
    sight::Sight,
};

/// What a failure has to be seen with.
pub(crate) struct Circumstances<'a> {
    /// What was seen of the connection.
    pub(crate) sight: &'a Sight,
    /// The terms for the remote.
    pub(crate) policy: &'a Policy,
    /// We have a certificate to show.
    pub(crate) certificate: bool,
}

/// The step at which the way to a remote ended, and why.
pub(crate) fn of(failure: &Failure, seen: &Circumstances<'_>) -> (&'static str, &'static Cause) {
    match failure {
        Failure::Denied => ("policy", &cause::DENIED),
        Failure::Dns(failure) => ("dns", of_dns(failure)),
        Failure::Loop(_) => ("dns", &cause::LOOP),
        Failure::Connect(failures) => {
            ("tcp", failures.first().map_or(&cause::CONNECT_FAILED, |(_, failure)| of_tcp(*failure)))
        }
        Failure::Tls { error, .. } => ("tls", of_tls(error)),
        Failure::Stream { failure, .. } => of_stream(&failure.cause, seen),
        Failure::Broken { error, .. } => (
            "stream",
            match (seen.sight.heard.is_empty() && seen.sight.shown.is_none(), error) {
                (true, _) => &cause::CLOSED_AT_ONCE,
                (false, None) => &cause::CLOSED,
                (false, Some(_)) => &cause::BROKEN,
            },
        ),
        Failure::TimedOut { .. } => match (seen.sight.tried.last(), seen.sight.heard.is_empty()) {
            (Some(Mechanism::Dialback), _) => ("dialback", &cause::AUTHORITY_UNREACHABLE),
            (_, true) if seen.sight.shown.is_none() => ("stream", &cause::SILENT),
            _ => ("stream", &cause::TOO_SLOW),
        },
        Failure::Stopping
        | Failure::Late
        | Failure::ShortLived
        | Failure::Overloaded
        | Failure::Crowded(_)
        | Failure::Crashed => ("probe", &cause::INTERNAL),
    }
}

/// Why one address could not be connected to.
pub(crate) fn of_tcp(failure: connect::Failure) -> &'static Cause {
    match failure {
        connect::Failure::Silent(_) => &cause::NO_ANSWER,
        connect::Failure::Refused => &cause::REFUSED,
        connect::Failure::Unreachable => &cause::UNREACHABLE,
        connect::Failure::Other(_) => &cause::CONNECT_FAILED,
    }
}

fn of_dns(failure: &dns::Failure) -> &'static Cause {
    match failure {
        dns::Failure::NoSuchDomain { .. } => &cause::NO_SUCH_DOMAIN,
        dns::Failure::NotOffered { .. } => &cause::NOT_OFFERED,
        dns::Failure::NoService { .. } => &cause::NO_RECORD,
        dns::Failure::NoAddress { .. } => &cause::TARGET_WITHOUT_ADDRESS,
        dns::Failure::Silent { .. } => &cause::DNS_TIMEOUT,
        dns::Failure::Refused { code, .. } if code == "SERVFAIL" => &cause::SERVER_FAILURE,
        dns::Failure::Refused { .. } => &cause::DNS_REFUSED,
        dns::Failure::Bogus { .. } => &cause::BOGUS,
        dns::Failure::Unusable { .. } => &cause::DNS_UNUSABLE,
    }
}

fn of_tls(error: &tls::Error) -> &'static Cause {
    match error {
        tls::Error::Identity { .. } | tls::Error::NoIdentity => &cause::OWN_BAD,
        tls::Error::Setup(_) => &cause::INTERNAL,
        tls::Error::Closed => &cause::CLOSED_IN_TLS,
        tls::Error::Broken(_) => &cause::BROKEN,
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

fn of_stream(failure: &initiating::Cause, seen: &Circumstances<'_>) -> (&'static str, &'static Cause) {
    use initiating::Cause;
    match failure {
        Cause::NotXmpp if seen.sight.heard.starts_with(b"HTTP/") => ("stream", &cause::HTTP),
        Cause::NotXmpp => ("stream", &cause::NOT_XMPP),
        Cause::TlsUnavailable => ("features", &cause::NO_STARTTLS),
        Cause::TlsForbidden => ("features", &cause::TLS_FORBIDDEN),
        Cause::TlsRefused => ("tls", &cause::STARTTLS_REFUSED),
        Cause::Certificate(problem) => ("certificate", judgement::of(problem, seen.sight.shown.as_ref())),
        Cause::NoMechanism => ("features", without_mechanism(seen)),
        Cause::ExternalRefused(_) => ("external", &cause::EXTERNAL_REFUSED),
        Cause::DialbackInvalid if !seen.policy.secret.is_shared() => {
            ("dialback", &cause::DIALBACK_UNTESTABLE)
        }
        Cause::DialbackInvalid => ("dialback", &cause::DIALBACK_REFUSED),
        Cause::DialbackError(error) => ("dialback", of_dialback(error.condition)),
        Cause::Stream(error) => of_stream_error(error.condition, seen),
        Cause::Closed if seen.sight.greeting.is_none() => ("stream", &cause::CLOSED_AT_ONCE),
        Cause::Closed => ("stream", &cause::CLOSED),
        Cause::Redirected { .. } => ("stream", &cause::REDIRECTED),
        Cause::Misbehaved(error) if error.condition == Condition::InvalidNamespace => {
            ("stream", &cause::WRONG_NAMESPACE)
        }
        Cause::Misbehaved(_) => ("stream", &cause::BREACH),
    }
}

/// Which of the two lacks what the other has.
fn without_mechanism(seen: &Circumstances<'_>) -> &'static Cause {
    let offers_external = seen.sight.offered.as_ref().is_some_and(|features| features.external);
    let wants_external = seen.policy.allows(Mechanism::External);
    match (wants_external, seen.certificate, offers_external) {
        (true, false, true) => &cause::OWN_MISSING,
        (true, true, false) if !seen.policy.allows(Mechanism::Dialback) => &cause::EXTERNAL_NOT_OFFERED,
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

fn of_stream_error(condition: Condition, seen: &Circumstances<'_>) -> (&'static str, &'static Cause) {
    let dials_back = seen.sight.tried.last() == Some(&Mechanism::Dialback);
    match condition {
        Condition::RemoteConnectionFailed => ("dialback", &cause::AUTHORITY_UNREACHABLE),
        Condition::ConnectionTimeout if dials_back => ("dialback", &cause::AUTHORITY_UNREACHABLE),
        Condition::HostUnknown | Condition::HostGone => ("stream", &cause::HOST_UNKNOWN),
        Condition::PolicyViolation => ("stream", &cause::POLICY_VIOLATION),
        Condition::NotAuthorized => ("stream", &cause::NOT_AUTHORIZED),
        Condition::ConnectionTimeout
        | Condition::InternalServerError
        | Condition::Reset
        | Condition::ResourceConstraint
        | Condition::SystemShutdown => ("stream", &cause::BUSY),
        Condition::ImproperAddressing | Condition::InvalidFrom => ("stream", &cause::NAME_REFUSED),
        Condition::InvalidNamespace => ("stream", &cause::WRONG_NAMESPACE),
        Condition::SeeOtherHost => ("stream", &cause::REDIRECTED),
        _ => ("stream", &cause::STREAM_ERROR),
    }
}

/// The same for the way to ourselves: whatever it is, we have to act.
pub(crate) fn of_own(failure: &Failure) -> (&'static str, &'static Cause) {
    match failure {
        Failure::Dns(_) => ("dns", &cause::OWN_NOT_IN_DNS),
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

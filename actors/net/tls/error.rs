//! Why a connection could not be secured, by who is to blame.

use std::{fmt, io};

use openssl::{error::ErrorStack, ssl};
use xmpp::Domain;

/// Why a connection could not be secured, or did not stay so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Our own certificate or key does not do.
    Identity {
        /// Whose.
        domain: Domain,
        /// What OpenSSL said.
        reason: String,
    },
    /// No local domain has a certificate to show.
    NoIdentity,
    /// OpenSSL could not be set up.
    Setup(String),
    /// The peer closed the connection in the middle of TLS.
    Closed,
    /// The connection broke.
    Broken(io::ErrorKind),
    /// The peer said more than it may before TLS is made.
    TooLong,
    /// What the peer sent is not TLS.
    NotTls,
    /// The peer knows only versions of TLS that are too old, or too new.
    NoCommonVersion,
    /// The peer knows none of our ciphers.
    NoCommonCipher,
    /// The peer offered other application protocols than `xmpp-server` (RFC 7301).
    OtherProtocol,
    /// The peer gave up with this alert (RFC 8446 section 6).
    Alert(u8),
    /// Something else, in OpenSSL's words.
    Failed(String),
}

impl Error {
    /// Explains what reading from or writing to a secured stream failed with. With TLS 1.3 a peer that refuses our
    /// certificate says so only then.
    #[must_use]
    pub fn later(error: &io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref::<ssl::Error>()) {
            Some(error) => Self::handshake(error),
            None => Self::from_kind(error.kind()),
        }
    }

    /// Whether the peer does not like our certificate.
    pub fn blames_our_certificate(&self) -> bool {
        matches!(self, Self::Alert(alert) if ABOUT_OUR_CERTIFICATE.contains(alert))
    }

    pub(super) fn identity(domain: &Domain, errors: &ErrorStack) -> Self {
        Self::Identity { domain: domain.clone(), reason: words(errors) }
    }

    pub(super) fn setup(errors: &ErrorStack) -> Self {
        Self::Setup(words(errors))
    }

    /// Sorts the error of a handshake.
    pub(super) fn handshake(error: &ssl::Error) -> Self {
        if let Some(error) = error.io_error() {
            return Self::from_kind(error.kind());
        }
        // The first of the stack is where it began; the others are who passed it on.
        let Some(first) = error.ssl_error().and_then(|errors| errors.errors().first()) else {
            return Self::Closed;
        };
        if let Ok(alert) = u8::try_from(first.reason_code() - ALERTS)
            && first.library_code() == SSL_LIBRARY
        {
            return Self::Alert(alert);
        }
        match first.reason().unwrap_or_default() {
            "unexpected eof while reading" => Self::Closed,
            "wrong version number"
            | "http request"
            | "https proxy request"
            | "packet length too long"
            | "bad record type"
            | "unexpected message"
            | "record layer failure"
            | "unknown protocol" => Self::NotTls,
            "unsupported protocol"
            | "version too low"
            | "no protocols available"
            | "unsupported ssl version" => Self::NoCommonVersion,
            "no shared cipher" | "no shared signature algorithms" | "no suitable key share" => {
                Self::NoCommonCipher
            }
            "no application protocol" => Self::OtherProtocol,
            "" => Self::Failed(first.to_string()),
            reason => Self::Failed(reason.to_owned()),
        }
    }

    fn from_kind(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            // Nobody else says so of a socket.
            io::ErrorKind::QuotaExceeded => Self::TooLong,
            kind => Self::Broken(kind),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity { domain, reason } => {
                write!(f, "certificate or key of {domain} cannot be used: {reason}")
            }
            Self::NoIdentity => f.write_str("no local domain has a certificate"),
            Self::Setup(reason) => write!(f, "TLS cannot be set up: {reason}"),
            Self::Closed => f.write_str("the peer closed the connection in the middle of TLS"),
            Self::Broken(kind) => write!(f, "the connection broke in the middle of TLS: {kind}"),
            Self::TooLong => {
                f.write_str("the peer's TLS handshake is longer than limits.max_handshake allows")
            }
            Self::NotTls => f.write_str("the peer does not speak TLS there"),
            Self::NoCommonVersion => f.write_str("the peer speaks neither TLS 1.2 nor TLS 1.3"),
            Self::NoCommonCipher => f.write_str("the peer has no TLS cipher in common with us"),
            Self::OtherProtocol => f.write_str("the peer offers no ALPN protocol xmpp-server"),
            Self::Alert(alert) => match alert_name(*alert) {
                Some(name) => write!(f, "the peer ended TLS: {name}"),
                None => write!(f, "the peer ended TLS: alert {alert}"),
            },
            Self::Failed(reason) => write!(f, "TLS failed: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

fn words(errors: &ErrorStack) -> String {
    match errors.errors().iter().find_map(openssl::error::Error::reason) {
        Some(reason) => reason.to_owned(),
        None => errors.to_string(),
    }
}

/// Names the alerts that end a connection (RFC 8446 appendix B.2).
fn alert_name(alert: u8) -> Option<&'static str> {
    Some(match alert {
        0 => "it closed the connection",
        10 => "unexpected message",
        20 => "bad record",
        22 => "record overflow",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown certificate authority",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        86 => "inappropriate fallback",
        90 => "user cancelled",
        109 => "missing extension",
        110 => "unsupported extension",
        112 => "unrecognized name",
        113 => "bad certificate status",
        116 => "certificate required",
        120 => "no application protocol",
        _ => return None,
    })
}

/// OpenSSL reports an alert `n` from the peer as reason 1000 + `n` (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// `ERR_LIB_SSL`
const SSL_LIBRARY: i32 = 20;

/// The alerts by which a peer says so (RFC 8446 section 6.2): `bad_certificate` to `certificate_unknown`, `unknown_ca`,
/// `access_denied`, `certificate_required`.
const ABOUT_OUR_CERTIFICATE: [u8; 8] = [42, 43, 44, 45, 46, 48, 49, 116];

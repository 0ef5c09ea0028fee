//! TLS errors, by cause.

use std::{fmt, io};

use openssl::{error::ErrorStack, ssl};
use xmpp::Domain;

/// The reason why a TLS handshake failed, or an encrypted connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The certificate or key of a local domain cannot be used.
    #[error("certificate or key of {domain} cannot be used: {reason}")]
    Identity {
        /// The local domain.
        domain: Domain,
        /// The error of OpenSSL.
        reason: String,
    },
    /// No local domain has a certificate, so the node cannot accept TLS.
    #[error("no local domain has a certificate")]
    NoIdentity,
    /// OpenSSL could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// The peer closed the connection without closing TLS.
    #[error("the peer closed the TLS connection unexpectedly")]
    Closed,
    /// The TCP connection broke.
    #[error("the TLS connection broke: {0}")]
    Broken(io::ErrorKind),
    /// The peer sent more bytes than permitted before the end of the handshake.
    #[error("the peer's TLS handshake is longer than limits.max_handshake allows")]
    TooLong,
    /// The bytes of the peer are not TLS.
    #[error("the peer does not use TLS on this port")]
    NotTls,
    /// The peer supports only other versions of TLS.
    #[error("the peer supports neither TLS 1.2 nor TLS 1.3")]
    NoCommonVersion,
    /// The peer supports none of our ciphers.
    #[error("no TLS cipher in common with the peer")]
    NoCommonCipher,
    /// The peer offers only other application protocols than `xmpp-server` (RFC 7301).
    #[error("the peer does not offer the ALPN protocol xmpp-server")]
    OtherProtocol,
    /// The peer ended TLS with this alert (RFC 8446 section 6).
    #[error("the peer ended TLS with the alert {}", AlertName(*.0))]
    Alert(u8),
    /// Another error of OpenSSL.
    #[error("TLS failed: {0}")]
    Failed(String),
}

impl Error {
    /// Classifies an error of reading from or writing to an encrypted connection.
    ///
    /// With TLS 1.3 a peer that refuses our certificate reports it only after the handshake.
    #[must_use]
    pub fn later(error: &io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref::<ssl::Error>()) {
            Some(error) => Self::handshake(error),
            None => Self::from_kind(error.kind()),
        }
    }

    /// The kind of the error in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Identity { .. } | Self::NoIdentity => "no-certificate",
            Self::Setup(_) => "setup",
            Self::Closed => "closed",
            Self::Broken(_) => "broken",
            Self::TooLong => "too-long",
            Self::NotTls => "not-tls",
            Self::NoCommonVersion => "no-common-version",
            Self::NoCommonCipher => "no-common-cipher",
            Self::OtherProtocol => "other-protocol",
            Self::Alert(_) if self.blames_our_certificate() => "our-certificate",
            Self::Alert(_) => "alert",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns whether the peer refused our certificate.
    pub fn blames_our_certificate(&self) -> bool {
        matches!(self, Self::Alert(alert) if ABOUT_OUR_CERTIFICATE.contains(alert))
    }

    pub(super) fn identity(domain: &Domain, errors: &ErrorStack) -> Self {
        Self::Identity { domain: domain.clone(), reason: words(errors) }
    }

    pub(super) fn setup(errors: &ErrorStack) -> Self {
        Self::Setup(words(errors))
    }

    /// Classifies the error of a handshake.
    pub(super) fn handshake(error: &ssl::Error) -> Self {
        if let Some(error) = error.io_error() {
            return Self::from_kind(error.kind());
        }
        // The first error of the stack is the cause; the others come from its callers.
        let Some(first) = error.ssl_error().and_then(|errors| errors.errors().first()) else {
            return Self::Closed;
        };
        if first.library_code() == SSL_LIBRARY {
            if let Ok(alert) = u8::try_from(first.reason_code() - ALERTS) {
                return Self::Alert(alert);
            }
            if let Some(error) = Self::from_reason(first.reason_code()) {
                return error;
            }
        }
        Self::Failed(first.reason().map_or_else(|| first.to_string(), ToOwned::to_owned))
    }

    /// Classifies a reason of the SSL library; `None` if it has no kind of its own.
    fn from_reason(reason: i32) -> Option<Self> {
        Some(match reason {
            reason::UNEXPECTED_EOF_WHILE_READING => Self::Closed,
            reason::WRONG_VERSION_NUMBER
            | reason::HTTP_REQUEST
            | reason::HTTPS_PROXY_REQUEST
            | reason::PACKET_LENGTH_TOO_LONG
            | reason::BAD_RECORD_TYPE
            | reason::UNEXPECTED_MESSAGE
            | reason::RECORD_LAYER_FAILURE
            | reason::UNKNOWN_PROTOCOL => Self::NotTls,
            reason::UNSUPPORTED_PROTOCOL
            | reason::VERSION_TOO_LOW
            | reason::NO_PROTOCOLS_AVAILABLE
            | reason::UNSUPPORTED_SSL_VERSION => Self::NoCommonVersion,
            reason::NO_SHARED_CIPHER
            | reason::NO_SHARED_SIGNATURE_ALGORITHMS
            | reason::NO_SUITABLE_KEY_SHARE => Self::NoCommonCipher,
            reason::NO_APPLICATION_PROTOCOL => Self::OtherProtocol,
            _ => return None,
        })
    }

    fn from_kind(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            // Only `GuardedSocket` reports this kind.
            io::ErrorKind::QuotaExceeded => Self::TooLong,
            kind => Self::Broken(kind),
        }
    }
}

/// Writes the name of an alert, or its number if it has none here.
struct AlertName(u8);

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match alert_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Returns the reason of the first error that has one.
fn words(errors: &ErrorStack) -> String {
    match errors.errors().iter().find_map(openssl::error::Error::reason) {
        Some(reason) => reason.to_owned(),
        None => errors.to_string(),
    }
}

/// Returns the name of an alert that ends a connection (RFC 8446 appendix B.2).
fn alert_name(alert: u8) -> Option<&'static str> {
    Some(match alert {
        0 => "close notify",
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

/// Reasons of the SSL library: the constants `SSL_R_…` of `openssl/sslerr.h`. They are part of the interface of OpenSSL
/// and are the same in 3.0 and 3.6, unlike the texts.
mod reason {
    pub(super) const NO_SUITABLE_KEY_SHARE: i32 = 101;
    pub(super) const HTTPS_PROXY_REQUEST: i32 = 155;
    pub(super) const HTTP_REQUEST: i32 = 156;
    pub(super) const NO_PROTOCOLS_AVAILABLE: i32 = 191;
    pub(super) const NO_SHARED_CIPHER: i32 = 193;
    pub(super) const PACKET_LENGTH_TOO_LONG: i32 = 198;
    pub(super) const NO_APPLICATION_PROTOCOL: i32 = 235;
    pub(super) const UNEXPECTED_MESSAGE: i32 = 244;
    pub(super) const UNKNOWN_PROTOCOL: i32 = 252;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const UNSUPPORTED_SSL_VERSION: i32 = 259;
    pub(super) const WRONG_VERSION_NUMBER: i32 = 267;
    pub(super) const UNEXPECTED_EOF_WHILE_READING: i32 = 294;
    pub(super) const RECORD_LAYER_FAILURE: i32 = 313;
    pub(super) const NO_SHARED_SIGNATURE_ALGORITHMS: i32 = 376;
    pub(super) const VERSION_TOO_LOW: i32 = 396;
    pub(super) const BAD_RECORD_TYPE: i32 = 443;
}

/// The alerts about the certificate of the other side (RFC 8446 section 6.2): `bad_certificate` to
/// `certificate_unknown`, `unknown_ca`, `access_denied`, `certificate_required`.
const ABOUT_OUR_CERTIFICATE: [u8; 8] = [42, 43, 44, 45, 46, 48, 49, 116];

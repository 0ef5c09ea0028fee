//! Text for the log and for reports: the encryption of a stream, the verdict on a certificate, and elapsed
//! times.

use std::time::Instant;

use xmpp::{Domain, certificate::Problem, policy::Policy, stream::Secured};

/// The encryption of a stream, as fields of a log line. A field without a value is `-`.
#[derive(Debug)]
pub struct Protection<'a> {
    /// `None` for a stream in clear text.
    secured: Option<&'a Secured>,
    /// The protocol version in OpenSSL's spelling, such as `TLSv1.3`.
    pub protocol: &'a str,
    /// The cipher in OpenSSL's spelling, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'a str,
    /// The verdict on the certificate, as [`certificate`] writes it.
    pub certificate: String,
    /// The SHA-256 digest of the certificate in lower-case hexadecimal digits.
    pub fingerprint: &'a str,
}

impl<'a> Protection<'a> {
    /// Describes the encryption of a stream with `remote`. `secured` is `None` for a stream in clear text.
    pub fn of(secured: Option<&'a Secured>, remote: &Domain, policy: &Policy) -> Self {
        let presented = secured.and_then(|secured| secured.certificate.as_ref());
        Self {
            secured,
            protocol: secured.map_or("-", |secured| &secured.protocol),
            cipher: secured.map_or("-", |secured| &secured.cipher),
            certificate: secured
                .map_or_else(|| "-".to_owned(), |secured| certificate(&secured.proves(remote, policy))),
            fingerprint: presented.map_or("-", |presented| &presented.fingerprint),
        }
    }

    /// Writes `TLSv1.3, certificate good` or `in clear text`.
    pub fn summary(&self) -> String {
        match self.secured {
            None => "in clear text".to_owned(),
            Some(secured) => format!("{}, certificate {}", secured.protocol, self.certificate),
        }
    }
}

/// Writes the result of a check of a certificate: `good`, or a predicate such as `expired on 2026-11-01`.
pub fn certificate(result: &Result<(), Problem>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "good".to_owned())
}

/// Writes the time since `since` in milliseconds, as `12ms`.
pub fn millis(since: Instant) -> String {
    format!("{}ms", clock::since(since).as_millis())
}

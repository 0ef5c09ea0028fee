//! Text for the log and for reports: TLS, certificate verdicts and times.

use std::time::Instant;

use xmpp::{Domain, policy::Policy, stream::Secured};

/// How a stream is protected, for the log; `-` for what it has not.
#[derive(Debug)]
pub struct Protection<'a> {
    /// `TLSv1.3`
    pub protocol: &'a str,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: &'a str,
    /// The verdict.
    pub certificate: String,
    /// SHA-256 of the certificate.
    pub fingerprint: &'a str,
}

impl<'a> Protection<'a> {
    /// That of a stream with `remote`.
    pub fn of(secured: Option<&'a Secured>, remote: &Domain, policy: &Policy) -> Self {
        let certificate = secured.and_then(|secured| secured.certificate.as_ref());
        Self {
            protocol: secured.map_or("-", |secured| &secured.protocol),
            cipher: secured.map_or("-", |secured| &secured.cipher),
            certificate: secured
                .map_or_else(|| "-".to_owned(), |secured| in_words(&secured.proves(remote, policy))),
            fingerprint: certificate.map_or("-", |certificate| &certificate.fingerprint),
        }
    }
}

impl Protection<'_> {
    /// `TLSv1.3, certificate good`
    pub fn in_words(&self) -> String {
        match self.protocol {
            "-" => "in clear text".to_owned(),
            protocol => format!("{protocol}, certificate {}", self.certificate),
        }
    }
}

/// A verdict on a certificate, for the log.
pub fn in_words(verdict: &Result<(), xmpp::certificate::Problem>) -> String {
    verdict.as_ref().map_or_else(ToString::to_string, |()| "good".to_owned())
}

/// A verdict on a certificate in a word or two, for tables and metrics.
pub fn name_of(verdict: &Result<(), xmpp::certificate::Problem>) -> &'static str {
    verdict.as_ref().map_or_else(xmpp::certificate::Problem::as_str, |()| "good")
}

/// `12ms`
pub fn millis(since: Instant) -> String {
    format!("{}ms", clock::since(since).as_millis())
}

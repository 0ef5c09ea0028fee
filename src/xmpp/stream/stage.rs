//! The point at which a stream is, for logs and for the search for a cause.
use std::fmt;

/// The point at which a stream is. `Display` completes the sentence "the stream was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for the peer's stream header (RFC 6120 section 4.7), at first and after each restart.
    Header,
    /// Waiting for the peer's stream features (RFC 6120 section 4.3.2).
    Features,
    /// Waiting for `<proceed/>` or `<failure/>` (RFC 6120 section 5.4.2).
    StartTls,
    /// TLS is being negotiated.
    Tls,
    /// We have sent `<auth/>` for EXTERNAL and wait for its outcome (RFC 6120 section 6.4).
    External,
    /// We have asked to resume a stream and wait for the answer (XEP-0198 section 5). A peer may never answer.
    Resumption,
    /// We have sent a dialback key and wait until the peer has verified it (XEP-0220 section 2.1).
    DialbackResult,
    /// We have asked an authoritative server about a dialback key (XEP-0220 section 2.3).
    DialbackVerdict,
    /// The peer has to authenticate itself.
    Authentication,
    /// A dialback key of the peer is being verified.
    Verification,
    /// Waiting for the `<handshake/>` of a component (XEP-0114 section 3).
    ComponentHandshake,
    /// The secret of a component is right; the driver has to decide whether the name is free.
    ComponentName,
    /// Stanzas pass.
    Open,
    /// Our closing tag is sent; the peer's is missing (RFC 6120 section 4.4).
    ClosingTag,
    /// The stream is over.
    Over,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "waiting for the stream header",
            Self::Features => "waiting for the stream features",
            Self::StartTls => "waiting for the answer to STARTTLS",
            Self::Tls => "waiting for the TLS handshake",
            Self::External => "waiting for the answer to our certificate",
            Self::Resumption => "waiting for the answer to our request to resume a stream",
            Self::DialbackResult => "waiting for the answer to our dialback key",
            Self::DialbackVerdict => "waiting for the verdict on a dialback key",
            Self::Authentication => "waiting for authentication",
            Self::Verification => "verifying a dialback key",
            Self::ComponentHandshake => "waiting for the handshake of the component",
            Self::ComponentName => "waiting until the name is free",
            Self::Open => "open",
            Self::ClosingTag => "waiting for the closing tag",
            Self::Over => "over",
        })
    }
}

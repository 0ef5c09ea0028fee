//! XML streams between servers (RFC 6120 section 4): what both roles share.
use crate::certificate::Certificate;
use std::fmt;

pub mod error;
pub mod features;
pub mod header;
pub mod initiating;
pub mod receiving;

pub use error::{Condition, Error};
pub use header::Header;
pub use initiating::Initiating;
pub use receiving::Receiving;

/// What TLS gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// what the peer showed
    pub certificate: Option<Certificate>,
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
}

/// How a stream came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// with closing tags on both sides
    Closed,
    /// the peer sent a stream error
    ByPeer(Error),
    /// we sent one
    ByUs(Error),
}
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::ByPeer(error) => write!(f, "closed by the peer: {error}"),
            Self::ByUs(error) => write!(f, "closed by us: {error}"),
        }
    }
}

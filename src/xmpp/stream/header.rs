//! The opening tag of a stream (RFC 6120 section 4.7).
use crate::{Domain, stream};

/// What a stream header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// who opens or answers
    pub from: Option<Domain>,
    /// for which domain
    pub to: Option<Domain>,
    /// of the stream, in a response
    pub id: Option<String>,
    /// major and minor; `None` is a peer from before XMPP 1.0
    pub version: Option<(u32, u32)>,
    /// `xml:lang`
    pub lang: Option<String>,
    /// the default namespace
    pub content: String,
    /// whether a prefix for dialback was declared
    pub dialback: bool,
}
impl Header {
    /// Reads a framed start tag.
    pub fn parse(_bytes: &[u8]) -> Result<Self, stream::Error> {
        todo!()
    }
}

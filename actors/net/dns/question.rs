//! A question to the DNS.

use std::fmt;

use trust_dns_resolver::proto::rr::RecordType;

/// A question to the DNS. It is displayed as `_xmpp-server._tcp.b.example SRV`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name without its final dot.
    pub name: String,
    /// The record type, such as `SRV`.
    pub kind: &'static str,
}

impl Question {
    /// Makes a question about `name`, with or without its final dot.
    pub fn new(mut name: String, kind: RecordType) -> Self {
        name.truncate(name.trim_end_matches('.').len());
        Self { name, kind: kind.into() }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

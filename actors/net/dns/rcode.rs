//! The response code of a name server that answers with an error.

use std::fmt;

use trust_dns_resolver::proto::op::ResponseCode;

/// The response code of an answer that is an error (RFC 1035 section 4.1.1). `Display` gives its mnemonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// The name server cannot read the query.
    FormErr,
    /// The name server, or one that it asks, has failed.
    ServFail,
    /// The name server does not support this kind of query.
    NotImp,
    /// The name server refuses the query for reasons of policy.
    Refused,
    /// Another code, by its number.
    Other(u16),
}

impl From<ResponseCode> for Rcode {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::FormErr => Self::FormErr,
            ResponseCode::ServFail => Self::ServFail,
            ResponseCode::NotImp => Self::NotImp,
            ResponseCode::Refused => Self::Refused,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormErr => f.write_str("FORMERR"),
            Self::ServFail => f.write_str("SERVFAIL"),
            Self::NotImp => f.write_str("NOTIMP"),
            Self::Refused => f.write_str("REFUSED"),
            Self::Other(number) => write!(f, "response code {number}"),
        }
    }
}

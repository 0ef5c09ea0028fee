//! Answers of the DNS, reduced to the data that is used.

use super::Target;

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The records, at least one.
    Records(Vec<T>),
    /// The name exists and has no record of this type.
    NoData,
    /// The name does not exist (NXDOMAIN).
    NoName,
}

/// The SRV records of a domain for one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The targets, at least one.
    Targets(Vec<Target>),
    /// The domain declares that it does not offer the service: target `.` (RFC 2782).
    Nothing,
    /// The domain has no SRV record.
    Unsaid,
}

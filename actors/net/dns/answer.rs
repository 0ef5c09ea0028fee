//! Answers of the DNS, reduced to the data in use.

use super::Target;

/// The outcome of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// At least one.
    Records(Vec<T>),
    /// The name exists and has none.
    NoData,
    /// The name does not exist.
    NoName,
}

/// The statement of a domain about one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Here; at least one.
    Targets(Vec<Target>),
    /// It says that there is none: target `.` (RFC 2782).
    Nothing,
    /// It says nothing.
    Unsaid,
}

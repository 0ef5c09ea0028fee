//! The node's own services at its local domains, as a pure function.
use crate::{Domain, xml};

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// version of the node
    pub version: &'a str,
    /// operating system, when it may be told
    pub os: Option<&'a str>,
    /// seconds since the start
    pub uptime: u64,
    /// now, in UTC, as XEP-0082 writes it: `2026-11-22T10:00:00Z`
    pub utc: &'a str,
    /// components to list as items
    pub components: &'a [Domain],
    /// XEP-0157 fields (`abuse-addresses` …) with their URIs
    pub contact: &'a [(String, Vec<String>)],
}

/// Answers an IQ request (in `jabber:server`) to a local domain; `None` for an IQ that is itself an answer.
pub fn answer(_request: &xml::Element, _facts: &Facts<'_>) -> Option<xml::Element> {
    todo!()
}

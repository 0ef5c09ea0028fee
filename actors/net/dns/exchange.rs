//! A question to the DNS with its answer, for an observer.

use std::time::Duration;

use trust_dns_resolver::{
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::op::ResponseCode,
};

use super::{LookupError, Question};

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The question.
    pub question: Question,
    /// The answer.
    pub reply: Reply,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// All records of the answer, aliases included; at least one.
    Records(Vec<Record>),
    /// The name exists and has no such record.
    NoData,
    /// The name does not exist.
    NoName,
    /// No answer, or an error code.
    Failed(LookupError),
}

/// A record, in the syntax of a zone file (RFC 1035 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner name without its final dot.
    pub name: String,
    /// The type, such as `SRV`.
    pub kind: String,
    /// The data, such as `0 5 5269 xmpp.b.example.`.
    pub data: String,
    /// The time to live in seconds.
    pub ttl: u32,
}

impl Exchange {
    pub(super) fn new(question: Question, outcome: &Result<Lookup, NetError>, timeout: Duration) -> Self {
        let reply = match outcome {
            Ok(lookup) => match lookup.answers().iter().map(record).collect::<Vec<_>>() {
                records if records.is_empty() => Reply::NoData,
                records => Reply::Records(records),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Reply::NoName,
                _ => Reply::NoData,
            },
            Err(error) => Reply::Failed(LookupError::new(error, question.clone(), timeout)),
        };
        Self { question, reply }
    }
}

fn record(record: &trust_dns_resolver::proto::rr::Record) -> Record {
    Record {
        name: record.name.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        kind: record.record_type().to_string(),
        data: record.data.to_string(),
        ttl: record.ttl,
    }
}

//! A question to the DNS with its answer, for whoever watches.

use trust_dns_resolver::{
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::op::ResponseCode,
};

use super::{Failure, Question};

/// A question that was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// The answer.
    pub reply: Reply,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Everything in the answer, aliases too; at least one.
    Records(Vec<Record>),
    /// The name exists and has no such record.
    NoData,
    /// The name does not exist.
    NoName,
    /// No answer, or an error.
    Failed(Failure),
}

/// A record as a zone file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose, without final dot.
    pub name: String,
    /// `SRV`
    pub kind: String,
    /// `0 5 5269 xmpp.b.example.`
    pub data: String,
    /// For how many seconds it may be kept.
    pub ttl: u32,
}

impl Asked {
    pub(super) fn new(
        question: Question,
        outcome: &Result<Lookup, NetError>,
        after: std::time::Duration,
    ) -> Self {
        let reply = match outcome {
            Ok(lookup) => match lookup.answers().iter().map(record).collect::<Vec<_>>() {
                records if records.is_empty() => Reply::NoData,
                records => Reply::Records(records),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Reply::NoName,
                _ => Reply::NoData,
            },
            Err(error) => Reply::Failed(Failure::new(error, question.clone(), after)),
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

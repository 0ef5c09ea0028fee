//! The answer to one question, and the bytes of it.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, AAAA, CNAME, SOA, SRV, opt::EdnsOption},
    },
};

use super::absolute;

/// The reaction of a server to a question.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with these records. An empty owner name stands for the name in the question.
    Records(Vec<Record>),
    /// Answers with these IPv4 addresses for the name in the question, for so many seconds. Thousands of them take long
    /// as [`Self::Records`].
    Addresses(Vec<Ipv4Addr>, u32),
    /// Answers that the name exists, without such a record.
    NoData,
    /// Answers that the name does not exist.
    NoName,
    /// Answers with that error.
    Code(ResponseCode),
    /// Answers SERVFAIL and gives a reason: the extended error (RFC 8914) of a signature that does not validate.
    Bogus(&'static str),
    /// Does not answer.
    Silence,
    /// Answers with bytes that are no message.
    Garbage,
    /// Answers so, but later.
    Late(Duration, Box<Self>),
}

impl Reply {
    /// The message that answers `question`, whose bytes are `bytes`, and how long to hold it back.
    pub(super) fn pack(self, question: &Message, bytes: &[u8]) -> Option<(Vec<u8>, Duration)> {
        let mut message = Message::response(question.metadata.id, OpCode::Query);
        message.metadata.authoritative = true;
        message.metadata.recursion_desired = question.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        let query = question.queries.first()?.clone();
        let asked = query.name().clone();
        message.add_query(query);
        match self {
            Self::Records(records) => {
                for mut record in records {
                    if record.name == Name::new() {
                        record.name = asked.clone();
                    }
                    message.add_answer(record);
                }
            }
            Self::Addresses(addresses, ttl) => {
                return Some((many_addresses(bytes, &addresses, ttl)?, Duration::ZERO));
            }
            Self::NoData => {
                message.add_authority(start_of_authority());
            }
            Self::NoName => {
                message.add_authority(start_of_authority());
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            Self::Code(code) => message.metadata.response_code = code,
            Self::Bogus(reason) => {
                message.metadata.response_code = ResponseCode::ServFail;
                let mut edns = Edns::new();
                let option = [&DNSSEC_BOGUS.to_be_bytes(), reason.as_bytes()].concat();
                edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, option));
                message.set_edns(edns);
            }
            Self::Silence => return None,
            Self::Garbage => {
                let mut bytes = message.to_vec().ok()?;
                bytes.truncate(HEADER + 2);
                return Some((bytes, Duration::ZERO));
            }
            Self::Late(delay, reply) => {
                let (answer, more) = reply.pack(question, bytes)?;
                return Some((answer, delay + more));
            }
        }
        Some((message.to_vec().ok()?, Duration::ZERO))
    }
}

/// Answers with addresses, packed by hand: the library compresses names, which takes long for so many.
fn many_addresses(question: &[u8], addresses: &[Ipv4Addr], ttl: u32) -> Option<Vec<u8>> {
    let mut answer = question.get(..end_of_question(question)?)?.to_vec();
    answer[2..4].copy_from_slice(&[0x85, 0x80]);
    answer[6..8].copy_from_slice(&u16::try_from(addresses.len()).ok()?.to_be_bytes());
    answer[8..12].fill(0);
    for address in addresses {
        // The name of the question, A, IN.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// Where the header and the only question of a message end (RFC 1035, section 4.1).
pub(super) fn end_of_question(message: &[u8]) -> Option<usize> {
    let mut place = HEADER;
    loop {
        match message.get(place)? {
            0 => return Some(place + 5),
            length => place += usize::from(*length) + 1,
        }
    }
}

/// A record that lets negative answers be cached for a second (RFC 2308, section 5).
fn start_of_authority() -> Record {
    let soa = SOA::new(absolute("ns.example"), absolute("hostmaster.example"), 1, 60, 60, 60, 1);
    Record::from_rdata(absolute("example"), 1, RData::SOA(soa))
}

/// Answers with these data; an empty owner stands for the name in the question.
impl<'a> FromIterator<(&'a str, RData)> for Reply {
    fn from_iter<T: IntoIterator<Item = (&'a str, RData)>>(records: T) -> Self {
        Self::Records(records.into_iter().map(|(owner, data)| record(owner, data)).collect())
    }
}

/// Answers with these data of the name in the question.
#[must_use]
pub fn answer<const N: usize>(data: [RData; N]) -> Reply {
    data.into_iter().map(|data| ("", data)).collect()
}

/// Answers that the name in the question is an alias of `name`, and with that name's data, as a recursive server does.
#[must_use]
pub fn alias<const N: usize>(name: &str, data: [RData; N]) -> Reply {
    let of_alias = data.into_iter().map(|data| (name, data));
    [("", cname(name))].into_iter().chain(of_alias).collect()
}

/// A record with a TTL of five minutes; an empty owner stands for the name in the question.
fn record(owner: &str, data: RData) -> Record {
    let owner = if owner.is_empty() { Name::new() } else { absolute(owner) };
    Record::from_rdata(owner, 300, data)
}

/// The data of a service record (RFC 2782); the target `.` says that there is no such service.
#[must_use]
pub fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, absolute(target)))
}

/// An address in 192.0.2.0/24, which is kept for documentation (RFC 5737).
#[must_use]
pub fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

/// An address in 2001:db8::/32, which is kept for documentation (RFC 3849).
#[must_use]
pub fn aaaa(last: u16) -> RData {
    RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)))
}

/// The data of an alias.
#[must_use]
pub fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(absolute(target)))
}

/// Bytes before the question (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// The EDNS option of extended errors, and the error of a signature that does not validate (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
const DNSSEC_BOGUS: u16 = 6;

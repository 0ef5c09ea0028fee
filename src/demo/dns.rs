//! A name server for the demo, with SRV and A records of a few domains. Other names do not exist.
//!
//! It implements the part of RFC 1035 that a resolver on the same machine needs: one question over UDP, with
//! an answer in one packet.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::UdpSocket;

/// A name server. It answers while [`NameServer::serve`] runs.
pub(crate) struct NameServer {
    socket: UdpSocket,
    address: SocketAddr,
    records: HashMap<String, Record>,
}

/// The record of a name; no name has two.
enum Record {
    /// SRV (RFC 2782), with priority and weight 0.
    Service { port: u16, host: String },
    /// A (RFC 1035 section 3.4.1).
    Address(Ipv4Addr),
}

impl NameServer {
    /// Binds a free port of the loopback interface.
    ///
    /// # Errors
    /// No port can be bound.
    pub(crate) async fn bind() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, records: HashMap::new() })
    }

    /// The address to send queries to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds records for an XMPP server of `domain` at `port` of this machine.
    pub(crate) fn add(&mut self, domain: &str, port: u16) {
        let host = format!("xmpp.{domain}");
        self.records.insert(host.clone(), Record::Address(Ipv4Addr::LOCALHOST));
        self.records.insert(format!("_xmpp-server._tcp.{domain}"), Record::Service { port, host });
    }

    /// Answers queries until the socket fails.
    pub(crate) async fn serve(self) {
        let mut packet = [0; LARGEST_QUERY];
        while let Ok((length, client)) = self.socket.recv_from(&mut packet).await {
            if let Some(answer) = self.answer(&packet[..length]) {
                // The resolver repeats a query without answer.
                let _ = self.socket.send_to(&answer, client).await;
            }
        }
    }

    /// The answer to a packet; `None` if it is not a query.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let id = query.get(..2)?;
        let (name, after) = read_name(query, HEADER)?;
        let question = query.get(HEADER..after + 4)?;
        let kind = u16::from_be_bytes([*query.get(after)?, *query.get(after + 1)?]);

        let record = self.records.get(&name);
        let data = match (record, kind) {
            (Some(Record::Service { port, host }), SRV) => {
                let mut data = [0, 0, 0, 0].to_vec();
                data.extend(port.to_be_bytes());
                write_name(host, &mut data);
                Some(data)
            }
            (Some(Record::Address(address)), A) => Some(address.octets().to_vec()),
            _ => None,
        };
        // A name exists too if a name below it exists (RFC 8020 section 2).
        let exists =
            record.is_some() || self.records.keys().any(|known| known.ends_with(&format!(".{name}")));
        let flags = AUTHORITATIVE_ANSWER | if exists { 0 } else { NO_SUCH_NAME };

        let mut answer = id.to_vec();
        answer.extend(flags.to_be_bytes());
        for count in [1, u16::from(data.is_some()), 0, 0] {
            answer.extend(count.to_be_bytes());
        }
        answer.extend(question);
        if let Some(data) = data {
            answer.extend(NAME_OF_THE_QUESTION.to_be_bytes());
            answer.extend(kind.to_be_bytes());
            answer.extend(INTERNET.to_be_bytes());
            answer.extend(TIME_TO_LIVE.to_be_bytes());
            answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }
}

/// The name at `at` in lower case, and the position after it. The first name of a packet is not compressed.
fn read_name(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = packet.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

/// Writes the labels of a name, each after its length. The labels of the demo are shorter than 64 bytes.
fn write_name(name: &str, out: &mut Vec<u8>) {
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap_or_default());
        out.extend(label.bytes());
    }
    out.push(0);
}

/// The largest query in bytes, with extensions (RFC 6891 section 6.2.5).
const LARGEST_QUERY: usize = 4096;

/// Bytes before the question (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// The flags QR, AA, RD and RA (RFC 1035 section 4.1.1).
const AUTHORITATIVE_ANSWER: u16 = 0x8580;

/// The response code NXDOMAIN.
const NO_SUCH_NAME: u16 = 3;

/// A pointer to the first byte after the header (RFC 1035 section 4.1.4).
const NAME_OF_THE_QUESTION: u16 = 0xc00c;

const A: u16 = 1;
const SRV: u16 = 33;
const INTERNET: u16 = 1;

/// The TTL of all records in seconds, longer than the demo runs.
const TIME_TO_LIVE: u32 = 60;

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Message, MessageType, OpCode, Query, ResponseCode},
        rr::{Name, RData, RecordType},
    };

    use super::*;

    async fn names() -> NameServer {
        let mut names = NameServer::bind().await.unwrap();
        names.add("a.example", 5269);
        names
    }

    fn ask(names: &NameServer, name: &str, kind: RecordType) -> Message {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&names.answer(&query.to_vec().unwrap()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_domain_has_an_srv_record_with_its_port_on_this_machine() {
        let names = names().await;
        let service = ask(&names, "_XMPP-server._tcp.a.example.", RecordType::SRV);
        let [record] = service.answers.as_slice() else { panic!("{service:?}") };
        let RData::SRV(service) = &record.data else { panic!("{record:?}") };
        assert_eq!(service.port, 5269);
        let address = ask(&names, &service.target.to_ascii(), RecordType::A);
        let [record] = address.answers.as_slice() else { panic!("{address:?}") };
        assert_eq!(record.data, RData::A(Ipv4Addr::LOCALHOST.into()));
    }

    #[tokio::test]
    async fn a_name_without_the_record_differs_from_a_name_that_does_not_exist() {
        let names = names().await;
        let no_ipv6 = ask(&names, "xmpp.a.example.", RecordType::AAAA);
        assert_eq!((no_ipv6.metadata.response_code, no_ipv6.answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(ask(&names, "a.example.", RecordType::A).metadata.response_code, ResponseCode::NoError);
        assert_eq!(ask(&names, "b.example.", RecordType::SRV).metadata.response_code, ResponseCode::NXDomain);
    }

    #[tokio::test]
    async fn a_packet_that_is_not_a_query_gets_no_answer() {
        let names = names().await;
        for packet in [&b""[..], b"12", &[0; 12], &[0xff; 40], b"12345678901\x00\x03abc"] {
            assert_eq!(names.answer(packet), None, "{packet:?}");
        }
    }
}

//! A name server that says what a test wants.

#![allow(missing_docs, clippy::unwrap_used, reason = "for tests only")]

use std::{net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, sync::mpsc, time};
use trust_dns_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, AAAA, CNAME, SRV},
    },
};

/// Runs as long as the test.
pub struct NameServer {
    pub address: SocketAddr,
    asked: mpsc::Receiver<String>,
}

/// What to say to a question.
#[derive(Clone)]
pub enum Reply {
    /// Owner (empty: the name that was asked for) and data.
    Records(Vec<(&'static str, RData)>),
    NoData,
    NoName,
    Code(ResponseCode),
    Silence,
    Garbage,
    Late(Duration, Box<Self>),
}

impl NameServer {
    /// Starts one that looks up its replies to questions such as `b.example SRV` in `zone`.
    pub async fn start(zone: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let socket = std::sync::Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let (ask, asked) = mpsc::channel(1024);
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let query = Message::from_vec(&packet[..length]).unwrap();
                let question = &query.queries[0];
                let name = question.name().to_ascii();
                let text = format!("{} {}", name.trim_end_matches('.'), question.query_type());
                // A test that asks for more than fits does not want to know.
                let _ = ask.try_send(text.clone());
                let reply = zone(&text);
                let socket = std::sync::Arc::clone(&socket);
                tokio::spawn(async move {
                    if let Some(packet) = reply.packet(query).await {
                        socket.send_to(&packet, from).await.unwrap();
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Starts one that says the same to everybody.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// The questions since the last call, sorted.
    pub fn asked(&mut self) -> Vec<String> {
        let mut asked = Vec::new();
        while let Ok(question) = self.asked.try_recv() {
            asked.push(question);
        }
        asked.sort();
        asked
    }
}

impl Reply {
    async fn packet(self, query: Message) -> Option<Vec<u8>> {
        let owner = query.queries[0].name().clone();
        let mut reply = query;
        reply.metadata.message_type = MessageType::Response;
        reply.metadata.recursion_available = true;
        match self {
            Self::Records(records) => {
                for (name, data) in records {
                    let name = if name.is_empty() { owner.clone() } else { absolute(name) };
                    reply.add_answer(Record::from_rdata(name, 300, data));
                }
            }
            Self::NoData => {}
            Self::NoName => reply.metadata.response_code = ResponseCode::NXDomain,
            Self::Code(code) => reply.metadata.response_code = code,
            Self::Silence => return None,
            Self::Garbage => {
                let mut packet = reply.to_vec().unwrap();
                packet.truncate(14);
                return Some(packet);
            }
            Self::Late(time, then) => {
                time::sleep(time).await;
                return Box::pin(then.packet(reply)).await;
            }
        }
        Some(reply.to_vec().unwrap())
    }
}

fn absolute(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).unwrap()
}

/// Priority, weight, port, target.
pub fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, absolute(target)))
}

pub fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

pub fn aaaa(last: u16) -> RData {
    RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}

pub fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(absolute(target)))
}

/// Records of the name that was asked for.
pub fn answer<const N: usize>(records: [RData; N]) -> Reply {
    Reply::Records(records.into_iter().map(|data| ("", data)).collect())
}

/// The name that was asked for is an alias of `name`, and that has these records: what a recursive server sends.
pub fn alias<const N: usize>(name: &'static str, records: [RData; N]) -> Reply {
    let records = records.into_iter().map(|data| (name, data));
    Reply::Records([("", cname(name))].into_iter().chain(records).collect())
}

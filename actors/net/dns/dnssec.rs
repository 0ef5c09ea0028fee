//! Finds out whether DNSSEC is the reason for SERVFAIL.
//!
//! A node does not need to know: either way there is no answer. `nuncio probe` uses it to name the remedy.

use std::{io, net::SocketAddr};

use tokio::{net::UdpSocket, time};
use trust_dns_resolver::proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        Name, RecordType,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};

use super::{Dns, Question};

/// The failed DNSSEC validation of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bogus {
    /// The extended error of the name server: code and text (RFC 8914). `None`: it sent none, but it answers
    /// if validation is disabled.
    pub reason: Option<(u16, String)>,
}

impl Dns {
    /// Returns the failed validation that keeps the name servers from answering `question`.
    ///
    /// `None`: there is another reason, or the name servers do not reveal it.
    pub async fn dnssec_failure(&self, question: &Question) -> Option<Bogus> {
        for server in &*self.servers {
            let plain = self.ask_once(*server, question, false).await.ok();
            let reason = plain.as_ref().and_then(extended_error);
            if let Some(reason) = reason.filter(|(code, _)| DNSSEC.contains(code)) {
                return Some(Bogus { reason: Some(reason) });
            }
            let failed = plain.is_some_and(|answer| answer.metadata.response_code == ResponseCode::ServFail);
            let unchecked = self.ask_once(*server, question, true).await.ok();
            let is_answer = |answer: Message| {
                matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
            };
            if failed && unchecked.is_some_and(is_answer) {
                return Some(Bogus { reason: None });
            }
        }
        None
    }

    /// Returns whether a name server answers at all. The question is for the name servers of the root, which
    /// each knows.
    pub async fn is_answering(&self) -> bool {
        let root = Question { name: String::new(), kind: "NS" };
        for server in &*self.servers {
            if self.ask_once(*server, &root, false).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Asks one name server with one datagram. `unchecked` disables its validation (RFC 4035 section 3.2.2).
    async fn ask_once(
        &self,
        server: SocketAddr,
        question: &Question,
        unchecked: bool,
    ) -> io::Result<Message> {
        let name = Name::from_ascii(format!("{}.", question.name)).map_err(io::Error::other)?;
        let kind: RecordType = question.kind.parse().map_err(io::Error::other)?;
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = unchecked;
        message.add_query(Query::query(name, kind));
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST).set_version(0);
        message.set_edns(edns);
        let socket = UdpSocket::bind(match server {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
        })
        .await?;
        socket.connect(server).await?;
        socket.send(&message.to_vec().map_err(io::Error::other)?).await?;
        let mut buffer = vec![0; LARGEST.into()];
        let answer = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                let answer = buffer.get(..length).and_then(|bytes| Message::from_vec(bytes).ok());
                if let Some(answer) = answer.filter(|answer| answer.metadata.id == message.metadata.id) {
                    return Ok(answer);
                }
            }
        };
        time::timeout(self.timeout, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Reads the extended error of an answer (RFC 8914 section 2).
fn extended_error(answer: &Message) -> Option<(u16, String)> {
    let Some(EdnsOption::Unknown(_, data)) = answer.edns.as_ref()?.option(EdnsCode::Unknown(EXTENDED_ERROR))
    else {
        return None;
    };
    let (code, words) = data.split_first_chunk::<2>()?;
    let words: String = String::from_utf8_lossy(words).chars().filter(|c| !c.is_control()).collect();
    Some((u16::from_be_bytes(*code), words))
}

/// The EDNS option code of an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// The extended errors about DNSSEC (RFC 8914 section 4): indeterminate, bogus, signature expired or not yet
/// valid, keys, signatures or zone key bit missing, NSEC missing.
const DNSSEC: [u16; 8] = [5, 6, 7, 8, 9, 10, 11, 12];

/// The maximum size in bytes of a datagram that no network fragments (RFC 9715 section 3).
const LARGEST: u16 = 1232;

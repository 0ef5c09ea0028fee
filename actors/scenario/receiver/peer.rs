//! A remote server that opens a stream: what it writes, and what it reads.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    scenario::{
        FOOTER, OURS,
        component_client::{attribute, place_of},
    },
    streams::incoming::{Drain, Incoming},
};
use mailbox::{Mailbox, drain};

/// A connection of a remote server.
pub(in crate::scenario) struct Peer {
    socket: DuplexStream,
    read: BytesMut,
    stream: Mailbox<Incoming>,
}

impl Peer {
    /// The peer of a stream.
    pub(super) fn new(socket: DuplexStream, stream: Mailbox<Incoming>) -> Self {
        Self { socket, read: BytesMut::new(), stream }
    }

    pub(in crate::scenario) async fn writes(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends numbered messages.
    pub(in crate::scenario) async fn sends(&mut self, remote: &str, numbers: std::ops::Range<usize>) {
        let stanzas: String = numbers.map(|number| message(remote, number)).collect();
        self.writes(&stanzas).await;
    }

    pub(in crate::scenario) async fn asks_for_ack(&mut self) {
        self.writes("<r xmlns='urn:xmpp:sm:3'/>").await;
    }

    /// Asks for an ack, and gives its count.
    pub(in crate::scenario) async fn count(&mut self) -> String {
        self.asks_for_ack().await;
        attribute(&self.reads_element("a").await, "h")
    }

    pub(in crate::scenario) async fn asks_to_resume(&mut self, id: &str) {
        self.writes(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    }

    /// The answer to a request to resume: `resumed 5`, `failed 5` or `failed`, and for the last the condition.
    pub(in crate::scenario) async fn reads_answer(&mut self) -> String {
        let answer = self.reads("urn:xmpp:sm:3").await + &self.reads(">").await;
        match answer.contains("<resumed") {
            true => format!("resumed {}", attribute(&answer, "h")),
            false => {
                let rest = self.reads("</failed>").await;
                match answer.contains(" h=") {
                    true => format!("failed {}", attribute(&answer, "h")),
                    false => format!("failed {}", rest.trim_start_matches('<').split(' ').next().unwrap()),
                }
            }
        }
    }

    /// Reads up to a text.
    pub(in crate::scenario) async fn reads(&mut self, end: &str) -> String {
        loop {
            if let Some(place) = place_of(&self.read, end) {
                return String::from_utf8(self.read.split_to(place + end.len()).to_vec()).unwrap();
            }
            let read = self.socket.read_buf(&mut self.read).await.unwrap();
            let so_far = String::from_utf8_lossy(&self.read);
            assert!(read > 0, "the node closed the connection after {so_far}, without {end}");
        }
    }

    /// Reads up to the start tag of an element, and gives the tag.
    pub(in crate::scenario) async fn reads_element(&mut self, name: &str) -> String {
        self.reads(&format!("<{name} ")).await;
        self.reads(">").await
    }

    /// All that comes until the node closes the connection. Answers its closing tag.
    pub(in crate::scenario) async fn reads_end(mut self) -> String {
        let mut text = self.reads("</stream:stream>").await;
        let _ = self.socket.write_all(FOOTER.as_bytes()).await;
        while self.socket.read_buf(&mut self.read).await.is_ok_and(|read| read > 0) {}
        text.push_str(&String::from_utf8_lossy(&self.read));
        text
    }

    /// Asserts that nothing comes for some time.
    pub(in crate::scenario) async fn reads_nothing_for(&mut self, time: Duration) {
        assert!(self.read.is_empty(), "{:?}", self.read);
        let read = tokio::time::timeout(time, self.socket.read_buf(&mut self.read)).await;
        assert!(read.is_err(), "{read:?}: {:?}", self.read);
    }

    /// The node stops.
    pub(in crate::scenario) fn is_drained(&self) {
        let drain = Drain { within: Duration::from_secs(10), token: drain::tokens().0 };
        self.stream.signal(drain).unwrap();
    }
}

/// A numbered message.
pub(in crate::scenario) fn message(remote: &str, number: usize) -> String {
    format!("<message from='b@{remote}' to='a@{OURS}' type='chat' id='{number}'><n>{number}</n></message>")
}

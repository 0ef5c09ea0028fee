//! An external component (XEP-0114): the hand that sends on one side and the eye that sees on the
//! other. Speaks to Nuncio, Prosody and ejabberd alike.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openssl::sha::sha1;

use super::eventually::SOON;
use super::{Element, Event, Nothing, Wire};

/// A connected component.
pub(crate) struct Component {
    name: String,
    digest: String,
    output: TcpStream,
    /// Set when the server closed its side of the stream.
    closed: Arc<AtomicBool>,
    incoming: Receiver<Element>,
    /// What came while something else was awaited, oldest first.
    unread: VecDeque<Element>,
}

impl Component {
    /// Connects to the component port of a server, or fails the test.
    #[track_caller]
    pub(crate) fn connect(server: Ipv4Addr, name: &str) -> Self {
        match Self::try_connect(server, name, SECRET) {
            Ok(component) => component,
            Err(why) => panic!("{name} cannot connect to {server}: {why}"),
        }
    }

    /// Connects; when refused, says with which stream error.
    pub(crate) fn try_connect(server: Ipv4Addr, name: &str, secret: &str) -> Result<Self, String> {
        let stream = TcpStream::connect((server, 5347)).map_err(|error| error.to_string())?;
        let output = stream.try_clone().unwrap();
        let mut wire = Wire::new(stream);
        wire.send(&format!(
            "<stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
        ));
        let header = match wire.next(SOON) {
            Ok(Event::Opened(header)) => header,
            other => return Err(format!("{other:?}")),
        };
        let digest = sha1(format!("{}{secret}", header.attribute("id")).as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        wire.send(&format!("<handshake>{digest}</handshake>"));
        match wire.next(SOON) {
            Ok(Event::Element(element)) if element.name == "handshake" => {}
            Ok(Event::Element(error)) if error.name == "error" => {
                return Err(error.children().map(|child| child.name.clone()).collect());
            }
            other => return Err(format!("{other:?}")),
        }
        let (sender, incoming) = mpsc::channel();
        let closed = Arc::<AtomicBool>::default();
        thread::spawn({
            let closed = Arc::clone(&closed);
            move || read(wire, &sender, &closed)
        });
        Ok(Self { name: name.to_owned(), digest, output, closed, incoming, unread: VecDeque::new() })
    }

    /// Its domain.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it proved that it knows the secret with.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Sends text as it is.
    #[track_caller]
    pub(crate) fn sends(&mut self, text: &str) {
        self.output.write_all(text.as_bytes()).expect("the component's connection");
    }

    /// Sends a message from `tester@` itself, whose body is given as XML.
    #[track_caller]
    pub(crate) fn sends_message(&mut self, to: &str, id: &str, body: &str) {
        let from = &self.name;
        let text = format!(
            "<message from='tester@{from}' to='{to}' id='{id}' type='chat'><body>{body}</body></message>"
        );
        self.sends(&text);
    }

    /// Sends `count` stanzas, made by `stanza` from their numbers, as fast as the server takes them,
    /// while the component goes on receiving. Stops, as a good component does, when the server
    /// closes the stream, and closes it too. Returns how many were sent.
    pub(crate) fn floods(
        &self,
        count: usize,
        stanza: impl Fn(usize) -> String + Send + 'static,
    ) -> JoinHandle<usize> {
        let mut output = self.output.try_clone().unwrap();
        let closed = Arc::clone(&self.closed);
        thread::spawn(move || {
            for first in (0..count).step_by(FLOOD_BATCH) {
                if closed.load(Ordering::Acquire) {
                    let _ = output.write_all(b"</stream:stream>");
                    return first;
                }
                let last = count.min(first + FLOOD_BATCH);
                let batch: String = (first..last).map(&stanza).collect();
                output.write_all(batch.as_bytes()).expect("the component's connection");
            }
            count
        })
    }

    /// Asks `to` with an IQ of type get that holds `payload`, and returns the answer.
    #[track_caller]
    pub(crate) fn asks(&mut self, to: &str, payload: &str) -> Element {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("question-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let from = &self.name;
        let text = format!("<iq type='get' id='{id}' from='tester@{from}' to='{to}'>{payload}</iq>");
        self.sends(&text);
        self.receives(&format!("an answer from {to} to {payload}"), |stanza| {
            stanza.name == "iq" && stanza.attribute("id") == id
        })
    }

    /// Waits for the stanza with that id.
    #[track_caller]
    pub(crate) fn receives_id(&mut self, id: &str) -> Element {
        self.receives(&format!("the stanza {id}"), |stanza| stanza.attribute("id") == id)
    }

    /// Waits for the first stanza that `wanted` takes; others stay for later.
    #[track_caller]
    pub(crate) fn receives(&mut self, what: &str, wanted: impl Fn(&Element) -> bool) -> Element {
        self.receives_within(SOON, what, wanted)
    }

    /// Waits no longer than `limit` for the first stanza that `wanted` takes; others stay for later.
    #[track_caller]
    pub(crate) fn receives_within(
        &mut self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Element) -> bool,
    ) -> Element {
        if let Some(at) = self.unread.iter().position(&wanted) {
            return self.unread.remove(at).unwrap();
        }
        let deadline = Instant::now() + limit;
        loop {
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(stanza) if wanted(&stanza) => return stanza,
                Ok(stanza) => self.unread.push_back(stanza),
                Err(error) => {
                    let name = &self.name;
                    let other: Vec<_> = self.unread.iter().map(ToString::to_string).collect();
                    panic!("{name} did not receive {what} within {limit:?} ({error}), but {other:?}")
                }
            }
        }
    }

    /// Waits no longer than `limit` for the next stanza, whatever it is. None also when the
    /// connection ended.
    pub(crate) fn next(&mut self, limit: Duration) -> Option<Element> {
        self.unread.pop_front().or_else(|| self.incoming.recv_timeout(limit).ok())
    }

    /// Whether something is there to be read.
    pub(crate) fn has_received(&mut self) -> bool {
        self.unread.extend(self.incoming.try_iter());
        !self.unread.is_empty()
    }

    /// Waits until the server closes the connection, and returns what came before.
    #[track_caller]
    pub(crate) fn expects_end(&mut self) -> Vec<Element> {
        let deadline = Instant::now() + SOON;
        let mut stanzas: Vec<_> = self.unread.drain(..).collect();
        loop {
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(stanza) => stanzas.push(stanza),
                Err(RecvTimeoutError::Disconnected) => return stanzas,
                Err(RecvTimeoutError::Timeout) => panic!("{} is still connected", self.name),
            }
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let _ = self.output.shutdown(std::net::Shutdown::Both);
    }
}

fn read(mut wire: Wire, stanzas: &Sender<Element>, closed: &AtomicBool) {
    loop {
        match wire.next(Duration::from_secs(3600)) {
            Ok(Event::Element(stanza)) => {
                if stanzas.send(stanza).is_err() {
                    return;
                }
            }
            Ok(Event::Closed) => closed.store(true, Ordering::Release),
            Ok(Event::Opened(_)) | Err(Nothing::Late) => {}
            Err(Nothing::Ended) => return,
        }
    }
}

/// The secret of every component in every test.
pub(crate) const SECRET: &str = "secret";

/// Stanzas written at once in a flood.
const FLOOD_BATCH: usize = 100;

//! A scripted external component (XEP-0114), for Nuncio and other servers.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openssl::sha::sha1;

use super::eventually::SOON;
use super::{Element, Event, Nothing, Wire};

/// A connected component.
pub struct Component {
    name: String,
    digest: String,
    output: Arc<Mutex<Output>>,
    incoming: Receiver<Element>,
    /// Stanzas that arrived while the script waited for another, oldest first.
    unread: VecDeque<Element>,
}

impl Component {
    /// Connects to the component port of a server, or fails the test.
    #[track_caller]
    pub fn connect(server: Ipv4Addr, name: &str) -> Self {
        match Self::try_connect(server, name, SECRET) {
            Ok(component) => component,
            Err(why) => panic!("{name} cannot connect to {server}: {why}"),
        }
    }

    /// Connects; a refusal returns the condition of the stream error.
    pub fn try_connect(server: Ipv4Addr, name: &str, secret: &str) -> Result<Self, String> {
        let Opened { wire, output, digest } = open(server, name, secret)?;
        let (sender, incoming) = mpsc::channel();
        let output = Arc::new(Mutex::new(Output { stream: output, open: true }));
        thread::spawn({
            let output = Arc::clone(&output);
            move || read(wire, &sender, &output)
        });
        Ok(Self { name: name.to_owned(), digest, output, incoming, unread: VecDeque::new() })
    }

    /// Connects a component that never reads; it is connected until the result is dropped.
    #[track_caller]
    pub fn connect_deaf(server: Ipv4Addr, name: &str) -> Wire {
        open(server, name, SECRET).unwrap_or_else(|why| panic!("{name}: {why}")).wire
    }

    /// Connects a component whose socket holds little, and which reads only when the result is read.
    #[track_caller]
    pub fn connect_slow(server: Ipv4Addr, name: &str) -> Wire {
        let Opened { wire, output, .. } =
            open(server, name, SECRET).unwrap_or_else(|why| panic!("{name}: {why}"));
        socket2::SockRef::from(&output).set_recv_buffer_size(SMALL_BUFFER).unwrap();
        wire
    }

    /// Its domain.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of its handshake.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Sends text unchanged.
    #[track_caller]
    pub fn sends(&mut self, text: &str) {
        assert!(self.output.lock().unwrap().write(text), "{} is no longer connected", self.name);
    }

    /// Sends a message from `tester@` its domain; `body` is XML.
    #[track_caller]
    pub fn sends_message(&mut self, to: &str, id: &str, body: &str) {
        let from = &self.name;
        let text = format!(
            "<message from='tester@{from}' to='{to}' id='{id}' type='chat'><body>{body}</body></message>"
        );
        self.sends(&text);
    }

    /// Sends `count` stanzas, made by `stanza` from their numbers, as fast as the server reads, while the component keeps
    /// receiving. Stops when the server closes the stream. Returns how many were sent.
    pub fn floods(
        &self,
        count: usize,
        stanza: impl Fn(usize) -> String + Send + 'static,
    ) -> JoinHandle<usize> {
        let output = Arc::clone(&self.output);
        thread::spawn(move || {
            for first in (0..count).step_by(FLOOD_BATCH) {
                let last = count.min(first + FLOOD_BATCH);
                let batch: String = (first..last).map(&stanza).collect();
                if !output.lock().unwrap().write(&batch) {
                    return first;
                }
            }
            count
        })
    }

    /// Sends `count` stanzas, made by `stanza` from their numbers, one in each interval `every`, while the component keeps
    /// receiving. Stops when the server closes the stream. Returns how many were sent.
    pub fn floods_evenly(
        &self,
        count: usize,
        every: Duration,
        stanza: impl Fn(usize) -> String + Send + 'static,
    ) -> JoinHandle<usize> {
        let output = Arc::clone(&self.output);
        thread::spawn(move || {
            let began = Instant::now();
            for number in 0..count {
                let due = began + every * u32::try_from(number).unwrap();
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let stanza = stanza(number);
                if !output.lock().unwrap().write(&stanza) {
                    return number;
                }
            }
            count
        })
    }

    /// Sends an IQ request of type get with `payload` to `to`, and returns the answer.
    #[track_caller]
    pub fn asks(&mut self, to: &str, payload: &str) -> Element {
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
    pub fn receives_id(&mut self, id: &str) -> Element {
        self.receives(&format!("the stanza {id}"), |stanza| stanza.attribute("id") == id)
    }

    /// Waits for the first stanza for which `wanted` is true; others stay for later.
    #[track_caller]
    pub fn receives(&mut self, what: &str, wanted: impl Fn(&Element) -> bool) -> Element {
        self.receives_within(SOON, what, wanted)
    }

    /// Waits no longer than `limit` for the first stanza for which `wanted` is true; others stay for later.
    #[track_caller]
    pub fn receives_within(
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

    /// Waits no longer than `limit` for the next stanza. None also if the connection ended.
    pub fn next(&mut self, limit: Duration) -> Option<Element> {
        self.unread.pop_front().or_else(|| self.incoming.recv_timeout(limit).ok())
    }

    /// Whether a stanza has arrived.
    pub fn has_received(&mut self) -> bool {
        self.unread.extend(self.incoming.try_iter());
        !self.unread.is_empty()
    }

    /// Closes the stream, waits until the server does the same, and returns the stanzas before that.
    #[track_caller]
    pub fn closes(mut self) -> Vec<Element> {
        self.output.lock().unwrap().close();
        self.expects_end()
    }

    /// Waits until the server closes the connection, and returns the stanzas before that.
    #[track_caller]
    pub fn expects_end(&mut self) -> Vec<Element> {
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
        let _ = self.output.lock().unwrap().stream.shutdown(Shutdown::Both);
    }
}

/// A stream after its handshake.
struct Opened {
    wire: Wire,
    output: TcpStream,
    digest: String,
}

fn open(server: Ipv4Addr, name: &str, secret: &str) -> Result<Opened, String> {
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
        Ok(Event::Element(element)) if element.name == "handshake" => Ok(Opened { wire, output, digest }),
        Ok(Event::Element(error)) if error.name == "error" => {
            let conditions = error.children().filter(|child| child.name != "text");
            Err(conditions.map(|child| child.name.clone()).collect())
        }
        other => Err(format!("{other:?}")),
    }
}

/// The sending side of the stream.
struct Output {
    stream: TcpStream,
    open: bool,
}

impl Output {
    /// Writes text; false if the stream is closed, or if the server did not read in time.
    fn write(&mut self, text: &str) -> bool {
        self.open = self.open && self.stream.write_all(text.as_bytes()).is_ok();
        self.open
    }

    /// Closes the stream, as a component must when the server does.
    fn close(&mut self) {
        let _ = self.stream.write_all(b"</stream:stream>");
        let _ = self.stream.shutdown(Shutdown::Write);
        self.open = false;
    }
}

fn read(mut wire: Wire, stanzas: &Sender<Element>, output: &Mutex<Output>) {
    loop {
        match wire.next(Duration::from_secs(3600)) {
            // A stream error is not a stanza; the closing tag follows.
            Ok(Event::Element(error)) if error.namespace == STREAMS => {}
            Ok(Event::Element(ping)) if ping.attribute("id").starts_with("alive-") => {
                let (id, from, to) = (ping.attribute("id"), ping.attribute("to"), ping.attribute("from"));
                output
                    .lock()
                    .unwrap()
                    .write(&format!("<iq type='result' id='{id}' from='{from}' to='{to}'/>"));
            }
            Ok(Event::Element(stanza)) => {
                if stanzas.send(stanza).is_err() {
                    return;
                }
            }
            Ok(Event::Closed) => output.lock().unwrap().close(),
            Ok(Event::Opened(_)) | Err(Nothing::Late) => {}
            Err(Nothing::Ended) => return,
        }
    }
}

/// The secret of every component in every test.
pub const SECRET: &str = "secret";

const STREAMS: &str = "http://etherx.jabber.org/streams";

/// Stanzas written at once in a flood.
const FLOOD_BATCH: usize = 100;

/// The receive buffer of a slow component, in bytes. Linux doubles it.
const SMALL_BUFFER: usize = 64 * 1024;

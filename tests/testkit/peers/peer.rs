//! A scripted server that sends and expects what the test says, step by step.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use openssl::ssl::{Ssl, SslRef, SslStream};
use socket2::{Domain, Socket, Type};

use super::eventually::{SOON, eventually};
use super::{Element, Event, Nothing, Wire};
use crate::Identity;

/// The listening socket of a scripted server.
pub struct Listener(TcpListener);

impl Listener {
    /// Listens for server-to-server streams at `address`.
    pub fn at(address: Ipv4Addr) -> Self {
        Self::at_port(address, 5269)
    }

    /// Listens at another port.
    pub fn at_port(address: impl Into<IpAddr>, port: u16) -> Self {
        let listener = TcpListener::bind((address.into(), port)).expect("an address of its own");
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// The port; the kernel chooses one for port 0.
    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// A host that drops every connection attempt: its accept queue stays full.
    pub fn deaf(address: Ipv4Addr) -> (Self, Vec<TcpStream>) {
        Self::deaf_at(SocketAddr::from((address, 5269)))
    }

    /// Such a host at another port, or with an IPv6 address.
    pub fn deaf_at(address: SocketAddr) -> (Self, Vec<TcpStream>) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        // Connections of an earlier run may remain there.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let queued = (0..8).map_while(connect).collect();
        (Self(socket.into()), queued)
    }

    /// Waits for the next connection.
    #[track_caller]
    pub fn accepts(&self) -> Peer {
        eventually("a connection to the scripted peer", || self.accepted())
    }

    /// The next connection, if there is one already.
    pub fn accepted(&self) -> Option<Peer> {
        let (stream, _) = self.0.accept().ok()?;
        stream.set_nonblocking(false).unwrap();
        Some(Peer::accepted(stream))
    }
}

/// One connection of a scripted server.
pub struct Peer {
    wire: Wire,
}

impl Peer {
    /// Takes over an open connection.
    pub fn accepted(stream: TcpStream) -> Self {
        Self { wire: Wire::new(stream) }
    }

    /// Connects to the server port at `address`.
    #[track_caller]
    pub fn dials(address: Ipv4Addr) -> Self {
        Self::dials_port(address, 5269)
    }

    /// Connects to another port.
    #[track_caller]
    pub fn dials_port(address: Ipv4Addr, port: u16) -> Self {
        let stream = TcpStream::connect((address, port)).expect("a server that listens");
        Self::accepted(stream)
    }

    /// Waits for the first byte from the other side, without consuming it.
    #[track_caller]
    pub fn first_byte(&self) -> u8 {
        self.wire.peek(SOON).expect("a first byte")
    }

    /// The state of TLS.
    #[track_caller]
    pub fn tls(&self) -> &SslRef {
        self.wire.tls().expect("a stream over TLS")
    }

    /// Sends text unchanged.
    pub fn sends(&mut self, text: &str) {
        self.wire.send(text);
    }

    /// Sends a stream header with version 1.0 that declares dialback; `more` are further attributes.
    pub fn sends_header(&mut self, from: &str, to: &str, more: &str) {
        self.sends(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='{from}' to='{to}' {more}>"
        ));
    }

    /// Sends stream features.
    pub fn sends_features(&mut self, features: &str) {
        self.sends(&format!("<stream:features>{features}</stream:features>"));
    }

    /// Expects a stream header next.
    #[track_caller]
    pub fn expects_header(&mut self) -> Element {
        match self.wire.next(SOON) {
            Ok(Event::Opened(header)) => header,
            other => self.fails("a stream header", &other),
        }
    }

    /// Expects an element of that name next.
    #[track_caller]
    pub fn expects(&mut self, name: &str) -> Element {
        match self.wire.next(SOON) {
            Ok(Event::Element(element)) if element.name == name => element,
            other => self.fails(&format!("<{name}/>"), &other),
        }
    }

    /// Expects a stream error with that condition and the closing tag, answers it, and expects the end of the connection.
    #[track_caller]
    pub fn expects_error(&mut self, condition: &str) {
        let error = self.expects("error");
        assert!(error.child(condition).is_some(), "not <{condition}/> but {error}");
        self.expects_closed();
        self.finishes();
    }

    /// Answers the closing tag of the other side, closes the sending side as servers do, and expects the end of the
    /// connection.
    #[track_caller]
    pub fn finishes(&mut self) {
        self.sends("</stream:stream>");
        self.wire.finish();
        self.expects_end();
    }

    /// Expects the closing tag of the stream next.
    #[track_caller]
    pub fn expects_closed(&mut self) {
        match self.wire.next(SOON) {
            Ok(Event::Closed) => {}
            other => self.fails("</stream:stream>", &other),
        }
    }

    /// Closes the stream, and expects the other side to close it without sending anything else.
    #[track_caller]
    pub fn says_no_more(&mut self) {
        self.sends("</stream:stream>");
        self.expects_closed();
    }

    /// Expects the end of the connection next.
    #[track_caller]
    pub fn expects_end(&mut self) {
        match self.wire.next(SOON) {
            Err(Nothing::Ended) => {}
            other => self.fails("the end of the connection", &other),
        }
    }

    /// Ends the connection with a reset (RFC 9293 section 3.5.2).
    pub fn resets(self) {
        self.wire.reset();
    }

    /// Reads and ignores everything until the connection ends.
    pub fn waits_for_the_end(&mut self) {
        while let Ok(event) = self.wire.next(SOON) {
            if matches!(event, Event::Closed) {
                self.sends("</stream:stream>");
            }
        }
    }

    /// The next event, within `limit`.
    pub fn next(&mut self, limit: Duration) -> Result<Event, Nothing> {
        self.wire.next(limit)
    }

    /// Makes a TLS handshake as client of `domain`, and expects a new stream.
    #[track_caller]
    pub fn secures_as_client(&mut self, identity: Option<&Identity>, domain: &str) {
        let secured = self.tries_to_secure_as_client(identity, domain);
        secured.unwrap_or_else(|error| panic!("TLS as client: {error}"));
    }

    /// Makes a TLS handshake as client of `domain`; a failure returns the reason.
    pub fn tries_to_secure_as_client(
        &mut self,
        identity: Option<&Identity>,
        domain: &str,
    ) -> Result<(), String> {
        self.wire.secure_as_client(identity, domain)
    }

    /// Makes a TLS handshake as server, and expects a new stream.
    #[track_caller]
    pub fn secures_as_server(&mut self, identity: &Identity) {
        let secured = self.wire.secure_as_server(Some(identity));
        secured.unwrap_or_else(|error| panic!("TLS as server: {error}"));
    }

    /// Makes a TLS handshake as server, perhaps without a certificate; a failure returns the reason.
    pub fn tries_to_secure_as_server(&mut self, identity: Option<&Identity>) -> Result<(), String> {
        self.wire.secure_as_server(identity)
    }

    /// Makes a TLS handshake as server with the settings of `ssl`.
    pub fn accepts_with(&mut self, ssl: Ssl) -> Result<(), String> {
        self.wire.accept_with(ssl)
    }

    /// Whether the connection uses TLS.
    pub fn is_secured(&self) -> bool {
        self.wire.is_secured()
    }

    /// Expects a new stream header, as after authentication.
    pub fn restarts(&mut self) {
        self.wire.restart();
    }

    /// The next bytes, unparsed.
    pub fn reads(&mut self, limit: Duration) -> Result<String, Nothing> {
        let bytes = self.wire.hear(limit)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes a TLS handshake as client with the settings of `ssl`.
    pub fn secures_with(&mut self, ssl: Ssl) -> Result<(), String> {
        self.wire.secure_with(ssl)
    }

    /// The TLS stream.
    #[track_caller]
    pub fn secured(&mut self) -> &mut SslStream<TcpStream> {
        self.wire.secured().expect("a stream over TLS")
    }

    /// The serial number of the other side's certificate.
    #[track_caller]
    pub fn certified_serial(&self) -> String {
        let certificate = self.wire.peer_certificate().expect("a certificate");
        certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
    }

    /// The DNS names in the other side's certificate.
    pub fn certified_names(&self) -> Vec<String> {
        let certificate = self.wire.peer_certificate();
        let names = certificate.and_then(|certificate| certificate.subject_alt_names());
        let names = names.iter().flatten().filter_map(|name| name.dnsname());
        names.map(str::to_owned).collect()
    }

    /// Everything sent and received so far.
    pub fn transcript(&self) -> &str {
        self.wire.transcript()
    }

    #[track_caller]
    fn fails(&self, expected: &str, got: &Result<Event, Nothing>) -> ! {
        panic!("expected {expected}, got {got:?} after\n{}", self.wire.transcript())
    }
}

/// Plays `script` for every connection to `listener`, each in its own thread, until the test process ends.
pub fn plays(listener: Listener, script: impl Fn(Peer) + Send + Sync + Clone + 'static) {
    thread::spawn(move || {
        loop {
            match listener.accepted() {
                Some(peer) => {
                    let script = script.clone();
                    thread::spawn(move || script(peer));
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    });
}

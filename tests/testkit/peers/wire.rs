//! One end of an XML stream over TCP or TLS, with blocking calls that end at a deadline.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use openssl::ssl::{
    AlpnError, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslRef, SslStream, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;

use super::eventually::SOON;
use super::{Event, Splitter};
use crate::Identity;

/// The connection, unread data, and a transcript.
pub struct Wire {
    link: Link,
    splitter: Splitter,
    transcript: String,
}

enum Link {
    Plain(TcpStream),
    Secured(Box<SslStream<TcpStream>>),
    /// During a TLS handshake.
    Changing,
}

/// The reason why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The other side closed or reset the connection.
    Ended,
    /// The deadline passed.
    Late,
}

impl Wire {
    /// Takes over a connection.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self { link: Link::Plain(stream), splitter: Splitter::default(), transcript: String::new() }
    }

    /// The next event of the stream.
    pub fn next(&mut self, limit: Duration) -> Result<Event, Nothing> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(event) = self.splitter.next() {
                return Ok(event);
            }
            let bytes = self.read(deadline)?;
            let _ = writeln!(self.transcript, "< {}", String::from_utf8_lossy(&bytes));
            self.splitter.push(&bytes);
        }
    }

    /// Sends text unchanged. An error shows at the next read.
    pub fn send(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "> {text}");
        let _ = match &mut self.link {
            Link::Plain(stream) => stream.write_all(text.as_bytes()),
            Link::Secured(stream) => stream.write_all(text.as_bytes()),
            Link::Changing => Ok(()),
        };
    }

    /// Expects a new stream header, as after TLS and SASL.
    pub fn restart(&mut self) {
        self.splitter.restart();
    }

    /// Makes a TLS handshake as client, with the server name `domain`.
    pub fn secure_as_client(&mut self, identity: Option<&Identity>, domain: &str) -> Result<(), String> {
        let mut ssl = Ssl::new(&tls_context(identity)).unwrap();
        ssl.set_hostname(domain).unwrap();
        ssl.set_alpn_protos(ALPN).unwrap();
        self.secure(ssl, |stream| stream.connect())
    }

    /// Makes a TLS handshake as server.
    pub fn secure_as_server(&mut self, identity: Option<&Identity>) -> Result<(), String> {
        let ssl = Ssl::new(&tls_context(identity)).unwrap();
        self.secure(ssl, |stream| stream.accept())
    }

    fn secure(
        &mut self,
        ssl: Ssl,
        handshake: impl FnOnce(&mut SslStream<TcpStream>) -> Result<(), openssl::ssl::Error>,
    ) -> Result<(), String> {
        let Link::Plain(stream) = std::mem::replace(&mut self.link, Link::Changing) else {
            panic!("TLS inside of TLS");
        };
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut stream = SslStream::new(ssl, stream).unwrap();
        handshake(&mut stream).map_err(|error| error.to_string())?;
        let _ = writeln!(self.transcript, "- {}", stream.ssl().version_str());
        self.link = Link::Secured(Box::new(stream));
        self.splitter = Splitter::default();
        Ok(())
    }

    /// The first unread byte, before TLS.
    pub fn peek(&self, limit: Duration) -> Option<u8> {
        let Link::Plain(stream) = &self.link else { return None };
        let mut byte = [0];
        stream.set_read_timeout(Some(limit)).unwrap();
        (stream.peek(&mut byte).ok()? == 1).then_some(byte[0])
    }

    /// The state of TLS.
    pub fn tls(&self) -> Option<&SslRef> {
        match &self.link {
            Link::Secured(stream) => Some(stream.ssl()),
            Link::Plain(_) | Link::Changing => None,
        }
    }

    /// The certificate of the other side.
    pub fn peer_certificate(&self) -> Option<X509> {
        self.tls()?.peer_certificate()
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        let stream = match &self.link {
            Link::Plain(stream) => stream,
            Link::Secured(stream) => stream.get_ref(),
            Link::Changing => return,
        };
        socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Closes the sending side: close_notify in TLS, then FIN.
    pub fn finish(&mut self) {
        let stream = match &mut self.link {
            Link::Plain(stream) => stream,
            Link::Secured(stream) => {
                let _ = stream.shutdown();
                stream.get_ref()
            }
            Link::Changing => return,
        };
        let _ = stream.shutdown(Shutdown::Write);
    }

    /// Whether the connection uses TLS.
    pub fn is_secured(&self) -> bool {
        matches!(self.link, Link::Secured(_))
    }

    /// Everything sent and received so far.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// The next bytes, unparsed.
    pub fn hear(&mut self, limit: Duration) -> Result<Vec<u8>, Nothing> {
        self.read(Instant::now() + limit)
    }

    /// Makes a TLS handshake as client with the settings of `ssl`.
    pub fn secure_with(&mut self, ssl: Ssl) -> Result<(), String> {
        self.secure(ssl, |stream| stream.connect())
    }

    /// Makes a TLS handshake as server with the settings of `ssl`.
    pub fn accept_with(&mut self, ssl: Ssl) -> Result<(), String> {
        self.secure(ssl, |stream| stream.accept())
    }

    /// The TLS stream, after the handshake.
    pub fn secured(&mut self) -> Option<&mut SslStream<TcpStream>> {
        match &mut self.link {
            Link::Secured(stream) => Some(stream),
            Link::Plain(_) | Link::Changing => None,
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<Vec<u8>, Nothing> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Nothing::Late);
            }
            let read = match &mut self.link {
                Link::Plain(stream) => {
                    stream.set_read_timeout(Some(left)).unwrap();
                    stream.read(&mut buffer)
                }
                Link::Secured(stream) => {
                    stream.get_ref().set_read_timeout(Some(left)).unwrap();
                    match stream.ssl_read(&mut buffer) {
                        Err(error) if error.code() == ErrorCode::WANT_READ || is_interrupted(&error) => {
                            continue;
                        }
                        Err(error) => {
                            let _ = writeln!(self.transcript, "! {:?} {error}", error.code());
                            Ok(0)
                        }
                        read => Ok(read.unwrap_or(0)),
                    }
                }
                Link::Changing => Ok(0),
            };
            match read {
                Ok(0) => return Err(Nothing::Ended),
                Ok(length) => return Ok(buffer[..length].to_vec()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return Err(Nothing::Ended),
            }
        }
    }
}

/// Whether a signal ended the call, which the library does not treat as a reason to repeat it.
fn is_interrupted(error: &openssl::ssl::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == ErrorKind::Interrupted)
}

/// The TLS context of a scripted peer. It presents `identity` even if that is weak, requests the other side's
/// certificate, and accepts any.
#[must_use]
pub fn tls_context(identity: Option<&Identity>) -> SslContext {
    let mut context = SslContextBuilder::new(SslMethod::tls()).unwrap();
    context.set_min_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    context.set_security_level(0);
    context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    context.set_session_id_context(b"peer").unwrap();
    context.set_alpn_select_callback(|_, offered| {
        openssl::ssl::select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK)
    });
    if let Some(identity) = identity {
        context.set_certificate(identity.certificate()).unwrap();
        context.set_private_key(&identity.key).unwrap();
        for certificate in &identity.chain[1..] {
            context.add_extra_chain_cert(certificate.clone()).unwrap();
        }
        if let Some(staple) = identity.staple.clone() {
            let shows = move |ssl: &mut SslRef| ssl.set_ocsp_status(&staple).map(|()| true);
            context.set_status_callback(shows).unwrap();
        }
    }
    context.build()
}

/// The ALPN protocol of server-to-server streams (XEP-0368), with its length.
const ALPN: &[u8] = b"\x0bxmpp-server";

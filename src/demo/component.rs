//! A program that serves a domain: the client side of XEP-0114, as small as it gets.

use std::{fmt, io, net::SocketAddr};

use bytes::BytesMut;
use openssl::sha;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use xmpp::{
    framer::{Frame, Framer, Limits},
    xml::{self, Element, ns},
};

/// A connection to the component port of a node, let in.
pub(crate) struct Program {
    socket: TcpStream,
    framer: Framer,
    buffer: BytesMut,
}

impl Program {
    /// Connects, and proves with `secret` that it may serve `domain`.
    ///
    /// # Errors
    /// The node is not there, or would not have it.
    pub(crate) async fn connect(node: SocketAddr, domain: &str, secret: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(node).await?;
        // Two short messages in a row would otherwise wait for each other (RFC 896).
        socket.set_nodelay(true)?;
        let mut program = Self { socket, framer: Framer::new(LIMITS), buffer: BytesMut::new() };
        let (content, stream) = (ns::COMPONENT, ns::STREAM);
        program
            .write(&format!("<stream:stream xmlns='{content}' xmlns:stream='{stream}' to='{domain}'>"))
            .await?;
        let Frame::Header(header) = program.frame().await? else {
            return Err(unexpected("no stream header"));
        };
        // Closed at once, the opening tag is an element to read.
        let header = [&header[..], b"</stream:stream>"].concat();
        let header = Element::parse(&header, &[]).map_err(unexpected)?;
        let id = header.attribute("id").unwrap_or_default();
        // XEP-0114 section 3: the digest of the stream's id and the secret, in hexadecimal.
        let digest = sha::sha1(format!("{id}{secret}").as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        program.write(&format!("<handshake>{digest}</handshake>")).await?;
        match program.stanza().await? {
            answer if answer.is("handshake", ns::COMPONENT) => Ok(program),
            answer => Err(unexpected(answer.name)),
        }
    }

    /// Sends a message of `text`.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn say(&mut self, from: &str, to: &str, text: &str) -> io::Result<()> {
        let text = xml::escape(text);
        self.write(&format!("<message from='{from}' to='{to}' type='chat'><body>{text}</body></message>"))
            .await
    }

    /// Waits for a stanza.
    ///
    /// # Errors
    /// The stream ended.
    pub(crate) async fn stanza(&mut self) -> io::Result<Element> {
        match self.frame().await? {
            Frame::Element(element) => {
                Element::parse(&element.bytes, self.framer.scope()).map_err(io::Error::other)
            }
            Frame::Header(_) => Err(unexpected("a second stream header")),
            Frame::Footer => Err(unexpected("the node closed the stream")),
        }
    }

    /// Waits until the node closes the stream, and closes it too.
    pub(crate) async fn leave(mut self) {
        while self.stanza().await.is_ok() {}
        // The node may be gone by now, and that is what we wait for.
        let _ = self.write("</stream:stream>").await;
    }

    async fn write(&mut self, text: &str) -> io::Result<()> {
        self.socket.write_all(text.as_bytes()).await
    }

    async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.buffer).map_err(io::Error::other)? {
                return Ok(frame);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(unexpected("the node closed the connection"));
            }
        }
    }
}

fn unexpected(what: impl fmt::Display) -> io::Error {
    io::Error::other(format!("the component stream went wrong: {what}"))
}

/// The node is trusted here; these only have to be above what it sends.
const LIMITS: Limits = Limits {
    element: 1 << 20,
    depth: 100,
    attributes: 100,
    declarations: 100,
    namespace: 1 << 20,
    namespaces: 1 << 20,
};

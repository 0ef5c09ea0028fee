//! A minimal component that serves a domain (XEP-0114).

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

/// An authenticated connection to the component listener of a node.
pub(crate) struct Component {
    socket: TcpStream,
    framer: Framer,
    buffer: BytesMut,
}

impl Component {
    /// Connects, and authenticates as `domain` with `secret`.
    ///
    /// # Errors
    /// The connection failed, or the node refused the secret.
    pub(crate) async fn connect(node: SocketAddr, domain: &str, secret: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(node).await?;
        // Without it, a second short message waits until the first is acknowledged (RFC 896).
        socket.set_nodelay(true)?;
        let mut component = Self { socket, framer: Framer::new(LIMITS), buffer: BytesMut::new() };
        let (content, stream) = (ns::COMPONENT, ns::STREAM);
        component
            .write(&format!("<stream:stream xmlns='{content}' xmlns:stream='{stream}' to='{domain}'>"))
            .await?;
        let Frame::Header(header) = component.frame().await? else {
            return Err(unexpected("no stream header"));
        };
        // With an end tag, the header is a complete element.
        let header = [&header[..], b"</stream:stream>"].concat();
        let header = Element::parse(&header, &[]).map_err(unexpected)?;
        let id = header.attribute("id").unwrap_or_default();
        // The SHA-1 digest of the stream id and the secret, in hexadecimal (XEP-0114 section 3).
        let digest = sha::sha1(format!("{id}{secret}").as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        component.write(&format!("<handshake>{digest}</handshake>")).await?;
        match component.stanza().await? {
            answer if answer.is("handshake", ns::COMPONENT) => Ok(component),
            answer => Err(unexpected(answer.name)),
        }
    }

    /// Sends a chat message.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn send_message(&mut self, from: &str, to: &str, text: &str) -> io::Result<()> {
        let text = xml::escape(text);
        self.write(&format!("<message from='{from}' to='{to}' type='chat'><body>{text}</body></message>"))
            .await
    }

    /// Waits for the next stanza.
    ///
    /// # Errors
    /// The stream ended, or it is not well-formed.
    pub(crate) async fn stanza(&mut self) -> io::Result<Element> {
        match self.frame().await? {
            Frame::Element(element) => {
                Element::parse(&element.bytes, self.framer.scope()).map_err(io::Error::other)
            }
            Frame::Header(_) => Err(unexpected("a second stream header")),
            Frame::Footer => Err(unexpected("the node closed the stream")),
        }
    }

    /// Waits until the node closes the stream, and answers with the closing tag.
    pub(crate) async fn wait_for_close(mut self) {
        while self.stanza().await.is_ok() {}
        // The write fails if the node has closed the connection, which ends it too.
        let _ = self.write("</stream:stream>").await;
    }

    /// Closes the stream, and waits until the node has closed it too.
    pub(crate) async fn close(mut self) {
        // The write fails if the node has closed the connection.
        if self.write("</stream:stream>").await.is_ok() {
            while self.stanza().await.is_ok() {}
        }
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
    io::Error::other(format!("unexpected data on the component stream: {what}"))
}

/// The demo trusts its node, so the limits are only above the sizes that it sends.
const LIMITS: Limits = Limits {
    element: 1 << 20,
    depth: 100,
    attributes: 100,
    declarations: 100,
    namespace: 1 << 20,
    namespaces: 1 << 20,
};

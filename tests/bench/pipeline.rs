//! Lower bound for a warm link: a pipeline without actors or routing. One process reads stanzas from a
//! component, frames and validates them, and writes them to a TLS connection. A second process reads from
//! that connection, frames and validates, and writes to a component. The framer, the TLS settings and the
//! read sizes are those of Nuncio.

use std::{env, net::Ipv4Addr, path::Path, time::Duration};

use bytes::BytesMut;
use futures_util::FutureExt;
use openssl::{pkey::PKey, x509::X509};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use xmpp::{
    Domain, DomainPair, Stanza,
    framer::{Frame, Framer, Limits},
    stanza::Origin,
};

use crate::support::{Network, Process};
use actors::settings::{Identity, Trust};
use net::tls::Tls;

/// One half of the pipeline: a process that serves one domain at one address.
pub(crate) struct Half {
    pub(crate) domain: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) process: Process,
}

/// Starts both halves. Returns the sending half first, then the receiving half.
pub(crate) fn start(network: &Network) -> [Half; 2] {
    let files = network.files(&network.authority.issue(&[SENDER, RECEIVER]));
    let authority = network.file_of(&network.authority);
    let half = |role: &str, domain: &str, address: Ipv4Addr, target: Ipv4Addr| {
        let directory = network.directory(domain);
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let arguments = [
            role.to_owned(),
            address.to_string(),
            target.to_string(),
            text(&files.certificate),
            text(&files.key),
            text(&authority),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let program = env::current_exe().expect("this program");
        let process = Process::start(domain, &directory, program.to_str().expect("UTF-8"), &arguments, &[]);
        process.logs_within(Duration::from_secs(10), &["listens"]);
        Half { domain: domain.to_owned(), address, process }
    };
    let (first, second) = (network.address(), network.address());
    let receiving = half(RECEIVE, RECEIVER, second, first);
    let sending = half(SEND, SENDER, first, second);
    [sending, receiving]
}

/// Runs one half if the arguments select one. Returns false for any other arguments.
pub(crate) fn is_half(arguments: &[String]) -> bool {
    let [role, address, target, certificate, key, authority] = arguments else { return false };
    if role != SEND && role != RECEIVE {
        return false;
    }
    let read = |path: &str| std::fs::read(path).expect("a readable file");
    let domain = Domain::new(if role == SEND { SENDER } else { RECEIVER }).expect("a domain");
    let identity = Identity {
        chain: X509::stack_from_pem(&read(certificate)).expect("certificates"),
        key: PKey::private_key_from_pem(&read(key)).expect("a key"),
    };
    let trust = Trust::Authorities(X509::stack_from_pem(&read(authority)).expect("certificates"));
    let tls = Tls::new(vec![(domain, Some(identity))], &[trust]).expect("TLS");
    let address: Ipv4Addr = address.parse().expect("an address");
    let target: Ipv4Addr = target.parse().expect("an address");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if role == SEND { send(&tls, address, target).await } else { receive(&tls, address).await }
    });
    true
}

async fn send(tls: &Tls, address: Ipv4Addr, target: Ipv4Addr) {
    let components = listen(address, 5347).await;
    println!("listens");
    let (component, _) = components.accept().await.expect("a component");
    let socket = TcpStream::connect((target, 5269)).await.expect("the other half");
    socket.set_nodelay(true).expect("a socket");
    let pair = DomainPair {
        local: Domain::new(SENDER).expect("a domain"),
        remote: Domain::new(RECEIVER).expect("a domain"),
    };
    let (stream, _) = tls.connect(socket, &pair, true).await.expect("TLS");
    pump(component, stream, "jabber:component:accept").await;
}

async fn receive(tls: &Tls, address: Ipv4Addr) {
    let components = listen(address, 5347).await;
    let servers = listen(address, 5269).await;
    println!("listens");
    let (component, _) = components.accept().await.expect("a component");
    component.set_nodelay(true).expect("a socket");
    let (socket, _) = servers.accept().await.expect("the other half");
    let (stream, _) = tls.accept(socket, None, true).await.expect("TLS");
    pump(stream, component, "jabber:server").await;
}

/// Copies stanzas until the source ends.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, namespace: &'static str) {
    let mut pending = BytesMut::from(format!("<stream:stream xmlns='{namespace}' {STREAMS}>").as_bytes());
    let mut framer = Framer::new(Limits::default());
    framer.next(&mut pending).expect("a header");
    let origin = Origin { namespace, scope: framer.scope().to_vec(), lang: None };
    let mut scratch = vec![0; READ];
    let mut chunk = BytesMut::new();
    loop {
        let Ok(length @ 1..) = from.read(&mut scratch).await else { return };
        pending.extend_from_slice(&scratch[..length]);
        // Also take the available data, up to the size of one read of a link.
        while pending.len() < READ_AT_ONCE
            && let Some(Ok(length @ 1..)) = from.read(&mut scratch).now_or_never()
        {
            pending.extend_from_slice(&scratch[..length]);
        }
        while let Some(Frame::Element(element)) = framer.next(&mut pending).expect("stanzas") {
            let stanza = Stanza::admit(element, &origin).expect("a stanza");
            chunk.extend_from_slice(stanza.bytes());
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
        chunk.clear();
    }
}

async fn listen(address: Ipv4Addr, port: u16) -> TcpListener {
    TcpListener::bind((address, port)).await.expect("an address of its own")
}

const SEND: &str = "--bare-sender";
const RECEIVE: &str = "--bare-receiver";
const SENDER: &str = "one.bare.example";
const RECEIVER: &str = "two.bare.example";
const STREAMS: &str = "xmlns:stream='http://etherx.jabber.org/streams'";

/// 16 KiB: one TLS record. `READ_AT_ONCE` is the read size of `actors/flow/link.rs`.
const READ: usize = 16 * 1024;
const READ_AT_ONCE: usize = 64 * 1024;

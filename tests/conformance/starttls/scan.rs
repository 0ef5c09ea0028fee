//! A scan of the TLS configuration: versions, ciphers, resumption (RFC 7590, section 3; RFC 9325).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};

use super::{PEER, STARTTLS};
use crate::support::{Auth, Network, Node, Peer, SOON, Server, Setup, eventually, needs};

// rows: C12
#[test]
fn only_tls_1_2_and_1_3_are_accepted() {
    let (_network, node) = scanned();
    for (version, spoken) in [
        (SslVersion::TLS1, false),
        (SslVersion::TLS1_1, false),
        (SslVersion::TLS1_2, true),
        (SslVersion::TLS1_3, true),
    ] {
        let outcome = shake(&node, "ec.example", |context| {
            context.set_min_proto_version(Some(version)).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
        });
        assert_eq!(outcome.is_ok(), spoken, "{version:?}: {outcome:?}");
    }
}

// rows: C12
#[test]
fn every_accepted_cipher_has_forward_secrecy_and_is_aead() {
    let (_network, node) = scanned();
    for domain in ["ec.example", "rsa.example"] {
        // Each accepted cipher is removed from the offer, until none is accepted.
        let mut taken: Vec<String> = Vec::new();
        loop {
            let offer = taken.iter().fold("ALL:COMPLEMENTOFALL".to_owned(), |list, name| list + ":!" + name);
            let outcome = shake(&node, domain, |context| {
                context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
                context.set_cipher_list(&offer).unwrap();
            });
            match outcome {
                Ok(cipher) => taken.push(cipher),
                Err(_) => break,
            }
        }
        assert!(taken.len() > 1, "{domain}: {taken:?}");
        for name in taken {
            let secret = name.starts_with("ECDHE-") || name.starts_with("DHE-");
            let sealed = ["GCM", "CCM", "CHACHA20"].iter().any(|mode| name.contains(mode));
            assert!(secret && sealed, "{domain}: {name}");
        }
    }
}

// rows: C12
#[test]
fn compression_is_declined_by_whoever_it_is_offered_to() {
    let (_network, node) = scanned();
    let mut socket = TcpStream::connect((node.address(), 5269)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let header = format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' \
         from='{PEER}' to='ec.example'>"
    );
    says(&mut socket, &header, "</stream:features>");
    says(&mut socket, STARTTLS, "/>");
    socket.write_all(&hello_with_compression()).unwrap();
    let mut answer = [0; 80];
    socket.read_exact(&mut answer).unwrap();
    // A handshake record that holds a ServerHello: version, random, session id, cipher, compression.
    assert_eq!((answer[0], answer[5]), (22, 2), "{answer:?}");
    let session = usize::from(answer[43]);
    assert_eq!(answer[44 + session + 2], 0, "compression method");
}

// rows: C10
#[test]
fn a_peer_that_wants_to_renegotiate_is_dropped() {
    let (_network, node) = scanned();
    let mut client = client(&node, "ec.example", &["-tls1_2"], Stdio::piped());
    node.eventually_logs(&["secured", "TLSv1.2"]);
    // s_client takes a line that begins with R for a command.
    client.stdin.as_mut().unwrap().write_all(b"R\n").unwrap();
    node.eventually_logs(&["closed", "renegotiate"]);
    eventually("the client sees the end", || client.try_wait().unwrap());
    let mut heard = String::new();
    client.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert!(heard.contains("TLSv1.2") && !heard.contains("<stream:error"), "{heard}");
}

// rows: C13
#[test]
fn no_tls_session_is_resumed() {
    let (network, node) = scanned();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = network.directory("sessions").join(version);
        let file = file.to_str().unwrap();
        let output = connects(&node, "ec.example", &[version, "-sess_out", file]);
        assert!(output.contains("New, TLSv1"), "{output}");
        if !Path::new(file).exists() {
            // The server sent no session.
            continue;
        }
        for domain in ["ec.example", "rsa.example"] {
            let output = connects(&node, domain, &[version, "-sess_in", file]);
            assert!(output.contains("New, TLSv1") && !output.contains("Reused"), "{output}");
        }
    }
}

/// A node with an EC and an RSA certificate.
fn scanned() -> (Network, Node) {
    let network = Network::new();
    let rsa = network.files(&network.authority.certificate(&["rsa.example"]).rsa().issue());
    let setup = Setup::of("ec.example").auth(Auth::External).block(&format!(
        "[[domain]]\nname = \"rsa.example\"\ncertificate = {:?}\nkey = {:?}",
        rsa.certificate, rsa.key
    ));
    let node = Node::start(&network, setup.set("s2s.max_connections_per_address", "1000"));
    (network, node)
}

/// Negotiates STARTTLS as a client that accepts everything except for `wish`, and returns the cipher.
fn shake(node: &Node, domain: &str, wish: impl FnOnce(&mut SslContextBuilder)) -> Result<String, String> {
    let mut peer = Peer::dials(node.address());
    peer.opens_for_tls(PEER, domain);
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context.set_security_level(0);
    context.set_cipher_list("ALL:COMPLEMENTOFALL").unwrap();
    wish(&mut context);
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_hostname(domain).unwrap();
    peer.secures_with(ssl)?;
    Ok(peer.secured().ssl().current_cipher().expect("a cipher").name().to_owned())
}

/// Starts OpenSSL's own client.
fn client(node: &Node, domain: &str, arguments: &[&str], stdin: Stdio) -> Child {
    needs("openssl", "openssl");
    let address = format!("{}:5269", node.address());
    Command::new("openssl")
        .args(["s_client", "-connect", &address, "-starttls", "xmpp-server", "-xmpphost", domain])
        .args(["-servername", domain])
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl s_client")
}

/// Connects with OpenSSL's own client, and returns its output.
fn connects(node: &Node, domain: &str, arguments: &[&str]) -> String {
    let output = client(node, domain, arguments, Stdio::null()).wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes `text` and reads up to `end`.
fn says(socket: &mut TcpStream, text: &str, end: &str) {
    socket.write_all(text.as_bytes()).unwrap();
    let mut heard = Vec::new();
    let mut byte = [0];
    while !heard.ends_with(end.as_bytes()) {
        socket.read_exact(&mut byte).unwrap_or_else(|error| {
            panic!("{error} after {}", String::from_utf8_lossy(&heard));
        });
        heard.push(byte[0]);
    }
}

/// A ClientHello of TLS 1.2 that would rather have DEFLATE than no compression (RFC 3749).
fn hello_with_compression() -> Vec<u8> {
    let extensions: &[&[u8]] = &[
        // supported_groups: P-256
        &[0, 10, 0, 4, 0, 2, 0, 23],
        // ec_point_formats: uncompressed
        &[0, 11, 0, 2, 1, 0],
        // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256, rsa_pkcs1_sha256
        &[0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1],
    ];
    let extensions = extensions.concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session; ECDHE-ECDSA and ECDHE-RSA with AES128-GCM; DEFLATE and null.
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 2, 1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    handshake.extend(hello);
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(handshake.len()).unwrap().to_be_bytes());
    record.extend(handshake);
    record
}

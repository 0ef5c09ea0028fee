//! Failed handshakes and their errors.

use std::io;

use super::*;

fn server(root: &Authority) -> Tls {
    node("b.example", Some(named(root, "b.example")), root)
}

/// Connects our client to a server that answers with `bytes` and closes; returns the error.
async fn connected_to(bytes: &[u8]) -> Error {
    let (near, mut far) = wire().await;
    let client = node("a.example", None, &Authority::named("root"));
    let target = pair("a.example", "b.example");
    let (outcome, ()) = tokio::join!(client.connect(near, &target, true), async {
        far.write_all(bytes).await.unwrap();
        // Read everything first: closing with unread bytes sends a reset.
        far.shutdown().await.unwrap();
        let _ = far.read_to_end(&mut Vec::new()).await;
    });
    outcome.map(|_| ()).unwrap_err()
}

/// Accepts a client that sends `bytes` and closes; returns the error.
async fn spoken_to(bytes: &[u8]) -> Error {
    let (mut near, far) = wire().await;
    let server = server(&Authority::named("root"));
    near.write_all(bytes).await.unwrap();
    near.shutdown().await.unwrap();
    server.accept(far, None, true).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn detects_a_peer_without_tls() {
    let plain: [&[u8]; 4] = [
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' to='b.example'>",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for bytes in plain {
        assert_eq!(connected_to(bytes).await, Error::NotTls, "{}", bytes.escape_ascii());
        assert_eq!(spoken_to(bytes).await, Error::NotTls, "{}", bytes.escape_ascii());
    }
    assert_eq!(spoken_to(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await, Error::NotTls);
}

#[tokio::test]
async fn detects_a_peer_that_closes() {
    for bytes in [&b""[..], b"\x16\x03\x01"] {
        assert_eq!(connected_to(bytes).await, Error::Closed);
        assert_eq!(spoken_to(bytes).await, Error::Closed);
    }
}

#[tokio::test]
async fn detects_a_broken_connection() {
    let (near, far) = wire().await;
    let client = node("a.example", None, &Authority::named("root"));
    far.set_zero_linger().unwrap();
    drop(far);
    let outcome = client.connect(near, &pair("a.example", "b.example"), true).await;
    assert_eq!(outcome.map(|_| ()).unwrap_err(), Error::Broken(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn old_versions_are_refused() {
    let root = Authority::named("root");
    let old = |context: &mut SslContextBuilder| {
        context.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    };
    let (client, accepted) = raw_connects(raw(old), &server(&root), false).await;
    assert_eq!(accepted.map(|_| ()).unwrap_err(), Error::NoCommonVersion);
    assert_eq!(client.map(|_| ()).unwrap_err(), Error::Alert(70));

    let identity = named(&root, "b.example");
    let ssl = raw(|context| {
        old(context);
        context.set_certificate(&identity.chain[0]).unwrap();
        context.set_private_key(&identity.key).unwrap();
    });
    let (near, far) = wire().await;
    let mut far = SslStream::new(ssl, far).unwrap();
    let client = node("a.example", None, &root);
    let target = pair("a.example", "b.example");
    let (outcome, _) = tokio::join!(client.connect(near, &target, false), Pin::new(&mut far).accept());
    assert_eq!(outcome.map(|_| ()).unwrap_err(), Error::Alert(70));
}

#[tokio::test]
async fn ciphers_without_forward_secrecy_or_aead_are_refused() {
    let root = Authority::named("root");
    let identity = root.certificate(&[]).rsa().issue();
    let server = node("b.example", Some(identity.into()), &root);
    for cipher in ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA256", "AES256-SHA"] {
        let ssl = raw(|context| {
            context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
            context.set_cipher_list(cipher).unwrap();
        });
        let (client, accepted) = raw_connects(ssl, &server, false).await;
        assert_eq!(accepted.map(|_| ()).unwrap_err(), Error::NoCommonCipher, "{cipher}");
        let refusal = client.map(|_| ()).unwrap_err();
        assert_eq!(refusal, Error::Alert(40));
        assert_eq!(refusal.to_string(), "the peer ended TLS with the alert handshake failure");
    }
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused_only_on_direct_tls() {
    let root = Authority::named("root");
    let http = || raw(|context| context.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap());
    let (client, accepted) = raw_connects(http(), &server(&root), true).await;
    assert_eq!(accepted.map(|_| ()).unwrap_err(), Error::OtherProtocol);
    assert_eq!(client.map(|_| ()).unwrap_err(), Error::Alert(120));
    let (_, accepted) = raw_connects(http(), &server(&root), false).await;
    assert_eq!(accepted.unwrap().1.alpn, None);
}

#[tokio::test]
async fn a_refusal_of_our_certificate_comes_with_the_first_read() {
    let root = Authority::named("root");
    let identity = named(&root, "b.example");
    let ssl = raw(|context| {
        context.set_certificate(&identity.chain[0]).unwrap();
        context.set_private_key(&identity.key).unwrap();
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    });
    let cases =
        [(None, 116, "certificate required"), (Some(named(&root, "a.example")), 48, "unknown certificate")];
    for (ours, alert, words) in cases {
        let (near, far) = wire().await;
        let mut far = SslStream::new(Ssl::new(ssl.ssl_context()).unwrap(), far).unwrap();
        let client = node("a.example", ours, &root);
        let target = pair("a.example", "b.example");
        let (ours, theirs) = tokio::join!(client.connect(near, &target, false), Pin::new(&mut far).accept());
        assert!(theirs.is_err());
        let error = Error::later(&ours.unwrap().0.read(&mut [0]).await.unwrap_err());
        assert_eq!(error, Error::Alert(alert));
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_node_without_certificate_accepts_no_tls() {
    let root = Authority::named("root");
    let (_, far) = wire().await;
    let outcome = node("a.example", None, &root).accept(far, None, false).await;
    assert_eq!(outcome.map(|_| ()).unwrap_err(), Error::NoIdentity);
}

#[test]
fn an_identity_that_cannot_be_used_is_named() {
    let root = Authority::named("root");
    let other_key = Identity { key: named(&root, "a.example").key, ..named(&root, "a.example") };
    let empty = Identity { chain: Vec::new(), ..named(&root, "a.example") };
    let weak = root.certificate(&[]).rsa_of(1024).issue().into();
    for (identity, why) in [(other_key, "mismatch"), (empty, "no certificate"), (weak, "too small")] {
        let error = Tls::new(vec![(domain("a.example"), Some(identity))], &[]).unwrap_err().to_string();
        assert!(error.contains("a.example") && error.contains(why), "{error}");
    }
}

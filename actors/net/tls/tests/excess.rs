//! The limit of bytes before the end of the handshake.

use super::*;

/// A certificate with this many names of 13 bytes each.
fn crowded(names: usize) -> Identity {
    let names: Vec<String> = (0..names).map(|number| format!("{number:05}.a.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Request::without_authority(&names).issue().into()
}

/// Connects a peer with this certificate to our node, and our node to it, with TLS up to `version`.
async fn meets(identity: &Identity, version: SslVersion, limit: usize) -> [Result<(), Error>; 2] {
    let shown = |context: &mut SslContextBuilder| {
        context.set_max_proto_version(Some(version)).unwrap();
        context.set_certificate(&identity.chain[0]).unwrap();
        for certificate in &identity.chain[1..] {
            context.add_extra_chain_cert(certificate.clone()).unwrap();
        }
        context.set_private_key(&identity.key).unwrap();
        // As large as the keys of ML-KEM-1024 and P-384 in a hello, for an OpenSSL without them.
        context.set_alpn_protos(&[[199; 200]; 9].concat()).unwrap();
    };
    let root = Authority::named("root");
    let node = node("b.example", Some(named(&root, "b.example")), &root).with_max_handshake(limit);
    let (_, calls) = raw_connects(raw(shown), &node, false).await;
    let (near, far) = wire().await;
    let target = pair("b.example", "a.example");
    let mut server = SslStream::new(raw(shown), far).unwrap();
    let (called, _) = tokio::join!(node.connect(near, &target, false), Pin::new(&mut server).accept());
    [calls.map(|_| ()), called.map(|_| ())]
}

#[tokio::test]
async fn a_handshake_above_the_limit_is_not_read_to_its_end() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let [calls, called] = meets(&crowded(1700), version, MAX_HANDSHAKE).await;
        assert_eq!(calls, Err(Error::TooLong));
        // The limit for a server is twice as high.
        assert_eq!(called, Ok(()));
        let [calls, called] = meets(&crowded(3500), version, MAX_HANDSHAKE).await;
        assert_eq!((calls, called), (Err(Error::TooLong), Err(Error::TooLong)));
    }
}

#[tokio::test]
async fn handshakes_of_current_servers_are_far_below_the_limit() {
    let names: Vec<String> = (0..100).map(|number| format!("xmpp{number:02}.hosting.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chain = Authority::long_chain(4, &names).into();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        assert_eq!(meets(&chain, version, MAX_HANDSHAKE * 2 / 3).await, [Ok(()), Ok(())]);
    }
}

#[tokio::test]
async fn a_hello_can_arrive_in_any_pieces_and_records() {
    let root = Authority::named("root");
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    for record in [1, 7, 1000] {
        let (mut near, far) = wire().await;
        let talk = async {
            let mut hello = Vec::new();
            let message = hello_of(raw(|_| {})).await;
            for piece in message.chunks(record) {
                hello.extend([0x16, 3, 1, 0, 0]);
                let at = hello.len() - 2;
                hello[at..].copy_from_slice(&u16::try_from(piece.len()).unwrap().to_be_bytes());
                hello.extend(piece);
            }
            for piece in hello.chunks(11) {
                near.write_all(piece).await.unwrap();
            }
            let mut answer = [0; 6];
            near.read_exact(&mut answer).await.unwrap();
            answer
        };
        let (answer, _) = tokio::join!(talk, async {
            // The client gets no answer to its own hello.
            tokio::time::timeout(std::time::Duration::from_secs(1), server.accept(far, None, true)).await
        });
        assert_eq!((answer[0], answer[5]), (0x16, 2), "no ServerHello in records of {record}");
    }
}

#[tokio::test]
async fn a_hello_that_announces_too_many_bytes_is_refused_at_once() {
    let root = Authority::named("root");
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let (mut near, far) = wire().await;
    near.write_all(b"\x16\x03\x01\x00\x04\x01\x01\xff\xff").await.unwrap();
    assert_eq!(server.accept(far, None, true).await.map(|_| ()), Err(Error::TooLong));
    drop(near);
}

/// The ClientHello without its records.
async fn hello_of(ssl: Ssl) -> Vec<u8> {
    let (near, mut far) = wire().await;
    let mut client = SslStream::new(ssl, near).unwrap();
    let mut record = [0; 5];
    let read = async {
        far.read_exact(&mut record).await.unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
        far.read_exact(&mut message).await.unwrap();
        drop(far);
        message
    };
    tokio::join!(read, Pin::new(&mut client).connect()).0
}

//! TLS 1.3 records without data, made with the keys of a handshake.

use std::{io, sync::mpsc};

use openssl::{
    pkey::PKey,
    sign::Signer,
    symm::{Cipher, encrypt_aead},
};
use tokio::io::AsyncRead;

use super::*;

/// A peer that writes its own records.
struct Forge {
    /// Held open, and not used.
    stream: SslStream<TcpStream>,
    secret: Vec<u8>,
    /// The number of records under this secret.
    number: u64,
}

impl Forge {
    fn new(stream: SslStream<TcpStream>, lines: &mpsc::Receiver<String>, label: &str) -> Self {
        let line = lines.try_iter().find(|line| line.starts_with(label)).unwrap();
        let text = line.split(' ').next_back().unwrap();
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        Self { stream, secret: (0..text.len()).step_by(2).map(byte).collect(), number: 0 }
    }

    /// HKDF-Expand-Label (RFC 8446 section 7.1), for at most one block.
    fn expand(&self, label: &str, length: u8) -> Vec<u8> {
        let label = format!("tls13 {label}");
        let size = u8::try_from(label.len()).unwrap();
        let info = [&[0, length, size], label.as_bytes(), &[0, 1]].concat();
        let key = PKey::hmac(&self.secret).unwrap();
        let mut all = Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(&info).unwrap();
        all.truncate(length.into());
        all
    }

    /// A record of this type with `padding` bytes of padding.
    fn record(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let (key, mut nonce) = (self.expand("key", 16), self.expand("iv", 12));
        nonce.iter_mut().rev().zip(self.number.to_le_bytes()).for_each(|(place, byte)| *place ^= byte);
        self.number += 1;
        let inner = [content, &[kind], &vec![0; padding]].concat();
        let [high, low] = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [23, 3, 3, high, low];
        let mut tag = [0; 16];
        let cipher = Cipher::aes_128_gcm();
        let body = encrypt_aead(cipher, &key, Some(&nonce), &header, &inner, &mut tag).unwrap();
        [&header[..], &body, &tag].concat()
    }

    fn data(&mut self, content: &[u8]) -> Vec<u8> {
        self.record(23, content, 0)
    }

    fn key_update(&mut self, asks: bool) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, u8::from(asks)], 0);
        (self.secret, self.number) = (self.expand("traffic upd", 32), 0);
        record
    }

    fn ticket(&mut self) -> Vec<u8> {
        let body = [&[0, 0, 28, 32, 1, 2, 3, 4, 1, 0, 0, 200][..], &[7; 200], &[0, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        self.record(22, &[&[4, 0, 0, length], &body[..]].concat(), 0)
    }

    /// Writes while `other` reads; returns the number of bytes that it read, or its error.
    async fn writes(mut self, bytes: Vec<u8>, mut other: TlsStream, expected: usize) -> io::Result<usize> {
        let (_, read) = tokio::join!(
            async {
                // The node closes the connection when the budget is exceeded.
                let _ = self.stream.get_mut().write_all(&bytes).await;
            },
            async move {
                let (mut read, mut buffer) = (0, [0; 1000]);
                while read < expected {
                    match other.read(&mut buffer).await? {
                        0 => break,
                        length => read += length,
                    }
                }
                Ok(read)
            }
        );
        read
    }
}

/// The role of our node.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Server,
    Client,
}

/// Our node, and a peer that writes by hand.
async fn met(role: Role) -> (Forge, TlsStream) {
    let root = Authority::named("root");
    let identity = named(&root, "b.example");
    let node = node("b.example", Some(identity.clone()), &root);
    let (lines, secrets) = mpsc::channel();
    let peer = raw(|context| {
        context.set_ciphersuites("TLS_AES_128_GCM_SHA256").unwrap();
        context.set_certificate(&identity.chain[0]).unwrap();
        context.set_private_key(&identity.key).unwrap();
        context.set_num_tickets(0).unwrap();
        context.set_keylog_callback(move |_, line| drop(lines.send(line.to_owned())));
    });
    match role {
        Role::Server => {
            let (stream, secured) = raw_connects(peer, &node, false).await;
            (Forge::new(stream.unwrap(), &secrets, "CLIENT_TRAFFIC_SECRET_0"), secured.unwrap().0)
        }
        Role::Client => {
            let (near, far) = wire().await;
            let mut stream = SslStream::new(peer, far).unwrap();
            let target = pair("a.example", "b.example");
            let (secured, shaken) =
                tokio::join!(node.connect(near, &target, false), Pin::new(&mut stream).accept());
            shaken.unwrap();
            (Forge::new(stream, &secrets, "SERVER_TRAFFIC_SECRET_0"), secured.unwrap().0)
        }
    }
}

/// Makes one record.
type Make = fn(&mut Forge) -> Vec<u8>;

#[tokio::test]
async fn records_without_data_end_the_connection() {
    let kinds: [(&str, Make); 4] = [
        ("new keys", |forge| forge.key_update(false)),
        ("new keys on both sides", |forge| forge.key_update(true)),
        ("padding", |forge| forge.record(23, b"x", 16_000)),
        ("new keys between data", |forge| [forge.data(b"x"), forge.key_update(true)].concat()),
    ];
    for role in [Role::Server, Role::Client] {
        for (name, make) in kinds {
            let (mut forge, ours) = met(role).await;
            let mut bytes: Vec<u8> = (0..1000).flat_map(|_| make(&mut forge)).collect();
            bytes.extend(forge.data(b"the end"));
            let kind = forge.writes(bytes, ours, usize::MAX).await.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::QuotaExceeded), "{role:?}, {name}");
        }
    }
}

#[tokio::test]
async fn tickets_and_empty_records_end_the_connection() {
    let kinds: [(Role, Make); 3] = [
        (Role::Client, Forge::ticket),
        (Role::Client, |forge| forge.data(b"")),
        (Role::Server, |forge| forge.data(b"")),
    ];
    for (role, make) in kinds {
        let (mut forge, ours) = met(role).await;
        let mut bytes: Vec<u8> = (0..1000).flat_map(|_| make(&mut forge)).collect();
        bytes.extend(forge.data(b"the end"));
        assert!(forge.writes(bytes, ours, usize::MAX).await.is_err(), "{role:?}");
    }
}

#[tokio::test]
async fn occasional_new_keys_and_tickets_are_accepted() {
    for role in [Role::Server, Role::Client] {
        let (mut forge, ours) = met(role).await;
        let mut bytes = Vec::new();
        for _ in 0..10 {
            bytes.extend(forge.key_update(true));
            bytes.extend(forge.data(b"data"));
            if role == Role::Client {
                bytes.extend(forge.ticket());
            }
        }
        assert_eq!(forge.writes(bytes, ours, 40).await.unwrap(), 40, "{role:?}");
    }
}

#[tokio::test]
async fn data_in_small_records_is_not_limited() {
    let (mut forge, ours) = met(Role::Server).await;
    let bytes: Vec<u8> = (0..20_000).flat_map(|_| forge.data(b"x")).collect();
    assert_eq!(forge.writes(bytes, ours, 20_000).await.unwrap(), 20_000);
}

#[tokio::test]
async fn one_turn_processes_few_records_without_data() {
    let (mut forge, mut ours) = met(Role::Server).await;
    let mut bytes: Vec<u8> = (0..60).flat_map(|_| forge.key_update(false)).collect();
    bytes.extend(forge.data(b"x"));
    forge.stream.get_mut().write_all(&bytes).await.unwrap();
    let Socket::Tcp(socket) = ours.socket() else { unreachable!() };
    socket.readable().await.unwrap();
    let (mut turns, mut place) = (0, [0; 10]);
    future::poll_fn(|context| {
        turns += 1;
        let mut buffer = tokio::io::ReadBuf::new(&mut place);
        Pin::new(&mut ours).poll_read(context, &mut buffer)
    })
    .await
    .unwrap();
    assert!(turns > 1, "all in one turn");
}

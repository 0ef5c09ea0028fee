//! Handshakes over loopback: both of our roles with each other, and each with a plain OpenSSL peer.

mod excess;
mod keys;
mod refusals;

use std::{
    future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use openssl::ssl::{SslContextBuilder, SslMethod, SslSessionCacheMode, SslVerifyMode, SslVersion};
use testkit::{Authority, Purpose, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use xmpp::certificate::{Name, Problem};

use super::*;

/// A socket and its other end.
async fn wire() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

fn pair(local: &str, remote: &str) -> DomainPair {
    DomainPair { local: domain(local), remote: domain(remote) }
}

/// A node with one domain.
fn node(name: &str, identity: Option<Identity>, trusted: &Authority) -> Tls {
    hosting(vec![(name, identity)], trusted)
}

fn hosting(identities: Vec<(&str, Option<Identity>)>, trusted: &Authority) -> Tls {
    let identities = identities.into_iter().map(|(name, identity)| (domain(name), identity)).collect();
    Tls::new(identities, &[Trust::Authorities(vec![trusted.own().clone()])]).unwrap()
}

fn named(authority: &Authority, name: &str) -> Identity {
    authority.issue(&[name]).into()
}

type Secured = Result<(TlsStream, Session), Error>;

/// Lets `client` connect to `server`; returns the results of both.
async fn shake(
    client: &Tls,
    server: &Tls,
    pair: &DomainPair,
    to: Option<&str>,
    direct: bool,
) -> (Secured, Secured) {
    let (near, far) = wire().await;
    let to = to.map(domain);
    tokio::join!(client.connect(near, pair, direct), server.accept(far, to.as_ref(), direct))
}

/// Both ends of a connection after its TLS handshake.
async fn connected() -> (TlsStream, TlsStream) {
    let root = Authority::named("root");
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let client = node("a.example", None, &root);
    let (ours, theirs) = shake(&client, &server, &pair("a.example", "b.example"), None, false).await;
    (ours.unwrap().0, theirs.unwrap().0)
}

/// A peer with the defaults of OpenSSL, changed by `wish`.
fn raw(wish: impl FnOnce(&mut SslContextBuilder)) -> Ssl {
    let mut context = SslContextBuilder::new(SslMethod::tls()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    // Only our side refuses.
    context.set_security_level(0);
    context.set_cipher_list("ALL").unwrap();
    wish(&mut context);
    Ssl::new(&context.build()).unwrap()
}

async fn raw_connects(
    ssl: Ssl,
    server: &Tls,
    direct: bool,
) -> (Result<SslStream<TcpStream>, Error>, Secured) {
    let (near, far) = wire().await;
    let mut client = SslStream::new(ssl, near).unwrap();
    let (shaken, accepted) = tokio::join!(Pin::new(&mut client).connect(), server.accept(far, None, direct));
    (shaken.map(|()| client).map_err(|error| Error::handshake(&error)), accepted)
}

fn shown(session: &Session) -> &str {
    match &session.certificate.as_ref().unwrap().names[..] {
        [Name::Dns(name)] => name,
        names => panic!("{names:?}"),
    }
}

#[tokio::test]
async fn both_sides_present_and_verify_certificates() {
    let root = Authority::named("root");
    let client = node("a.example", Some(named(&root, "a.example")), &root);
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let (ours, theirs) = shake(&client, &server, &pair("a.example", "b.example"), None, false).await;
    let (ours, theirs) = (ours.unwrap().1, theirs.unwrap().1);
    assert_eq!(shown(&ours), "b.example");
    assert_eq!(shown(&theirs), "a.example");
    for session in [ours, theirs] {
        assert_eq!(session.certificate.as_ref().unwrap().problems, [None]);
        assert_eq!(session.protocol, "TLSv1.3");
        assert!(session.cipher.starts_with("TLS_"), "{}", session.cipher);
        assert_eq!(session.alpn, None);
        assert_eq!(session.sni.as_deref(), Some("b.example"));
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_accepted() {
    let root = Authority::named("root");
    let client = node("a.example", None, &root);
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let (ours, theirs) = shake(&client, &server, &pair("a.example", "b.example"), None, false).await;
    assert!(ours.unwrap().1.certificate.is_some());
    assert_eq!(theirs.unwrap().1.certificate, None);
}

#[tokio::test]
async fn an_invalid_certificate_does_not_end_a_handshake() {
    let (root, other) = (Authority::named("root"), Authority::named("other"));
    let own = Some(named(&root, "b.example"));
    let expired = Problem::Expired { on: "2021-01-01".into() };
    let cases = [
        (root.certificate(&[]).valid(1_577_836_800, 1_609_459_200), expired),
        (root.certificate(&[]).purpose(Purpose::CodeSigning), Problem::WrongPurpose),
        (Request::without_authority(&[]), Problem::SelfSigned),
        (other.certificate(&[]), Problem::UnknownAuthority { issuer: "other".into() }),
    ];
    for (request, problem) in cases {
        let bad = node("a.example", Some(request.issue().into()), &root);
        let good = node("b.example", own.clone(), &root);
        let (_, as_client) = shake(&bad, &good, &pair("a.example", "b.example"), None, false).await;
        let (as_server, _) = shake(&good, &bad, &pair("b.example", "a.example"), None, false).await;
        for session in [as_client.unwrap().1, as_server.unwrap().1] {
            assert_eq!(session.certificate.unwrap().problems, [Some(problem.clone())]);
        }
    }
}

/// An error that is left in the queue of OpenSSL would end the next connection of the thread.
#[tokio::test]
async fn a_forged_chain_leaves_no_error_behind() {
    let (root, impostor) = (Authority::named("root"), Authority::named("root"));
    let mut forged = named(&impostor, "a.example");
    forged.chain.push(root.own().clone());
    let bad = node("a.example", Some(forged), &root);
    let good = node("b.example", Some(named(&root, "b.example")), &root);
    let (near, far) = wire().await;
    let target = pair("a.example", "b.example");
    let accepted = async {
        let accepted = good.accept(far, None, false).await.unwrap();
        assert_eq!(ErrorStack::get().errors().len(), 0);
        accepted.1.certificate.unwrap().problems.remove(0)
    };
    let (_, problem) = tokio::join!(bad.connect(near, &target, false), accepted);
    assert!(problem.is_some());
    let (near, far) = wire().await;
    let target = pair("b.example", "a.example");
    let connected = async {
        let connected = good.connect(near, &target, false).await.unwrap();
        assert_eq!(ErrorStack::get().errors().len(), 0);
        connected.1.certificate.unwrap().problems.remove(0)
    };
    let (_, problem) = tokio::join!(bad.accept(far, None, false), connected);
    assert!(problem.is_some());
}

#[tokio::test]
async fn a_weak_certificate_is_verified_too() {
    let root = Authority::named("root");
    let weak = root.certificate(&[]).rsa_of(1024).issue();
    let ssl = raw(|context| {
        context.set_certificate(&weak.chain[0]).unwrap();
        context.set_private_key(&weak.key).unwrap();
    });
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let (_, accepted) = raw_connects(ssl, &server, false).await;
    let problem = accepted.unwrap().1.certificate.unwrap().problems.remove(0);
    assert!(matches!(problem, Some(Problem::Other(_))), "{problem:?}");
}

#[tokio::test]
async fn presents_the_requested_certificate() {
    let root = Authority::named("root");
    let names = ["b.example", "c.example", "d.example"];
    let mut identities: Vec<_> = names.iter().map(|name| (*name, Some(named(&root, name)))).collect();
    identities.insert(0, ("bare.example", None));
    let server = hosting(identities, &root);
    let client = node("a.example", None, &root);
    let cases = [
        // SNI, `to` of the stream, presented certificate
        ("c.example", None, "c.example"),
        ("C.Example", None, "c.example"),
        ("c.example", Some("d.example"), "c.example"),
        ("x.example", Some("d.example"), "d.example"),
        ("bare.example", Some("d.example"), "d.example"),
        ("x.example", None, "b.example"),
        ("x.example", Some("y.example"), "b.example"),
        // An IP literal is not permitted in SNI.
        ("127.0.0.1", Some("d.example"), "d.example"),
        ("[::1]", None, "b.example"),
    ];
    for (sni, to, expected) in cases {
        for direct in [false, true] {
            let (ours, theirs) = shake(&client, &server, &pair("a.example", sni), to, direct).await;
            assert_eq!(shown(&ours.unwrap().1), expected, "asked for {sni}, {to:?}");
            let asked = (!sni.contains([':', '7'])).then(|| sni.to_lowercase());
            assert_eq!(theirs.unwrap().1.sni, asked);
        }
    }
}

#[tokio::test]
async fn a_client_presents_the_certificate_of_its_own_domain() {
    let root = Authority::named("root");
    let names = ["a.example", "b.example"];
    let client = hosting(names.iter().map(|name| (*name, Some(named(&root, name)))).collect(), &root);
    let server = node("c.example", Some(named(&root, "c.example")), &root);
    for name in names {
        let (_, theirs) = shake(&client, &server, &pair(name, "c.example"), None, false).await;
        assert_eq!(shown(&theirs.unwrap().1), name);
    }
    let (_, theirs) = shake(&client, &server, &pair("other.example", "c.example"), None, false).await;
    assert_eq!(theirs.unwrap().1.certificate, None);
}

#[tokio::test]
async fn direct_tls_negotiates_xmpp_server() {
    let root = Authority::named("root");
    let client = node("a.example", None, &root);
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let (ours, theirs) = shake(&client, &server, &pair("a.example", "b.example"), None, true).await;
    assert_eq!(ours.unwrap().1.alpn.as_deref(), Some("xmpp-server"));
    assert_eq!(theirs.unwrap().1.alpn.as_deref(), Some("xmpp-server"));
    let (_, without) = raw_connects(raw(|_| {}), &server, true).await;
    assert_eq!(without.unwrap().1.alpn, None);
}

#[tokio::test]
async fn selects_xmpp_server_among_other_protocols() {
    let root = Authority::named("root");
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    let ssl = raw(|context| context.set_alpn_protos(b"\x02h2\x0bxmpp-server").unwrap());
    let (_, accepted) = raw_connects(ssl, &server, true).await;
    assert_eq!(accepted.unwrap().1.alpn.as_deref(), Some("xmpp-server"));
}

#[tokio::test]
async fn uses_tls_1_2_with_old_peers() {
    let root = Authority::named("root");
    for request in [root.certificate(&[]), root.certificate(&[]).rsa()] {
        let server = node("b.example", Some(request.issue().into()), &root);
        let ssl = raw(|context| context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap());
        let session = raw_connects(ssl, &server, false).await.1.unwrap().1;
        assert_eq!(session.protocol, "TLSv1.2");
        assert!(session.cipher.starts_with("ECDHE-") && session.cipher.contains("GCM"), "{}", session.cipher);
    }
}

#[tokio::test]
async fn offers_no_session_resumption() {
    let root = Authority::named("root");
    let server = node("b.example", Some(named(&root, "b.example")), &root);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let resumable = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&resumable);
        let ssl = raw(|context| {
            context.set_max_proto_version(Some(version)).unwrap();
            context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
            context.set_new_session_callback(move |_, session| {
                // With TLS 1.2 this is called for each session; one without id and ticket cannot be resumed.
                counter.fetch_add(usize::from(!session.id().is_empty()), Ordering::Relaxed);
            });
        });
        let (client, accepted) = raw_connects(ssl, &server, false).await;
        let (mut client, mut accepted) = (client.unwrap(), accepted.unwrap().0);
        accepted.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        assert_eq!(resumable.load(Ordering::Relaxed), 0, "{version:?}");
    }
}

#[tokio::test]
async fn transfers_bytes_and_closes_tls() {
    let (mut ours, mut theirs) = connected().await;
    ours.write_all(b"<stream:stream/>").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut received = String::new();
    theirs.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "<stream:stream/>");
}

/// By default OpenSSL requires the same buffer for a repeated write.
#[tokio::test]
async fn a_write_can_be_repeated_from_another_buffer() {
    let (mut ours, mut theirs) = connected().await;
    let mut sent = 0;
    let first = vec![b'x'; 16384];
    future::poll_fn(|cx| {
        while Pin::new(&mut ours).poll_write(cx, &first).map(|outcome| sent += outcome.unwrap()).is_ready() {}
        Poll::Ready(())
    })
    .await;
    let second = first.clone();
    let (written, ()) = tokio::join!(ours.write(&second), async {
        let mut received = vec![0; sent + 1];
        theirs.read_exact(&mut received).await.unwrap();
    });
    assert!(written.unwrap() > 0);
}

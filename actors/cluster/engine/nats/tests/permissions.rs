//! The configuration of the broker that the project ships: it is enough, and permits no more.

use super::*;

/// The shipped file, with ports and directories of the test, and without the certificates of the other servers.
fn shipped() -> String {
    let text = include_str!("../../../../../config/cluster/nats.conf");
    let (before, rest) = text.split_once("\ncluster {").expect("a block of the cluster");
    let (_, after) = rest.split_once("\nauthorization {").expect("a block of the authorization");
    let text = format!("{before}\nauthorization {{{after}");
    assert!(text.contains("listen: \"127.0.0.1:4222\"") && text.contains("\"/var/lib/nats/jetstream\""));
    text.replace("listen: \"127.0.0.1:4222\"", "").replace("/var/lib/nats", "{directory}")
}

fn login(letter: char) -> impl Fn(&mut Settings) {
    move |settings| settings.login = Login::User(format!("nuncio-{letter}"), format!("change me {letter}"))
}

#[tokio::test]
async fn the_shipped_permissions_are_enough() {
    let server = Server::configured(&shipped()).await;
    let a = Peer::start("a", vec![server.address()], login('a'));
    let b = Peer::start("b", vec![server.address()], login('b'));
    a.generation().await;
    b.generation().await;
    for bucket in Bucket::ALL {
        let Ok(Answer::Written { revision }) = a.create(bucket, "k", "1").await else { panic!("{bucket:?}") };
        if bucket != Bucket::Claims {
            b.changed("k", Some("1")).await;
        }
        assert!(matches!(b.ask(bucket, Op::List).await, Ok(Answer::Entries(entries)) if entries.len() == 1));
        assert_eq!(a.ask(bucket, Op::Delete { key: "k".to_owned(), revision }).await, Ok(Answer::Deleted));
        if bucket != Bucket::Claims {
            b.changed("k", None).await;
        }
    }
    // Enough changes that the watch needs its flow control.
    for number in 0..2000 {
        let key = format!("n{number}");
        assert!(matches!(a.create(Bucket::Seats, &key, &"x".repeat(2000)).await, Ok(Answer::Written { .. })));
    }
    b.event(|event| matches!(event, Event::Changed { key, .. } if key == "n1999").then_some(())).await;
    a.nats.publish(&node("b"), "frame".into()).unwrap();
    b.event(|event| matches!(event, Event::Frame(frame) if frame == "frame").then_some(())).await;
    let log = server.log();
    assert!(!log.contains("Violation"), "{log}");
    assert!(
        server.directory().join("jetstream").read_dir().unwrap().next().is_some(),
        "the store is where the file says"
    );
}

#[tokio::test]
async fn a_user_without_a_permission_is_told_which_one_is_missing() {
    for subject in ["$JS.API.STREAM.MSG.GET.KV_nuncio_example_claims", "$KV.nuncio_example_claims.*"] {
        let text = shipped().replace(&format!("\"{subject}\""), "");
        let server = Server::configured(&text).await;
        let a = Peer::start("a", vec![server.address()], login('a'));
        a.generation().await;
        a.send(Bucket::Claims, Op::Create { key: "k".to_owned(), value: "1".into() });
        a.send(Bucket::Claims, Op::Read { key: "k".to_owned() });
        let reason = a.down().await;
        assert!(
            reason.contains("Permissions Violation") && reason.contains(subject.trim_end_matches('*')),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn the_shipped_permissions_permit_nothing_else() {
    let server = Server::configured(&shipped()).await;
    let peer = Peer::start("a", vec![server.address()], login('a'));
    peer.generation().await;
    let options =
        async_nats::ConnectOptions::with_user_and_password("nuncio-a".to_owned(), "change me a".to_owned());
    let (sender, mut errors) = mpsc::channel(16);
    let options = options.event_callback(move |event| {
        if let async_nats::Event::ServerError(error) = event {
            let _ = sender.try_send(error.to_string());
        }
        std::future::ready(())
    });
    let client = options.connect(server.address()).await.unwrap();
    for subject in [
        "other.subject",
        "nuncio.other.node.a",
        "$KV.other.key",
        "$JS.API.STREAM.DELETE.KV_nuncio_example_nodes",
        "$JS.API.STREAM.PURGE.KV_nuncio_example_nodes",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.CREATE.other",
        "$SYS.REQ.SERVER.PING",
    ] {
        client.publish(subject, Bytes::new()).await.unwrap();
        let error =
            tokio::time::timeout(Duration::from_secs(30), errors.recv()).await.expect(subject).unwrap();
        assert!(error.to_lowercase().contains(&subject.to_lowercase()), "{subject}: {error}");
    }
    let _subscription = client.subscribe(">").await.unwrap();
    let error =
        tokio::time::timeout(Duration::from_secs(30), errors.recv()).await.expect("a refusal").unwrap();
    assert!(error.contains("ermissions"), "{error}");
}

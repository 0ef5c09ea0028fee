//! Requests, changes and frames, with a server that works.

use super::*;
use crate::engine::nats::{SettingsError, address};

#[tokio::test]
async fn writes_only_if_the_revision_is_the_expected_one() {
    let server = Server::start().await;
    let peer = Peer::up("a", &server).await;
    for bucket in Bucket::ALL {
        let key = || "k".to_owned();
        assert_eq!(peer.ask(bucket, Op::Read { key: key() }).await, Ok(Answer::Entry(None)));
        let Ok(Answer::Written { revision: first }) = peer.create(bucket, "k", "1").await else {
            panic!("{bucket:?}")
        };
        assert_eq!(peer.create(bucket, "k", "2").await, Ok(Answer::Conflict));
        let update = |revision| Op::Update { key: key(), value: "3".into(), revision };
        assert_eq!(peer.ask(bucket, update(first + 1)).await, Ok(Answer::Conflict));
        let Ok(Answer::Written { revision: second }) = peer.ask(bucket, update(first)).await else {
            panic!()
        };
        assert!(second > first);
        assert_eq!(peer.ask(bucket, update(first)).await, Ok(Answer::Conflict));
        assert_eq!(peer.read(bucket, "k").await.as_deref(), Some("3"));
        let delete = |revision| Op::Delete { key: key(), revision };
        assert_eq!(peer.ask(bucket, delete(first)).await, Ok(Answer::Conflict));
        assert_eq!(peer.ask(bucket, delete(second)).await, Ok(Answer::Deleted));
        assert_eq!(peer.ask(bucket, delete(second)).await, Ok(Answer::Conflict), "it is gone already");
        assert_eq!(peer.read(bucket, "k").await, None);
        let Ok(Answer::Written { revision: third }) = peer.create(bucket, "k", "4").await else {
            panic!("a deleted key can be created")
        };
        assert!(third > second);
    }
}

#[tokio::test]
async fn walks_through_a_table_without_deleted_records() {
    let server = Server::start().await;
    let peer = Peer::up("a", &server).await;
    for bucket in Bucket::ALL {
        assert_eq!(peer.ask(bucket, Op::List).await, Ok(Answer::Entries(Vec::new())));
        assert_eq!(peer.ask(bucket, Op::Next { after: 0 }).await, Ok(Answer::Next(None)));
        for key in ["a", "b", "c"] {
            assert!(matches!(peer.create(bucket, key, key).await, Ok(Answer::Written { .. })));
        }
        let Ok(Answer::Entries(entries)) = peer.ask(bucket, Op::List).await else { panic!() };
        assert_eq!(entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        let (key, entry) = entries[1].clone();
        assert_eq!(peer.ask(bucket, Op::Delete { key, revision: entry.revision }).await, Ok(Answer::Deleted));
        let mut keys = Vec::new();
        let mut after = 0;
        while let Ok(Answer::Next(Some((key, entry)))) = peer.ask(bucket, Op::Next { after }).await {
            assert!(entry.revision > after);
            after = entry.revision;
            keys.push(key);
        }
        assert_eq!(keys, ["a", "c"]);
    }
}

#[tokio::test]
async fn reports_records_and_changes_of_nodes_and_seats() {
    let server = Server::start().await;
    let a = Peer::up("a", &server).await;
    let Ok(Answer::Written { revision }) = a.create(Bucket::Seats, "before", "1").await else { panic!() };
    let b = Peer::up("b", &server).await;
    b.changed("before", Some("1")).await;
    assert_eq!(
        a.ask(Bucket::Seats, Op::Delete { key: "before".to_owned(), revision }).await,
        Ok(Answer::Deleted)
    );
    b.changed("before", None).await;
    for bucket in [Bucket::Nodes, Bucket::Seats] {
        assert!(matches!(a.create(bucket, "after", bucket.name()).await, Ok(Answer::Written { .. })));
        b.changed("after", Some(bucket.name())).await;
    }
}

/// The first message after a subscription can be lost, so a client is up only after it received one of its own.
#[tokio::test]
async fn a_frame_to_a_node_that_is_up_arrives() {
    let server = Server::start().await;
    let a = Peer::up("a", &server).await;
    for round in 0..20 {
        let b = Peer::up("b", &server).await;
        let frame = Bytes::from(format!("frame {round}"));
        a.nats.publish(&node("b"), frame.clone()).unwrap();
        let is_first = |event: &Event| match event {
            Event::Frame(received) => Some(received.clone()),
            _ => None,
        };
        assert_eq!(b.event(is_first).await, frame);
    }
}

#[tokio::test]
async fn a_frame_may_be_as_long_as_the_server_permits() {
    let server = Server::start().await;
    let a = Peer::up("a", &server).await;
    assert_eq!(a.nats.max_frame(), 1024 * 1024);
    for length in [a.nats.max_frame() + 1, a.nats.max_frame()] {
        a.nats.publish(&node("a"), vec![7; length].into()).unwrap();
    }
    let frame = a.event(|event| if let Event::Frame(frame) = event { Some(frame.len()) } else { None }).await;
    assert_eq!(frame, a.nats.max_frame(), "the longer one is lost, and the connection is not");
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_answered() {
    let server = Server::start().await;
    let a = Peer::up("a", &server).await;
    let started = clock::now();
    let create = |number: u64| Op::Create { key: format!("{number:032x}"), value: "1".into() };
    let ids: Vec<u64> = (0..1000).map(|number| a.send(Bucket::Claims, create(number))).collect();
    for id in ids {
        assert!(matches!(a.answer(id).await, Ok(Answer::Written { .. })));
    }
    println!("1,000 claims at once: {:?}", clock::since(started));
    let mut times: Vec<Duration> = Vec::new();
    for number in 1000..1200 {
        let started = clock::now();
        assert!(matches!(a.ask(Bucket::Claims, create(number)).await, Ok(Answer::Written { .. })));
        times.push(clock::since(started));
    }
    times.sort();
    println!("one claim after another: median {:?}", times[100]);
}

#[test]
fn refuses_addresses_that_cannot_work() {
    assert!(address("nats://127.0.0.1:4222").is_ok() && address("127.0.0.1:4222").is_ok());
    assert!(matches!(address("tls://127.0.0.1:4222"), Err(SettingsError::Tls(_))));
    assert_eq!(address("nats://user:secret@127.0.0.1").unwrap_err(), SettingsError::UserInAddress);
    for text in ["http://127.0.0.1", "ws://127.0.0.1", "nats://", ""] {
        assert!(matches!(address(text), Err(SettingsError::Address(_))), "{text}: {:?}", address(text));
    }
}

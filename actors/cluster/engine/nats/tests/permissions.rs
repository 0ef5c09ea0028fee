//! The configuration of the broker that the project ships: it is enough, and permits no more.

use super::*;
use crate::engine::{
    examination::Access,
    nats::subjects::{Need, Subjects, Task},
};

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

#[test]
fn the_shipped_permissions_are_those_that_a_node_needs() {
    let text = shipped();
    let (_, lists) = text.split_once("publish: {").unwrap();
    let (publish, subscribe) = lists.split_once("subscribe: {").unwrap();
    let (subscribe, _) = subscribe.split_once("users:").unwrap();
    let entries = |access, list: &str| {
        let lines = list.lines().map(str::trim).filter(|line| line.starts_with('"'));
        lines.map(|line| (access, line.trim_matches('"').to_owned())).collect::<Vec<_>>()
    };
    let mut shipped = [entries(Access::Publish, publish), entries(Access::Subscribe, subscribe)].concat();
    let mut needed: Vec<_> = needs().into_iter().map(|need| (need.access, need.pattern)).collect();
    let order = |(access, pattern): &(Access, String)| (*access == Access::Publish, pattern.clone());
    shipped.sort_by_key(order);
    needed.sort_by_key(order);
    assert_eq!(shipped, needed);
}

#[tokio::test]
async fn a_user_without_a_permission_is_told_which_one_is_missing() {
    for need in needs() {
        let server = Server::configured(&without(&need)).await;
        let a = Peer::start("a", vec![server.address()], login('a'));
        let is_up = a
            .event(|event| match event {
                Event::Up { .. } => Some(true),
                Event::Down { reason } => {
                    assert_names(reason, &need);
                    Some(false)
                }
                _ => None,
            })
            .await;
        if !is_up {
            continue;
        }
        for bucket in Bucket::ALL {
            let _ = a.create(bucket, "k", "1").await;
            let _ = a.ask(bucket, Op::Read { key: "k".to_owned() }).await;
            let _ = a.ask(bucket, Op::Delete { key: "k".to_owned(), revision: 1 }).await;
        }
        if let Task::FlowControl(bucket) = need.task {
            // Enough changes that the watch needs it.
            for number in 0..2000 {
                let _ = a.create(bucket, &format!("n{number}"), &"x".repeat(2000)).await;
            }
        }
        assert_names(&a.down().await, &need);
    }
}

fn needs() -> Vec<Need> {
    Subjects { cluster: node("example") }.needs()
}

/// The shipped file without one of its permissions.
fn without(Need { access, pattern, .. }: &Need) -> String {
    let text = shipped();
    let (before, subscribe) = text.split_once("subscribe: {").unwrap();
    let cut = |list: &str| list.replacen(&format!("\"{pattern}\""), "", 1);
    match access {
        Access::Publish => format!("{}subscribe: {{{subscribe}", cut(before)),
        Access::Subscribe => format!("{before}subscribe: {{{}", cut(subscribe)),
    }
}

fn assert_names(reason: &str, Need { access, pattern, .. }: &Need) {
    let action = match access {
        Access::Publish => "for Publish",
        Access::Subscribe => "for Subscription",
    };
    let fits = reason.contains(action) && reason.contains(pattern.trim_end_matches(['*', '>']));
    assert!(fits, "{pattern} is missing, and the reason is {reason}");
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

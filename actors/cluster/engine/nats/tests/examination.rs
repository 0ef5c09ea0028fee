//! An examination finds what is there, and changes nothing.

use super::*;
use crate::{
    Incarnation,
    engine::{
        examination::{Examination, Fault, Setting},
        nats::{address, examine::examine, subjects::Subjects, tables::config},
    },
    ferry::codec::Versions,
    names::Names,
    record::NodeRecord,
};
use async_nats::jetstream::stream::Config;

#[tokio::test]
async fn an_examination_creates_no_table() {
    let server = Server::start().await;
    let found = examined(&server, 1).await;
    assert!(found.faults.is_empty() && found.members.is_empty(), "{found:?}");
    assert_eq!(found.max_payload, Some(1024 * 1024));
    assert_eq!(state(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_examination_finds_nodes_and_leaves_each_record() {
    let server = Server::start().await;
    let peer = Peer::up("b", &server).await;
    for bucket in Bucket::ALL {
        let record = record().encode();
        for key in ["b", "c", "gone", "0123"] {
            let op = Op::Create { key: key.to_owned(), value: record.clone() };
            assert!(matches!(peer.ask(bucket, op).await, Ok(Answer::Written { .. })));
        }
        let op = Op::Delete { key: "gone".to_owned(), revision: 3 };
        assert_eq!(peer.ask(bucket, op).await, Ok(Answer::Deleted));
    }
    let op = Op::Create { key: "damaged".to_owned(), value: "{".into() };
    assert!(matches!(peer.ask(Bucket::Nodes, op).await, Ok(Answer::Written { .. })));
    // Both watches have begun.
    let value = String::from_utf8(record().encode().to_vec()).unwrap();
    peer.changed("c", Some(&value)).await;
    peer.changed("c", Some(&value)).await;
    let before = state(&server).await;
    assert_eq!(before.len(), 3, "{before:?}");
    let found = examined(&server, 1).await;
    let names: Vec<&str> = found.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["b", "c", "0123"]);
    assert!(found.members.iter().all(|member| member.record == record()));
    assert!(matches!(&found.faults[..], [Fault::Record { key, .. }] if key == "damaged"), "{found:?}");
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn tables_with_fewer_copies_than_demanded_are_found() {
    let server = Server::start().await;
    Peer::up("b", &server).await;
    let found = examined(&server, 3).await;
    let few = |fault: &Fault| matches!(fault, Fault::FewCopies { copies: 1, .. });
    assert!(found.faults.len() == 3 && found.faults.iter().all(few), "{found:?}");
}

#[tokio::test]
async fn a_table_that_permits_only_short_records_is_found_and_the_client_says_that_they_are_refused() {
    let server = Server::start().await;
    let context = async_nats::jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let subjects = Subjects { cluster: node("example") };
    let (name, keys) = (subjects.stream(Bucket::Nodes), subjects.keys(Bucket::Nodes));
    let config = config(name, &keys, 1);
    context.create_stream(Config { max_message_size: 64, ..config }).await.unwrap();
    let peer = Peer::up("b", &server).await;
    let answer = peer.create(Bucket::Nodes, "b", &"x".repeat(65)).await;
    assert!(matches!(&answer, Err(EngineError::Refused(_))), "{answer:?}");
    let found = examined(&server, 1).await;
    let is_it = |fault: &Fault| matches!(fault, Fault::Setting { bucket: Bucket::Nodes, setting: Setting::RecordSize, found, .. } if found == "64");
    assert!(found.faults.len() == 1 && found.faults.iter().all(is_it), "{found:?}");
}

async fn examined(server: &Server, replicas: usize) -> Examination {
    let (cluster, login) = (node("example"), Login::None);
    let settings = Settings { cluster, servers: vec![server.address()], login, replicas };
    examine(&settings, &address(&server.address()).unwrap(), &node("a")).await
}

fn record() -> NodeRecord {
    NodeRecord {
        incarnation: Incarnation(7),
        beat: 1,
        versions: Versions::OWN,
        refills: false,
        secret: "secret".to_owned(),
        names: Names::new(["names".to_owned()]).summary().clone(),
        process: None,
        load: None,
    }
}

/// The tables that exist, with their messages and watches.
async fn state(server: &Server) -> Vec<String> {
    let context = async_nats::jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let subjects = Subjects { cluster: node("example") };
    let mut states = Vec::new();
    for bucket in Bucket::ALL {
        if let Ok(stream) = context.get_stream(subjects.stream(bucket)).await {
            let state = &stream.cached_info().state;
            states.push(format!(
                "{} {} {} {}",
                state.messages, state.bytes, state.last_sequence, state.consumer_count
            ));
        }
    }
    states
}

//! The known weaknesses of the server and the library, one by one.

use super::*;

/// The library keeps what was requested during an outage, and executes it after a reconnection. This client throws it away.
#[tokio::test]
async fn what_was_requested_during_an_outage_is_not_executed_later() {
    let mut server = Server::start().await;
    let peer = Peer::up("a", &server).await;
    assert!(matches!(peer.create(Bucket::Claims, "before", "1").await, Ok(Answer::Written { .. })));
    server.dies();
    for number in 0..50 {
        let key = format!("during-{number}");
        assert_eq!(peer.create(Bucket::Claims, &key, "1").await, Err(EngineError::Unreachable));
    }
    peer.down().await;
    server.starts().await;
    peer.generation().await;
    assert_eq!(peer.read(Bucket::Claims, "before").await.as_deref(), Some("1"));
    let Ok(Answer::Entries(entries)) = peer.ask(Bucket::Claims, Op::List).await else { panic!() };
    assert_eq!(entries.len(), 1, "{entries:?}");
}

/// What a server received and did not answer is executed later: `Unreachable` says that this may happen.
#[tokio::test]
async fn a_server_that_hangs_executes_later_what_it_received() {
    let server = Server::start().await;
    let peer = Peer::up("a", &server).await;
    server.hangs(true);
    assert_eq!(peer.create(Bucket::Claims, "late", "1").await, Err(EngineError::Unreachable));
    server.hangs(false);
    let found = async {
        while peer.read(Bucket::Claims, "late").await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("the request is executed");
}

#[tokio::test]
async fn a_server_that_hangs_is_found_to_be_lost() {
    let server = Server::start().await;
    let peer = Peer::up("a", &server).await;
    server.hangs(true);
    peer.down().await;
    server.hangs(false);
    peer.generation().await;
}

#[tokio::test]
async fn reports_changes_after_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let a = Peer::up("a", &server).await;
    let b = Peer::up("b", &server).await;
    for round in 0..3 {
        server.dies();
        a.down().await;
        b.down().await;
        server.starts().await;
        assert!(!a.generation().await.1, "the tables are still there");
        b.generation().await;
        let key = format!("key-{round}");
        assert!(matches!(a.create(Bucket::Nodes, &key, "1").await, Ok(Answer::Written { .. })));
        b.changed(&key, Some("1")).await;
    }
}

#[tokio::test]
async fn tables_that_were_lost_are_created_again_and_have_another_generation() {
    let mut server = Server::start().await;
    let a = Peer::start("a", vec![server.address()], |_| {});
    let (before, created) = a.generation().await;
    assert!(created);
    assert!(matches!(a.create(Bucket::Claims, "k", "1").await, Ok(Answer::Written { .. })));
    server.dies();
    server.loses_data();
    server.starts().await;
    let (after, created) = a.generation().await;
    assert!(created);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    assert_eq!(a.read(Bucket::Claims, "k").await, None);
}

#[tokio::test]
async fn a_table_that_is_deleted_while_the_client_is_connected_is_created_again() {
    let server = Server::start().await;
    let a = Peer::start("a", vec![server.address()], |_| {});
    let (before, _) = a.generation().await;
    let operator = async_nats::connect(server.address()).await.unwrap();
    async_nats::jetstream::new(operator).delete_stream("KV_nuncio_example_claims").await.unwrap();
    assert_eq!(a.create(Bucket::Claims, "k", "1").await, Err(EngineError::Unreachable));
    assert!(a.down().await.contains("a table of the cluster is gone"));
    let (after, created) = a.generation().await;
    assert!(created && after[1] != before[1] && after[0] == before[0], "{before:?} {after:?}");
    assert!(matches!(a.create(Bucket::Claims, "k", "1").await, Ok(Answer::Written { .. })));
}

/// A subscriber that does not read loses messages: frames are sent again by the ferry, and the connection goes on.
#[tokio::test]
async fn a_client_whose_events_nobody_takes_goes_on_afterwards() {
    let server = Server::start().await;
    let a = Peer::up("a", &server).await;
    let b = Peer::up("b", &server).await;
    for number in 0..5000_u32 {
        while a.nats.publish(&node("b"), number.to_be_bytes().to_vec().into()).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(matches!(b.create(Bucket::Claims, "k", "1").await, Ok(Answer::Written { .. })));
    a.nats.publish(&node("b"), "last".into()).unwrap();
    b.event(|event| matches!(event, Event::Frame(frame) if frame == "last").then_some(())).await;
}

#[tokio::test]
async fn says_why_a_server_cannot_be_used() {
    let nobody = format!("nats://127.0.0.1:{}", server::free_port());
    let reason = Peer::start("a", vec![nobody.clone()], |_| {}).down().await;
    assert!(reason.starts_with(&nobody) && reason.contains("refused"), "{reason}");

    let server = Server::with(&["--user", "u", "--pass", "p"].map(str::to_owned)).await;
    let login = |login: Login| move |settings: &mut Settings| settings.login = login;
    let wrong = login(Login::User("u".to_owned(), "wrong".to_owned()));
    let reason = Peer::start("a", vec![server.address()], wrong).down().await;
    assert!(reason.contains("refuses the login"), "{reason}");
    let right = login(Login::User("u".to_owned(), "p".to_owned()));
    Peer::start("a", vec![server.address()], right).generation().await;

    let without = Server::configured("").await;
    let reason = Peer::start("a", vec![without.address()], |_| {}).down().await;
    assert!(reason.contains("JetStream"), "{reason}");
}

#[tokio::test]
async fn why_no_server_can_be_used_is_reported_once_for_each() {
    let listeners = [
        tokio::net::TcpListener::bind("127.0.0.1:0").await,
        tokio::net::TcpListener::bind("127.0.0.1:0").await,
    ]
    .map(Result::unwrap);
    let servers: Vec<String> =
        listeners.iter().map(|listener| format!("nats://{}", listener.local_addr().unwrap())).collect();
    let peer = Peer::start("a", servers.clone(), |_| {});
    for _ in 0..4 {
        for listener in &listeners {
            drop(listener.accept().await.unwrap());
        }
    }
    let both = peer.event(|event| match event {
        Event::Down { reason } => servers.iter().all(|server| reason.contains(server)).then_some(()),
        _ => None,
    });
    both.await;
    let mut events = peer.events.borrow_mut();
    let later = std::iter::from_fn(|| events.try_recv().ok());
    let again: Vec<Event> = later.filter(|event| matches!(event, Event::Down { .. })).collect();
    assert_eq!((peer.read.borrow().len(), again), (1, vec![]), "one of the first server alone came before");
}

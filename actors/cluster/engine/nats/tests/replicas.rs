//! Three servers that keep each table three times.

use super::*;

/// Three servers that know each other.
async fn three() -> Vec<Server> {
    let ports = [server::free_port(), server::free_port(), server::free_port()];
    let routes = ports.map(|port| format!("nats-route://127.0.0.1:{port}")).join(",");
    let mut servers = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let cluster = format!("nats://127.0.0.1:{port}");
        let name = format!("s{index}");
        let arguments = ["--cluster_name", "c", "--cluster", &cluster, "--routes", &routes, "-n", &name];
        servers.push(Server::with(&arguments.map(str::to_owned)).await);
    }
    servers
}

fn peer(name: &str, servers: &[Server], first: usize) -> Peer {
    let addresses = servers.iter().cycle().skip(first).take(servers.len()).map(Server::address).collect();
    Peer::start(name, addresses, |settings| settings.replicas = 3)
}

/// The server that leads a table, as its log says.
async fn claims_work_again(peer: &Peer, key: &str) {
    let create = async {
        loop {
            match peer.create(Bucket::Claims, key, "1").await {
                Ok(Answer::Written { .. } | Answer::Conflict) => return,
                Ok(other) => panic!("{other:?}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), create).await.expect("claims work again");
}

#[tokio::test]
async fn each_key_has_one_winner_and_nothing_is_lost_when_any_one_server_dies() {
    let mut servers = three().await;
    let peers = [peer("a", &servers, 0), peer("b", &servers, 1), peer("c", &servers, 2)];
    for peer in &peers {
        peer.generation().await;
    }
    let mut values = Vec::new();
    for number in 0..200 {
        let key = format!("{number:032x}");
        let ids = [0, 1, 2].map(|index: usize| {
            let value = Bytes::from(format!("{index}"));
            peers[index].send(Bucket::Claims, Op::Create { key: key.clone(), value })
        });
        let mut winners = Vec::new();
        for (index, id) in ids.into_iter().enumerate() {
            match peers[index].answer(id).await {
                Ok(Answer::Written { .. }) => winners.push(index),
                Ok(Answer::Conflict) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "{key}: {winners:?}");
        values.push((key, format!("{}", winners[0])));
    }
    for dead in 0..servers.len() {
        servers[dead].dies();
        for (index, peer) in peers.iter().enumerate() {
            claims_work_again(peer, &format!("after-{dead}-{index}")).await;
        }
        for (key, value) in &values {
            let reader = &peers[(dead + 1) % 3];
            let read = async {
                loop {
                    if let Ok(Answer::Entry(entry)) =
                        reader.ask(Bucket::Claims, Op::Read { key: key.clone() }).await
                    {
                        return entry.map(|entry| entry.value);
                    }
                }
            };
            assert_eq!(read.await.as_deref(), Some(value.as_bytes()), "{key} after {dead} died");
        }
        servers[dead].starts().await;
    }
}

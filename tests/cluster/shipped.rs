//! The files in `config/cluster`, as an operator adapts them: three servers of the broker, connected by TLS, and three nodes.

use std::fs;
use std::process::Command;

use super::fixture::DOMAIN;
use crate::support::{BINARY, Broker, Network, Node, Place, SOON, Server, Setup, nats_server, within};

#[test]
fn the_shipped_configuration_of_the_broker_serves_three_nodes_over_three_servers() {
    let network = Network::new();
    let broker = Broker::configured(&network, 3, |place| adapted(&network, place));
    for server in broker.servers() {
        let file = server.directory().join("nats.conf");
        let tried = Command::new(nats_server())
            .arg("-c")
            .arg(file)
            .arg("-t")
            .env("PATH", "/usr/sbin:/usr/bin:/bin")
            .output()
            .unwrap();
        assert!(tried.status.success(), "{tried:?}");
    }
    let nodes: Vec<Node> = LETTERS
        .iter()
        .enumerate()
        .map(|(number, letter)| {
            let servers = format!("[\"nats://{}:4222\"]", broker.servers()[number].address());
            let password = network.directory("passwords").join(letter);
            fs::write(&password, format!("change me {letter}\n")).unwrap();
            let setup = Setup::of(DOMAIN)
                .named(letter)
                .dialback_secret("the secret of the cluster, which all nodes know")
                .set("cluster.name", "\"example\"")
                .set("cluster.node", &format!("{letter:?}"))
                .set("cluster.servers", &servers)
                .set("cluster.user", &format!("\"nuncio-{letter}\""))
                .set("cluster.password_file", &format!("{password:?}"))
                .set("cluster.replicas", "3");
            Node::start(&network, setup)
        })
        .collect();
    for node in &nodes {
        within(SOON, "each node knows both others", || {
            (node.process().count("node joined") >= 2).then_some(())
        });
    }
    let other = Node::start(&network, Setup::of("other.example"));
    let mut far = other.inbox();
    for (number, node) in nodes.iter().enumerate() {
        let mut near = node.inbox();
        near.sends_message(far.name(), &format!("from-{number}"), "");
        far.receives_id(&format!("from-{number}"));
        near.closes();
    }
    for server in broker.servers() {
        let log = server.log();
        assert!(!log.contains("Violation") && !log.contains("TLS route handshake error"), "{log}");
    }
    // While it runs, nothing is wrong with it.
    let file = network.directory(LETTERS[0]).join("nuncio.toml");
    let checked = Command::new(BINARY).args(["check", "--config"]).arg(file).output().unwrap();
    let screen = String::from_utf8(checked.stdout).unwrap();
    assert!(!screen.contains(": cluster."), "{screen}");
}

/// The shipped file with the changes that its comments demand.
fn adapted(network: &Network, place: &Place<'_>) -> String {
    let text = include_str!("../../config/cluster/nats.conf");
    // The routes have addresses here, which the certificates must contain.
    let name = machine(LETTERS[place.number]);
    let identity = network.authority.certificate(&[&name]).address(place.address()).sign().unwrap();
    let files = network.files(&identity);
    let authority = network.file_of(&network.authority);
    let letter = LETTERS[place.number];
    let address = place.address();
    let mut changes = vec![
        ("server_name: nats-a".to_owned(), format!("server_name: nats-{letter}")),
        ("\"127.0.0.1:4222\"".to_owned(), format!("\"{address}:4222\"")),
        ("\"0.0.0.0:6222\"".to_owned(), format!("\"{address}:6222\"")),
        // Else servers learn each other's addresses, which certificates do not name outside of this test.
        ("advertise: \"a.internal.example:6222\"".to_owned(), format!("advertise: \"{address}:6222\"")),
        ("/var/lib/nats".to_owned(), place.directory.display().to_string()),
        ("/etc/nats/a.crt".to_owned(), files.certificate.display().to_string()),
        ("/etc/nats/a.key".to_owned(), files.key.display().to_string()),
        ("/etc/nats/ca.crt".to_owned(), authority.display().to_string()),
    ];
    for (letter, address) in LETTERS.iter().zip(place.addresses) {
        changes
            .push((format!("nats-route://{}:6222", machine(letter)), format!("nats-route://{address}:6222")));
    }
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        // In the comments too, which have no effect.
        assert!(text.contains(from), "the file has {from}");
        text.replace(from, to)
    })
}

fn machine(letter: &str) -> String {
    format!("{letter}.internal.example")
}

const LETTERS: [&str; 3] = ["a", "b", "c"];

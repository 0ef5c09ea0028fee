//! `nuncio check`: the message broker of a cluster, and the nodes that run.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use super::{Desk, check, text};
use crate::support::{Broker, Network, Node, SOON, Server, Setup, within};

#[test]
fn a_broker_that_serves_the_node_is_no_finding_and_nothing_is_made_there() {
    let desk = Desk::new();
    let broker =
        Broker::configured(&desk.network, 1, |place| format!("{}{}", place.plain(), permissions("")));
    let screen = desk.passes(&toml(&broker.addresses(), &login(&desk, "secret")), &[]);
    assert!(!screen.contains(": cluster."), "{screen}");
    let store = broker.servers()[0].directory().join("store");
    let made = fs::read_dir(store.join("jetstream")).map_or(0, |accounts| {
        accounts.flatten().filter(|account| account.path().join("streams").exists()).count()
    });
    assert_eq!(made, 0, "no table was created in {}", store.display());
}

#[test]
fn a_server_of_the_broker_that_does_not_serve_is_shown_at_its_place() {
    let desk = Desk::new();
    let broker = Broker::start(&desk.network);
    let [closed, silent, other] = [0; 3].map(|_| desk.network.address());
    let _silent = TcpListener::bind((silent, 4222)).unwrap();
    speaks(other, "HTTP/1.1 400 Bad Request\r\n\r\n");
    let servers = format!(
        "[\n\"nats://{closed}\",\n\"nats://{silent}\",\n\"nats://{other}\",\n\"nats://{}\",\n]",
        broker.address()
    );
    let screen = desk.fails(&toml(&servers, ""), &[]);
    for said in [
        format!(
            "warning: cluster.servers: {closed}:4222 cannot be reached: Connection refused (os error 111)\n --> n.toml:11:1"
        ),
        format!(
            "warning: cluster.servers: no answer in time from {silent}:4222: the connection is accepted, and no greeting follows\n --> n.toml:12:1"
        ),
        format!(
            "error: cluster.servers: no nats-server listens at {other}:4222: another protocol is spoken there\n  --> n.toml:13:1"
        ),
    ] {
        let said = said.replace("\n  --> ", "\n --> ");
        let screen = screen.replace("\n  --> ", "\n --> ");
        assert!(screen.contains(&said), "no {said} in\n{screen}");
    }
    assert!(!screen.contains(&format!("{}:4222", broker.address())), "{screen}");
    let screen = desk.passes(&toml(&servers, ""), &["--offline"]);
    assert!(!screen.contains("cannot be reached"), "{screen}");
}

#[test]
fn what_is_wrong_at_several_servers_is_said_once_with_their_addresses() {
    let desk = Desk::new();
    let [one, two, three] = [0; 3].map(|_| desk.network.address());
    let screen = desk.passes(&toml(&format!("[\"nats://{one}\", \"nats://{two}\"]"), ""), &[]);
    let said = format!(
        "warning: cluster.servers: {one}:4222, {two}:4222 cannot be reached: Connection refused (os error 111)\n"
    );
    assert!(screen.contains(&said), "no {said} in\n{screen}");
    assert_eq!(screen.matches("servers = ").count(), 1, "the line is shown once:\n{screen}");
    assert_eq!(screen.matches("help: start nats-server there").count(), 1, "{screen}");
    let screen = desk
        .passes(&toml(&format!("[\n\"nats://{one}\",\n\"nats://{two}\",\n\"nats://{three}\",\n]"), ""), &[]);
    assert_eq!(screen.matches("cannot be reached").count(), 1, "{screen}");
    for line in ["n.toml:11:1", "n.toml:12:1", "n.toml:13:1"] {
        assert!(screen.contains(line), "no {line} in\n{screen}");
    }
}

#[test]
fn a_name_of_the_cluster_that_the_permissions_do_not_have_is_one_error() {
    let desk = Desk::new();
    let broker =
        Broker::configured(&desk.network, 1, |place| format!("{}{}", place.plain(), permissions("")));
    let toml = toml(&broker.addresses(), &login(&desk, "secret"));
    let screen = desk.fails(&toml.replace("name = \"example\"", "name = \"prod\""), &[]);
    let said = format!(
        "error: cluster.name: the user nuncio-a has no permission for any subject of the cluster \"prod\" at {}:4222\n",
        broker.address()
    );
    assert!(screen.contains(&said) && screen.contains("name = \"prod\"\n"), "no {said} in\n{screen}");
    assert_eq!(screen.matches("error: ").count(), 1, "{screen}");
}

#[test]
fn several_missing_permissions_are_one_error() {
    let desk = Desk::new();
    let shipped = permissions("");
    let broker = Broker::configured(&desk.network, 1, |place| {
        let less = ["$JS.API.STREAM.PURGE.KV_nuncio_example_claims", "$KV.nuncio_example_seats.*"];
        let less = less.iter().fold(shipped.clone(), |text, entry| without(&text, entry, 0));
        format!("{}{}", place.plain(), without(&less, "nuncio.example.node.*", 1))
    });
    let screen = desk.fails(&toml(&broker.addresses(), &login(&desk, "secret")), &[]);
    let said = format!(
        "error: cluster.user: at {}:4222: the user nuncio-a may not publish to \
         $JS.API.STREAM.PURGE.KV_nuncio_example_claims, $KV.nuncio_example_seats.*; it may not subscribe to \
         nuncio.example.node.*\n",
        broker.address()
    );
    assert!(screen.contains(&said), "no {said} in\n{screen}");
    assert_eq!(screen.matches(" may not ").count(), 2, "{screen}");
}

#[test]
fn a_wrong_user_or_password_is_an_error() {
    let desk = Desk::new();
    let broker =
        Broker::configured(&desk.network, 1, |place| format!("{}{}", place.plain(), permissions("")));
    let screen = desk.fails(&toml(&broker.addresses(), &login(&desk, "wrong")), &[]);
    let said = format!(
        "error: cluster.user: the user nuncio-a with the password in cluster.password_file is refused by {}:4222\n",
        broker.address()
    );
    assert!(screen.contains(&said) && screen.contains("user = \"nuncio-a\"\n"), "{screen}");
    assert!(!screen.contains("wrong"), "the password is not shown: {screen}");
    let screen = desk.fails(&toml(&broker.addresses(), ""), &[]);
    let said = format!("a user is demanded by {}:4222, and cluster.user is not set\n", broker.address());
    assert!(screen.contains(&said), "{screen}");
}

#[test]
fn a_broker_without_jetstream_is_an_error() {
    let desk = Desk::new();
    let broker =
        Broker::configured(&desk.network, 1, |place| format!("listen: \"{}:4222\"\n", place.address()));
    let screen = desk.fails(&toml(&broker.addresses(), ""), &[]);
    assert!(screen.contains("cluster.servers: no JetStream for this node at "), "{screen}");
    assert!(screen.contains("help: add `jetstream {"), "{screen}");
}

#[test]
fn a_broker_that_takes_shorter_messages_than_the_longest_stanza_is_an_error() {
    let desk = Desk::new();
    let broker =
        Broker::configured(&desk.network, 1, |place| format!("{}max_payload: 262144\n", place.plain()));
    let screen = desk.fails(&toml(&broker.addresses(), ""), &[]);
    let said = format!(
        "max_payload is 262144 bytes at {}:4222, and the stanzas that this node accepts need 532480",
        broker.address()
    );
    assert!(screen.contains(&said), "{screen}");
    let component =
        "[[component]]\nname = \"echo.localhost\"\nsecret = \"sixteen letters!\"\nmax_stanza = \"2 MiB\"\n";
    let screen = desk.fails(&format!("{}{component}", toml(&broker.addresses(), "")), &[]);
    assert!(screen.contains("need 2105344"), "the longest of all: {screen}");
}

#[test]
fn more_copies_than_servers_are_an_error() {
    let desk = Desk::new();
    let broker = Broker::start(&desk.network);
    let screen = desk.fails(&toml(&broker.addresses(), "replicas = 3\n"), &[]);
    let said = format!(
        "error: cluster.replicas: is 3, but the broker has only one server, as seen at {}:4222\n",
        broker.address()
    );
    assert!(screen.contains(&said) && screen.contains("replicas = 3\n"), "{screen}");
}

#[test]
fn a_broker_that_is_too_old_or_demands_tls_is_an_error() {
    let desk = Desk::new();
    let [old, tls] = [0; 2].map(|_| desk.network.address());
    speaks(
        old,
        "INFO {\"version\":\"2.8.4\",\"max_payload\":1048576}\r\nPONG\r\n-ERR 'Stale Connection'\r\n",
    );
    speaks(tls, "INFO {\"version\":\"2.10.1\",\"max_payload\":1048576,\"tls_required\":true}\r\n");
    let screen = desk.fails(&toml(&format!("[\"nats://{old}\", \"nats://{tls}\"]"), ""), &[]);
    for said in [
        format!(
            "error: cluster.servers: version 2.8.4 of nats-server runs at {old}:4222, and a node needs 2.9 or newer"
        ),
        format!("error: cluster.servers: the connection is ended by {old}:4222: Stale Connection"),
        format!("error: cluster.servers: TLS is demanded at {tls}:4222"),
    ] {
        assert!(screen.contains(&said), "no {said} in\n{screen}");
    }
}

#[test]
fn each_missing_permission_is_named() {
    let desk = Desk::new();
    let shipped = permissions("");
    let entries: Vec<&str> = shipped.split('"').filter(|text| is_subject(text)).collect();
    assert_eq!(entries.len(), 20, "{entries:?}");
    for entry in entries.iter().copied() {
        // Frames and answers are in both lists, or have the same beginning: each occurrence is removed alone.
        let occurrences = shipped.matches(&format!("\"{entry}\"")).count();
        for number in 0..occurrences {
            let network = Network::new();
            let broker = Broker::configured(&network, 1, |place| {
                format!("{}{}", place.plain(), without(&shipped, entry, number))
            });
            let screen = desk.fails(&toml(&broker.addresses(), &login(&desk, "secret")), &[]);
            let action = match (entry.contains(".inbox."), number) {
                (true, _) | (false, 1) => "subscribe to",
                _ => "publish to",
            };
            let said = format!(
                "error: cluster.user: at {}:4222: the user nuncio-a may not {action} {entry}\n",
                broker.address()
            );
            assert!(screen.contains(&said), "no {said} in\n{screen}");
            assert_eq!(screen.matches(" may not ").count(), 1, "nothing else is missing:\n{screen}");
        }
    }
}

#[test]
fn a_running_node_with_the_same_name_or_other_settings_is_a_warning() {
    let desk = Desk::new();
    let network = Network::new();
    let broker = Broker::start(&network);
    let socket = network.directory("s").join("b.sock");
    // The path of a socket has at most 107 bytes, and that of the directory of a test may have more.
    let socket = if socket.as_os_str().len() < 100 {
        socket
    } else {
        std::env::temp_dir().join(format!("nuncio-check-{}.sock", std::process::id()))
    };
    let setup = Setup::of("nuncio.example")
        .named("b")
        .dialback_secret("the secret of the cluster, which all nodes know")
        .set("cluster.name", "\"example\"")
        .set("cluster.node", "\"b\"")
        .set("cluster.servers", &broker.addresses())
        .set("listen.control", &format!("{socket:?}"));
    let node = Node::start(&network, setup);
    node.eventually_logs(&["lease held"]);
    // By the first beat its record is there.
    let screen = within(SOON, "the node is found", || {
        let screen = desk.ends_somehow(&toml(&broker.addresses(), ""), &[]);
        screen.contains("running nodes: b").then_some(screen)
    });
    for said in [
        "warning: cluster.name: s2s.dialback_secret differs from that of these running nodes: b\n",
        "warning: cluster.name: the domains and components differ from those of these running nodes: b: only this node has ",
        "; only that node has ",
    ] {
        assert!(screen.contains(said), "no {said} in\n{screen}");
    }
    assert!(!screen.contains("another node runs"), "{screen}");
    let same = toml(&broker.addresses(), "").replace("node = \"a\"", "node = \"b\"");
    let screen = desk.passes(&same, &[]);
    assert!(
        screen.contains(
            "warning: cluster.node: another node runs under the name b in the cluster example: process "
        ),
        "{screen}"
    );
    assert!(!screen.contains("differ"), "{screen}");
    // Its own configuration, while it runs.
    let file = network.directory("b").join("nuncio.toml");
    let output = check(file.parent().unwrap(), "nuncio.toml", &[]);
    let screen = text(&output);
    assert!(!screen.contains(": cluster."), "{screen}");
    // The tables were made with one copy.
    let screen = desk.passes(&toml(&broker.addresses(), "replicas = 3\n"), &[]);
    assert!(
        screen.contains(
            "warning: cluster.replicas: is 3, but the broker keeps only one copy of KV_nuncio_example_nodes, \
             KV_nuncio_example_claims, KV_nuncio_example_seats\n"
        ),
        "{screen}"
    );
    assert_eq!(screen.matches("cluster.replicas").count(), 1, "{screen}");
    assert!(!node.process().logged(&["broker unreachable"]), "the node is not disturbed");
}

/// A configuration of the node `a`.
fn toml(servers: &str, more: &str) -> String {
    format!(
        "[listen]\ns2s = []\ncomponent = []\ncontrol = \"\"\n[s2s]\ndialback_secret = \"sixteen letters!\"\n\
         [cluster]\nname = \"example\"\nnode = \"a\"\nservers = {servers}\n{more}[[domain]]\nname = \"localhost\"\n"
    )
}

/// The keys for the user of [`permissions`].
fn login(desk: &Desk, password: &str) -> String {
    fs::write(desk.directory.join("password"), password).unwrap();
    "user = \"nuncio-a\"\npassword_file = \"password\"\n".to_owned()
}

/// The permissions of the shipped configuration, for one user, and `more` in front.
fn permissions(more: &str) -> String {
    let text = include_str!("../../config/cluster/nats.conf");
    let (_, block) = text.split_once("\nauthorization {").expect("a block of the authorization");
    let (permissions, _) = block.split_once("users: [").expect("users");
    format!(
        "{more}authorization {{{permissions}users: [ {{ user: \"nuncio-a\", password: \"secret\" }} ]\n}}\n"
    )
}

fn is_subject(text: &str) -> bool {
    ["nuncio.", "$KV.", "$JS."].iter().any(|begin| text.starts_with(begin))
        && !text.contains(char::is_whitespace)
}

/// The text without one occurrence of an entry.
fn without(text: &str, entry: &str, number: usize) -> String {
    let quoted = format!("\"{entry}\"");
    let (at, _) = text.match_indices(&quoted).nth(number).expect("the occurrence");
    [&text[..at], &text[at + quoted.len()..]].concat()
}

/// Listens at the port of nats-server: says something to each client, and closes the connection after the second ping.
fn speaks(address: Ipv4Addr, said: &'static str) {
    let listener = TcpListener::bind((address, 4222)).unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.write_all(said.as_bytes());
            let lines = BufReader::new(&socket).lines().map_while(Result::ok);
            lines.filter(|line| line == "PING").take(2).for_each(drop);
        }
    });
}

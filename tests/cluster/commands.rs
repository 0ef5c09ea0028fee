//! What an operator sees of a cluster.

use std::process::Command;

use super::fixture::Cluster;
use crate::support::{BINARY, Network, Node, Server, Setup};

#[test]
fn the_command_nodes_shows_members_links_and_components() {
    let network = Network::new();
    // The path of a socket has at most 107 bytes, and that of the directory of a test may have more.
    let socket = std::env::temp_dir().join(format!("nuncio-nodes-{}.sock", std::process::id()));
    let path = socket.to_str().unwrap().to_owned();
    let cluster = Cluster::with(network, |setup| match setup.directory() {
        "a" => setup.set("listen.control", &format!("{path:?}")),
        _ => setup,
    });
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut near = cluster.inbox(0);
    near.sends_message(far.name(), "first", "");
    far.receives_id("first");
    let nodes = || {
        let shown = Command::new(BINARY).args(["nodes", "--socket", &path, "--wide"]).output().unwrap();
        assert!(shown.status.success(), "{shown:?}");
        String::from_utf8(shown.stdout).unwrap()
    };
    let text = nodes();
    let words =
        |line: usize| text.lines().nth(line).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0), ["cluster", "test,", "seen", "by", "a"], "{text}");
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("broker connected since")), "{text}");
    assert_eq!(words(3)[..6], ["a", "this", "node", "-", "1", "1"], "{text}");
    assert_eq!(words(4)[..2], ["b", "alive"], "{text}");
}

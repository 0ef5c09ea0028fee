//! The section `[cluster]`.

use std::time::Duration;

use super::*;
use actors::settings::{Cluster, HostPort, Login, OnEngineLoss};

/// A configuration of a node of a cluster with these further keys.
fn node(keys: &str) -> String {
    format!(
        "[s2s]\ndialback_secret = \"4f2c9e6d8a1b3c5d7e9f0a2b4c6d8e0f\"\n[[domain]]\nname = \"a.example\"\n\
         [cluster]\nname = \"c\"\nnode = \"n\"\n{keys}"
    )
}

fn cluster(keys: &str) -> Cluster {
    Dir::new().with("password", "x y\n").load(&node(keys)).unwrap().settings.cluster.unwrap()
}

/// Asserts the findings about the section of a node of a cluster with these further keys.
#[track_caller]
fn assert_refuses(keys: &str, expected: &[&str]) {
    let findings = Dir::new().findings(&node(keys));
    let about: Vec<_> = findings.iter().filter(|finding| finding.contains("cluster.")).collect();
    assert_eq!(about, expected);
}

#[test]
fn a_node_is_in_a_cluster_if_the_cluster_has_a_name() {
    let alone = |keys: &str| Dir::new().load(&format!("[[domain]]\nname = \"a.example\"\n{keys}")).unwrap();
    assert_eq!(alone("").settings.cluster, None);
    assert_eq!(alone("[cluster]\nname = \"\"").settings.cluster, None);
    let cluster = cluster("");
    assert_eq!((cluster.name.as_str(), cluster.node.as_str()), ("c", "n"));
    assert_eq!(cluster.servers, [HostPort { host: "127.0.0.1".into(), port: 4222 }]);
    assert_eq!((cluster.login, cluster.replicas, cluster.window), (None, 1, 8 << 20));
    assert_eq!((cluster.lease, cluster.on_engine_loss), (Duration::from_secs(15), OnEngineLoss::GoOn));
}

#[test]
fn the_broker_has_addresses_and_a_user() {
    let cluster = cluster(
        "servers = [\"nats://[::1]\", \"nats://localhost:4333/\"]\nuser = \"u\"\npassword_file = \"password\"\n\
         replicas = 3\non_engine_loss = \"freeze\"",
    );
    let server = |host: &str, port| HostPort { host: host.into(), port };
    assert_eq!(cluster.servers, [server("::1", 4222), server("localhost", 4333)]);
    assert_eq!(cluster.login, Some(Login { user: "u".into(), password: "x y".into() }));
    assert_eq!((cluster.replicas, cluster.on_engine_loss), (3, OnEngineLoss::Freeze));
    assert!(!format!("{cluster:?}").contains("x y"), "the log must not show the password");
}

#[test]
fn a_node_of_a_cluster_needs_the_dialback_secret_of_the_others() {
    let findings = Dir::new()
        .findings("[s2s]\ndialback_secret = \"\"\n[[domain]]\nname = \"a.example\"\n[cluster]\nname = \"c\"\nnode = \"n\"");
    let about: Vec<_> = findings.iter().filter(|finding| finding.contains("cluster.")).collect();
    assert_eq!(
        about,
        ["n.toml:6: cluster.name: a node of a cluster has to verify the dialback keys of the others; set \
          s2s.dialback_secret or s2s.dialback_secret_file to the same value on all nodes"]
    );
}

#[test]
fn addresses_that_this_version_cannot_use_are_refused_with_the_reason() {
    assert_refuses(
        "servers = [\"tls://a:1\", \"a.example:1\", \"nats://u:p@a:1\", \"nats://a b\"]",
        &[
            "n.toml:8: cluster.servers: \"tls://a:1\": this version connects to the broker without TLS. Run a \
             nats-server on this machine, which connects to the other servers with TLS, and set its address, for \
             example \"nats://127.0.0.1:4222\"",
            "n.toml:8: cluster.servers: \"a.example:1\" is not the address of a NATS server, for example \
             \"nats://127.0.0.1:4222\"",
            "n.toml:8: cluster.servers: contains a user: set cluster.user and cluster.password_file",
            "n.toml:8: cluster.servers: \"nats://a b\" is not the address of a NATS server, for example \
             \"nats://127.0.0.1:4222\"",
        ],
    );
    assert_refuses(
        "servers = [\"nats://192.0.2.1\"]",
        &[
            "n.toml:8: warning: cluster.servers: no TLS to the broker at 192.0.2.1:4222: whoever can read the connection \
             reads stanzas and the password; run a nats-server on this machine, and connect the servers of the broker \
             with TLS",
        ],
    );
    assert_refuses(
        "servers = [\"nats://192.0.2.1\", \"nats://192.0.2.2\"]",
        &[
            "n.toml:8: warning: cluster.servers: no TLS to the broker at 192.0.2.1:4222, 192.0.2.2:4222: whoever can read \
             the connection reads stanzas and the password; run a nats-server on this machine, and connect the servers of \
             the broker with TLS",
        ],
    );
}

#[test]
fn values_with_which_a_cluster_cannot_work_are_refused() {
    assert_refuses(
        "servers = []",
        &["n.toml:8: cluster.servers: is empty: the nodes of a cluster reach each other through a broker"],
    );
    assert_refuses(
        "replicas = 2",
        &["n.toml:8: cluster.replicas: expected 1, 3 or 5: as many servers of the broker keep each claim"],
    );
    assert_refuses(
        "lease = \"9s\"",
        &[
            "n.toml:8: cluster.lease: must be at least 10 s: when a server of the broker dies, no claim is answered for 5 s",
        ],
    );
    assert_refuses("window = \"1 KiB\"", &["n.toml:8: cluster.window: must be at least 256 KiB"]);
    assert_refuses(
        "user = \"u\"",
        &["n.toml:5: cluster.password_file: is missing: it has the password of cluster.user"],
    );
    assert_finds(
        "[cluster]\nnode = \"n\"",
        &[
            "n.toml:1: warning: cluster.name: is empty: this node is not in a cluster, and the other keys have no effect",
        ],
    );
}

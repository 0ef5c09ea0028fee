//! Two connections for one name at two nodes.

use super::fixture::Cluster;
use crate::support::{Network, SECRET, Server};

#[test]
fn the_first_of_two_connections_at_two_nodes_keeps_the_name() {
    let cluster = Cluster::of_two();
    let mut first = cluster.inbox(0);
    let name = first.name().to_owned();
    let second = crate::support::Component::try_connect(cluster.nodes[1].address(), &name, SECRET);
    let error = second.err().expect("the name is taken");
    assert!(error.contains("conflict"), "{error}");
    let mut sender = cluster.nodes[1].outbox();
    sender.sends_message(&name, "still here", "");
    first.receives_id("still here");
}

#[test]
fn the_second_of_two_connections_at_two_nodes_gets_the_name_if_it_replaces() {
    let network = Network::new();
    let cluster = Cluster::with(network, |mut setup| {
        setup.components.retain(|name| !name.starts_with("inbox"));
        setup.block(&format!(
            "[[component]]\nname = \"inbox.nuncio.example\"\nsecret = \"{SECRET}\"\nconflict = \"replace\"\n"
        ))
    });
    let mut first = cluster.nodes[0].component("inbox.nuncio.example");
    let mut second = cluster.nodes[1].component("inbox.nuncio.example");
    first.expects_end();
    let mut sender = cluster.nodes[0].component("outbox.nuncio.example");
    sender.sends_message("inbox.nuncio.example", "here", "");
    second.receives_id("here");
}

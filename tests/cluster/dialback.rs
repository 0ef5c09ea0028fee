//! A dialback key that one node made is verified at another one.

use super::fixture::{Cluster, DOMAIN};
use crate::support::{Auth, Certificate, Ejabberd, Network, Prosody, Server, Setup};

#[test]
fn prosody_verifies_the_key_of_one_node_at_the_other() {
    let network = Network::new();
    let prosody = Prosody::start(&network, dialback("prosody.example"));
    verifies(network, &prosody);
}

#[test]
fn ejabberd_verifies_the_key_of_one_node_at_the_other() {
    let network = Network::for_ejabberd();
    let ejabberd = Ejabberd::start(&network, dialback("ejabberd.example"));
    verifies(network, &ejabberd);
}

fn dialback(domain: &str) -> Setup {
    Setup::of(domain).certificate(Certificate::SelfSigned)
}

/// The DNS leads the other server to node `b`, and node `a` makes the link.
fn verifies(network: Network, other: &dyn Server) {
    let cluster = Cluster::with(network, |setup| {
        let setup = setup.certificate(Certificate::SelfSigned).auth(Auth::Dialback);
        if setup.directory() == "a" { setup.unpublished() } else { setup }
    });
    let mut far = other.inbox();
    let mut near = cluster.inbox(0);
    near.sends_message(far.name(), "by-a", "");
    far.receives_id("by-a");
    let verified = cluster.nodes[1].process().logged(&["verif", &format!("inbox.{DOMAIN}")]);
    assert!(verified || cluster.nodes[0].process().logged(&["authenticated", "dialback"]));
    far.sends_message(near.name(), "to-a", "");
    near.receives_id("to-a");
}

//! `nuncio explain` about a remote domain whose address is in the configuration.

use super::Place;
use crate::support::{Network, Node, Server as _, eventually};

#[test]
fn the_advice_is_about_the_configured_address_and_not_about_the_dns() {
    let (network, place) = (Network::new(), Place::new());
    let address = format!("{}:1", network.address());
    let remote = format!("[[remote]]\nname = \"b.example\"\naddress = \"{address}\"");
    let node = Node::start(&network, place.setup().block(&remote));
    node.inbox().sends_message("someone@b.example", "1", "");
    eventually("the attempt has failed", || {
        let queues = place.json(&["queues"]);
        queues["queues"][0]["trouble"].is_object().then_some(())
    });
    let json = place.json(&["explain", "b.example"]);
    let remedy = format!(
        "correct `address` ({address}) in the [[remote]] for b.example, or the operator of b.example must start the \
         server there"
    );
    assert_eq!(json["queues"][0]["trouble"]["remedy"], remedy, "{json}");
    assert!(json["sentence"].as_str().unwrap().contains(&remedy), "{json}");
}

//! One component with several names, or with all names below a domain.

use std::time::Duration;

use super::fixture::{Component, Element, Listener, Network, Node, Peer, Setup, paused, sleep};

#[test]
fn one_connection_serves_two_names_in_both_directions() {
    for auth in [Setup::external as fn(Setup) -> Setup, Setup::dialback] {
        paused(async |network| {
            let setup = auth(two_names("a.one.example", "b.one.example"));
            let (one, mut far) = (Node::start(network, setup).await, far(network, auth).await);
            let mut gateway = one.component("a.one.example").await;
            for name in ["a.one.example", "b.one.example"] {
                network.publish(name, one.address());
                exchanges(&mut gateway, &mut far, name).await;
            }
            is_refused(&mut gateway, "c.one.example").await;
            // Each of its names opens the stream.
            gateway.closes().await;
            let mut gateway = one.component("b.one.example").await;
            exchanges(&mut gateway, &mut far, "a.one.example").await;
        });
    }
}

#[test]
fn a_component_serves_all_names_below_a_domain_as_they_come() {
    for auth in [Setup::external as fn(Setup) -> Setup, Setup::dialback] {
        paused(async |network| {
            let (one, mut far) = (Node::start(network, auth(wildcard())).await, far(network, auth).await);
            let mut gateway = one.component("one.example").await;
            for name in ["x.one.example", "y.one.example"] {
                network.publish(name, one.address());
                exchanges(&mut gateway, &mut far, name).await;
            }
            // The domain above is that of the node itself.
            far.sends_request("one.example", "of the node");
            assert!(far.receives_id("of the node").await.is("iq", "result"));
            is_refused(&mut gateway, "one.example").await;
        });
    }
}

#[test]
fn another_server_opens_streams_to_sub_names_and_gets_streams_from_them() {
    paused(async |network| {
        let node = Node::start(network, wildcard().external()).await;
        let mut gateway = node.component("one.example").await;
        let identity = network.authority.issue(&["peer.example"]);
        let mut peer =
            Peer::authenticates(network, &node, "peer.example", "x.y.one.example", &identity).await;
        peer.sends("<message from='a@peer.example' to='u@x.y.one.example' id='in'/>").await;
        assert_eq!(gateway.receives_id("in").await.attribute("to"), "u@x.y.one.example");

        let listener = Listener::of(network, "peer.example");
        gateway.sends_message_from("z.one.example", "a@peer.example", "out");
        let mut accepted = listener.accepts().await;
        accepted.answers_to_external("peer.example", &identity).await;
        accepted.expects_message("out").await;

        let mut stranger = Peer::dials(network, &node).await;
        stranger.sends_header("peer.example", "xone.example", "").await;
        stranger.expects_header().await;
        stranger.expects_error("host-unknown").await;
        // What is below the domain is ours, so no other server is.
        let mut spoofer = Peer::dials(network, &node).await;
        spoofer.sends_header("x.one.example", "one.example", "").await;
        spoofer.expects_header().await;
        assert!(spoofer.expects("error").await.child("text").is_some());
    });
}

#[test]
fn an_exact_name_is_not_among_those_of_a_wildcard() {
    paused(async |network| {
        let (one, mut far) =
            (Node::start(network, wildcard().external()).await, far(network, Setup::external).await);
        let mut gateway = one.component("x.one.example").await;
        let mut inbox = one.inbox().await;
        exchanges(&mut inbox, &mut far, "inbox.one.example").await;
        is_refused(&mut gateway, "inbox.one.example").await;
        is_refused(&mut inbox, "x.one.example").await;
        // Between components of one node.
        inbox.sends_message("user@y.one.example", "local", "");
        assert_eq!(gateway.receives_id("local").await.attribute("to"), "user@y.one.example");
        gateway.sends_message_from("z.one.example", "u@inbox.one.example", "back");
        assert_eq!(inbox.receives_id("back").await.attribute("from"), "user@z.one.example");
    });
}

#[test]
fn a_component_serves_a_domain_and_its_sub_names() {
    paused(async |network| {
        let setup = Setup::of("one.example").external().certified_for(&["*.one.example"]);
        let setup = setup.component("names = [\"one.example\", \"*.one.example\"]");
        let (one, mut far) = (Node::start(network, setup).await, far(network, Setup::external).await);
        network.publish("x.one.example", one.address());
        let mut gateway = one.component("one.example").await;
        exchanges(&mut gateway, &mut far, "one.example").await;
        exchanges(&mut gateway, &mut far, "x.one.example").await;
    });
}

#[test]
fn strangers_that_write_to_many_sub_names_make_no_figure_for_each() {
    const NAMES: usize = 40;
    paused(async |network| {
        let one = Node::start(network, wildcard().external()).await;
        let far = far(network, Setup::external).await;
        for number in 0..NAMES {
            network.publish(&format!("s{number}.one.example"), one.address());
            far.sends_message(&format!("user@s{number}.one.example"), &number.to_string(), "");
        }
        while waiting(&one).await < NAMES {
            sleep(Duration::from_secs(1)).await;
        }
        let scrape = one.scrape().await;
        let shown = scrape.lines().find(|line| line.contains("s7.one.example"));
        assert_eq!(shown, None, "no figure has the name that a stranger has made up");
        assert!(scrape.contains("nuncio_component_up{component=\"*.one.example\"} 0"), "{scrape}");
        // All wait at one seat, and arrive.
        let mut gateway = one.component("one.example").await;
        for number in 0..NAMES {
            gateway.receives_id(&number.to_string()).await;
        }
        assert_eq!(waiting(&one).await, 0);
    });
}

#[test]
fn a_reload_adds_and_removes_names_of_a_connected_component() {
    paused(async |network| {
        let setup = two_names("a.one.example", "b.one.example").external();
        let (one, mut far) = (Node::start(network, setup).await, far(network, Setup::external).await);
        let names = ["a.one.example", "b.one.example", "c.one.example"];
        names.iter().for_each(|name| network.publish(name, one.address()));
        let mut gateway = one.component("a.one.example").await;
        exchanges(&mut gateway, &mut far, "b.one.example").await;
        is_refused(&mut gateway, "c.one.example").await;

        one.reloads(network, &two_names("a.one.example", "c.one.example").external()).await;
        exchanges(&mut gateway, &mut far, "a.one.example").await;
        exchanges(&mut gateway, &mut far, "c.one.example").await;
        is_refused(&mut gateway, "b.one.example").await;
        far.sends_message("user@b.one.example", "gone", "");
        assert!(far.receives_id("gone").await.is("message", "error"));
    });
}

#[test]
fn what_waits_for_a_name_goes_to_the_component_that_gets_the_name() {
    paused(async |network| {
        let separate = Setup::of("one.example")
            .component("name = \"a.one.example\"")
            .component("name = \"b.one.example\"")
            .component("name = \"c.one.example\"");
        let one = Node::start(network, separate).await;
        let (mut inbox, mut gateway) = (one.inbox().await, one.component("a.one.example").await);
        for name in ["b", "c"] {
            inbox.sends_message(&format!("user@{name}.one.example"), name, "");
        }
        sleep(Duration::from_secs(1)).await;
        one.reloads(network, &two_names("a.one.example", "b.one.example")).await;
        assert_eq!(gateway.receives_id("b").await.attribute("to"), "user@b.one.example");
        let answer = inbox.receives_id("c").await;
        answer.expect("error").expect("service-unavailable");
    });
}

/// A node with the names `inbox.` and these two of one component.
fn two_names(one: &str, other: &str) -> Setup {
    let names = format!("name = {one:?}\nnames = [{other:?}]");
    Setup::of("one.example").certified_for(&["*.one.example"]).component(&names)
}

/// A node with the component `inbox.`, and another for all other names below `one.example`.
fn wildcard() -> Setup {
    Setup::of("one.example").certified_for(&["*.one.example"]).component("name = \"*.one.example\"")
}

/// The component of another node.
async fn far(network: &Network, auth: fn(Setup) -> Setup) -> Component {
    Node::start(network, auth(Setup::of("other.example"))).await.inbox().await
}

/// A component and one of another node write to each other, the first in the name of a domain.
async fn exchanges(component: &mut Component, far: &mut Component, domain: &str) {
    let (there, back) = (format!("from {domain}"), format!("to {domain}"));
    component.sends_message_from(domain, &format!("user@{}", far.name()), &there);
    let arrived: Element = far.receives_id(&there).await;
    assert_eq!(arrived.attribute("from"), format!("user@{domain}"));
    far.sends_message(&format!("user@{domain}"), &back, "");
    let arrived = component.receives_id(&back).await;
    assert!(!arrived.is("message", "error"), "{arrived}");
    assert_eq!(arrived.attribute("to"), format!("user@{domain}"));
}

/// A component may not send in the name of a domain.
async fn is_refused(component: &mut Component, domain: &str) {
    component.sends_message_from(domain, "user@inbox.other.example", "refused");
    let answer = component.receives_id("refused").await;
    answer.expect("error").expect("forbidden");
}

/// The stanzas that wait for the component of [`wildcard`].
async fn waiting(node: &Node) -> usize {
    let scrape = node.scrape().await;
    let line = scrape
        .lines()
        .find_map(|line| line.strip_prefix("nuncio_absent_waiting{component=\"*.one.example\"} "));
    line.expect("a figure").parse().unwrap()
}

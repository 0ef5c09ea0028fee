//! Stanzas to a domain without a link arrive completely and in order.

use std::time::Duration;

use crate::support::{
    Behaviour, Certificate, Component, Network, Node, Prosody, Purpose, SOON, Server, Setup, Tenant,
    eventually,
};

#[test]
fn ten_thousand_stanzas_arrive_in_order_at_prosody() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    ten_thousand_arrive_in_order(&network, &prosody);
}

#[test]
fn ten_thousand_stanzas_arrive_in_order_at_ejabberd() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    ten_thousand_arrive_in_order(ejabberd.network(), &ejabberd);
}

// rows: E10
#[test]
fn ten_thousand_stanzas_arrive_in_order_at_nuncio() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    ten_thousand_arrive_in_order(&network, &other);
}

// rows: E10
#[test]
fn order_holds_while_two_other_links_are_made() {
    let network = Network::new();
    let servers = [
        Node::start(&network, Setup::of("one.example")),
        Node::start(&network, Setup::of("two.example")),
        Node::start(&network, Setup::of("three.example")),
    ];
    // The links are established at different times.
    for (server, delay) in servers.iter().zip([300, 100, 600]) {
        let delay = Behaviour::Delay(Duration::from_millis(delay));
        network.dns.behaves(server.domain(), delay);
    }
    let node = Node::start(&network, roomy("nuncio.example"));
    let sender = node.inbox();
    let mut receivers = servers.each_ref().map(Server::inbox);

    let from = sender.name().to_owned();
    let names = receivers.each_ref().map(|receiver| receiver.name().to_owned());
    // Four of six stanzas go to the first: 10,000 of 15,000.
    let to = |number: usize| [0, 1, 0, 2, 0, 0][number % 6];
    let flood = sender.floods(15_000, move |number| stanza(&from, &names[to(number)], number));
    for (place, receiver) in receivers.iter_mut().enumerate() {
        let sent = (0..15_000).filter(|number| to(*number) == place);
        receives_in_order(receiver, sent);
    }
    assert_eq!(flood.join().unwrap(), 15_000);
}

#[test]
fn queued_stanzas_leave_before_later_ones() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut sender = node.inbox();
    let mut receiver = other.inbox();
    network.dns.behaves(other.domain(), Behaviour::Delay(Duration::from_millis(500)));
    // Slowly, so that some are sent before, some while and some after the link is established.
    let (from, to) = (sender.name().to_owned(), receiver.name().to_owned());
    let mut sent = 0;
    eventually("the first stanza arrives", || {
        sender.sends(&stanza(&from, &to, sent));
        sent += 1;
        receiver.has_received().then_some(())
    });
    for number in sent..sent + 100 {
        sender.sends(&stanza(&from, &to, number));
    }
    receives_in_order(&mut receiver, 0..sent + 100);
}

#[track_caller]
fn ten_thousand_arrive_in_order(network: &Network, server: &dyn Server) {
    let node = Node::start(network, roomy(&format!("nuncio-{}", server.domain())));
    let (sender, mut receiver) = (node.inbox(), server.inbox());
    // Large enough that much of it is queued.
    network.dns.behaves(server.domain(), Behaviour::Delay(Duration::from_millis(200)));
    let (from, to) = (sender.name().to_owned(), receiver.name().to_owned());
    let flood = sender.floods(10_000, move |number| stanza(&from, &to, number));
    receives_in_order(&mut receiver, 0..10_000);
    assert_eq!(flood.join().unwrap(), 10_000);
    node.eventually_logs(&[sender.name(), receiver.name(), "handed over"]);
}

/// A node whose queues have room for everything that is sent, however long a link takes on a busy machine.
fn roomy(domain: &str) -> Setup {
    Setup::of(domain).set("promise.max_stanzas", "20000").set("promise.max_bytes", "\"16 MiB\"")
}

fn stanza(from: &str, to: &str, number: usize) -> String {
    format!(
        "<message from='tester@{from}' to='tester@{to}' id='{number}' type='chat'>\
         <body>stanza number {number}</body></message>"
    )
}

#[track_caller]
fn receives_in_order(receiver: &mut Component, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let stanza = receiver.next(SOON);
        let stanza = stanza.unwrap_or_else(|| panic!("{} never got {number}", receiver.name()));
        assert_eq!(stanza.attribute("id"), number.to_string(), "{stanza}");
    }
}

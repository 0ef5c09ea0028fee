//! `nuncio check`: the DNS records of the local domains.

use super::Desk;
use crate::support::{Behaviour, Setup, configuration};

#[test]
fn missing_and_wrong_dns_records_are_warnings() {
    let desk = Desk::new();
    let (network, address) = (&desk.network, desk.network.address());
    let elsewhere = network.address();
    network.publish("here.example", address);
    network.dns.a("nat.example", "192.0.2.7".parse().unwrap());
    network.publish("port.example", elsewhere);
    network.dns.srv("_xmpp-server._tcp.dead.example", 0, 0, 5269, "gone.dead.example");
    network.dns.behaves("lame.example", Behaviour::ServerFailure);
    let setup = Setup::of("here.example").unpublished();
    let mut text = configuration(network, &setup, address);
    text = text.replace(
        "\n[[component]]\nname = \"inbox.here.example\"\n",
        "\n[[component]]\nname = \"port.example\"\n",
    );
    text = text.replace("outbox.here.example", "inside.example");
    for name in ["nat.example", "none.example", "dead.example", "lame.example"] {
        text += &format!("[[domain]]\nname = \"{name}\"\n");
    }
    let screen = desk.passes(&text, &[]);
    for said in [
        "warning: domain.name: DNS records point to 192.0.2.7:5269, which is not this machine".to_owned(),
        "help: this is correct behind NAT or a proxy".to_owned(),
        format!(
            "warning: component.name: DNS records point to {elsewhere}:5269, where this node does not listen"
        ),
        format!("help: it listens for servers at {address}:5269"),
        "warning: domain.name: no DNS record for none.example: other servers cannot find it".to_owned(),
        "help: publish `_xmpp-server._tcp.none.example. SRV 0 0 5269 HOST.`".to_owned(),
        "note: component.name: no DNS record for inside.example: other servers cannot find it".to_owned(),
        "warning: domain.name: the name servers answered SERVFAIL".to_owned(),
        "warning: domain.name: gone.dead.example does not exist, but the SRV record of dead.example points to it"
            .to_owned(),
    ] {
        assert!(screen.contains(&said), "no {said} in\n{screen}");
    }
    assert!(!screen.contains("domain.name: here.example"), "{screen}");
    assert!(!desk.passes(&text, &["--offline"]).contains("DNS"));
}

//! The tools of the tests, tried on servers that are known to work: what they show about Nuncio is
//! worth something only if they show the same about Prosody and ejabberd.

use crate::support::{Auth, Certificate, Ejabberd, Network, Peer, Prosody, Server, Setup, Tls};

#[test]
fn prosody_and_ejabberd_federate_by_certificate() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External));
    let ejabberd = Ejabberd::start(&network, Setup::of("ejabberd.example").auth(Auth::External));
    converse(&prosody, &ejabberd);
    prosody.process().eventually_logs(&["SASL", "EXTERNAL"]);
}

#[test]
fn prosody_and_ejabberd_federate_by_dialback() {
    let network = Network::new();
    let setup = |domain| Setup::of(domain).certificate(Certificate::SelfSigned);
    let prosody = Prosody::start(&network, setup("prosody.example"));
    let ejabberd = Ejabberd::start(&network, setup("ejabberd.example"));
    converse(&prosody, &ejabberd);
}

#[test]
fn prosody_and_ejabberd_federate_without_tls() {
    let network = Network::new();
    let setup = |domain| Setup::of(domain).certificate(Certificate::Missing).tls(Tls::Disabled);
    let prosody = Prosody::start(&network, setup("prosody.example"));
    let ejabberd = Ejabberd::start(&network, setup("ejabberd.example"));
    converse(&ejabberd, &prosody);
}

#[test]
fn prosody_and_ejabberd_federate_by_direct_tls() {
    let network = Network::new();
    let setup = |domain| Setup::of(domain).auth(Auth::External).direct_tls();
    let prosody = Prosody::start(&network, setup("prosody.example"));
    let ejabberd = Ejabberd::start(&network, setup("ejabberd.example"));
    converse(&prosody, &ejabberd);
}

#[test]
fn the_scripted_peer_proves_itself_to_prosody_and_ejabberd() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External));
    let ejabberd = Ejabberd::start(&network, Setup::of("ejabberd.example").auth(Auth::External));
    let identity = network.authority.issue(&["peer.example"]);
    for server in [&prosody as &dyn Server, &ejabberd] {
        let mut inbox = server.inbox();
        let mut peer = Peer::authenticates(server.address(), "peer.example", server.domain(), &identity);
        peer.sends(&format!(
            "<message from='someone@peer.example' to='{}' id='one'><body>hello</body></message>",
            server.domain()
        ));
        let _ = inbox.name();
        drop(peer);
    }
}

fn converse(one: &dyn Server, other: &dyn Server) {
    let (mut here, mut there) = (one.inbox(), other.inbox());
    here.sends_message(there.name(), "first", "over there: é &lt;&amp;&gt;");
    assert_eq!(there.receives_id("first").expect("body").text(), "over there: é <&>");
    there.sends_message(here.name(), "second", "and back");
    assert_eq!(here.receives_id("second").expect("body").text(), "and back");
    let ping = here.asks(other.domain(), "<ping xmlns='urn:xmpp:ping'/>");
    assert!(ping.is("iq", "result"), "{ping}");
}

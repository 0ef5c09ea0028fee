//! SIGHUP with another policy: open streams in both directions continue only if the new policy admits them.

use std::fs;
use std::net::Ipv4Addr;

use crate::dialback::{result, verified};
use crate::support::{
    Authority, Component, INBOX, Identity, Listener, Network, Node, Peer, SECRET, Server, Setup,
};

/// How a stream of the table is secured and authenticated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Made {
    /// EXTERNAL, with a good certificate.
    External,
    /// Dialback over TLS, with a good certificate.
    Dialback,
    /// Dialback over TLS, with a self-signed certificate.
    SelfSigned,
    /// Dialback after a refused EXTERNAL, with a self-signed certificate.
    AfterExternal,
    /// A dialback key that was not verified yet.
    Shortcut,
    /// Dialback in clear text.
    Clear,
}

/// One row: how the stream is made, the terms before and after, and the stream error that ends it.
type Row = (Made, &'static str, &'static str, Option<&'static str>);

const BOTH: &str = "auth = [\"external\", \"dialback\"]";

/// Rows for streams in both directions.
const BOTH_WAYS: &[Row] = &[
    (Made::Clear, "tls = \"optional\"", "tls = \"required\"", Some("policy-violation")),
    (Made::Clear, "tls = \"optional\"", "tls = \"disabled\"", None),
    (Made::External, "tls = \"required\"", "tls = \"disabled\"", Some("policy-violation")),
    (Made::Dialback, "tls = \"optional\"", "tls = \"required\"", None),
    (Made::SelfSigned, "", "strict_certificates = true", Some("policy-violation")),
    (Made::Dialback, "", "strict_certificates = true", None),
    (Made::Dialback, BOTH, "auth = [\"external\"]", Some("policy-violation")),
    (Made::External, BOTH, "auth = [\"external\"]", None),
    (Made::External, BOTH, "auth = [\"dialback\"]", Some("policy-violation")),
    (Made::Dialback, BOTH, "auth = [\"dialback\", \"external\"]", None),
    (Made::External, "", "trust = \"OTHER\"", Some("policy-violation")),
    (Made::Dialback, "", "trust = \"OTHER\"", None),
    (Made::External, "trust = \"OWN\"", "trust = \"BOTH\"", None),
    (Made::External, "", "idle_timeout = \"2h\"\nkeepalive = \"1m\"\nwrite_timeout = \"1m\"", None),
    (
        Made::External,
        "",
        "connect_timeout = \"3s\"\nhandshake_timeout = \"7s\"\nelement_timeout = \"1m\"",
        None,
    ),
    (Made::External, "", "unknown_recipient = \"bounce\"\nmax_rate = \"1 MiB\"", None),
    (Made::Dialback, "", "dialback_secret = \"another secret that is long enough\"", None),
    (Made::External, "", "max_stanza_unauthenticated = \"12 KiB\"\nmax_stanza = \"600 KiB\"", None),
];

/// Rows for incoming streams.
const INCOMING: &[Row] = &[
    (Made::Shortcut, "dialback_shortcut = true", "dialback_shortcut = false", Some("policy-violation")),
    (Made::Shortcut, "dialback_shortcut = true", "dialback_shortcut = true", None),
    (
        Made::AfterExternal,
        "dialback_after_external = true",
        "dialback_after_external = false",
        Some("policy-violation"),
    ),
    (Made::External, "max_stanza = \"100 KiB\"", "max_stanza = \"50 KiB\"", Some("reset")),
];

/// An open stream and its row.
struct Case {
    domain: String,
    row: Row,
    identity: Identity,
    listener: Listener,
    peer: Peer,
}

/// The `[[remote]]` block of a row.
fn block(network: &Network, other: &Authority, domain: &str, terms: &str) -> String {
    let both = network.directory("both").join("both.crt");
    let (own, other) = (network.file_of(&network.authority), network.file_of(other));
    fs::write(&both, fs::read_to_string(&own).unwrap() + &fs::read_to_string(&other).unwrap()).unwrap();
    let file = |text: &str, name: &str, path: &std::path::Path| text.replace(name, path.to_str().unwrap());
    let terms = file(&file(&file(terms, "OTHER", &other), "OWN", &own), "BOTH", &both);
    format!("[[remote]]\nname = \"{domain}\"\n{terms}\n")
}

fn setup(blocks: impl IntoIterator<Item = String>) -> Setup {
    blocks.into_iter().fold(Setup::of("nuncio.example"), |setup, block| setup.block(&block))
}

fn identity_of(network: &Network, made: Made, domain: &str) -> Identity {
    let request = network.authority.certificate(&[domain]);
    match made {
        Made::SelfSigned | Made::AfterExternal => request.self_signed().issue(),
        _ => request.issue(),
    }
}

impl Case {
    /// Opens a stream to the node according to the row.
    fn dials(node: &Node, row: Row, domain: &str, identity: Identity, listener: Listener) -> Self {
        let address = node.address();
        if row.0 == Made::External {
            let peer = Peer::authenticates(address, domain, INBOX, &identity);
            return Self { domain: domain.to_owned(), row, identity, listener, peer };
        }
        let mut peer = Peer::dials(address);
        let header = if row.0 == Made::Clear {
            peer.sends_header(domain, INBOX, "");
            peer.expects_header()
        } else {
            peer.starts_tls(domain, INBOX, Some(&identity))
        };
        let id = header.attribute("id").to_owned();
        peer.expects("features");
        if row.0 == Made::AfterExternal {
            peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
            peer.expects("failure");
        }
        peer.sends(&result(domain, INBOX, "key"));
        if row.0 != Made::Shortcut {
            let mut called = listener.accepts();
            answers(&mut called, row.0, domain, &identity);
            called.expects("verify");
            called.sends(&verified(INBOX, &id, "valid").replace("peer.example", domain));
        }
        let answer = peer.expects("result");
        assert_eq!(answer.attribute("type"), "valid", "{domain} {row:?}: {answer}");
        Self { domain: domain.to_owned(), row, identity, listener, peer }
    }

    /// Makes the node open a stream according to the row.
    fn is_dialed(
        inbox: &mut Component,
        row: Row,
        domain: &str,
        identity: Identity,
        listener: Listener,
    ) -> Self {
        inbox.sends_message(domain, "first", "");
        let mut peer = listener.accepts();
        takes(&mut peer, row.0, domain, &identity);
        assert_eq!(peer.expects("message").attribute("id"), "first", "{domain} {row:?}");
        Self { domain: domain.to_owned(), row, identity, listener, peer }
    }
}

/// Answers up to the features, which offer dialback.
fn answers(peer: &mut Peer, made: Made, domain: &str, identity: &Identity) {
    if made == Made::Clear {
        let header = peer.expects_header();
        peer.sends_header(domain, header.attribute("from"), "id='clear'");
    } else {
        peer.answers_to_tls(domain, identity);
    }
    peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
}

/// Authenticates the node, up to its first stanza.
fn takes(peer: &mut Peer, made: Made, domain: &str, identity: &Identity) {
    if made == Made::External {
        peer.answers_to_external(domain, identity);
        return;
    }
    answers(peer, made, domain, identity);
    peer.expects("result");
    peer.sends(&format!("<db:result from='{domain}' to='{INBOX}' type='valid'/>"));
}

fn reloads(node: &Node, network: &Network, setup: &Setup) {
    node.reconfigures(network, setup);
    node.eventually_logs(&["nuncio::node", "reloaded"]);
}

fn message(from: &str, id: &str) -> String {
    format!("<message from='romeo@{from}' to='juliet@{INBOX}' id='{id}'><body>hello</body></message>")
}

/// The network and the domains of the rows.
struct Bench {
    network: Network,
    other: Authority,
    domains: Vec<(String, Row, Ipv4Addr)>,
}

impl Bench {
    fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        let network = Network::new();
        let other = Authority::new("another authority").unwrap();
        let domains = rows.into_iter().enumerate().map(|(number, row)| {
            let (domain, address) = (format!("row{number}.example"), network.address());
            network.publish(&domain, address);
            (domain, row, address)
        });
        let domains = domains.collect();
        Self { network, other, domains }
    }

    fn setup(&self, terms: impl Fn(&Row) -> &'static str) -> Setup {
        let blocks = self.domains.iter();
        setup(blocks.map(|(domain, row, _)| block(&self.network, &self.other, domain, terms(row))))
    }
}

#[test]
fn a_stream_of_another_server_ends_when_the_new_policy_would_not_admit_it() {
    let bench = Bench::of(BOTH_WAYS.iter().chain(INCOMING).copied());
    let node = Node::start(&bench.network, bench.setup(|row| row.1));
    let mut inbox = node.inbox();
    let mut cases: Vec<Case> = Vec::new();
    for (domain, row, address) in &bench.domains {
        let identity = identity_of(&bench.network, row.0, domain);
        cases.push(Case::dials(&node, *row, domain, identity, Listener::at(*address)));
    }
    reloads(&node, &bench.network, &bench.setup(|row| row.2));
    for Case { domain, row, peer, .. } in &mut cases {
        match row.3 {
            Some(condition) => {
                let error = peer.expects("error");
                assert!(error.child(condition).is_some(), "{domain} {row:?}: {error}");
                error.expect("text");
                peer.expects_closed();
                peer.sends("</stream:stream>");
                peer.expects_end();
            }
            None => {
                peer.sends(&message(domain, domain));
                inbox.receives_id(domain);
            }
        }
    }
}

#[test]
fn our_stream_ends_if_the_new_policy_refuses_it_and_is_replaced() {
    let bench = Bench::of(BOTH_WAYS.iter().copied());
    let node = Node::start(&bench.network, bench.setup(|row| row.1));
    let mut inbox = node.inbox();
    let mut cases: Vec<Case> = Vec::new();
    for (domain, row, address) in &bench.domains {
        let identity = identity_of(&bench.network, row.0, domain);
        cases.push(Case::is_dialed(&mut inbox, *row, domain, identity, Listener::at(*address)));
    }
    reloads(&node, &bench.network, &bench.setup(|row| row.2));
    for Case { domain, row, identity, listener, peer } in &mut cases {
        match row.3 {
            Some(condition) => {
                let error = peer.expects("error");
                assert!(error.child(condition).is_some(), "{domain} {row:?}: {error}");
                peer.expects_closed();
                // The next stanza opens a stream under the new policy.
                inbox.sends_message(domain, "second", "");
                peer.sends("</stream:stream>");
                peer.expects_end();
                let mut again = listener.accepts();
                if row.2.contains("disabled") {
                    answers(&mut again, Made::Clear, domain, identity);
                    again.expects("result");
                } else if row.2.contains("[\"dialback\"]") {
                    takes(&mut again, Made::Dialback, domain, identity);
                    assert_eq!(again.expects("message").attribute("id"), "second");
                } else {
                    again.expects_header();
                }
            }
            None => {
                inbox.sends_message(domain, "second", "");
                let second = peer.expects("message");
                assert_eq!(second.attribute("id"), "second", "{domain} {row:?}");
            }
        }
    }
}

#[test]
fn the_defaults_of_s2s_hold_for_open_streams_too() {
    let network = Network::new();
    let of = || Setup::of("nuncio.example");
    let node = Node::start(&network, of());
    let (address, mut inbox) = (network.address(), node.inbox());
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let identity = network.authority.issue(&["peer.example"]);
    let mut incoming = Peer::authenticates(node.address(), "peer.example", INBOX, &identity);
    inbox.sends_message("peer.example", "first", "");
    let mut outgoing = listener.accepts();
    outgoing.answers_to_external("peer.example", &identity);
    outgoing.expects("message");
    let other = Authority::new("another authority").unwrap();
    reloads(&node, &network, &of().set("s2s.trust", &format!("{:?}", network.file_of(&other))));
    for peer in [&mut incoming, &mut outgoing] {
        let error = peer.expects("error");
        error.expect("policy-violation");
        peer.expects_closed();
        peer.sends("</stream:stream>");
        peer.expects_end();
    }
    // The line names the pair, although the policy does not admit it any more.
    let pair = "pair=\"inbox.nuncio.example > peer.example\"";
    node.eventually_logs(&["nuncio::incoming", "closed", "policy-violation", pair]);
    node.eventually_logs(&["nuncio::outgoing", "closed", "policy-violation"]);
}

#[test]
fn a_link_moves_to_a_newly_configured_address() {
    let network = Network::new();
    let [first, second] = [network.address(), network.address()];
    let route = |address: Ipv4Addr, port: u16, direct: bool| {
        format!(
            "[[remote]]\nname = \"peer.example\"\naddress = \"{address}:{port}\"\ndirect_tls = {direct}\n"
        )
    };
    let node = Node::start(&network, setup([route(first, 5269, false)]));
    let mut inbox = node.inbox();
    let identity = network.authority.issue(&["peer.example"]);
    let listeners = [Listener::at(first), Listener::at(second)];
    inbox.sends_message("peer.example", "first", "");
    let mut peer = listeners[0].accepts();
    peer.answers_to_external("peer.example", &identity);
    peer.expects("message");
    node.reconfigures(&network, &setup([route(second, 5269, false)]));
    let error = peer.expects("error");
    error.expect("reset");
    peer.expects_closed();
    inbox.sends_message("peer.example", "second", "");
    peer.sends("</stream:stream>");
    peer.expects_end();
    let mut peer = listeners[1].accepts();
    peer.answers_to_external("peer.example", &identity);
    assert_eq!(peer.expects("message").attribute("id"), "second");
    node.reconfigures(&network, &setup([route(second, 5269, true)]));
    peer.expects("error").expect("reset");
    peer.expects_closed();
    inbox.sends_message("peer.example", "third", "");
    peer.sends("</stream:stream>");
    let mut peer = listeners[1].accepts();
    peer.secures_as_server(&identity);
    let header = peer.expects_header();
    peer.sends_header("peer.example", header.attribute("from"), "id='direct'");
    peer.accepts_external("peer.example");
    assert_eq!(peer.expects("message").attribute("id"), "third");
}

#[test]
fn an_attempt_under_the_old_policy_makes_no_link_under_the_new_one() {
    let network = Network::new();
    let terms = |auth: &str| setup([format!("[[remote]]\nname = \"peer.example\"\nauth = [{auth}]\n")]);
    let node = Node::start(&network, terms("\"external\", \"dialback\""));
    let (address, mut inbox) = (network.address(), node.inbox());
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let identity = network.authority.issue(&["peer.example"]);
    inbox.sends_message("peer.example", "waits", "");
    let mut peer = listener.accepts();
    peer.answers_to_tls("peer.example", &identity);
    reloads(&node, &network, &terms("\"dialback\""));
    peer.accepts_external("peer.example");
    peer.expects("error").expect("policy-violation");
    peer.expects_closed();
    peer.sends("</stream:stream>");
    let mut again = listener.accepts();
    takes(&mut again, Made::Dialback, "peer.example", &identity);
    assert_eq!(again.expects("message").attribute("id"), "waits");
}

#[test]
fn a_component_with_the_old_secret_makes_room_for_the_one_with_the_new() {
    let network = Network::new();
    let name = "changes.nuncio.example";
    let with = |secret: &str| {
        let block = format!("[[component]]\nname = \"{name}\"\nsecret = \"{secret}\"\n");
        Setup::of("nuncio.example").block(&block)
    };
    let node = Node::start(&network, with(SECRET));
    let (mut inbox, mut old) = (node.inbox(), Component::connect(node.address(), name));
    reloads(&node, &network, &with("another secret"));
    node.eventually_logs(&["disconnected", name, "not-authorized"]);
    old.expects_end();
    let refused = Component::try_connect(node.address(), name, SECRET).err().expect("a refusal");
    assert_eq!(refused, "not-authorized");
    let mut new = Component::try_connect(node.address(), name, "another secret").unwrap();
    inbox.sends_message(&format!("someone@{name}"), "hello", "");
    new.receives_id("hello");
    // A reload that does not concern the stream does not end it.
    node.reconfigures(&network, &with("another secret").set("s2s.keepalive", "\"3m\""));
    inbox.sends_message(&format!("someone@{name}"), "again", "");
    new.receives_id("again");
}

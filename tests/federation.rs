//! Nuncio with Prosody, ejabberd and Nuncio over every kind of link in use today: stanzas arrive unchanged in both
//! directions, and both logs show how the link was secured and authenticated.

use crate::support::{
    Auth, Certificate, Component, Ejabberd, Element, Network, Node, Prosody, Purpose, Server, Setup, Tenant,
    Tls, in_ascii,
};

macro_rules! over_every_kind_of_link {
    ($with:ident, $software:expr) => {
        mod $with {
            use super::*;

            #[test]
            fn by_starttls_and_certificates_of_a_common_authority() {
                federate($software, Link::Certificates);
            }

            #[test]
            fn by_starttls_and_dialback_with_self_signed_certificates() {
                federate($software, Link::SelfSigned);
            }

            #[test]
            fn without_tls_by_dialback() {
                federate($software, Link::Clear);
            }

            #[test]
            fn by_direct_tls_found_in_dns() {
                federate($software, Link::DirectTls);
            }

            // rows: D11 D21
            #[test]
            fn with_a_certificate_for_servers_only() {
                federate($software, Link::ServerOnly);
            }

            // rows: A1 E28
            #[test]
            fn between_international_domains_by_certificates() {
                federate_in_other_letters($software, Link::Certificates);
            }

            // rows: A1 E28
            #[test]
            fn between_international_domains_by_dialback() {
                federate_in_other_letters($software, Link::SelfSigned);
            }
        }
    };
}

over_every_kind_of_link!(with_prosody, Software::Prosody);
over_every_kind_of_link!(with_ejabberd, Software::Ejabberd);
over_every_kind_of_link!(with_nuncio, Software::Nuncio);

/// The remote server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Software {
    Prosody,
    Ejabberd,
    Nuncio,
}

/// The kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// STARTTLS, and EXTERNAL with certificates of an authority both trust.
    Certificates,
    /// STARTTLS with self-signed certificates, and dialback.
    SelfSigned,
    /// No TLS, and dialback.
    Clear,
    /// TLS from the first byte, at the port that `_xmpps-server` names, and EXTERNAL.
    DirectTls,
    /// As [`Self::Certificates`], but Nuncio's certificate is for servers only.
    ServerOnly,
}

/// How a domain was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    External,
    Dialback,
}

fn federate(software: Software, link: Link) {
    drop(federate_as(["nuncio", "other"], software, link));
}

/// DNS and certificates use A-labels, addresses use U-labels (RFC 7622, section 3.2.1), in whatever form a component
/// writes them.
fn federate_in_other_letters(software: Software, link: Link) {
    let mut federated = federate_as(["münchen", "bücher"], software, link);
    let domain = in_ascii(federated.peer.domain());
    let spellings: [fn(&str) -> String; 3] =
        [str::to_uppercase, in_ascii, |name| in_ascii(name).to_uppercase()];
    for (here, there) in &mut federated.pairs {
        for (number, spell) in spellings.iter().enumerate() {
            let (from, to, id) = (spell(here.name()), spell(there.name()), format!("spelling {number}"));
            here.sends(&format!("<message from='x@{from}/Y' to='z@{to}/Z' id='{id}'><body/></message>"));
            let arrived = there.receives_id(&id);
            assert_eq!(arrived.attribute("from"), format!("x@{}/Y", here.name()));
            assert_eq!(arrived.attribute("to"), format!("z@{}/Z", there.name()));
        }
        answers(here, &domain);
    }
}

/// Two servers and their components, which stay connected: ejabberd would distribute stanzas for a component over an old
/// connection that is closing and a new one.
struct Federated {
    pairs: [(Component, Component); 2],
    peer: Box<dyn Server>,
    _node: Node,
    /// None if other tests share it.
    _network: Option<Network>,
}

fn federate_as([label, theirs]: [&str; 2], software: Software, link: Link) -> Federated {
    let theirs = link.setup(&format!("{theirs}.example"));
    let (ours, own): (_, Option<Network>);
    let (network, peer): (&Network, Box<dyn Server>) = match software {
        // Without TLS it is another configuration than that of the shared one.
        Software::Ejabberd if link != Link::Clear => {
            let tenant = match theirs.domain.is_ascii() {
                true => Tenant::with(&theirs.certificate),
                false => Tenant::international(&theirs.certificate),
            };
            let tenant = if link == Link::DirectTls { tenant.direct_tls() } else { tenant };
            ours = link.setup(&tenant.neighbour(label));
            own = None;
            (tenant.network(), Box::new(tenant))
        }
        _ => {
            own = Some(if software == Software::Ejabberd { Network::for_ejabberd() } else { Network::new() });
            ours = link.setup(&format!("{label}.example"));
            let network = own.as_ref().expect("just made");
            let peer: Box<dyn Server> = match software {
                Software::Prosody => Box::new(Prosody::start(network, theirs)),
                Software::Ejabberd => Box::new(Ejabberd::start(network, theirs)),
                Software::Nuncio => Box::new(Node::start(network, theirs)),
            };
            (network, peer)
        }
    };
    let node = Node::start(
        network,
        match link {
            Link::Certificates | Link::SelfSigned | Link::DirectTls => ours,
            // TLS is optional here, and disabled at the other node.
            Link::Clear => ours.certificate(Certificate::Common(Purpose::Both)).tls(Tls::Optional),
            Link::ServerOnly => ours.certificate(Certificate::Common(Purpose::ServerOnly)),
        },
    );

    // Every pair of domains has its own link: the two directions use different pairs.
    let (mut here, mut there) = (node.inbox(), peer.inbox());
    carries_a_message_unchanged(&mut here, &mut there);
    // The log has A-labels.
    let told = |here: &Component, there: &Component, proof: Proof| {
        let pair = [in_ascii(here.name()), in_ascii(there.name())];
        node.eventually_logs(&[&pair[0], &pair[1], "authenticated", proof.name()]);
    };
    told(&here, &there, link.proof_of_us(software));
    logs_incoming(software, &*peer, here.name(), there.name(), link.proof_of_us(software));
    answers(&mut here, peer.domain());
    let inboxes = (here, there);

    let (mut here, mut there) = (node.outbox(), peer.outbox());
    carries_a_message_unchanged(&mut there, &mut here);
    told(&here, &there, link.proof_of_peer());
    logs_outgoing(software, &*peer, there.name(), here.name(), link.proof_of_peer());
    answers(&mut there, node.domain());

    if link == Link::DirectTls {
        let asked = network.dns.questions();
        assert!(asked.contains(&format!("_xmpps-server._tcp.{} SRV", there.name())), "{asked:?}");
    }
    Federated { pairs: [inboxes, (here, there)], peer, _node: node, _network: own }
}

impl Link {
    fn setup(self, domain: &str) -> Setup {
        let setup = Setup::of(domain);
        match self {
            Self::Certificates => setup.auth(Auth::External),
            Self::SelfSigned => setup.certificate(Certificate::SelfSigned),
            Self::Clear => setup.certificate(Certificate::Missing).tls(Tls::Disabled),
            Self::DirectTls => setup.auth(Auth::External).direct_tls(),
            Self::ServerOnly => setup,
        }
    }

    /// How Nuncio proves itself to the peer.
    fn proof_of_us(self, peer: Software) -> Proof {
        match self {
            Self::Certificates | Self::DirectTls => Proof::External,
            Self::SelfSigned | Self::Clear => Proof::Dialback,
            // COMPAT: ejabberd 23.01 requires the purpose clientAuth in a client's certificate.
            Self::ServerOnly if peer == Software::Ejabberd => Proof::Dialback,
            Self::ServerOnly => Proof::External,
        }
    }

    /// How the peer proves itself to Nuncio.
    fn proof_of_peer(self) -> Proof {
        match self {
            Self::Certificates | Self::DirectTls | Self::ServerOnly => Proof::External,
            Self::SelfSigned | Self::Clear => Proof::Dialback,
        }
    }
}

impl Proof {
    fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Dialback => "dialback",
        }
    }
}

/// Sends a message with XML that is easily damaged, over a link that is not established yet.
#[track_caller]
pub(crate) fn carries_a_message_unchanged(from: &mut Component, to: &mut Component) {
    let text = format!(
        "<message xmlns='jabber:component:accept' from='jürgen@{}/Büro 1' to='juliet@{}/&lt;&apos;' \
         id='&quot;1&quot;&amp;' type='chat' xml:lang='de'>\
         <body>Grüße, 世界 🚀 &lt;b&gt; &amp;amp; \"'&#x9;]]&gt; &#xe9;</body>\
         <x xmlns='urn:example:payload' a='&lt;&amp;&quot;&apos;é'>\
         <p:y xmlns:p='urn:example:other' p:b='2'> <z/>t</p:y></x></message>",
        from.name(),
        to.name()
    );
    from.sends(&text);
    let (sent, arrived) = (Element::parse(&text), to.receives_id("\"1\"&"));
    for name in ["from", "to", "type", "xml:lang"] {
        assert_eq!(arrived.attribute(name), sent.attribute(name), "{arrived}");
    }
    // COMPAT: ejabberd puts the body behind the other children.
    assert_eq!(arrived.children().count(), 2, "{arrived}");
    assert_eq!(arrived.expect("body"), sent.expect("body"));
    assert_eq!(arrived.expect("x"), sent.expect("x"));
}

/// Sends requests that every server answers.
#[track_caller]
pub(crate) fn answers(asker: &mut Component, domain: &str) {
    let pong = asker.asks(domain, "<ping xmlns='urn:xmpp:ping'/>");
    assert!(pong.is("iq", "result"), "{pong}");
    let info = asker.asks(domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    let features = info.expect("query").children().filter(|child| child.name == "feature");
    let features: Vec<_> = features.map(|feature| feature.attribute("var")).collect();
    assert!(features.contains(&"http://jabber.org/protocol/disco#info"), "{info}");
    let identity = info.expect("query").expect("identity");
    assert_eq!(identity.attribute("category"), "server", "{info}");
}

/// Checks that the peer logged how `from` authenticated on a stream to `to`.
#[track_caller]
fn logs_incoming(software: Software, peer: &dyn Server, from: &str, to: &str, proof: Proof) {
    let log = peer.process();
    match (software, proof) {
        (Software::Prosody, Proof::External) => {
            log.eventually_logs(&[&format!("accepting SASL EXTERNAL identity from {from}")]);
        }
        (Software::Prosody, Proof::Dialback) => {
            log.eventually_logs(&[&format!("asking {from} if key")]);
            log.eventually_logs(&[&format!("incoming s2s connection {from}->{to} complete")]);
        }
        (Software::Ejabberd, _) => {
            let how = proof.name();
            log.eventually_logs(&[&format!("accepted inbound s2s {how} authentication {from} -> {to}")]);
        }
        (Software::Nuncio, _) => {
            log.eventually_logs(&[&in_ascii(from), &in_ascii(to), "authenticated", proof.name()]);
        }
    }
}

/// Checks that the peer logged how it authenticated as `from` on a stream to `to`.
#[track_caller]
fn logs_outgoing(software: Software, peer: &dyn Server, from: &str, to: &str, proof: Proof) {
    let log = peer.process();
    match (software, proof) {
        (Software::Prosody, Proof::External) => {
            log.eventually_logs(&[&format!("SASL EXTERNAL with {to} succeeded")]);
        }
        (Software::Prosody, Proof::Dialback) => {
            log.eventually_logs(&["sent dialback key on outgoing s2s stream"]);
            log.eventually_logs(&[&format!("outgoing s2s connection {from}->{to} complete")]);
        }
        (Software::Ejabberd, _) => {
            let how = proof.name();
            log.eventually_logs(&[&format!("accepted outbound s2s {how} authentication {from} -> {to}")]);
        }
        (Software::Nuncio, _) => {
            log.eventually_logs(&[&in_ascii(from), &in_ascii(to), "authenticated", proof.name()]);
        }
    }
}

//! Every kind of server with every other kind (XEP-0238), with whole nodes on both sides.

use crate::support::{Auth, Certificate, Component, Network, Node, Server, Setup, Tls, eventually};

/// The kinds of servers in use today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Neither certificate nor TLS.
    Clear,
    /// A self-signed certificate, optional TLS.
    SelfSigned,
    /// A valid certificate, optional TLS, dialback allowed.
    Trusted,
    /// A valid certificate, and requires one of others.
    ExternalOnly,
    /// TLS required, certificates ignored.
    AlwaysEncrypted,
}

/// The properties of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Refused,
    Unencrypted,
    Unverified,
    Verified,
}

use Kind::{AlwaysEncrypted, Clear, ExternalOnly, SelfSigned, Trusted};
use Link::{Refused as NO, Unencrypted as PL, Unverified as EN, Verified as VE};

const KINDS: [Kind; 5] = [Clear, SelfSigned, Trusted, ExternalOnly, AlwaysEncrypted];

#[rustfmt::skip]
const EXPECTED: [(Kind, [Link; 5]); 5] = [
    // client \ server             clear self trusted external always
    (Clear,                       [PL,   PL,  PL,     NO,      NO]),
    (SelfSigned,                  [PL,   EN,  EN,     NO,      EN]),
    (Trusted,                     [PL,   EN,  VE,     VE,      EN]),
    (ExternalOnly,                [NO,   NO,  VE,     VE,      NO]),
    (AlwaysEncrypted,             [NO,   EN,  EN,     NO,      EN]),
];

// rows: C14
#[test]
fn every_kind_of_server_meets_every_kind() {
    let network = Network::new();
    let dialing = KINDS.map(|kind| Node::start(&network, kind.setup("from")));
    let dialed = KINDS.map(|kind| Node::start(&network, kind.setup("to")));
    let mut senders = dialing.each_ref().map(Server::inbox);
    let mut receivers: [Component; 5] = dialed.each_ref().map(Server::inbox);
    for (sender, (kind, _)) in senders.iter_mut().zip(EXPECTED) {
        for receiver in &receivers {
            let id = format!("{kind:?} {}", receiver.name());
            sender.sends_message(receiver.name(), &id, "");
        }
    }
    for (at, (kind, row)) in EXPECTED.into_iter().enumerate() {
        for (receiver, expected) in receivers.iter_mut().zip(row) {
            let id = format!("{kind:?} {}", receiver.name());
            if expected == Link::Refused {
                let answer = senders[at].receives_id(&id);
                let text = answer.expect("error").expect("text").text();
                assert!(!text.is_empty(), "{answer}");
                continue;
            }
            receiver.receives_id(&id);
            let pair = format!("\"{} > {}\"", senders[at].name(), receiver.name());
            let line = eventually(&pair, || {
                let lines = dialing[at].process().lines();
                lines.into_iter().find(|line| line.contains(&pair) && line.contains("authenticated"))
            });
            let encrypted = line.contains("protocol=TLS");
            let link = match line.to_lowercase().contains("external") {
                true if encrypted => Link::Verified,
                true => panic!("EXTERNAL without TLS: {line}"),
                false if encrypted => Link::Unverified,
                false => Link::Unencrypted,
            };
            assert_eq!(link, expected, "{line}");
        }
    }
}

impl Kind {
    fn setup(self, side: &str) -> Setup {
        let setup = Setup::of(&format!("{self:?}.{side}.example").to_lowercase());
        match self {
            Clear => setup.certificate(Certificate::Missing).tls(Tls::Disabled).auth(Auth::Dialback),
            SelfSigned => setup.certificate(Certificate::SelfSigned).tls(Tls::Optional),
            Trusted => setup.tls(Tls::Optional),
            ExternalOnly => setup.auth(Auth::External),
            AlwaysEncrypted => setup.certificate(Certificate::SelfSigned),
        }
    }
}

//! The configuration of the node, and the TLS sessions of its peers.

use std::time::Duration;

use net::tls;
use xmpp::{
    Domain, acks,
    certificate::{Certificate, Name, TrustStore},
    dialback,
    policy::{Bounds, MalformedStanza, Mechanism, Pattern, Policy, Tls, UnknownRecipient},
};

use crate::{
    scenario::{OURS, bounds},
    settings::{self, Settings},
};

/// A TLS session in which the peer has shown a valid certificate for its domain.
pub(super) fn session(remote: &str) -> tls::Session {
    let certificate = Certificate {
        names: vec![Name::Dns(remote.to_owned())],
        problems: vec![None],
        constraints: vec![None],
        fingerprint: "1".to_owned(),
        issuer: "an authority".to_owned(),
        expires: "2036-01-01".to_owned(),
    };
    tls::Session {
        certificate: Some(certificate),
        peer_chain: None,
        expires: None,
        protocol: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        alpn: None,
        sni: None,
    }
}

/// The settings of a node that serves one domain, and denies some remote domains.
pub(in crate::scenario) fn settings(denied: &[&str]) -> Settings {
    let second = Duration::from_secs(1);
    let policy = Policy {
        tls: Tls::Required,
        auth: vec![Mechanism::External],
        strict_certificates: false,
        dialback_after_external: false,
        dialback_shortcut: false,
        trust: TrustStore(0),
        max_stanza: 100_000,
        max_stanza_unauthenticated: 10_000,
        idle_seconds: 0,
        secret: dialback::Secret::new("secret"),
        unknown_recipient: UnknownRecipient::Bounce,
        malformed_stanza: MalformedStanza::Bounce,
        acks: Some(acks::Offer { resume_for: Some(RESUME_TIMEOUT) }),
    };
    let remote = settings::Remote {
        policy,
        connect_timeout: 30 * second,
        handshake_timeout: 30 * second,
        attempt_timeout: 30 * second,
        idle_timeout: 3600 * second,
        keepalive: 300 * second,
        element_timeout: 60 * second,
        write_timeout: 120 * second,
        max_rate: None,
        address: None,
        direct_tls: false,
        acks: true,
        resume_timeout: RESUME_TIMEOUT,
        ack_timeout: 30 * second,
        repeat: settings::Repeat::Messages,
    };
    let limits = settings::Limits {
        max_connections: 1000,
        max_connections_unauthenticated: 1000,
        max_attempts_per_address: 1000,
        max_handshake: 65_536,
        components: settings::ComponentLimits { connections: 10, unproved_per_address: 10 },
        stream: Bounds::default(),
        verifications: settings::Verifications { at_once: 1, per_address: 1, waiting: 1 },
        dials: settings::Dials { at_once: 1, hanging: 1, per_address: 1, per_attempt: 1 },
        recording: settings::Recording { domains: 0, events: 0 },
        resumable: 20_000,
    };
    Settings {
        workers: 1,
        shutdown_timeout: 30 * second,
        log_mailboxes: None,
        listen: settings::Listen::default(),
        domains: vec![settings::LocalDomain { name: Domain::new(OURS).unwrap(), identity: None }],
        components: Vec::new(),
        trust: Vec::new(),
        remote,
        overrides: Vec::new(),
        allow: vec![Pattern::Any],
        deny: denied.iter().map(|name| Pattern::parse(name).unwrap()).collect(),
        max_connections_per_address: 1000,
        limits,
        promise: bounds(),
        journal: None,
        cluster: None,
        absence_bytes: 1 << 22,
        dns: settings::Dns { nameservers: Vec::new(), timeout: second },
        service: settings::Service::default(),
    }
}

/// How long a lost stream can be resumed.
pub(in crate::scenario) const RESUME_TIMEOUT: Duration = Duration::from_secs(120);

//! What is read from a valid configuration.

use xmpp::{
    dialback::{self, Secret},
    policy::{Mechanism, Policy, Tls},
};

use super::*;
use actors::settings::{HostPort, Trust};

#[test]
fn the_control_socket_is_beside_the_file_or_at_the_configured_path() {
    let path = |file: &str, listen: &str| {
        let toml = format!("[listen]\n{listen}\n[[domain]]\nname = \"localhost\"\n");
        let control = parse(Path::new(file), &toml).unwrap().settings.listen.control;
        control.map(|control| (control.path.display().to_string(), control.required))
    };
    let known = |path: &str, required| Some((path.to_owned(), required));
    assert_eq!(path("/srv/xmpp/node.toml", ""), known("/srv/xmpp/node.sock", false));
    assert_eq!(path("/srv/xmpp/node.toml", "control = \"node.sock\""), known("/srv/xmpp/node.sock", false));
    assert_eq!(path("/srv/xmpp/node.toml", "control = \"a/b.sock\""), known("/srv/xmpp/a/b.sock", true));
    assert_eq!(path("/etc/nuncio/nuncio.toml", ""), known("/run/nuncio/nuncio.sock", false));
    assert_eq!(path("/srv/xmpp/node.toml", "control = \"\""), None);
}

#[test]
fn the_example_of_the_interface_is_read_value_for_value() {
    let authority = Authority::new("authority").unwrap();
    let dir = Dir::new()
        .with_certificate(&authority, "example.org")
        .with("trust.pem", authority.own().to_pem().unwrap());
    let config = dir
        .load(
            r#"
log = "info"
log_mailboxes = "10s"
workers = 3
shutdown_timeout = "11s"

[listen]
s2s = ["0.0.0.0:5269", "[::]:5269"]
s2s_tls = ["127.0.0.1:5270"]
component = ["127.0.0.1:5347"]

[[domain]]
name = "Example.ORG"
certificate = "certs/example.org.crt"
key = "certs/example.org.key"

[[component]]
name = "echo.example.org"
secret = "change me"

[s2s]
tls = "required"
auth = ["external", "dialback"]
strict_certificates = false
trust = "system"
allow = ["*"]
deny = []
connect_timeout = "10s"
handshake_timeout = "30s"
attempt_timeout = "80s"
idle_timeout = "1h"
keepalive = "5m"
max_stanza = "512 KiB"
max_stanza_unauthenticated = "10 KiB"
max_connections_per_address = 64
dialback_secret = "s3cr3t"

[[remote]]
name = "b.example"
address = "127.0.0.2:5269"
direct_tls = false
trust = "trust.pem"
tls = "optional"
dialback_secret = "between us"

[[remote]]
name = "*.b.example"
trust = "trust.pem"
auth = ["dialback"]
idle_timeout = "90s"

[promise]
max_stanzas = 1000
max_bytes = "4 MiB"
total_bytes = "256 MiB"
backoff = ["1s", "5m"]

[dns]
nameservers = ["127.0.0.1:5353", "::1"]
timeout = "5s"

[contact]
abuse = ["mailto:abuse@example.org"]
"#,
        )
        .unwrap();

    let settings = &config.settings;
    assert_eq!(config.log, "info");
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(11));
    assert_eq!(settings.log_mailboxes, Some(Duration::from_secs(10)));
    assert_eq!(settings.listen.s2s.len(), 2);
    assert_eq!(settings.listen.s2s_tls, ["127.0.0.1:5270".parse().unwrap()]);
    assert_eq!(settings.domains[0].name, domain("example.org"));
    assert_eq!(settings.domains[0].identity.as_ref().unwrap().chain.len(), 2);
    assert_eq!(settings.components[0].secret, "change me");
    assert!(settings.served()[1].1.is_some(), "inherited from example.org");
    assert_eq!(settings.remote.policy.tls, Tls::Required);
    assert_eq!(settings.remote.attempt_timeout, Duration::from_secs(80));
    assert_eq!(settings.remote.policy.idle_seconds, 3600);
    assert_eq!(settings.remote.policy.max_stanza, 524_288);
    assert_eq!(key(&settings.remote.policy), key_from("s3cr3t"));
    assert!(
        matches!(settings.trust.as_slice(), [Trust::System, Trust::Authorities(list)] if list.len() == 1)
    );
    let (_, b) = &settings.overrides[0];
    assert_eq!(b.address, Some(HostPort { host: "127.0.0.2".to_owned(), port: 5269 }));
    assert_eq!((b.policy.tls, b.policy.trust.0, b.connect_timeout.as_secs()), (Tls::Optional, 1, 10));
    let (below, rest) = &settings.overrides[1];
    assert_eq!(*below, Pattern::Below(domain("b.example")));
    assert_eq!((rest.policy.tls, rest.policy.trust.0), (Tls::Required, 1));
    assert_eq!(rest.policy.auth, [Mechanism::Dialback]);
    assert_eq!((rest.idle_timeout.as_secs(), rest.policy.idle_seconds), (90, 90));
    assert_eq!((key(&b.policy), key(&rest.policy)), (key_from("between us"), key_from("s3cr3t")));
    assert_eq!(settings.dns.nameservers, ["127.0.0.1:5353".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    let abuse = ("abuse-addresses".to_owned(), vec!["mailto:abuse@example.org".to_owned()]);
    assert_eq!(settings.service.contact, [abuse]);
}

/// A key made from the secret, which itself cannot be read.
pub(super) fn key(policy: &Policy) -> String {
    dialback::key(&policy.secret, &domain("b.example"), &domain("a.example"), "1")
}

pub(super) fn key_from(secret: &str) -> String {
    dialback::key(&Secret::new(secret), &domain("b.example"), &domain("a.example"), "1")
}

#[test]
fn each_kind_of_stanza_has_its_own_timeout() {
    let served =
        "[[domain]]\nname = \"a.example\"\n[promise]\nmessage = \"2m\"\npresence = \"3s\"\niq = \"4s\"";
    let promise = Dir::new().load(served).expect("no problems").settings.promise;
    assert_eq!(promise.message, Duration::from_secs(120));
    assert_eq!((promise.presence, promise.iq), (Duration::from_secs(3), Duration::from_secs(4)));
}

#[test]
fn an_empty_dialback_secret_is_generated_at_each_start() {
    let dir = Dir::new();
    let secret = || {
        let config = dir.load("[[domain]]\nname = \"a.example\"\n[s2s]\ndialback_secret = \"\"\n").unwrap();
        key(&config.settings.remote.policy)
    };
    assert_ne!(secret(), secret());
}

#[test]
fn log_filters_are_those_of_env_logger() {
    for right in [
        "info",
        "warn,nuncio::dns=debug",
        "nuncio::outgoing",
        "off",
        "debug/b.example",
        "hickory_resolver=info",
    ] {
        assert!(log_filter(right).is_ok(), "{right}");
    }
    assert_eq!(
        log_filter("inof"),
        Err("\"inof\" is not one of off, error, warn, info, debug, trace".to_owned())
    );
    assert!(log_filter("nuncio::dns=verbose").is_err());
}

#[test]
fn limits_are_read_and_a_remote_may_have_its_own_rate() {
    let config = Dir::new()
        .load(
            "[[domain]]\nname = \"a.example\"\n[limits]\nmax_connections = 7\nmax_connections_unauthenticated = 6\nmax_depth = 9\n\
             max_component_connections = 5\nmax_handshake = \"30 KiB\"\nmax_components_unauthenticated_per_address = 3\n\
             max_verifications_waiting = 0\n[s2s]\nunknown_recipient = \"bounce\"\nmalformed_stanza = \"close\"\nmax_rate = \"1 MiB\"\n\
             [[remote]]\nname = \"b.example\"\nmax_rate = \"unlimited\"\nmalformed_stanza = \"bounce\"\nwrite_timeout = \"5s\"\n",
        )
        .unwrap();
    let Settings { limits, remote, overrides, .. } = &config.settings;
    assert_eq!(limits.max_connections_unauthenticated, 6);
    assert_eq!((limits.max_connections, limits.stream.depth, limits.verifications.waiting), (7, 9, 0));
    assert_eq!(limits.max_handshake, 30 << 10);
    assert_eq!((limits.components.connections, limits.components.unproved_per_address), (5, 3));
    assert_eq!(remote.policy.unknown_recipient, xmpp::policy::UnknownRecipient::Bounce);
    assert_eq!(remote.policy.malformed_stanza, xmpp::policy::MalformedStanza::Close);
    assert_eq!(overrides[0].1.policy.malformed_stanza, xmpp::policy::MalformedStanza::Bounce);
    assert_eq!((remote.max_rate, overrides[0].1.max_rate), (Some(1 << 20), None));
    assert_eq!(overrides[0].1.write_timeout, Duration::from_secs(5));
    assert_finds(
        "[limits]\nmax_depth = 2\n[s2s]\nmax_rate = \"fast\"\nmalformed_stanza = \"drop\"\n[[remote]]\nname = \"b.example\"\nmax_depth = 9",
        &[
            "n.toml:2: limits.max_depth: 2 is out of range: expected 8 or more",
            "n.toml:4: s2s.max_rate: \"fast\" is not a size: expected a number and a unit, for example \"256 KiB\" or \"4 MiB\"",
            "n.toml:5: s2s.malformed_stanza: \"drop\" is not one of \"bounce\", \"close\"",
            "n.toml:8: remote.max_depth: unknown key in [[remote]]; it belongs in [limits]",
        ],
    );
}

#[test]
fn a_component_may_have_a_limit_of_its_own() {
    let config = Dir::new()
        .load(
            "[[component]]\nname = \"a.example\"\nsecret = \"s\"\nmax_stanza = \"1 MiB\"\n\
             [[component]]\nname = \"b.example\"\nsecret = \"s\"\n",
        )
        .unwrap();
    let limits: Vec<_> = config.settings.components.iter().map(|component| component.max_stanza).collect();
    assert_eq!(limits, [Some(1 << 20), None]);
}

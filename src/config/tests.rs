//! Each kind of error in a configuration, with its line and its text.

mod absence;
mod acks;
mod component_sockets;
mod hints;
mod journal;
mod kinds;
mod names;
mod served;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use testkit::Authority;
use xmpp::{
    Domain,
    dialback::{self, Secret},
    policy::{Mechanism, Policy, Tls},
};

use super::*;
use actors::settings::{HostPort, Trust};

/// A directory with a configuration. It is removed when dropped.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("nuncio-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("certs")).unwrap();
        Self(path)
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.join(name), content).unwrap();
        self
    }

    /// Adds `certs/DOMAIN.crt` and `.key`.
    fn with_certificate(self, authority: &Authority, domain: &str) -> Self {
        let identity = authority.issue(&[domain]);
        let mut chain = identity.chain[0].to_pem().unwrap();
        chain.extend(authority.own().to_pem().unwrap());
        let key = identity.key.private_key_to_pem_pkcs8().unwrap();
        self.with(&format!("certs/{domain}.crt"), chain).with(&format!("certs/{domain}.key"), key)
    }

    fn load(&self, toml: &str) -> Result<Config, Vec<Finding>> {
        let file = self.0.join("n.toml");
        fs::write(&file, toml).unwrap();
        load(&file)
    }

    /// The findings as text, without the path of the directory.
    fn findings(&self, toml: &str) -> Vec<String> {
        let findings = match self.load(toml) {
            Ok(config) => config.warnings,
            Err(findings) => findings,
        };
        let dir = format!("{}/", self.0.display());
        findings.iter().map(|finding| finding.to_string().replace(&dir, "")).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

/// Asserts the findings of `toml`, which is followed by a valid domain.
#[track_caller]
fn assert_finds(toml: &str, expected: &[&str]) {
    let dir = Dir::new();
    // Another test asserts the warning that the domain has no certificate.
    let findings = dir.findings(&format!("{toml}\n[[domain]]\nname = \"a.example\"\n"));
    let findings: Vec<_> =
        findings.iter().filter(|finding| !finding.contains("no certificate and key")).collect();
    assert_eq!(findings, expected);
}

#[test]
fn the_shipped_file_loads_and_states_the_defaults() {
    let shipped = load(concat!(env!("CARGO_MANIFEST_DIR"), "/config/nuncio.toml").as_ref()).unwrap();
    let empty = Dir::new().load("[[domain]]\nname = \"localhost\"\n").unwrap();
    let plain = |config: &Config| {
        let mut settings = config.settings.clone();
        settings.remote.policy.secret = Secret::new("");
        // Its default depends on the path of the file.
        let control = settings.listen.control.take().unwrap();
        assert!(!control.required, "{control:?}");
        format!("{} {settings:?}", config.log)
    };
    assert_eq!(plain(&shipped), plain(&empty));
}

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
fn the_shipped_file_names_every_key() {
    let shipped = include_str!("../../config/nuncio.toml");
    let uncommented: String = shipped
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with("[[") || rest.contains(" = ") && !rest.contains("\", \"10m") => {
                rest
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let findings = Dir::new().findings(&uncommented);
    let unknown: Vec<_> = findings.iter().filter(|f| f.contains("unknown") || f.contains("TOML")).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_first_configuration_of_the_readme_has_no_problems() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = Dir::new().with_certificate(&Authority::new("authority").unwrap(), "example.org");
    // The authority of the tests puts one name into a certificate.
    let missing_name = "certificate of its domain is not for echo.example.org";
    let findings = dir.findings(example);
    assert!(findings.iter().all(|finding| finding.contains(missing_name)), "{findings:?}");
    assert!(dir.load(example).is_ok());
}

#[test]
fn the_first_configuration_of_the_readme_can_replace_the_domain_of_the_shipped_file() {
    let shipped = include_str!("../../config/nuncio.toml");
    let readme = include_str!("../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let domain = "[[domain]]\nname = \"localhost\"\n";
    assert_eq!(shipped.matches(domain).count(), 1);
    let dir = Dir::new().with_certificate(&Authority::new("authority").unwrap(), "example.org");
    let loaded = dir.load(&shipped.replace(domain, example)).unwrap();
    assert_eq!(loaded.settings.domains.len(), 1);
}

#[test]
fn the_listeners_for_components_in_the_documentation_are_valid() {
    let operation = include_str!("../../docs/operation.md");
    let examples: Vec<&str> = operation.split("```toml\n[listen]\n").skip(1).collect();
    assert_eq!(examples.len(), 2);
    let dir = Dir::new().with_certificate(&Authority::new("authority").unwrap(), "example.org");
    let domain = "[[domain]]\nname = \"example.org\"\ncertificate = \"certs/example.org.crt\"\nkey = \"certs/example.org.key\"\n";
    for example in examples {
        let example = example.split("```").next().unwrap();
        let findings = dir.findings(&format!("[listen]\n{example}{domain}"));
        assert!(findings.is_empty(), "{findings:?}");
    }
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
fn key(policy: &Policy) -> String {
    dialback::key(&policy.secret, &domain("b.example"), &domain("a.example"), "1")
}

fn key_from(secret: &str) -> String {
    dialback::key(&Secret::new(secret), &domain("b.example"), &domain("a.example"), "1")
}

#[test]
fn all_errors_are_found_at_once_in_the_order_of_the_file() {
    assert_finds(
        "workers = \"two\"\nlgo = \"info\"\n[s2s]\ntls = \"requird\"\nconnect_timeout = \"10\"\nmax_stanza = \"1 KiBi\"",
        &[
            "n.toml:1: workers: expected an integer without quotes, for example 64, got a string",
            "n.toml:2: lgo: unknown key or section; did you mean \"log\"?",
            "n.toml:4: s2s.tls: \"requird\" is not one of \"required\", \"optional\", \"disabled\"",
            "n.toml:5: s2s.connect_timeout: \"10\" is not a duration: expected a number and a unit, for example \"30s\", \"10m\" or \"1h\"",
            "n.toml:6: s2s.max_stanza: \"1 KiBi\" is not a size: expected a number and a unit, for example \"256 KiB\" or \"4 MiB\"",
        ],
    );
}

#[test]
fn an_unknown_key_names_its_section_and_the_nearest_known_key() {
    assert_finds(
        "[s2s]\nkeep_alive = \"5m\"",
        &["n.toml:2: s2s.keep_alive: unknown key in [s2s]; did you mean \"keepalive\"?"],
    );
    assert_finds(
        "[contact]\nbogus = \"x\"",
        &[
            "n.toml:2: contact.bogus: unknown key in [contact]; the known keys are \"abuse\", \"admin\", \"feedback\", \"sales\", \"security\", \"status\", \"support\"",
        ],
    );
    assert_finds("[promises]", &["n.toml:1: promises: unknown key or section; did you mean \"promise\"?"]);
}

#[test]
fn every_syntax_error_has_its_line() {
    let findings = Dir::new().findings("workers = \n[s2s]\ntls = required\n");
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("n.toml:1: not TOML: "), "{findings:?}");
    assert!(findings[1].starts_with("n.toml:3: not TOML: "), "{findings:?}");
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
fn a_value_of_the_wrong_type_is_reported_with_the_expected_type() {
    assert_finds(
        "[listen]\ns2s = \"0.0.0.0:5269\"\ncomponent = [5347]\n[s2s]\nstrict_certificates = \"yes\"\nmax_connections_per_address = 0",
        &[
            "n.toml:2: listen.s2s: expected a list of quoted strings, for example [\"0.0.0.0:5269\", \"[::]:5269\"], got a string",
            "n.toml:3: listen.component: expected a quoted string, for example \"127.0.0.1:5347\", got a number",
            "n.toml:5: s2s.strict_certificates: expected true or false without quotes, for example strict_certificates = true, \
             got a string",
            "n.toml:6: s2s.max_connections_per_address: 0 is out of range: expected 1 or more",
        ],
    );
    assert_finds("s2s = 1", &["n.toml:1: s2s: expected a section that begins with [s2s], got a number"]);
}

#[test]
fn each_wrong_entry_of_a_list_is_reported_with_its_own_line() {
    assert_finds(
        "[listen]\ns2s = [\n  \"localhost:5269\",\n  \"127.0.0.1:5269\",\n  \"127.0.0.1\",\n]",
        &[
            "n.toml:3: listen.s2s: \"localhost:5269\" is not an IP address with a port, for example \"0.0.0.0:5269\" or \"[::]:5269\"",
            "n.toml:5: listen.s2s: \"127.0.0.1\" is not an IP address with a port, for example \"0.0.0.0:5269\" or \"[::]:5269\"",
        ],
    );
}

#[test]
fn an_address_can_be_listened_on_once() {
    assert_finds(
        "[listen]\ns2s = [\"127.0.0.1:5269\"]\ns2s_tls = [\"127.0.0.1:5269\"]",
        &["n.toml:3: listen.s2s_tls: 127.0.0.1:5269 is listed twice: each address can be bound only once"],
    );
    assert_finds("[listen]\ns2s = [\"127.0.0.1:0\"]\ncomponent = [\"127.0.0.1:0\"]", &[]);
}

#[test]
fn a_metrics_listener_for_other_hosts_is_a_warning() {
    assert_finds(
        "[listen]\nmetrics = [\"127.0.0.1:9469\", \"0.0.0.0:9469\"]",
        &[
            "n.toml:2: warning: listen.metrics: 0.0.0.0:9469 is not a loopback address: every host that can connect can read the metrics",
        ],
    );
}

#[test]
fn values_that_conflict_are_refused() {
    assert_finds(
        "[s2s]\ntls = \"disabled\"\nauth = [\"external\"]",
        &[
            "n.toml:3: s2s.auth: \"external\" requires TLS, but tls = \"disabled\": add \"dialback\", or enable TLS",
        ],
    );
    assert_finds(
        "[s2s]\nauth = []",
        &[
            "n.toml:2: s2s.auth: is empty: no remote server could authenticate; add \"external\", \"dialback\" or both",
        ],
    );
    assert_finds(
        "[promise]\nbackoff = [\"5m\"]",
        &[
            "n.toml:2: promise.backoff: expected two durations, the first and the longest pause, for example [\"1s\", \"5m\"]",
        ],
    );
    assert_finds(
        "[promise]\nbackoff = [\"5m\", \"1s\"]",
        &[
            "n.toml:2: promise.backoff: the first pause is longer than the longest: the shorter one is first, for example [\"1s\", \"5m\"]",
        ],
    );
    assert_finds(
        "[promise]\nmax_bytes = \"1 GiB\"",
        &[
            "n.toml:2: promise.max_bytes: max_bytes is larger than total_bytes: raise total_bytes, or lower max_bytes",
        ],
    );
}

#[test]
fn an_attempt_shorter_than_a_handshake_is_a_warning() {
    assert_finds(
        "[s2s]\nattempt_timeout = \"20s\"\n[[remote]]\nname = \"b.example\"\nhandshake_timeout = \"25s\"",
        &[
            "n.toml:2: warning: s2s.attempt_timeout: is shorter than handshake_timeout, which then has no effect",
            "n.toml:5: warning: remote.handshake_timeout: is longer than attempt_timeout, so it has no effect",
        ],
    );
}

#[test]
fn a_stanza_limit_below_that_of_the_rfc_is_a_warning() {
    assert_finds(
        "[s2s]\nmax_stanza = \"4 KiB\"",
        &[
            "n.toml:2: warning: s2s.max_stanza: is below 10000 bytes, which other servers may rely on (RFC 6120 section 13.12)",
        ],
    );
}

#[test]
fn a_remote_section_refuses_keys_that_apply_to_all_domains() {
    assert_finds(
        "[[remote]]\nname = \"b.example\"\ndeny = []\ndirect_tls = true\n[[remote]]\nname = \"B.example\"\n\
         [[remote]]\nname = \"*\"\n[[remote]]\nname = \"a.example\"\naddress = \"10.0.0.1\"\n[[remote]]\n",
        &[
            "n.toml:3: remote.deny: is valid only in [s2s]: it applies to all domains",
            "n.toml:4: remote.direct_tls: requires \"address\"",
            "n.toml:6: remote.name: already defined on line 1",
            "n.toml:8: remote.name: \"*\" matches every domain: set defaults for all domains in [s2s]",
            "n.toml:10: remote.name: a.example is served by this node: remove this section",
            "n.toml:11: remote.address: \"10.0.0.1\" is not a host with a port, for example \"127.0.0.2:5269\" or \"xmpp.b.example:5269\"",
            "n.toml:12: remote.name: is missing: this key is required",
        ],
    );
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

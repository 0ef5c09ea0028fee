//! Each kind of error in a configuration, with its line and its text.

mod absence;
mod acks;
mod cluster;
mod component_sockets;
mod hints;
mod journal;
mod kinds;
mod names;
mod served;
mod shipped;
mod values;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use testkit::Authority;
use xmpp::Domain;

use super::*;

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

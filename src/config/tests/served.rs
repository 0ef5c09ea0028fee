//! Mistakes about domains and components, their secrets, keys and certificates.

use super::{Dir, assert_finds};
use testkit::Authority;

#[test]
fn a_component_needs_one_secret() {
    assert_finds(
        "[[component]]\nname = \"x.a.example\"\n[[component]]\nname = \"y.a.example\"\nsecret = \"\"\n\
         [[component]]\nname = \"z.a.example\"\nsecret = \"0123456789abcdef\"\nsecret_file = \"none\"",
        &[
            "n.toml:1: component.secret: is missing: a component proves itself with \"secret\" or \"secret_file\"",
            "n.toml:5: component.secret: is empty: anyone could connect as this component",
            "n.toml:9: component.secret_file: contradicts \"secret\": set one of the two",
            "n.toml:9: component.secret_file: there is no file none",
        ],
    );
}

#[test]
fn secrets_are_read_from_the_first_line_of_their_files() {
    let dir = Dir::new().with("secret", "from a file\n").with("dialback", "key\nmaterial\n");
    let config = dir
        .load(
            "[[domain]]\nname = \"a.example\"\n[[component]]\nname = \"a.example\"\nsecret_file = \"secret\"\n\
             [s2s]\ndialback_secret_file = \"dialback\"\n",
        )
        .unwrap();
    assert_eq!(config.settings.components[0].secret, "from a file");
    assert_eq!(super::key(&config.settings.remote.policy), super::key_from("key"));
}

#[test]
fn a_name_stands_once_among_domains_and_once_among_components() {
    let authority = Authority::new("authority").unwrap();
    let dir = Dir::new().with_certificate(&authority, "a.example");
    let identity = "certificate = \"certs/a.example.crt\"\nkey = \"certs/a.example.key\"\n";
    let one = format!("[[domain]]\nname = \"a.example\"\n{identity}");
    let component = "[[component]]\nname = \"a.example\"\nsecret = \"0123456789abcdef\"\n";
    assert_eq!(dir.findings(&format!("{one}{component}")), [""; 0]);
    assert_eq!(
        dir.findings(&format!("{one}{one}{component}{component}")),
        [
            "n.toml:6: domain.name: a.example is already defined on line 1",
            "n.toml:13: component.name: a.example is already defined on line 9"
        ]
    );
}

#[test]
fn a_node_that_would_serve_nothing_does_not_start() {
    let findings = Dir::new().findings("");
    assert_eq!(
        findings,
        ["n.toml:1: domain: nothing to serve: the file has no [[domain]] and no [[component]]"]
    );
}

#[test]
fn a_domain_without_certificate_is_a_warning() {
    assert_eq!(
        Dir::new().findings("\n[[domain]]\nname = \"a.example\"\n"),
        [
            "n.toml:2: warning: domain.certificate: a.example has no certificate and key: it offers no TLS to other \
          servers, and as [s2s] requires TLS no server can connect to it"
        ]
    );
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let dir = Dir::new().with("bad.pem", "hello");
    let findings = dir.findings(
        "[[domain]]\nname = \"a.example\"\ncertificate = \"none.pem\"\nkey = \"bad.pem\"\n\
         [[domain]]\nname = \"b.example\"\ncertificate = \"bad.pem\"\n[s2s]\ntrust = \"certs\"\n",
    );
    assert_eq!(
        findings,
        [
            "n.toml:3: domain.certificate: there is no file none.pem",
            "n.toml:4: domain.key: bad.pem holds no private key in PEM form",
            "n.toml:7: domain.certificate: bad.pem holds no certificate in PEM form",
            "n.toml:7: domain.certificate: needs its key: set \"key\" too",
            "n.toml:9: s2s.trust: certs is a directory",
        ]
    );
}

#[test]
fn a_key_has_to_fit_the_first_certificate() {
    let authority = Authority::new("authority").unwrap();
    let leaf = authority.issue(&["a.example"]);
    let mut upside_down = authority.own().to_pem().unwrap();
    upside_down.extend(leaf.chain[0].to_pem().unwrap());
    let key = leaf.key.private_key_to_pem_pkcs8().unwrap();
    let dir =
        Dir::new().with_certificate(&authority, "b.example").with("chain", upside_down).with("key", key);
    assert_eq!(
        dir.findings(
            "[[domain]]\nname = \"a.example\"\ncertificate = \"chain\"\nkey = \"key\"\n\
             [[domain]]\nname = \"b.example\"\ncertificate = \"certs/b.example.crt\"\nkey = \"key\"\n"
        ),
        [
            "n.toml:3: domain.certificate: the certificate of the key is number 2 in the file; it has to be the \
             first, and those of the authorities follow",
            "n.toml:8: domain.key: is not the key of the certificate",
        ]
    );
}

#[test]
fn a_locked_key_is_refused_without_asking_for_its_passphrase() {
    let authority = Authority::new("authority").unwrap();
    let leaf = authority.issue(&["a.example"]);
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let locked = leaf.key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
    let dir = Dir::new().with("crt", leaf.chain[0].to_pem().unwrap()).with("key", locked);
    assert_eq!(
        dir.findings("[[domain]]\nname = \"a.example\"\ncertificate = \"crt\"\nkey = \"key\"\n"),
        ["n.toml:4: domain.key: key is locked with a passphrase; a node that starts alone needs it unlocked"]
    );
}

#[test]
fn a_certificate_for_another_name_is_a_warning_also_when_inherited() {
    let authority = Authority::new("authority").unwrap();
    let dir = Dir::new().with_certificate(&authority, "a.example");
    let findings = dir.findings(
        "[[domain]]\nname = \"a.example\"\ncertificate = \"certs/a.example.crt\"\nkey = \"certs/a.example.key\"\n\
         [[component]]\nname = \"x.a.example\"\nsecret = \"0123456789abcdef\"\n",
    );
    assert_eq!(
        findings,
        [
            "n.toml:5: warning: component.certificate: the certificate of its domain is not for x.a.example: other \
          servers will not take it as proof"
        ]
    );
}

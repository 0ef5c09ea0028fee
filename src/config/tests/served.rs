//! Errors of domains and components, their secrets, keys and certificates.

use super::{Dir, assert_finds};
use testkit::Authority;

#[test]
fn a_component_needs_one_secret() {
    assert_finds(
        "[[component]]\nname = \"x.a.example\"\n[[component]]\nname = \"y.a.example\"\nsecret = \"\"\n\
         [[component]]\nname = \"z.a.example\"\nsecret = \"0123456789abcdef\"\nsecret_file = \"none\"",
        &[
            "n.toml:1: component.secret: is missing: set \"secret\" or \"secret_file\", with which the component authenticates",
            "n.toml:5: component.secret: is empty: anyone could connect as this component",
            "n.toml:9: component.secret_file: conflicts with \"secret\": set only one of them",
            "n.toml:9: component.secret_file: none does not exist",
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
    assert_eq!(super::values::key(&config.settings.remote.policy), super::values::key_from("key"));
}

#[test]
fn a_name_is_unique_among_domains_and_among_components() {
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
fn a_configuration_without_domain_and_component_is_refused() {
    let findings = Dir::new().findings("");
    assert_eq!(findings, ["n.toml:1: domain: nothing to serve: add a [[domain]] or a [[component]]"]);
}

#[test]
fn a_domain_without_certificate_is_a_warning() {
    assert_eq!(
        Dir::new().findings("\n[[domain]]\nname = \"a.example\"\n"),
        [
            "n.toml:2: warning: domain.certificate: no certificate and key: a.example cannot offer TLS to other \
          servers, and no server can connect, because of tls = \"required\" in [s2s]"
        ]
    );
}

#[test]
fn missing_files_and_files_without_pem_are_reported() {
    let dir = Dir::new().with("bad.pem", "hello");
    let findings = dir.findings(
        "[[domain]]\nname = \"a.example\"\ncertificate = \"none.pem\"\nkey = \"bad.pem\"\n\
         [[domain]]\nname = \"b.example\"\ncertificate = \"bad.pem\"\n[s2s]\ntrust = \"certs\"\n",
    );
    assert_eq!(
        findings,
        [
            "n.toml:3: domain.certificate: none.pem does not exist",
            "n.toml:4: domain.key: bad.pem contains no PEM private key",
            "n.toml:7: domain.certificate: bad.pem contains no PEM certificate",
            "n.toml:7: domain.certificate: requires \"key\", the file with its private key",
            "n.toml:9: s2s.trust: certs is a directory, not a file",
        ]
    );
}

#[test]
fn a_key_must_belong_to_the_first_certificate() {
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
            "n.toml:3: domain.certificate: the certificate for the key is number 2 in the file: put it first, and \
             the intermediate certificates after it",
            "n.toml:8: domain.key: does not belong to the certificate: their public keys differ",
        ]
    );
}

#[test]
fn an_encrypted_key_is_refused_without_asking_for_its_passphrase() {
    let authority = Authority::new("authority").unwrap();
    let leaf = authority.issue(&["a.example"]);
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let locked = leaf.key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
    let dir = Dir::new().with("crt", leaf.chain[0].to_pem().unwrap()).with("key", locked);
    assert_eq!(
        dir.findings("[[domain]]\nname = \"a.example\"\ncertificate = \"crt\"\nkey = \"key\"\n"),
        [
            "n.toml:4: domain.key: key is encrypted: remove its passphrase with `openssl pkey -in key -out NEW_FILE`"
        ]
    );
}

#[test]
fn an_inherited_certificate_for_another_name_is_a_warning() {
    let authority = Authority::new("authority").unwrap();
    let dir = Dir::new().with_certificate(&authority, "a.example");
    let findings = dir.findings(
        "[[domain]]\nname = \"a.example\"\ncertificate = \"certs/a.example.crt\"\nkey = \"certs/a.example.key\"\n\
         [[component]]\nname = \"x.a.example\"\nsecret = \"0123456789abcdef\"\n",
    );
    assert_eq!(
        findings,
        [
            "n.toml:5: warning: component.certificate: the certificate of its domain is not for x.a.example; other \
          servers will refuse it: replace it, then reload the node"
        ]
    );
}

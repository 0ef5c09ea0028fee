//! `nuncio check`: certificates and keys.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{DAY, Desk, check};
use crate::support::{Certificate, Network, Node, Setup};

#[test]
fn certificates_and_keys_are_checked_against_their_domains() {
    let desk = Desk::new();
    let authority = &desk.network.authority;
    desk.put("fine", &authority.issue(&["fine.example"]));
    desk.put("other", &authority.issue(&["b.example", "c.example"]));
    desk.put("old", &authority.certificate(&["old.example"]).expired().issue());
    desk.put("soon", &authority.certificate(&["soon.example"]).expires_in(10 * DAY).issue());
    let open = desk.put("open", &authority.issue(&["open.example"]));
    fs::set_permissions(open, fs::Permissions::from_mode(0o644)).unwrap();
    let domain = |name: &str, key: &str| {
        format!("[[domain]]\nname = \"{name}.example\"\ncertificate = \"{name}.crt\"\nkey = \"{key}.key\"\n")
    };
    let text = ["fine", "other", "old", "soon", "open"].map(|name| domain(name, name)).concat();
    let text = format!("{text}{}", domain("fine", "old").replace("fine.example", "mixed.example"));
    let screen = desk.fails(&text, &["--offline"]);
    let date = |name: &str| desk.date_of(name);
    assert_eq!(
        screen,
        format!(
            r#"the node cannot start with n.toml: 3 errors, 2 warnings

error: domain.certificate: is for b.example, c.example, not for other.example
 --> n.toml:7:1
  |
7 | certificate = "other.crt"
  | ^^^^^^^^^^^
  |
  = help: other servers will refuse it: replace it, then reload the node

error: domain.certificate: expired on {old}
  --> n.toml:11:1
   |
11 | certificate = "old.crt"
   | ^^^^^^^^^^^
   |
   = help: other servers will refuse it: replace it, then reload the node

error: domain.key: does not belong to the certificate: their public keys differ
  --> n.toml:24:1
   |
24 | key = "old.key"
   | ^^^

warning: domain.certificate: expires on {soon}
  --> n.toml:15:1
   |
15 | certificate = "soon.crt"
   | ^^^^^^^^^^^
   |
   = help: renew it, then reload the node

warning: domain.key: every user of this machine can read open.key
  --> n.toml:20:7
   |
20 | key = "open.key"
   |       ^^^^^^^^^^
   |
   = help: run `chmod o-rwx open.key`
"#,
            old = date("old"),
            soon = date("soon"),
        )
    );
}

#[test]
fn a_path_that_is_empty_names_no_secret_that_others_can_read() {
    let desk = Desk::new();
    fs::set_permissions(&desk.directory, fs::Permissions::from_mode(0o755)).unwrap();
    let text = |key_file: &str| {
        format!("[journal]\npath = \"w.redb\"\nkey_file = \"{key_file}\"\n[[domain]]\nname = \"localhost\"\n")
    };
    let screen = desk.passes(&text(""), &["--offline"]);
    assert!(!screen.contains("every user of this machine"), "{screen}");
    let key = desk.directory.join("journal.key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let screen = desk.passes(&text("journal.key"), &["--offline"]);
    assert!(screen.contains("warning: journal.key_file: every user of this machine can read"), "{screen}");
}

#[test]
fn a_certificate_that_others_refuse_fails_the_check_and_not_the_node() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").certificate(Certificate::Expired));
    let output = check(&network.directory("nuncio.example"), "nuncio.toml", &["--offline"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    node.eventually_logs(&["WARN", "domain.certificate: expired on"]);
    // So a reload that installs the new certificate succeeds, and one with a mistake fails.
    let output = check(&network.directory("nuncio.example"), "nuncio.toml", &["--offline", "--startable"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let desk = Desk::new();
    desk.fails("[[domain]]\nname = \"a.example\"\nkeey = \"a.key\"\n", &["--offline", "--startable"]);
}

#[test]
fn the_files_of_each_name_are_listed_for_scripts() {
    let desk = Desk::new();
    desk.put("both", &desk.network.authority.issue(&["one.example", "*.two.example"]));
    let domain = |name: &str| {
        format!("[[domain]]\nname = \"{name}.example\"\ncertificate = \"{name}.crt\"\nkey = \"{name}.key\"\n")
    };
    let component = "[[component]]\nname = \"a.two.example\"\ncertificate = \"a.crt\"\nkey = \"a.key\"\n";
    let text = format!("{}{component}[[domain]]\nname = \"bare.example\"\n", domain("one"));
    let here = desk.directory.canonicalize().unwrap();
    let line = |name: &str, files: &str| {
        let [certificate, key] = ["crt", "key"].map(|ending| here.join(format!("{files}.{ending}")));
        format!("{name}\t{}\t{}\n", certificate.display(), key.display())
    };
    let (one, two) = (line("one.example", "one"), line("a.two.example", "a"));
    assert_eq!(desk.passes(&text, &["--certificates"]), format!("{one}bare.example\t-\t-\n{two}"));
    assert_eq!(desk.passes(&text, &["--certificates", "both.crt"]), format!("{one}{two}"));
    assert_eq!(desk.fails(&text, &["--certificates", "none.crt"]), "");
}

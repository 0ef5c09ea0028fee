//! The keys of `[listen]` about components.

use std::path::Path;

use super::{Dir, Examined, assert_finds, domain, parse};
use actors::settings::{Listen, Permissions};
use testkit::Authority;

/// The keys in a file.
fn read(keys: &str) -> Listen {
    let toml = format!("[listen]\n{keys}\n[[domain]]\nname = \"localhost\"\n");
    parse(Path::new("/etc/nuncio/nuncio.toml"), &toml).unwrap().settings.listen
}

/// The findings, without the one that the domain has no certificate.
fn found(keys: &str) -> Vec<String> {
    let toml = format!("[listen]\n{keys}\n[[domain]]\nname = \"localhost\"\n");
    let examined = Examined::of(Path::new("n.toml"), &toml);
    let findings = examined.source.findings().into_iter().map(|finding| finding.to_string());
    findings.filter(|finding| !finding.contains("no certificate and key")).collect()
}

#[test]
fn components_connect_at_a_port_of_this_machine_by_default() {
    let listen = read("");
    assert_eq!(listen.component.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:5347"]);
    assert_eq!(listen.component_permissions, Permissions { mode: 0o660, group: None });
    assert!(listen.component_tls.is_empty() && listen.component_allow.is_none());
}

#[test]
fn sockets_ports_tls_and_a_list_can_be_used_together() {
    let listen = read(
        "component = [\"127.0.0.1:5347\", \"unix:/run/nuncio/component.sock\", \"unix:beside.sock\"]\n\
         component_socket_mode = \"0666\"\ncomponent_socket_group = \"4711\"\n\
         component_tls = [\"192.0.2.1:5348\"]\ncomponent_allow = [\"192.0.2.7\", \"2001:db8::/32\"]",
    );
    let shown: Vec<_> = listen.component.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.1:5347", "unix:/run/nuncio/component.sock", "unix:/etc/nuncio/beside.sock"]);
    assert_eq!(listen.component_permissions, Permissions { mode: 0o666, group: Some(4711) });
    assert_eq!(listen.component_tls, ["192.0.2.1:5348".parse().unwrap()]);
    let allow = listen.component_allow.unwrap();
    let permits = |ip: &str| allow.iter().any(|network| network.contains(ip.parse().unwrap()));
    assert!(permits("192.0.2.7") && permits("2001:db8::1") && !permits("192.0.2.8"));
    assert_eq!(read("component_allow = []").component_allow.map(|allow| allow.len()), Some(0));
}

#[test]
fn each_wrong_value_is_a_problem_with_its_line() {
    assert_finds(
        "[listen]\ncomponent = [\"unix:\", \"unix.sock\", 5347]\ncomponent_tls = [\"unix:/run/c.sock\"]\n\
         component_socket_mode = \"rw-rw----\"\ncomponent_socket_group = \"no such group\"\n\
         component_allow = [\"192.0.2.1/24\", \"host.example\"]",
        &[
            "n.toml:2: listen.component: \"unix:\" has to be followed by a path, for example \"unix:/run/nuncio/component.sock\"",
            "n.toml:2: listen.component: \"unix.sock\" is not an IP address with a port, for example \"127.0.0.1:5347\", and not \"unix:\" with a path, for example \"unix:/run/nuncio/component.sock\"",
            "n.toml:2: listen.component: expected a quoted string, for example \"127.0.0.1:5347\", got a number",
            "n.toml:3: listen.component_tls: \"unix:/run/c.sock\" is not an IP address with a port, for example \"0.0.0.0:5269\" or \"[::]:5269\"",
            "n.toml:4: listen.component_socket_mode: \"rw-rw----\" is not a file mode: expected three octal digits, for example \"0660\" or \"0666\"",
            "n.toml:5: listen.component_socket_group: \"no such group\" is not a group in /etc/group: create it (`groupadd no such group`), or give its number",
            "n.toml:6: listen.component_allow: \"192.0.2.1/24\": it has bits after the prefix: use \"192.0.2.0/24\" for the network, or the address alone",
            "n.toml:6: listen.component_allow: \"host.example\": it is not an IP address or a network, for example \"192.0.2.7\" or \"192.0.2.0/24\"",
        ],
    );
}

#[test]
fn a_path_is_for_one_socket() {
    let twice = found("component = [\"unix:a.sock\", \"unix:./b.sock\", \"unix:a.sock\"]");
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(twice[0].starts_with("n.toml:2: listen.component: unix:a.sock is listed twice"), "{twice:?}");
    let control = found("component = [\"unix:n.sock\"]");
    assert!(
        control[0].starts_with("n.toml:2: listen.component: unix:n.sock is the control socket"),
        "{control:?}"
    );
    let tls = found("component = [\"127.0.0.1:5347\"]\ncomponent_tls = [\"127.0.0.1:5347\"]");
    assert!(tls[0].starts_with("n.toml:3: listen.component_tls: 127.0.0.1:5347 is listed twice"), "{tls:?}");
}

#[test]
fn clear_text_on_the_network_and_tls_for_everybody_are_warnings() {
    let clear = found("component = [\"unix:c.sock\", \"192.0.2.1:5347\"]\ncomponent_allow = [\"192.0.2.7\"]");
    assert_eq!(clear.len(), 1, "{clear:?}");
    for part in
        ["n.toml:2: warning: listen.component: 192.0.2.1:5347 is not a loopback", "component_tls", "\"unix:"]
    {
        assert!(clear[0].contains(part), "{clear:?}");
    }
    let is_warned = |keys: &str| {
        let found = found(keys);
        found
            .iter()
            .any(|said| said.contains("warning: listen.component_tls: every host that can connect to "))
    };
    assert!(is_warned("component_tls = [\"0.0.0.0:5348\"]"));
    assert!(!is_warned("component_tls = [\"0.0.0.0:5348\"]\ncomponent_allow = [\"192.0.2.7\"]"));
    assert!(!is_warned("component_tls = [\"127.0.0.1:5348\"]"));
}

#[test]
fn tls_needs_a_certificate() {
    let told =
        |findings: &[String]| findings.iter().any(|said| said.contains("no component can connect with TLS"));
    assert!(told(&found("component_tls = [\"127.0.0.1:5348\"]")));
    let authority = Authority::new("authority").unwrap();
    let dir = Dir::new().with_certificate(&authority, "a.example");
    let findings = dir.findings(&format!(
        "[listen]\ncomponent = []\ncomponent_tls = [\"127.0.0.1:5348\"]\n[[domain]]\nname = \"{}\"\n\
         certificate = \"certs/a.example.crt\"\nkey = \"certs/a.example.key\"\n\
         [[component]]\nname = \"x.a.example\"\nsecret = \"0123456789abcdef\"\n",
        domain("a.example")
    ));
    assert!(
        !told(&findings) && !findings.iter().any(|said| said.contains("listen.component is empty")),
        "{findings:?}"
    );
}

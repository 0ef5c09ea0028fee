//! The names of a component, wildcards among them, and its rules for addresses.

use super::{Dir, assert_finds};
use actors::settings::{Rate, Settings};
use testkit::Authority;
use xmpp::stanza::Denial;

/// A configuration with a component that has these keys.
fn with(keys: &str) -> String {
    format!("[[component]]\nsecret = \"0123456789abcdef\"\n{keys}\n")
}

/// The settings of a component with these keys below `a.example`, and the warnings.
fn settings(dir: &Dir, keys: &str) -> (Settings, Vec<String>) {
    let text = format!(
        "[[domain]]\nname = \"a.example\"\ncertificate = \"certs/*.a.example.crt\"\nkey = \"certs/*.a.example.key\"\n{}",
        with(keys)
    );
    let config = dir.load(&text).unwrap_or_else(|findings| panic!("{findings:?}"));
    // The certificate of the domain is for the names below it only.
    let warnings = config.warnings.iter().map(ToString::to_string).filter(|text| text.contains("component."));
    let warnings = warnings.collect();
    (config.settings, warnings)
}

fn dir() -> Dir {
    Dir::new().with_certificate(&Authority::new("authority").unwrap(), "*.a.example")
}

fn names(settings: &Settings) -> Vec<&str> {
    settings.components[0].names.iter().map(|name| name.as_str()).collect()
}

#[test]
fn the_first_name_is_that_of_the_component() {
    for (keys, expected) in [
        ("name = \"x.a.example\"", &["x.a.example"][..]),
        (
            "name = \"x.a.example\"\nnames = [\"y.a.example\", \"x.a.example\"]",
            &["x.a.example", "y.a.example"],
        ),
        ("names = [\"*.a.example\", \"a.example\"]", &["*.a.example", "a.example"]),
        ("name = \"*.A.example\"", &["*.a.example"]),
    ] {
        let (settings, warnings) = settings(&dir(), keys);
        assert_eq!(names(&settings), expected);
        assert_eq!(settings.components[0].name.as_str(), expected[0]);
        assert_eq!(
            warnings.len(),
            expected.iter().filter(|name| **name == "a.example").count(),
            "{warnings:?}"
        );
    }
}

#[test]
fn wrong_names_are_reported() {
    assert_finds(
        &with(""),
        &["n.toml:1: component.name: is missing: set \"name\", or \"names\" with all names of the component"],
    );
    assert_finds(&with("names = []"), &["n.toml:3: component.names: is empty: the component has no name"]);
    assert_finds(
        &with("names = [\"x.a.example\", \"*\", \"*.192.0.2.7\", \"x.a.example\", \"*.a b\"]"),
        &[
            "n.toml:3: component.names: \"*\" would be every domain: name the domain above them, \"*.example.org\"",
            "n.toml:3: component.names: \"*.192.0.2.7\": there are no domains below an IP address",
            "n.toml:3: component.names: \"a b\" is not a domain name: the domainpart may not contain U+0020",
            "n.toml:3: component.names: contains x.a.example twice",
        ],
    );
    assert_finds(
        &(with("name = \"x.a.example\"\nnames = [\"*.a.example\"]") + &with("names = [\"*.a.example\"]")),
        &["n.toml:7: component.names: *.a.example is already defined on line 1"],
    );
}

#[test]
fn a_wildcard_for_a_whole_registry_is_a_warning() {
    let findings = Dir::new().findings(&with("names = [\"*.org\", \"*.localhost\", \"*.a.example\"]"));
    let warned = findings.iter().filter(|finding| finding.contains("takes every domain below"));
    assert_eq!(warned.count(), 1, "{findings:#?}");
    assert!(
        findings.iter().any(|finding| finding.contains("component.names: *.org takes every")),
        "{findings:#?}"
    );
}

#[test]
fn each_name_has_the_certificate_of_the_nearest_domain() {
    let authority = Authority::new("authority").unwrap();
    let dir = dir().with_certificate(&authority, "rooms.a.example");
    let rooms = "[[domain]]\nname = \"rooms.a.example\"\ncertificate = \"certs/rooms.a.example.crt\"\n\
                 key = \"certs/rooms.a.example.key\"\n";
    let (settings, warnings) = settings(&dir, &format!("names = [\"*.a.example\", \"b.example\"]\n{rooms}"));
    assert!(
        warnings[0]
            .contains("no certificate and key, and not below a [[domain]]: b.example cannot offer TLS"),
        "{warnings:?}"
    );
    let served = settings.served();
    let leaf = |name: &str| {
        let entry = served.iter().rfind(|(known, _)| known.as_str() == name);
        entry.expect(name).1.map(|identity| identity.chain[0].to_der().unwrap())
    };
    assert_eq!(leaf("*.a.example"), leaf("a.example"));
    assert_eq!(leaf("*.rooms.a.example"), leaf("rooms.a.example"));
    assert_ne!(leaf("*.rooms.a.example"), leaf("a.example"));
    assert_eq!(leaf("b.example"), None);
}

#[test]
fn a_certificate_without_the_wildcard_is_a_warning() {
    let dir = Dir::new().with_certificate(&Authority::new("authority").unwrap(), "a.example");
    let domain = "[[domain]]\nname = \"a.example\"\ncertificate = \"certs/a.example.crt\"\nkey = \"certs/a.example.key\"\n";
    assert_eq!(
        dir.findings(&format!("{domain}{}", with("name = \"*.a.example\""))),
        [
            "n.toml:5: warning: component.certificate: the certificate of its domain is not for *.a.example; other servers \
             will refuse it for every name below that the certificate does not list: use one with this name, which covers \
             one label"
        ]
    );
}

#[test]
fn addresses_come_from_lists_and_files() {
    let dir = dir().with("friends", "# friends\nu@b.example # one\n\n*.c.example\r\n").with("enemies", "");
    let keys = "name = \"x.a.example\"\nallow = [\"d.example\"]\nallow_file = \"friends\"\ndeny_file = \"enemies\"\n\
                deny_error = \"forbidden\"\nmax_rate = 50\nhidden = true";
    let (settings, warnings) = settings(&dir, keys);
    assert!(warnings.is_empty(), "{warnings:?}");
    let component = &settings.components[0];
    let access = component.access.as_ref().unwrap();
    let mut expected = xmpp::policy::Addresses::default();
    for address in ["d.example", "u@b.example", "*.c.example"] {
        expected.add(address).unwrap();
    }
    assert_eq!((&access.allow, access.deny.is_empty(), access.denial), (&expected, true, Denial::Forbidden));
    assert_eq!((component.max_rate, component.hidden), (Some(Rate::Stanzas(50)), true));
}

#[test]
fn a_device_or_a_pipe_is_refused_and_not_read() {
    let keys = "name = \"x.a.example\"\ndeny_file = \"/dev/zero\"\n[[component]]\nname = \"y.a.example\"\n\
                secret_file = \"/dev/zero\"";
    let findings = Dir::new().findings(&with(keys));
    for key in ["component.deny_file", "component.secret_file"] {
        let expected = format!("{key}: cannot read /dev/zero: it is not a regular file");
        assert!(findings.iter().any(|finding| finding.contains(&expected)), "{expected}: {findings:#?}");
    }
}

#[test]
fn a_rate_counts_stanzas_or_bytes() {
    for (rate, expected) in
        [("5", Some(Rate::Stanzas(5))), ("\"2 KiB\"", Some(Rate::Bytes(2048))), ("\"unlimited\"", None)]
    {
        let (settings, _) = settings(&dir(), &format!("name = \"x.a.example\"\nmax_rate = {rate}"));
        assert_eq!(settings.components[0].max_rate, expected);
    }
}

#[test]
fn wrong_rules_are_reported() {
    let dir =
        Dir::new().with("list", "good.example\nb c@d.example\n").with("large", vec![b'#'; (4 << 20) + 1]);
    let keys = "name = \"x.a.example\"\nallow = [\"a b@c\"]\nallow_file = \"list\"\ndeny = [\"*\"]\ndeny_file = \"large\"\n\
                deny_error = \"gone\"\nmax_rate = 0\ntitle = \"a\\u0007\"";
    let findings = dir.findings(&with(keys));
    for expected in [
        "component.allow: \"a b@c\" is not an address, for example \"example.net\", \"*.example.net\" or \
         \"user@example.net\": the localpart may not contain U+0020",
        "component.allow_file: list: line 2: \"b c@d.example\" is not an address",
        "component.deny: \"*\" denies every address: no server can exchange stanzas with the component",
        "component.deny_file: large has more than 4 MiB: list domains",
        "component.deny_error: \"gone\" is not one of \"not-allowed\", \"policy-violation\", \"forbidden\", \
         \"service-unavailable\"",
        "component.max_rate: 0 is out of range: expected 1 or more",
        "component.title: must not have control characters",
    ] {
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{expected}: {findings:#?}");
    }
    let findings = Dir::new().findings(&with(
        "name = \"x.a.example\"\nallow = []\n[[component]]\nname = \"y.a.example\"\nsecret = \"0123456789abcdef\"\n\
         deny_error = \"forbidden\"\nhidden = true\ntitle = \"Y\"",
    ));
    for expected in [
        "component.allow: is empty: no server can exchange stanzas with the component",
        "component.deny_error: has no effect without \"allow\", \"deny\" or a file of them",
        "component.title: has no effect: hidden = true keeps the component out of the list",
    ] {
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{expected}: {findings:#?}");
    }
}

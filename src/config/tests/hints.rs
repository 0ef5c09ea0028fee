//! Common errors, and the correction that is suggested for each.

use std::path::Path;

use crate::config::{
    Examined,
    section::{
        REPEATABLE,
        synonyms::{NEEDLESS, SYNONYMS, Synonym},
    },
};

#[test]
fn the_wrong_number_of_brackets_is_reported() {
    for (key, plural) in [("domain", "domains"), ("component", "components"), ("remote", "remotes")] {
        let found = found_in(&format!("[{key}]\nname = \"a.example\"\n"));
        let expected =
            format!("n.toml:1: {key}: use [[{key}]] (two brackets): there can be several {plural}");
        assert!(found.contains(&expected), "{found:?}");
        let found = found_in(&format!("[{key}]\nname = \"a.example\"\n[{key}]\nname = \"b.example\"\n"));
        assert!(
            found.iter().any(|said| said.contains(&format!("use [[{key}]] (two brackets)"))),
            "{found:?}"
        );
    }
    for key in ["listen", "s2s", "promise", "absence", "limits", "dns", "contact"] {
        let found = found_in(&format!("[[{key}]]\n"));
        let expected =
            format!("n.toml:1: {key}: use [{key}] (single brackets): this section cannot be repeated");
        assert!(found.contains(&expected), "{found:?}");
    }
}

#[test]
fn a_value_without_unit_gets_an_example_with_a_unit() {
    for (text, example) in [
        (
            "[s2s]\nmax_stanza = 524288\n",
            "a quoted string with a unit, for example \"512 KiB\", got a number",
        ),
        (
            "[promise]\ntotal_bytes = 0\n",
            "a quoted string with a unit, for example \"256 MiB\", got a number",
        ),
        ("[s2s]\nmax_rate = 1000\n", "a quoted string with a unit, for example \"64 KiB\", got a number"),
        ("[s2s]\nkeepalive = 300\n", "a quoted string with a unit, for example \"30s\", got a number"),
        ("[dns]\ntimeout = 2.5\n", "for example \"30s\", got a number with a fraction"),
        ("[promise]\nbackoff = [1, 300]\n", "a quoted string with a unit, for example \"1s\", got a number"),
        ("log = 3\n", "log: expected a quoted string, for example \"info\", got a number"),
    ] {
        let found = found_in(text);
        assert!(found.iter().any(|said| said.contains(example)), "{example} in {found:?}");
    }
}

#[test]
fn keys_of_other_servers_get_a_hint_with_the_right_key() {
    for (text, meant) in [
        ("[[component]]\nname = \"a.example\"\npassword = \"hush\"\n", "did you mean \"secret\"?"),
        ("[[component]]\njid = \"a.example\"\n", "did you mean \"name\"?"),
        ("[[domain]]\ncert = \"x\"\n", "did you mean \"certificate\"?"),
        ("[listen]\nprometheus = \"x\"\n", "did you mean \"metrics\", for example "),
        ("domains = [\"a.example\"]\n", "did you mean [[domain]]?"),
        ("[s2s]\nblacklist = []\n", "did you mean \"deny\"?"),
        ("[[component]]\nPassword = \"hush\"\n", "did you mean \"secret\"?"),
        (
            "[[component]]\nport = 5347\n",
            "did you mean \"component\" in [listen], for example [\"127.0.0.1:5347\"]?",
        ),
        ("component_secret = \"hush\"\n", "did you mean \"secret\" in [[component]]?"),
        ("hosts = [\"a.example\"]\n", "did you mean \"name\" in [[domain]]?"),
        ("s2s_require_encryption = true\n", "did you mean \"tls\" in [s2s], for example \"required\"?"),
        ("[s2s]\ncertfile = \"x\"\n", "did you mean \"certificate\" in [[domain]]?"),
        ("[s2s]\nkeep = \"1h\"\n", "it belongs in [[component]]"),
        ("[s2s]\nDialback-Secret = \"x\"\n", "did you mean \"dialback_secret\"?"),
    ] {
        let found = found_in(text);
        assert!(found.iter().any(|said| said.contains(meant)), "{meant} in {found:?}");
    }
}

#[test]
fn keys_of_component_configurations_get_a_hint_with_the_right_key() {
    let listener = "did you mean \"component\" in [listen], for example [\"127.0.0.1:5347\"]?";
    let tls = "did you mean \"component_tls\" in [listen], for example [\"192.0.2.1:5348\"]?";
    let (name, secret) = ("did you mean \"name\"?", "did you mean \"secret\"?");
    for (line, meant) in [
        // slidge and spectrum2: jid, secret or password, server, port.
        ("jid = \"wa.example.org\"", name),
        ("server = \"127.0.0.1\"", listener),
        ("port = 5347", listener),
        ("password = \"hush\"", secret),
        ("protocol = \"irc\"", "remove it: a [[component]] is an external component (XEP-0114)"),
        // biboumi.
        ("hostname = \"irc.example.org\"", name),
        ("xmpp_server_ip = \"127.0.0.1\"", listener),
        // Prosody.
        ("component_secret = \"hush\"", secret),
        ("component_interface = \"127.0.0.1\"", listener),
        ("component_ports = [5347]", listener),
        ("component_conflict_resolve = \"kick_old\"", "did you mean \"conflict\", for example \"replace\"?"),
        ("disco_hidden = true", "did you mean \"hidden\"?"),
        ("validate_from_addresses = false", "remove it: a component sends from its own names only"),
        ("module = \"muc\"", "remove it: a [[component]] is an external component (XEP-0114)"),
        // ejabberd.
        ("hosts = [\"irc.example.org\"]", "did you mean \"names\", for example "),
        ("ip = \"::1\"", listener),
        ("interface = \"lo\"", listener),
        ("check_from = false", "remove it: a component sends from its own names only"),
        ("shaper_rule = \"fast\"", "did you mean \"max_rate\", for example \"64 KiB\"?"),
        ("access = \"all\"", "did you mean \"allow\", for example [\"example.net\"]?"),
        // Libraries, and guesses.
        ("domain = \"bot.example.org\"", name),
        ("service = \"xmpp://localhost:5347\"", listener),
        ("listen = [\"127.0.0.1:5347\"]", listener),
        ("passwd = \"hush\"", secret),
        ("shared_secret = \"hush\"", secret),
        ("Component-Host = \"bot.example.org\"", name),
        ("tls = true", tls),
        ("username = \"bot\"", "remove it: a component authenticates with its name"),
        // The name of the component, or the machine of the server.
        ("host = \"bot.example.org\"", name),
        ("host = \"127.0.0.1\"", listener),
        ("host = \"localhost\"", listener),
        ("host = \"localhost:5347\"", listener),
        ("hostname = \"[::1]:5347\"", listener),
        ("component_host = \"::1\"", listener),
    ] {
        let found = found_in(&format!("[[component]]\n{line}\n"));
        let unknown: Vec<_> = found.iter().filter(|said| said.contains("unknown key")).collect();
        assert!(unknown.len() == 1 && unknown[0].contains(meant), "{line}: {meant} in {found:?}");
    }
    let found = found_in("[[component]]\nhost = \"127.0.0.1\"\nsecret = \"0123456789abcdef\"\n");
    assert!(found.iter().any(|said| said.contains("component.name: is missing")), "{found:?}");
}

#[test]
fn every_key_that_a_hint_names_exists() {
    for Synonym { used_in, words, section, key, .. } in SYNONYMS {
        let header = |section: &str| match section {
            "" => String::new(),
            section if REPEATABLE.contains(&section) => format!("[[{section}]]\n"),
            section => format!("[{section}]\n"),
        };
        let right =
            if key.is_empty() { header(section) } else { format!("{}{key} = {{}}\n", header(section)) };
        let found = found_in(&right);
        assert!(!found.iter().any(|said| said.contains("unknown key")), "{right}: {found:?}");
        for word in *words {
            let found = found_in(&format!("{}{word} = {{}}\n", header(used_in)));
            let is_hint = |said: &String| said.contains("unknown key") && said.contains("did you mean ");
            assert!(found.iter().any(is_hint), "{word} in [{used_in}] is a key, or has no hint: {found:?}");
        }
    }
}

#[test]
fn no_section_has_a_key_that_is_said_to_be_needless() {
    for (section, words, reason) in NEEDLESS {
        for word in *words {
            let found = found_in(&format!("[[{section}]]\n{word} = {{}}\n"));
            let expected = format!("unknown key in [[{section}]]; remove it: {reason}");
            assert!(found.iter().any(|said| said.contains(&expected)), "{word}: {found:?}");
        }
    }
}

#[test]
fn a_required_key_under_another_name_is_one_problem() {
    let problems = |text: &str| {
        let found = found_in(text);
        found.into_iter().filter(|said| !said.contains("warning")).collect::<Vec<_>>()
    };
    let found = problems("[[component]]\njid = \"a.example\"\npassword = \"0123456789abcdef\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    let found = problems("[[component]]\nname = \"a.example\"\npasswords = \"0123456789abcdef\"\n");
    assert!(found.iter().any(|said| said.contains("component.secret: is missing")), "{found:?}");
}

#[test]
fn an_address_or_url_in_place_of_a_domain_is_reported_with_its_domain() {
    for (text, what) in [
        ("bot@example.org", "\"bot@example.org\" is an address: use only its domain, \"example.org\""),
        ("bot@example.org/x", "is an address: use only its domain, \"example.org\""),
        ("example.org/x", "is an address: use only its domain, \"example.org\""),
        ("xmpp://example.org:5269/", "is a URL: use only its domain, \"example.org\""),
        ("example.org:5347", "is a domain with a port: use only its domain, \"example.org\""),
    ] {
        for section in ["domain", "component", "remote"] {
            let found = found_in(&format!("[[{section}]]\nname = {text:?}\n"));
            assert!(found.iter().any(|said| said.contains(what)), "{what} in {found:?}");
        }
        let found = found_in(&format!("[s2s]\ndeny = [{text:?}]\n"));
        assert!(found.iter().any(|said| said.contains(what)), "{what} in {found:?}");
    }
}

#[test]
fn sample_secrets_and_short_secrets_are_warnings() {
    let component =
        |secret: &str| found_in(&format!("[[component]]\nname = \"a.example\"\nsecret = {secret:?}\n"));
    let dialback = |secret: &str| found_in(&format!("[s2s]\ndialback_secret = {secret:?}\n"));
    for secret in ["change me", "changeme", "Change-Me", "secret", "password"] {
        for found in [component(secret), dialback(secret)] {
            assert!(
                found.iter().any(|said| said.contains("warning") && said.contains("sample value")),
                "{found:?}"
            );
        }
    }
    assert!(component("x").iter().any(|said| said.contains("component.secret: has fewer than 8 characters")));
    assert!(dialback("0123456789abcde").iter().any(|said| said.contains("has fewer than 16 characters")));
    let good = "6f1d2c9e5b7a4810";
    assert!(!component(good).iter().chain(&dialback(good)).any(|said| said.contains("secret")), "{good}");
}

#[test]
fn component_and_metrics_listeners_that_are_not_loopback_are_warnings() {
    for key in ["component", "metrics"] {
        for address in ["0.0.0.0:5347", "[::]:5347", "192.0.2.1:5347"] {
            let found = found_in(&format!("[listen]\n{key} = [{address:?}]\n"));
            let expected = format!("listen.{key}: {address} is not a loopback address");
            assert!(
                found.iter().any(|said| said.contains("warning") && said.contains(&expected)),
                "{found:?}"
            );
        }
        let found = found_in(&format!("[listen]\n{key} = [\"127.0.0.1:5347\", \"[::1]:5347\"]\n"));
        assert!(!found.iter().any(|said| said.contains("loopback")), "{found:?}");
    }
}

/// The findings of a file, as text.
fn found_in(text: &str) -> Vec<String> {
    let examined = Examined::of(Path::new("n.toml"), text);
    examined.source.findings().iter().map(ToString::to_string).collect()
}

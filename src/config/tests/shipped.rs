//! The shipped configuration and those in the documentation are valid.

use xmpp::dialback::Secret;

use super::*;

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
fn the_shipped_file_names_every_key() {
    let shipped = include_str!("../../../config/nuncio.toml");
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
    let readme = include_str!("../../../README.md");
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
    let shipped = include_str!("../../../config/nuncio.toml");
    let readme = include_str!("../../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let domain = "[[domain]]\nname = \"localhost\"\n";
    assert_eq!(shipped.matches(domain).count(), 1);
    let dir = Dir::new().with_certificate(&Authority::new("authority").unwrap(), "example.org");
    let loaded = dir.load(&shipped.replace(domain, example)).unwrap();
    assert_eq!(loaded.settings.domains.len(), 1);
}

#[test]
fn the_listeners_for_components_in_the_documentation_are_valid() {
    let operation = include_str!("../../../docs/operation.md");
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

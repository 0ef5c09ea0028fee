//! The section `[journal]`.

use super::*;

#[test]
fn the_journal_is_on_with_a_path_and_its_key_has_32_bytes() {
    let domain = "[[domain]]\nname = \"a.example\"\n";
    let dir = Dir::new();
    let journal = |keys: &str| dir.load(&format!("{domain}[journal]\n{keys}")).unwrap().settings.journal;
    assert_eq!(journal("path = \"\""), None);
    let journal =
        journal("path = \"waiting.redb\"\nafter = \"1s\"\nmax_bytes = \"2 MiB\"\ngrace = \"0s\"").unwrap();
    assert!(journal.path.is_absolute() && journal.path.ends_with("waiting.redb"), "{journal:?}");
    assert_eq!((journal.after, journal.max_bytes), (Duration::from_secs(1), 2 << 20));
    assert_eq!((journal.grace, journal.key_file), (Duration::ZERO, None));
    fs::write(dir.0.join("short"), "secret").unwrap();
    assert_finds(
        "[journal]\nafter = \"1s\"",
        &[
            "n.toml:1: warning: journal.path: is empty: no stanza is written to a file, and the other keys have no effect",
        ],
    );
    let findings = dir.findings(&format!("{domain}[journal]\npath = \"w\"\nkey_file = \"short\""));
    let about_key = findings.iter().find(|finding| finding.contains("journal.key_file"));
    assert!(
        about_key.is_some_and(|finding| finding.contains("the key has 6 bytes; it needs 32")),
        "{findings:?}"
    );
}

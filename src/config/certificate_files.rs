//! The certificate and key files that a configuration names, without loading them: they need not exist.

use std::path::{self, Path, PathBuf};

use toml::de::DeTable;

use super::{section::Section, source::Source};

/// The files of one name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The domain or component, as written in the configuration.
    pub(crate) name: String,
    /// The certificate and the key, as absolute paths; `None` if the configuration names none for this domain.
    pub(crate) files: Option<(PathBuf, PathBuf)>,
}

/// The files of every domain, and of every component that does not use those of its domain. What else is wrong in the
/// configuration does not matter here.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<CertificateFiles>, String> {
    let (table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        return Err(format!("{} is not TOML: `nuncio check` shows where", file.display()));
    }
    let source = Source::new(file, text);
    let top = Section::top(&source, table.get_ref());
    let mut all = Vec::new();
    for (kind, needed) in [("domain", true), ("component", false)] {
        for section in top.sections(kind) {
            let raw = |key| section.read(key, |text| Ok(text.to_owned()));
            let absolute = |text: String| path::absolute(source.path(&text)).ok();
            let files = raw("certificate").and_then(absolute).zip(raw("key").and_then(absolute));
            let further = section.list("names", |text| Ok(text.to_owned())).unwrap_or_default();
            for name in raw("name").into_iter().chain(further) {
                if needed || files.is_some() {
                    all.push(CertificateFiles { name, files: files.clone() });
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_with_their_files_whatever_else_is_wrong() {
        let text = "unknown = 1\n\
            domain = [{ name = \"inline.example\", certificate = \"a.crt\", key = \"/k/a.key\" }]\n\
            [[component]]\nname = \"uses.inline.example\"\n\
            [[component]]\nname = \"own.example\"\ncertificate = \"sub/own.crt\"\nkey = \"sub/own.key\"\nsecret = 7\n";
        let files = |certificate: &str, key: &str| Some((PathBuf::from(certificate), PathBuf::from(key)));
        let named = |name: &str, files| CertificateFiles { name: name.to_owned(), files };
        assert_eq!(
            read(Path::new("/etc/nuncio/nuncio.toml"), text).unwrap(),
            [
                named("inline.example", files("/etc/nuncio/a.crt", "/k/a.key")),
                named("own.example", files("/etc/nuncio/sub/own.crt", "/etc/nuncio/sub/own.key")),
            ]
        );
        let half = "[[domain]]\nname = \"half.example\"\ncertificate = \"a.crt\"\n";
        assert_eq!(read(Path::new("n.toml"), half).unwrap(), [named("half.example", None)]);
        assert!(read(Path::new("n.toml"), "[[domain\n").unwrap_err().contains("n.toml is not TOML"));
    }
}

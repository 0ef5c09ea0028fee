//! Where the configuration is when no option names it.

use std::path::Path;

/// A package puts it below /etc, the repository in the directory that one works in. If none exists, it is missed where
/// the documentation says that it is.
pub(crate) fn usual(exists: impl Fn(&Path) -> bool) -> &'static str {
    if !exists(HERE.as_ref()) && exists(INSTALLED.as_ref()) { INSTALLED } else { HERE }
}

/// What to do about a configuration that does not exist.
pub(crate) fn missing(file: &Path) -> String {
    let looked =
        if file == Path::new(HERE) { format!("looked for {HERE} and {INSTALLED}; ") } else { String::new() };
    format!("{looked}name the file with --config FILE or {VARIABLE}=FILE")
}

/// The environment variable that names the file.
pub(crate) const VARIABLE: &str = "NUNCIO_CONFIG";

pub(crate) const HERE: &str = "config/nuncio.toml";
const INSTALLED: &str = "/etc/nuncio/nuncio.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_file_beside_it_before_that_of_the_package() {
        assert_eq!(usual(|_| true), HERE);
        assert_eq!(usual(|file| file == Path::new(INSTALLED)), INSTALLED);
        assert_eq!(usual(|_| false), HERE);
    }
}

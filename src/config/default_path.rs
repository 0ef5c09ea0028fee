//! The default paths of the configuration file.

use std::path::Path;

/// The path in the working directory, or that of the package if only the latter exists. If neither exists, it
/// is the path in the working directory, which the documentation uses.
pub(crate) fn default_path(exists: impl Fn(&Path) -> bool) -> &'static str {
    if !exists(RELATIVE.as_ref()) && exists(INSTALLED.as_ref()) { INSTALLED } else { RELATIVE }
}

/// The remedy for a configuration file that does not exist.
pub(crate) fn help_if_missing(file: &Path) -> String {
    let looked = if file == Path::new(RELATIVE) {
        format!("looked for {RELATIVE} and {INSTALLED}; ")
    } else {
        String::new()
    };
    format!("{looked}set the path with --config FILE or {VARIABLE}=FILE")
}

/// The environment variable with the path of the file.
pub(crate) const VARIABLE: &str = "NUNCIO_CONFIG";

/// Relative to the working directory; the repository has this file.
pub(crate) const RELATIVE: &str = "config/nuncio.toml";

/// The package installs this file.
const INSTALLED: &str = "/etc/nuncio/nuncio.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_working_directory_wins_over_that_of_the_package() {
        assert_eq!(default_path(|_| true), RELATIVE);
        assert_eq!(default_path(|file| file == Path::new(INSTALLED)), INSTALLED);
        assert_eq!(default_path(|_| false), RELATIVE);
    }
}

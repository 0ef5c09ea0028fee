//! The default paths of the configuration file.

use std::{env, ffi::OsStr, path::Path};

/// The path in the working directory, or that of the package if only the latter exists. If neither exists, it
/// is the path in the working directory, which the documentation uses.
pub(crate) fn default_path(exists: impl Fn(&Path) -> bool) -> &'static str {
    if !exists(RELATIVE.as_ref()) && exists(INSTALLED.as_ref()) { INSTALLED } else { RELATIVE }
}

/// The remedy for a configuration file that does not exist: which places were looked at, and how to set another one.
pub(crate) fn help_if_missing(file: &Path) -> String {
    help(file, env::var_os(VARIABLE).as_deref(), env::current_dir().ok().as_deref())
}

fn help(file: &Path, variable: Option<&OsStr>, working_directory: Option<&Path>) -> String {
    let variable = variable.filter(|value| !value.is_empty());
    if variable == Some(file.as_os_str()) {
        return format!("the environment variable {VARIABLE} names this file; --config FILE overrides it");
    }
    let set = format!("set the path with --config FILE or {VARIABLE}=FILE");
    if file == Path::new(RELATIVE) && variable.is_none() {
        let here = working_directory.map(|here| format!(" in {}", here.display())).unwrap_or_default();
        return format!("{VARIABLE} is not set; looked for {RELATIVE}{here}, and for {INSTALLED}; {set}");
    }
    set
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

    #[test]
    fn the_remedy_names_the_places_that_were_looked_at() {
        let here = Some(Path::new("/srv/x"));
        assert_eq!(
            help(Path::new(RELATIVE), None, here),
            "NUNCIO_CONFIG is not set; looked for config/nuncio.toml in /srv/x, and for /etc/nuncio/nuncio.toml; set the \
             path with --config FILE or NUNCIO_CONFIG=FILE"
        );
        assert_eq!(
            help(Path::new("o.toml"), Some("o.toml".as_ref()), here),
            "the environment variable NUNCIO_CONFIG names this file; --config FILE overrides it"
        );
        for variable in [None, Some("v.toml".as_ref())] {
            let set = "set the path with --config FILE or NUNCIO_CONFIG=FILE";
            assert_eq!(help(Path::new("o.toml"), variable, here), set);
        }
    }
}

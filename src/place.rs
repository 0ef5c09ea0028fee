//! Where the configuration is.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

/// The option that names the file.
#[derive(Args, Clone)]
pub(crate) struct Place {
    /// The configuration [default: $NUNCIO_CONFIG, else config/nuncio.toml, else /etc/nuncio/nuncio.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The file that is named by the option or the environment, or the first of the usual ones that exists.
    pub(crate) fn file(&self) -> PathBuf {
        choose(self.config.clone(), env::var_os(VARIABLE), Path::exists)
    }
}

fn choose(option: Option<PathBuf>, variable: Option<OsString>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    option.or(variable).unwrap_or_else(|| usual(exists).into())
}

/// A package puts it below /etc, the repository in the directory that one works in. If none exists, it is missed where
/// the documentation says that it is.
fn usual(exists: impl Fn(&Path) -> bool) -> &'static str {
    if !exists(HERE.as_ref()) && exists(INSTALLED.as_ref()) { INSTALLED } else { HERE }
}

/// What to do about a configuration that does not exist.
pub(crate) fn missing(file: &Path) -> String {
    let looked =
        if file == Path::new(HERE) { format!("looked for {HERE} and {INSTALLED}; ") } else { String::new() };
    format!("{looked}name the file with --config FILE or {VARIABLE}=FILE")
}

/// The environment variable that names the file.
const VARIABLE: &str = "NUNCIO_CONFIG";

const HERE: &str = "config/nuncio.toml";
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

    #[test]
    fn the_option_wins_over_the_environment_and_that_over_the_usual_places() {
        let (option, variable) = (Some(PathBuf::from("o.toml")), Some(OsString::from("v.toml")));
        assert_eq!(choose(option, variable.clone(), |_| true), Path::new("o.toml"));
        assert_eq!(choose(None, variable, |_| true), Path::new("v.toml"));
        assert_eq!(choose(None, Some(OsString::new()), |_| true), Path::new(HERE));
    }
}

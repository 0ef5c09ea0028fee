//! The path of the configuration file: from `--config`, the environment, or a default.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::config::default_path::{VARIABLE, default_path};

/// The option `--config`.
#[derive(Args, Clone)]
pub(crate) struct ConfigPath {
    /// The configuration file [default: $NUNCIO_CONFIG, else config/nuncio.toml, else
    /// /etc/nuncio/nuncio.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    /// The path in the option or else in the environment, or else the first default path that exists.
    pub(crate) fn resolve(&self) -> PathBuf {
        choose(self.config.clone(), env::var_os(VARIABLE), Path::exists)
    }
}

fn choose(option: Option<PathBuf>, variable: Option<OsString>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    option.or(variable).unwrap_or_else(|| default_path(exists).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::default_path::RELATIVE;

    #[test]
    fn the_option_wins_over_the_environment_and_the_environment_over_default_paths() {
        let (option, variable) = (Some(PathBuf::from("o.toml")), Some(OsString::from("v.toml")));
        assert_eq!(choose(option, variable.clone(), |_| true), Path::new("o.toml"));
        assert_eq!(choose(None, variable, |_| true), Path::new("v.toml"));
        assert_eq!(choose(None, Some(OsString::new()), |_| true), Path::new(RELATIVE));
    }
}

//! Where the configuration is.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::config::usual::{VARIABLE, usual};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::usual::HERE;

    #[test]
    fn the_option_wins_over_the_environment_and_that_over_the_usual_places() {
        let (option, variable) = (Some(PathBuf::from("o.toml")), Some(OsString::from("v.toml")));
        assert_eq!(choose(option, variable.clone(), |_| true), Path::new("o.toml"));
        assert_eq!(choose(None, variable, |_| true), Path::new("v.toml"));
        assert_eq!(choose(None, Some(OsString::new()), |_| true), Path::new(HERE));
    }
}

//! Where the configuration is.

use std::path::{Path, PathBuf};

use clap::Args;

/// The option that names the file.
#[derive(Args, Clone)]
pub(crate) struct Place {
    /// The configuration [default: config/nuncio.toml; where there is none, /etc/nuncio/nuncio.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// Gives the file that is named, or the first of the usual ones that there is.
    pub(crate) fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| usual(Path::exists).into())
    }
}

/// A package puts it below /etc; who tries the repository has it beside him. One that is nowhere is missed where the
/// documentation says that it is.
fn usual(exists: impl Fn(&Path) -> bool) -> &'static str {
    if !exists(HERE.as_ref()) && exists(INSTALLED.as_ref()) { INSTALLED } else { HERE }
}

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
}

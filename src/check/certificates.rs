//! `nuncio check --certificates`: lists the certificate and key files of the configuration, for scripts that install
//! certificates, such as `config/deploy-hook`.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use xmpp::Domain;

use crate::{
    config::{self, certificate_files::CertificateFiles, identity},
    output,
};
use net::certificate::covers;

/// Prints a line for each name: the name, its certificate file and its key file, separated by tabs; `-` for a domain
/// without them. With `certificate`, only the names that this certificate is for.
pub(super) fn list(file: &Path, certificate: Option<&Path>) -> ExitCode {
    let lines = config::certificate_files(file).and_then(|mut all| {
        if let Some(path) = certificate {
            let chain = identity::certificates(path)?;
            let leaf = chain.first();
            all.retain(|named| {
                leaf.is_some_and(|leaf| sample(&named.name).is_some_and(|name| covers(leaf, &name)))
            });
        }
        all.iter().map(line).collect::<Result<String, String>>()
    });
    match lines {
        Ok(lines) => output::print(lines, ExitCode::SUCCESS),
        Err(why) => {
            output::print_error(format_args!("nuncio: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// A domain that a certificate for `name` covers: the name itself, or one below a wildcard.
fn sample(name: &str) -> Option<Domain> {
    match name.strip_prefix("*.") {
        Some(parent) => Domain::new(&format!("any.{parent}")).ok(),
        None => Domain::new(name).ok(),
    }
}

fn line(named: &CertificateFiles) -> Result<String, String> {
    let mut line = named.name.clone();
    let (certificate, key) = match &named.files {
        Some((certificate, key)) => (certificate.as_path(), key.as_path()),
        None => (Path::new("-"), Path::new("-")),
    };
    for path in [certificate, key] {
        let path = path.to_str().ok_or_else(|| format!("{} is not valid UTF-8", path.display()))?;
        let _ = write!(line, "\t{path}");
    }
    // A script would read something else.
    if line.matches('\t').count() != 2 || line.contains(['\n', '\r']) {
        return Err(format!("the files of {} have a tab or a line break in their names", named.name));
    }
    Ok(line + "\n")
}

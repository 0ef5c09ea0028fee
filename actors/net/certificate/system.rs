//! Reads the certificate authorities of the operating system.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use openssl::x509::X509;

/// Reads the authorities from the file in `SSL_CERT_FILE`, or else from the first bundle that has some.
///
/// The default paths of a vendored OpenSSL belong to the machine that built it, so they are not used. Without
/// authorities a warning is logged, and every certificate has a problem.
pub(super) fn authorities() -> Vec<X509> {
    let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let places: Vec<&Path> = match &named {
        Some(place) => vec![place],
        None => BUNDLES.iter().map(Path::new).collect(),
    };
    for place in &places {
        match read(place) {
            Ok(authorities) if !authorities.is_empty() => return authorities,
            Ok(_) => log::warn!(target: "nuncio::tls", "no certificate authority in {}", place.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!(target: "nuncio::tls", "cannot read {}: {error}", place.display()),
        }
    }
    log::warn!(
        target: "nuncio::tls",
        "this system has no certificate authorities (package ca-certificates): trust = \"system\" accepts no certificate"
    );
    Vec::new()
}

fn read(place: &Path) -> io::Result<Vec<X509>> {
    let pem = fs::read(place)?;
    X509::stack_from_pem(&pem).map_err(io::Error::other)
}

/// The paths of the bundle of all authorities in common distributions.
const BUNDLES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Alpine, Gentoo, NixOS
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",   // Red Hat before 7
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // OpenBSD, FreeBSD, macOS
    "/usr/local/etc/ssl/cert.pem",        // FreeBSD ports
    "/etc/openssl/certs/ca-certificates.crt", // NetBSD
];

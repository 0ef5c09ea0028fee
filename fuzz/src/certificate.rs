//! The names on a certificate, as a peer may write them into its subjectAltName.

use actors::certificate::covers;
use openssl::{
    asn1::{Asn1Object, Asn1OctetString},
    x509::{X509, X509Builder, X509Extension},
};
use xmpp::Domain;

/// An input is a whole certificate, or the value of a subjectAltName.
pub(crate) fn run(input: &[u8]) {
    let certificate = match X509::from_der(input) {
        Ok(certificate) => certificate,
        Err(_) => match with_names(input) {
            Some(certificate) => certificate,
            None => return,
        },
    };
    // Errors stay in the queue of the thread.
    drop(openssl::error::ErrorStack::get());
    let text = String::from_utf8_lossy(input).to_lowercase();
    for (domain, spellings) in DOMAINS {
        let domain = Domain::new(domain).expect("a domain");
        if covers(&certificate, &domain) && text.is_ascii() {
            assert!(spellings.iter().any(|name| text.contains(name)), "{domain} is covered by {text:?}");
        }
    }
}

fn with_names(value: &[u8]) -> Option<X509> {
    let kind = Asn1Object::from_str("2.5.29.17").ok()?;
    let value = Asn1OctetString::new_from_bytes(value).ok()?;
    let mut builder = X509Builder::new().ok()?;
    builder.append_extension(X509Extension::new_from_der(&kind, false, &value).ok()?).ok()?;
    Some(builder.build())
}

/// What is looked for, and every name that may cover it.
const DOMAINS: [(&str, &[&str]); 3] = [
    ("a.example", &["a.example", "*.example"]),
    ("x.a.example", &["x.a.example", "*.a.example"]),
    ("xn--bcher-kva.example", &["xn--bcher-kva.example", "*.example"]),
];

//! A certificate covers a domain only if its subjectAltName contains the name of the domain.

use net::certificate::covers;
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Builder, X509Extension},
};
use std::sync::LazyLock;
use xmpp::Domain;

/// An input is a whole certificate, or the value of a subjectAltName.
pub(crate) fn run(input: &[u8]) {
    let certificate = X509::from_der(input).or_else(|_| with_names(input));
    // OpenSSL keeps errors in a queue of the thread.
    drop(ErrorStack::get());
    let Ok(certificate) = certificate else { return };
    let text = String::from_utf8_lossy(input).to_ascii_lowercase();
    // A JID may be spelled with other letters, a DNS name may not.
    let has_address = input.windows(XMPP_ADDR.len()).any(|window| window == XMPP_ADDR);
    for (domain, spellings) in DOMAINS {
        let domain = Domain::new(domain).expect("a domain");
        let covered = covers(&certificate, &domain);
        // Detects a target that never finds a covered name.
        assert!(covered || input != SOUND || domain.as_str() != "a.example", "a valid name was not found");
        if covered && (text.is_ascii() || !has_address) {
            assert!(spellings.iter().any(|name| text.contains(name)), "{domain} is covered by {text:?}");
        }
    }
}

/// A valid certificate with this subjectAltName.
fn with_names(value: &[u8]) -> Result<X509, ErrorStack> {
    let kind = Asn1Object::from_str("2.5.29.17")?;
    let value = Asn1OctetString::new_from_bytes(value)?;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_not_before(&*Asn1Time::from_unix(0)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(1 << 31)?)?;
    builder.set_pubkey(&KEY)?;
    builder.append_extension(X509Extension::new_from_der(&kind, false, &value)?)?;
    builder.sign(&KEY, MessageDigest::sha256())?;
    Ok(builder.build())
}

static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
});

/// id-on-xmppAddr, in DER.
const XMPP_ADDR: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05";

/// A dNSName: `a.example`.
const SOUND: &[u8] = b"\x30\x0b\x82\x09a.example";

/// Domains, each with the names that cover it.
const DOMAINS: [(&str, &[&str]); 3] = [
    ("a.example", &["a.example", "*.example"]),
    ("x.a.example", &["x.a.example", "*.a.example"]),
    ("xn--bcher-kva.example", &["xn--bcher-kva.example", "*.example"]),
];

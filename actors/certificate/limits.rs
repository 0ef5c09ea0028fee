//! What authorities in a chain may vouch for: the extension nameConstraints (RFC 5280 section 4.2.1.10).

use openssl::{stack::StackRef, x509::X509};
use x509_parser::{asn1_rs::FromDer, certificate::X509Certificate};
use xmpp::certificate::Limit;

/// Gives the narrowest limit on the authorities in a `chain` that begins with the leaf.
pub(super) fn of(chain: &StackRef<X509>) -> Option<Limit> {
    let limits =
        chain.iter().skip(1).filter_map(|authority| authority.to_der().ok()).filter_map(|der| limit(&der));
    limits.max_by_key(|limit| *limit == Limit::Excluded)
}

fn limit(der: &[u8]) -> Option<Limit> {
    // Few have the extension, and not every authority that OpenSSL can read can be read here.
    if !der.windows(NAME_CONSTRAINTS.len()).any(|window| window == NAME_CONSTRAINTS) {
        return None;
    }
    let Ok((_, authority)) = X509Certificate::from_der(der) else { return Some(Limit::Excluded) };
    match authority.name_constraints() {
        Ok(None) => None,
        Ok(Some(constraints)) if constraints.value.excluded_subtrees.is_none() => Some(Limit::Permitted),
        _ => Some(Limit::Excluded),
    }
}

/// id-ce-nameConstraints, in DER.
const NAME_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x1e];

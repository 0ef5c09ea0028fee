//! Reads the nameConstraints of the authorities in a chain (RFC 5280 section 4.2.1.10).

use openssl::{stack::StackRef, x509::X509};
use x509_parser::{
    asn1_rs::FromDer,
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree},
};
use xmpp::certificate::{Authority, NameConstraints, Subtree};

/// Returns the constraints of the authorities in a `chain` that begins with the leaf; `None` if there are
/// none.
pub(super) fn of(chain: &StackRef<X509>) -> Option<NameConstraints> {
    let ders = chain.iter().skip(1).map(|authority| authority.to_der().ok());
    let constrained: Vec<Authority> =
        ders.filter_map(|der| der.map_or(Some(Authority::Unreadable), |der| constraints(&der))).collect();
    (!constrained.is_empty()).then(|| NameConstraints::new(constrained))
}

fn constraints(der: &[u8]) -> Option<Authority> {
    // Few authorities have the extension, and this parser rejects some authorities that OpenSSL accepts.
    if !der.windows(NAME_CONSTRAINTS.len()).any(|window| window == NAME_CONSTRAINTS) {
        return None;
    }
    let Ok((_, authority)) = X509Certificate::from_der(der) else { return Some(Authority::Unreadable) };
    let constraints = match authority.name_constraints() {
        Ok(None) => return None,
        Ok(Some(constraints)) => constraints.value,
        Err(_) => return Some(Authority::Unreadable),
    };
    let permitted = subtrees(constraints.permitted_subtrees.as_deref().unwrap_or_default());
    let excluded = subtrees(constraints.excluded_subtrees.as_deref().unwrap_or_default());
    let (Some(permitted), Some(excluded)) = (permitted, excluded) else {
        return Some(Authority::Unreadable);
    };
    let excludes = constraints.excluded_subtrees.is_some();
    Some(Authority::Subtrees { permitted, excluded, excludes })
}

/// Returns the DNS subtrees; `None` if they cannot be read or are too many.
///
/// OpenSSL checks the other kinds of subtrees, and rejects a chain with kinds that it does not support.
fn subtrees(all: &[GeneralSubtree<'_>]) -> Option<Vec<Subtree>> {
    let invalid = |subtree: &GeneralSubtree<'_>| matches!(subtree.base, GeneralName::Invalid(..));
    if all.len() > MOST_SUBTREES || all.iter().any(invalid) {
        return None;
    }
    let dns = all.iter().filter_map(|subtree| match subtree.base {
        GeneralName::DNSName(text) => Some(Subtree::parse(text)),
        _ => None,
    });
    Some(dns.collect())
}

/// The object identifier id-ce-nameConstraints in DER.
const NAME_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x1e];

/// The maximum number of subtrees. They are stored as long as the stream; authorities of organisations list
/// some dozens.
const MOST_SUBTREES: usize = 1000;

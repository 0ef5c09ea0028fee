//! Whether an authority took a certificate back, as far as the server itself shows the authority's word on it: an answer
//! of OCSP stapled to the handshake (RFC 6960, RFC 6066 section 8).

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspResponse},
    stack::StackRef,
    x509::{X509, store::X509StoreRef},
};

use super::date;

/// Gives the day on which the first certificate of `chain` was revoked, if `staple` says so and can be believed. What
/// cannot be read, is out of date or is not signed by the authority or in its name is no word of it and changes nothing.
pub(super) fn day(staple: &[u8], chain: &StackRef<X509>, authorities: &X509StoreRef) -> Option<String> {
    read(staple, chain, authorities).ok().flatten()
}

fn read(
    staple: &[u8],
    chain: &StackRef<X509>,
    authorities: &X509StoreRef,
) -> Result<Option<String>, ErrorStack> {
    // One that is trusted by itself has no authority.
    let (Some(leaf), Some(issuer)) = (chain.get(0), chain.get(1)) else { return Ok(None) };
    let answer = OcspResponse::from_der(staple)?.basic()?;
    answer.verify(chain, authorities, OcspFlag::empty())?;
    // RFC 5019 wants SHA-1 there, which is a name here and no proof; RFC 9654 lets them use SHA-256.
    for digest in [MessageDigest::sha1(), MessageDigest::sha256()] {
        let id = OcspCertId::from_cert(digest, leaf, issuer)?;
        let Some(status) = answer.find_status(&id) else { continue };
        if status.status == OcspCertStatus::REVOKED {
            status.check_validity(SKEW, None)?;
            return Ok(Some(status.revocation_time.map(date).unwrap_or_default()));
        }
    }
    Ok(None)
}

/// In seconds: how far the clocks of an authority and ours may be apart.
const SKEW: u32 = 300;

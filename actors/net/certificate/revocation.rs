//! Checks revocation through stapled OCSP responses (RFC 6960, RFC 6066 section 8). No OCSP server or CRL is
//! contacted.

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspResponse},
    stack::StackRef,
    x509::{X509, store::X509StoreRef},
};

use super::date;

/// Returns the day on which the first certificate of `chain` was revoked, if the response `staple` proves it.
///
/// A response that cannot be read, is outdated, or is not signed for the authority is ignored.
pub(super) fn revoked_on(
    staple: &[u8],
    chain: &StackRef<X509>,
    authorities: &X509StoreRef,
) -> Option<String> {
    read(staple, chain, authorities).ok().flatten()
}

fn read(
    staple: &[u8],
    chain: &StackRef<X509>,
    authorities: &X509StoreRef,
) -> Result<Option<String>, ErrorStack> {
    // A certificate that is trusted itself has no authority in the chain.
    let (Some(leaf), Some(issuer)) = (chain.get(0), chain.get(1)) else { return Ok(None) };
    let answer = OcspResponse::from_der(staple)?.basic()?;
    answer.verify(chain, authorities, OcspFlag::empty())?;
    // RFC 5019 requires SHA-1, here only as an identifier; RFC 9654 permits SHA-256.
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

/// The permitted difference between the clocks of the authority and of this machine, in seconds.
const SKEW: u32 = 300;

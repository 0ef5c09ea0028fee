//! OCSP responses (RFC 6960) that a server staples to its handshake.

#![expect(clippy::unwrap_used, reason = "a test cannot go on without the response that it is about")]

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha1;
use openssl::sign::Signer;
use openssl::x509::X509;

use super::der::{SEQUENCE, string, value, values};
use super::{Authority, Identity};

/// The status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked on 1 November 2025.
    Revoked,
}

impl Authority {
    /// Staples a response to a certificate that this authority issued.
    #[must_use]
    pub fn staples(&self, identity: Identity, status: Status) -> Identity {
        self.forges(self, identity, status)
    }

    /// Staples a response in the name of `issuer`, signed by this authority.
    #[must_use]
    pub fn forges(&self, issuer: &Self, identity: Identity, status: Status) -> Identity {
        let staple = staple(identity.certificate(), &issuer.certificate, &self.key, status);
        Identity { staple: Some(staple), ..identity }
    }
}

/// The response of `issuer` about `certificate`, signed with `key` and valid until 2099.
fn staple(certificate: &X509, issuer: &X509, key: &PKey<Private>, status: Status) -> Vec<u8> {
    let time = |text| string(GENERALIZED_TIME, text);
    let name = issuer.subject_name().to_der().unwrap();
    // The point alone, without the name of the curve before it.
    let described = issuer.public_key().unwrap().public_key_to_der().unwrap();
    let issuer_key = &described[described.len() - POINT..];
    let serial = certificate.serial_number().to_bn().unwrap().to_vec();
    let id = values(
        SEQUENCE,
        &[
            &values(SEQUENCE, &[SHA1, NULL]),
            &value(OCTET_STRING, &sha1(&name)),
            &value(OCTET_STRING, &sha1(issuer_key)),
            // A leading zero keeps the number positive (X.690, section 8.3).
            &match serial[0] {
                ..0x80 => value(INTEGER, &serial),
                _ => values(INTEGER, &[&[0], &serial]),
            },
        ],
    );
    let status = match status {
        Status::Good => value(0x80, &[]),
        Status::Revoked => value(0xa1, &time("20251101000000Z")),
    };
    let answer =
        values(SEQUENCE, &[&id, &status, &time("20200101000000Z"), &value(0xa0, &time("20991231000000Z"))]);
    let said = values(SEQUENCE, &[&value(0xa1, &name), &time("20200101000000Z"), &value(SEQUENCE, &answer)]);
    let signature = Signer::new(MessageDigest::sha256(), key).unwrap().sign_oneshot_to_vec(&said).unwrap();
    let basic = values(
        SEQUENCE,
        &[&said, &value(SEQUENCE, ECDSA_WITH_SHA256), &values(BIT_STRING, &[&[0], &signature])],
    );
    let bytes = values(SEQUENCE, &[OCSP_BASIC, &value(OCTET_STRING, &basic)]);
    values(SEQUENCE, &[SUCCESSFUL, &value(0xa0, &bytes)])
}

/// Bytes of a point on P-256, uncompressed.
const POINT: usize = 65;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;

const NULL: &[u8] = &[0x05, 0x00];

/// The response status of OCSP.
const SUCCESSFUL: &[u8] = &[0x0a, 0x01, 0x00];

// Object identifiers.
const SHA1: &[u8] = &[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OCSP_BASIC: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

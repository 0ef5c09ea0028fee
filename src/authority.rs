//! A certificate authority in memory, for the demo and for tests.

use actors::settings::Identity;
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, PKeyRef, Private},
    x509::{
        X509, X509Builder, X509NameBuilder, X509NameRef,
        extension::{BasicConstraints, KeyUsage, SubjectAlternativeName},
    },
};

/// An authority: its key and its self-signed certificate.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    /// An authority with a new key.
    ///
    /// # Errors
    /// OpenSSL failed, for example for lack of memory.
    pub(crate) fn new() -> Result<Self, ErrorStack> {
        let key = key()?;
        let name = name("Toy authority of the Nuncio demo")?;
        let mut builder = builder(&name, &name, &key)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// The certificate to trust.
    pub(crate) fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// Issues a certificate for `domain` with a new key.
    ///
    /// # Errors
    /// OpenSSL failed, for example for lack of memory.
    pub(crate) fn certify(&self, domain: &str) -> Result<Identity, ErrorStack> {
        let key = key()?;
        let subject = name(domain)?;
        let mut builder = builder(&subject, self.certificate.subject_name(), &key)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let names = SubjectAlternativeName::new().dns(domain).build(&context)?;
        builder.append_extension(names)?;
        builder.append_extension(BasicConstraints::new().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Identity { chain: vec![builder.build()], key })
    }
}

fn key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn name(common_name: &str) -> Result<openssl::x509::X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(name.build())
}

/// A certificate that is valid for a year. It begins yesterday, since clocks differ.
fn builder(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKeyRef<Private>,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    let mut builder = X509Builder::new()?;
    builder.set_version(X509_V3)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let now = clock::system().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or_default();
    let (yesterday, next_year) = (Asn1Time::from_unix(now - DAY)?, Asn1Time::from_unix(now + 365 * DAY)?);
    builder.set_not_before(&yesterday)?;
    builder.set_not_after(&next_year)?;
    Ok(builder)
}

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;

/// The number of version 3 (RFC 5280 section 4.1.2.1).
const X509_V3: i32 = 2;

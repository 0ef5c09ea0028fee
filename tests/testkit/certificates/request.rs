//! The description of a certificate, and its signature.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{
        X509, X509Builder, X509Extension, X509Name, X509NameBuilder,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
            SubjectKeyIdentifier,
        },
    },
};

use super::{
    Authority, Identity,
    der::{IA5_STRING, OBJECT_IDENTIFIER, SEQUENCE, UTF8_STRING, string, value},
    new_key,
};

/// A certificate that is not signed yet.
#[must_use]
#[derive(Clone)]
pub struct Request<'a> {
    /// None for one that signs itself.
    issuer: Option<&'a Authority>,
    subject: Vec<(Nid, String)>,
    dns_names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// OID and DER.
    other_names: Vec<(String, Vec<u8>)>,
    /// Seconds since 1970.
    valid: (i64, i64),
    role: Role,
    key: Key,
    digest: MessageDigest,
    more: Vec<Extension>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leaf(Purpose),
    Authority,
}

/// The permitted use of a certificate (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Both ends of a connection.
    Both,
    /// Accepting connections only, as public authorities issue them now.
    ServerOnly,
    /// Making connections only.
    ClientOnly,
    /// Signing code: neither end of a connection.
    CodeSigning,
    /// It does not say.
    Unstated,
}

#[derive(Clone)]
enum Key {
    New,
    Rsa(u32),
    Given(PKey<Private>),
}

#[derive(Clone)]
struct Extension {
    oid: &'static str,
    critical: bool,
    der: Vec<u8>,
}

impl Request<'static> {
    /// Describes a certificate for DNS names that is signed with its own key.
    pub fn without_authority(names: &[&str]) -> Self {
        Self::leaf(None, names)
    }
}

impl<'a> Request<'a> {
    pub(super) fn leaf(issuer: Option<&'a Authority>, names: &[&str]) -> Self {
        let now = now();
        Self {
            issuer,
            subject: vec![(Nid::COMMONNAME, "a server".to_owned())],
            dns_names: names.iter().map(|&name| name.to_owned()).collect(),
            addresses: Vec::new(),
            other_names: Vec::new(),
            valid: (now - DAY, now + 30 * DAY),
            role: Role::Leaf(Purpose::Both),
            key: Key::New,
            digest: MessageDigest::sha256(),
            more: Vec::new(),
        }
    }

    pub(super) fn root(name: &str, key: PKey<Private>) -> Self {
        let now = now();
        let valid = (now - 60 * DAY, now + 60 * DAY);
        Self { role: Role::Authority, valid, ..Self::leaf(None, &[]) }.common_name(name).key(key)
    }

    pub(super) fn intermediate(above: &'a Authority, name: &str) -> Self {
        let now = now();
        let valid = (now - 60 * DAY, now + 60 * DAY);
        Self { role: Role::Authority, valid, ..Self::leaf(Some(above), &[]) }.common_name(name)
    }

    /// Expired yesterday.
    pub fn expired(self) -> Self {
        let now = now();
        self.valid(now - 30 * DAY, now - DAY)
    }

    /// Becomes valid tomorrow.
    pub fn not_yet_valid(self) -> Self {
        let now = now();
        self.valid(now + DAY, now + 30 * DAY)
    }

    /// Becomes valid in so many seconds.
    pub fn begins_in(mut self, seconds: i64) -> Self {
        self.valid.0 = now() + seconds;
        self
    }

    /// Expires in so many seconds.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.valid.1 = now() + seconds;
        self
    }

    /// Valid between two times, in seconds since 1970.
    pub fn valid(mut self, begins: i64, ends: i64) -> Self {
        self.valid = (begins, ends);
        self
    }

    /// Says where its issuer's certificate can be downloaded, as public authorities do.
    pub fn public(self) -> Self {
        // AuthorityInfoAccess (RFC 5280, section 4.2.2.1), one AccessDescription: caIssuers, then
        // uniformResourceIdentifier [6].
        let ca_issuers = value(OBJECT_IDENTIFIER, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02]);
        let description = [ca_issuers, string(0x86, "http://authority.example/it.der")].concat();
        let der = value(SEQUENCE, &value(SEQUENCE, &description));
        self.extension(Extension { oid: "1.3.6.1.5.5.7.1.1", critical: false, der })
    }

    /// Limits the names that the authority may vouch for (RFC 5280, section 4.2.1.10), in DER.
    pub fn constraints(self, der: &[u8]) -> Self {
        self.extension(Extension { oid: "2.5.29.30", critical: true, der: der.to_vec() })
    }

    /// Signed with SHA-1, which is broken.
    pub fn sha1(mut self) -> Self {
        self.digest = MessageDigest::sha1();
        self
    }

    /// Limits what it may be used for.
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.role = Role::Leaf(purpose);
        self
    }

    /// Signed with its own key.
    pub fn self_signed(mut self) -> Self {
        self.issuer = None;
        self
    }

    /// Gives it an RSA key of 2048 bits.
    pub fn rsa(self) -> Self {
        self.rsa_of(2048)
    }

    /// Gives it an RSA key of so many bits.
    pub fn rsa_of(mut self, bits: u32) -> Self {
        self.key = Key::Rsa(bits);
        self
    }

    /// Gives it that key.
    pub fn key(mut self, key: PKey<Private>) -> Self {
        self.key = Key::Given(key);
        self
    }

    /// Adds a DNS name.
    pub fn dns_name(mut self, name: &str) -> Self {
        self.dns_names.push(name.to_owned());
        self
    }

    /// Adds an IP address.
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Adds an SRVName such as `_xmpp-server.a.example` (RFC 4985).
    pub fn srv_name(self, name: &str) -> Self {
        self.other_name("1.3.6.1.5.5.7.8.7", &string(IA5_STRING, name))
    }

    /// Adds an XmppAddr (RFC 6120, section 13.7.1.4).
    pub fn xmpp_address(self, address: &str) -> Self {
        self.other_name("1.3.6.1.5.5.7.8.5", &string(UTF8_STRING, address))
    }

    /// Adds an otherName (RFC 5280, section 4.2.1.6) of that type; the value is DER.
    pub fn other_name(mut self, oid: &str, der: &[u8]) -> Self {
        self.other_names.push((oid.to_owned(), der.to_vec()));
        self
    }

    /// Sets the subject's common name, which proves no identity any more (RFC 9525, section 2).
    pub fn common_name(mut self, name: &str) -> Self {
        self.subject.retain(|(kind, _)| *kind != Nid::COMMONNAME);
        self.subject.push((Nid::COMMONNAME, name.to_owned()));
        self
    }

    /// Puts an organization before the subject's common name.
    pub fn organization(mut self, name: &str) -> Self {
        self.subject.insert(0, (Nid::ORGANIZATIONNAME, name.to_owned()));
        self
    }

    fn extension(mut self, extension: Extension) -> Self {
        self.more.push(extension);
        self
    }

    /// Signs it.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn sign(self) -> Result<Identity, ErrorStack> {
        let key = self.make_key()?;
        let chain = self.chain(&self.signed(&key)?);
        Ok(Identity { chain, key, staple: None })
    }

    /// Signs it as an authority.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn authority(self) -> Result<Authority, ErrorStack> {
        let key = self.make_key()?;
        let certificate = self.signed(&key)?;
        let chain = self.chain(&certificate);
        Ok(Authority { certificate, key, chain })
    }

    fn make_key(&self) -> Result<PKey<Private>, ErrorStack> {
        match &self.key {
            Key::New => new_key(),
            Key::Rsa(bits) => PKey::from_rsa(Rsa::generate(*bits)?),
            Key::Given(key) => Ok(key.clone()),
        }
    }

    /// The certificate and those between it and the root.
    fn chain(&self, certificate: &X509) -> Vec<X509> {
        let above = self.issuer.iter().flat_map(|issuer| &issuer.chain);
        [certificate].into_iter().chain(above).cloned().collect()
    }

    fn signed(&self, key: &PKey<Private>) -> Result<X509, ErrorStack> {
        let subject = name(&self.subject)?;
        let mut builder = X509Builder::new()?;
        builder.set_version(VERSION_3)?;
        let mut serial = BigNum::new()?;
        serial.rand(SERIAL_BITS, MsbOption::ONE, false)?;
        let serial = serial.to_asn1_integer()?;
        builder.set_serial_number(&serial)?;
        builder.set_subject_name(&subject)?;
        builder.set_pubkey(key)?;
        let (begins, ends) = (Asn1Time::from_unix(self.valid.0)?, Asn1Time::from_unix(self.valid.1)?);
        builder.set_not_before(&begins)?;
        builder.set_not_after(&ends)?;
        match self.role {
            Role::Leaf(purpose) => self.describe_leaf(&mut builder, purpose)?,
            Role::Authority => describe_authority(&mut builder)?,
        }
        for Extension { oid, critical, der } in &self.more {
            let (oid, der) = (Asn1Object::from_str(oid)?, Asn1OctetString::new_from_bytes(der)?);
            builder.append_extension(X509Extension::new_from_der(&oid, *critical, &der)?)?;
        }
        match self.issuer {
            Some(issuer) => {
                builder.set_issuer_name(issuer.certificate.subject_name())?;
                // A leaf that signs others has no identifier.
                if issuer.certificate.subject_key_id().is_some() {
                    let context = builder.x509v3_context(Some(&issuer.certificate), None);
                    let identifier = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
                    builder.append_extension(identifier)?;
                }
                builder.sign(&issuer.key, self.digest)?;
            }
            None => {
                builder.set_issuer_name(&subject)?;
                builder.sign(key, self.digest)?;
            }
        }
        Ok(builder.build())
    }

    fn describe_leaf(&self, builder: &mut X509Builder, purpose: Purpose) -> Result<(), ErrorStack> {
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        let mut key_usage = KeyUsage::new();
        key_usage.critical().digital_signature();
        if matches!(self.key, Key::Rsa(_)) {
            // What ciphers without forward secrecy need.
            key_usage.key_encipherment();
        }
        builder.append_extension(key_usage.build()?)?;
        let mut usage = ExtendedKeyUsage::new();
        match purpose {
            Purpose::Both => usage.server_auth().client_auth(),
            Purpose::ServerOnly => usage.server_auth(),
            Purpose::ClientOnly => usage.client_auth(),
            Purpose::CodeSigning => usage.code_signing(),
            Purpose::Unstated => &mut usage,
        };
        if purpose != Purpose::Unstated {
            builder.append_extension(usage.build()?)?;
        }
        let mut names = SubjectAlternativeName::new();
        for name in &self.dns_names {
            names.dns(name);
        }
        for address in &self.addresses {
            names.ip(&address.to_string());
        }
        for (oid, der) in &self.other_names {
            names.other_name2(Asn1Object::from_str(oid)?, der);
        }
        if !(self.dns_names.is_empty() && self.addresses.is_empty() && self.other_names.is_empty()) {
            let extension = names.build(&builder.x509v3_context(None, None))?;
            builder.append_extension(extension)?;
        }
        Ok(())
    }
}

fn describe_authority(builder: &mut X509Builder) -> Result<(), ErrorStack> {
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)
}

fn name(entries: &[(Nid, String)]) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    for (kind, text) in entries {
        name.append_entry_by_nid(*kind, text)?;
    }
    Ok(name.build())
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// Versions are counted from zero (RFC 5280, section 4.1.2.1).
const VERSION_3: i32 = 2;

/// Enough that no two certificates of a test run have the same, and less than the 20 bytes of RFC 5280, section 4.1.2.2.
const SERIAL_BITS: i32 = 127;

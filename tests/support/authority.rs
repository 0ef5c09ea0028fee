//! A certificate authority that issues what the test asks for, good or bad.

use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name, X509NameBuilder};

use super::der::{string, value};

/// A certificate authority, its own root or below another.
pub(crate) struct Authority {
    directory: PathBuf,
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
    /// What a server must send besides its own certificate.
    chain: Vec<X509>,
}

impl Authority {
    /// Makes a root that keeps its files in `directory`.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        let key = new_key();
        let certificate = authority_certificate(name, &key, None, None);
        let authority = Self { directory: directory.to_owned(), certificate, key, chain: Vec::new() };
        fs::write(authority.file(), authority.certificate.to_pem().unwrap()).unwrap();
        authority
    }

    /// Makes an authority that this one vouches for.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.below(name, None)
    }

    /// Makes an authority that this one vouches for below the domain `permitted` only (RFC 5280, section 4.2.1.10).
    pub(crate) fn constrained(&self, name: &str, permitted: &str) -> Self {
        self.below(name, Some(constraint(PERMITTED, permitted)))
    }

    /// Makes an authority that this one vouches for, but not at and below the domain `excluded`.
    pub(crate) fn excluding(&self, name: &str, excluded: &str) -> Self {
        self.below(name, Some(constraint(EXCLUDED, excluded)))
    }

    fn below(&self, name: &str, constraint: Option<X509Extension>) -> Self {
        let key = new_key();
        let certificate = authority_certificate(name, &key, Some(self), constraint);
        let mut chain = vec![certificate.clone()];
        chain.extend(self.chain.iter().cloned());
        Self { directory: self.directory.clone(), certificate, key, chain }
    }

    /// The PEM file of the root certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.pem", common_name(&self.certificate)))
    }

    /// Begins a certificate for the given DNS names.
    pub(crate) fn certificate(&self, names: &[&str]) -> Request<'_> {
        Request {
            authority: self,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            srv_names: Vec::new(),
            xmpp_addresses: Vec::new(),
            common_name: None,
            begins: -DAY,
            ends: 30 * DAY,
            purpose: Purpose::Both,
            self_signed: false,
            public: false,
            rsa: false,
            digest: MessageDigest::sha256(),
        }
    }

    /// Issues a certificate for the given DNS names that nothing is wrong with.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.certificate(names).issue()
    }
}

/// A certificate being described.
#[must_use]
pub(crate) struct Request<'a> {
    authority: &'a Authority,
    names: Vec<String>,
    srv_names: Vec<String>,
    xmpp_addresses: Vec<String>,
    common_name: Option<String>,
    /// Seconds from now.
    begins: i64,
    /// Seconds from now.
    ends: i64,
    purpose: Purpose,
    self_signed: bool,
    public: bool,
    rsa: bool,
    digest: MessageDigest,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Either end of a connection.
    Both,
    /// Accepting connections only, as public authorities issue them now.
    ServerOnly,
    /// Making connections only.
    ClientOnly,
}

impl Request<'_> {
    /// Its time is over since yesterday.
    pub(crate) fn expired(mut self) -> Self {
        (self.begins, self.ends) = (-30 * DAY, -DAY);
        self
    }

    /// Its time begins tomorrow.
    pub(crate) fn not_yet_valid(mut self) -> Self {
        (self.begins, self.ends) = (DAY, 30 * DAY);
        self
    }

    /// Its time begins so many seconds from now.
    pub(crate) fn begins_in(mut self, seconds: i64) -> Self {
        self.begins = seconds;
        self
    }

    /// Says where its issuer's certificate is to be had, as public authorities do.
    pub(crate) fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Its time is over so many seconds from now.
    pub(crate) fn expires_in(mut self, seconds: i64) -> Self {
        self.ends = seconds;
        self
    }

    /// Signs it with a digest that is broken.
    pub(crate) fn sha1(mut self) -> Self {
        self.digest = MessageDigest::sha1();
        self
    }

    /// Limits what it may be used for.
    pub(crate) fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Nobody vouches for it but itself.
    pub(crate) fn self_signed(mut self) -> Self {
        self.self_signed = true;
        self
    }

    /// Gives it an RSA key.
    pub(crate) fn rsa(mut self) -> Self {
        self.rsa = true;
        self
    }

    /// Adds an SRVName such as `_xmpp-server.a.example` (RFC 4985).
    pub(crate) fn srv_name(mut self, name: &str) -> Self {
        self.srv_names.push(name.to_owned());
        self
    }

    /// Adds an XmppAddr (RFC 6120, section 13.7.1.4).
    pub(crate) fn xmpp_address(mut self, address: &str) -> Self {
        self.xmpp_addresses.push(address.to_owned());
        self
    }

    /// Names a subject, which is nobody's identity any more (RFC 9525, section 2).
    pub(crate) fn common_name(mut self, name: &str) -> Self {
        self.common_name = Some(name.to_owned());
        self
    }

    /// Signs it and writes its files.
    pub(crate) fn issue(self) -> Identity {
        let key = match self.rsa {
            false => new_key(),
            true => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        };
        let subject = self.common_name.clone().unwrap_or_else(|| "a server".to_owned());
        let mut builder = builder(&subject, &key, self.begins, self.ends);
        let mut usage = ExtendedKeyUsage::new();
        if self.purpose != Purpose::ClientOnly {
            usage.server_auth();
        }
        if self.purpose != Purpose::ServerOnly {
            usage.client_auth();
        }
        builder.append_extension(BasicConstraints::new().critical().build().unwrap()).unwrap();
        let key_usage = KeyUsage::new().critical().digital_signature().build().unwrap();
        builder.append_extension(key_usage).unwrap();
        builder.append_extension(usage.build().unwrap()).unwrap();
        self.add_names(&mut builder);
        if self.public {
            builder.append_extension(issued_at("http://authority.example/it.der")).unwrap();
        }
        let chain = if self.self_signed {
            let name = name(&subject);
            builder.set_issuer_name(&name).unwrap();
            builder.sign(&key, self.digest).unwrap();
            Vec::new()
        } else {
            sign(&mut builder, self.authority, self.digest);
            self.authority.chain.clone()
        };
        Identity::write(&self.authority.directory, builder.build(), chain, key)
    }

    fn add_names(&self, builder: &mut X509Builder) {
        let mut names = SubjectAlternativeName::new();
        for name in &self.names {
            names.dns(name);
        }
        for name in &self.srv_names {
            let oid = Asn1Object::from_str("1.3.6.1.5.5.7.8.7").unwrap();
            names.other_name2(oid, &string(IA5_STRING, name));
        }
        for address in &self.xmpp_addresses {
            let oid = Asn1Object::from_str("1.3.6.1.5.5.7.8.5").unwrap();
            names.other_name2(oid, &string(UTF8_STRING, address));
        }
        if self.names.len() + self.srv_names.len() + self.xmpp_addresses.len() > 0 {
            let extension = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(extension).unwrap();
        }
    }
}

/// A certificate with its key, in memory and in PEM files.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: X509,
    pub(crate) chain: Vec<X509>,
    pub(crate) key: PKey<Private>,
    /// The authority's word on whether it still holds.
    pub(crate) staple: Option<Vec<u8>>,
    /// The certificate, and those between it and the root.
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
    /// Both in one file, as ejabberd likes it.
    pub(crate) combined_file: PathBuf,
}

impl Identity {
    /// Leaves everything but its own certificate out of the file.
    pub(crate) fn alone(self) -> Self {
        fs::write(&self.certificate_file, self.certificate.to_pem().unwrap()).unwrap();
        Self { chain: Vec::new(), ..self }
    }

    fn write(directory: &Path, certificate: X509, chain: Vec<X509>, key: PKey<Private>) -> Self {
        let serial = certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string();
        let mut pem = certificate.to_pem().unwrap();
        for above in &chain {
            pem.extend(above.to_pem().unwrap());
        }
        let key_pem = key.private_key_to_pem_pkcs8().unwrap();
        let [certificate_file, key_file, combined_file] =
            ["crt", "key", "pem"].map(|ending| directory.join(format!("{serial}.{ending}")));
        fs::write(&certificate_file, &pem).unwrap();
        fs::write(&key_file, &key_pem).unwrap();
        fs::write(&combined_file, [pem, key_pem].concat()).unwrap();
        Self { certificate, chain, key, staple: None, certificate_file, key_file, combined_file }
    }
}

fn authority_certificate(
    name: &str,
    key: &PKey<Private>,
    above: Option<&Authority>,
    constraint: Option<X509Extension>,
) -> X509 {
    let mut builder = builder(name, key, -60 * DAY, 60 * DAY);
    if let Some(constraint) = constraint {
        builder.append_extension(constraint).unwrap();
    }
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
    builder.append_extension(usage).unwrap();
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None));
    builder.append_extension(identifier.unwrap()).unwrap();
    match above {
        Some(above) => sign(&mut builder, above, MessageDigest::sha256()),
        None => {
            builder.set_issuer_name(&self::name(name)).unwrap();
            builder.sign(key, MessageDigest::sha256()).unwrap();
        }
    }
    builder.build()
}

fn sign(builder: &mut X509Builder, authority: &Authority, digest: MessageDigest) {
    builder.set_issuer_name(authority.certificate.subject_name()).unwrap();
    let identifier = AuthorityKeyIdentifier::new()
        .keyid(true)
        .build(&builder.x509v3_context(Some(&authority.certificate), None));
    builder.append_extension(identifier.unwrap()).unwrap();
    builder.sign(&authority.key, digest).unwrap();
}

/// The extension that permits, or excludes, names at and below `domain`.
fn constraint(subtrees: u8, domain: &str) -> X509Extension {
    // NameConstraints, permittedSubtrees [0] or excludedSubtrees [1], GeneralSubtree, dNSName [2].
    let name = string(0x82, domain);
    let der = value(0x30, &value(subtrees, &value(0x30, &name)));
    let oid = Asn1Object::from_str("2.5.29.30").unwrap();
    X509Extension::new_from_der(&oid, true, &Asn1OctetString::new_from_bytes(&der).unwrap()).unwrap()
}

/// The extension that says where the issuer's certificate is to be had.
fn issued_at(uri: &str) -> X509Extension {
    // AuthorityInfoAccess, one AccessDescription: caIssuers, uniformResourceIdentifier [6].
    let ca_issuers = value(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02]);
    let der = value(0x30, &value(0x30, &[ca_issuers, string(0x86, uri)].concat()));
    let oid = Asn1Object::from_str("1.3.6.1.5.5.7.1.1").unwrap();
    X509Extension::new_from_der(&oid, false, &Asn1OctetString::new_from_bytes(&der).unwrap()).unwrap()
}

/// Begins a certificate; seconds count from now.
fn builder(subject: &str, key: &PKey<Private>, begins: i64, ends: i64) -> X509Builder {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&moment(begins)).unwrap();
    builder.set_not_after(&moment(ends)).unwrap();
    builder
}

fn moment(offset: i64) -> Asn1Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Asn1Time::from_unix(i64::try_from(now.as_secs()).unwrap() + offset).unwrap()
}

fn name(common_name: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    name.build()
}

fn common_name(certificate: &X509) -> String {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    entries.next().unwrap().data().to_string().unwrap()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

const IA5_STRING: u8 = 0x16;
const UTF8_STRING: u8 = 0x0c;

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

//! A certificate authority for tests.

use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{
        X509, X509Builder, X509Extension, X509Name, X509NameRef,
        extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};

use crate::certificate::Identity;

/// Issues certificates.
pub(crate) struct Authority {
    pub(crate) certificate: X509,
    key: PKey<Private>,
}

/// What a certificate is to be like; `Default` is one that nobody minds, without a name.
#[derive(Clone, Default)]
pub(crate) struct Wish<'a> {
    pub(crate) dns: &'a [&'a str],
    /// OID and DER.
    pub(crate) other: &'a [(&'a str, &'a [u8])],
    pub(crate) usage: Usage,
    pub(crate) time: Time,
    pub(crate) strength: Strength,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Usage {
    #[default]
    Unsaid,
    Server,
    Client,
    Both,
    Code,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Time {
    #[default]
    Now,
    Past,
    Future,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Strength {
    #[default]
    Good,
    /// RSA, 2048 bits: what old ciphers need.
    Rsa,
    /// RSA, 1024 bits.
    Weak,
    /// Signed with SHA-1.
    Sha1,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = good_key();
        let name = named(name);
        let certificate = authority(&name, &key, &name, &key, Time::Now, None);
        Self { certificate, key }
    }

    /// Makes an authority below this one.
    pub(crate) fn intermediate(&self, name: &str, time: Time) -> Self {
        let key = good_key();
        let certificate =
            authority(&named(name), &key, self.certificate.subject_name(), &self.key, time, None);
        Self { certificate, key }
    }

    /// Makes an authority below this one whose nameConstraints are `constraints`, in DER.
    pub(crate) fn constrained(&self, constraints: &[u8]) -> Self {
        let key = good_key();
        let oid = Asn1Object::from_str("2.5.29.30").unwrap();
        let constraints = Asn1OctetString::new_from_bytes(constraints).unwrap();
        let constraints = X509Extension::new_from_der(&oid, true, &constraints).unwrap();
        let issuer = self.certificate.subject_name();
        let certificate =
            authority(&named("constrained"), &key, issuer, &self.key, Time::Now, Some(constraints));
        Self { certificate, key }
    }

    pub(crate) fn issue(&self, wish: &Wish<'_>) -> Identity {
        leaf(wish, Some(self))
    }
}

/// Makes a chain of so many certificates with keys of RSA, 4096 bits, the first of which is for `names`. The key is one
/// for all: it takes long to find.
pub(crate) fn long_chain(length: usize, names: &[&str]) -> Identity {
    let key = PKey::from_rsa(Rsa::generate(4096).unwrap()).unwrap();
    let name = named("Authority with a Name as Long as Those of Authorities");
    let issuer =
        Authority { certificate: authority(&name, &key, &name, &key, Time::Now, None), key: key.clone() };
    let mut identity = leaf_of(key, &Wish { dns: names, ..Wish::default() }, Some(&issuer));
    identity.chain.extend((1..length).map(|_| issuer.certificate.clone()));
    identity
}

/// Makes a certificate that vouches for itself.
pub(crate) fn self_signed(wish: &Wish<'_>) -> Identity {
    leaf(wish, None)
}

/// Makes a certificate signed by one that has no right to.
pub(crate) fn issued_by(leaf: &Identity) -> Identity {
    Authority { certificate: leaf.chain[0].clone(), key: leaf.key.clone() }.issue(&Wish::default())
}

fn leaf(wish: &Wish<'_>, issuer: Option<&Authority>) -> Identity {
    let key = match wish.strength {
        Strength::Weak => PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap(),
        Strength::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        Strength::Good | Strength::Sha1 => good_key(),
    };
    leaf_of(key, wish, issuer)
}

fn leaf_of(key: PKey<Private>, wish: &Wish<'_>, issuer: Option<&Authority>) -> Identity {
    let subject = named("leaf");
    let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
    let mut builder = begun(&subject, &key, issuer_name, wish.time);
    let mut names = SubjectAlternativeName::new();
    for name in wish.dns {
        names.dns(name);
    }
    for (oid, value) in wish.other {
        names.other_name2(Asn1Object::from_str(oid).unwrap(), value);
    }
    if !wish.dns.is_empty() || !wish.other.is_empty() {
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    if let Some(usage) = extended(wish.usage) {
        builder.append_extension(usage).unwrap();
    }
    let digest = match wish.strength {
        Strength::Sha1 => MessageDigest::sha1(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), digest).unwrap();
    Identity { chain: vec![builder.build()], key }
}

fn extended(usage: Usage) -> Option<X509Extension> {
    let mut extended = ExtendedKeyUsage::new();
    match usage {
        Usage::Unsaid => return None,
        Usage::Server => extended.server_auth(),
        Usage::Client => extended.client_auth(),
        Usage::Both => extended.server_auth().client_auth(),
        Usage::Code => extended.code_signing(),
    };
    Some(extended.build().unwrap())
}

fn authority(
    subject: &X509NameRef,
    key: &PKey<Private>,
    issuer: &X509NameRef,
    issuer_key: &PKey<Private>,
    time: Time,
    constraints: Option<X509Extension>,
) -> X509 {
    let mut builder = begun(subject, key, issuer, time);
    if let Some(constraints) = constraints {
        builder.append_extension(constraints).unwrap();
    }
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
    builder.sign(issuer_key, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn begun(subject: &X509NameRef, key: &PKey<Private>, issuer: &X509NameRef, time: Time) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::ONE, false).unwrap();
    // 1 January 2020, 2021 and 2040, 1 November 2045.
    let (from, to) = match time {
        Time::Past => (1_577_836_800, 1_609_459_200),
        Time::Now => (1_577_836_800, 2_393_107_200),
        Time::Future => (2_208_988_800, 2_393_107_200),
    };
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(to).unwrap()).unwrap();
    builder
}

fn good_key() -> PKey<Private> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap()
}

fn named(common: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "Toy").unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common).unwrap();
    name.build()
}

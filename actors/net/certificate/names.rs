//! Reads the identifiers in a subjectAltName: dNSName, SRVName (RFC 4985) and xmppAddr (RFC 6120 section
//! 13.7.1.4).

use openssl::x509::X509Ref;
use x509_parser::{
    asn1_rs::{Any, Class, FromDer, Oid, Tag, oid},
    certificate::X509Certificate,
    extensions::GeneralName,
};
use xmpp::certificate::Name;

/// Returns the identifiers of a certificate that XMPP uses (RFC 6120 section 13.7.1.2.1).
///
/// The common name is not an identifier (RFC 9525 section 2). Identifiers that cannot be read are left out,
/// so they prove nothing.
pub(super) fn presented(certificate: &X509Ref) -> Vec<Name> {
    // The parser below also accepts an invalid GeneralName, such as an otherName without an OBJECT
    // IDENTIFIER.
    if certificate.subject_alt_names().is_none() {
        return Vec::new();
    }
    let Ok(der) = certificate.to_der() else { return Vec::new() };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(name).take(MOST_NAMES).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(text) => sane(text).map(Name::Dns),
        GeneralName::OtherName(kind, value) if *kind == SRV_NAME => {
            string(value, Tag::Ia5String).map(Name::Srv)
        }
        GeneralName::OtherName(kind, value) if *kind == XMPP_ADDR => {
            string(value, Tag::Utf8String).map(Name::XmppAddr)
        }
        _ => None,
    }
}

/// Reads the value of an otherName: a string of type `tag` inside an explicit `[0]` (RFC 5280 section
/// 4.2.1.6).
fn string(value: &[u8], tag: Tag) -> Option<String> {
    let (rest, wrapper) = Any::from_der(value).ok()?;
    if !rest.is_empty() || wrapper.class() != Class::ContextSpecific || wrapper.tag() != Tag(0) {
        return None;
    }
    let (rest, inner) = Any::from_der(wrapper.data).ok()?;
    if !rest.is_empty() || inner.class() != Class::Universal || inner.tag() != tag {
        return None;
    }
    sane(std::str::from_utf8(inner.data).ok()?)
}

/// Accepts an identifier that can equal a domain.
///
/// NUL and line breaks in an identifier are attacks on comparisons and on logs.
fn sane(text: &str) -> Option<String> {
    let sane =
        !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(|c| c.is_control() || c == ' ');
    sane.then(|| text.to_owned())
}

/// The object identifier id-on-dnsSRV (RFC 4985).
const SRV_NAME: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);

/// The object identifier id-on-xmppAddr (RFC 6120 section 13.7.1.4).
const XMPP_ADDR: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);

/// The maximum number of identifiers. They are stored as long as the stream; public authorities allow at most
/// 100.
const MOST_NAMES: usize = 1000;

/// The maximum length in bytes: a domainpart has at most 1023 (RFC 7622 section 3.2), after the prefix
/// `_xmpp-server.`.
const LONGEST_NAME: usize = 1023 + "_xmpp-server.".len();

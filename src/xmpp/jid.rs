//! Addresses (RFC 7622) and domain names.
//!
//! An address is relayed as it is written: this node has no accounts, so it never needs the prepared form of
//! a localpart or resourcepart. It refuses only those that are unsafe to relay: the rule is at the top of
//! `jid/parts.rs`. Domains are compared, looked up and authenticated, so [`Domain`] has the normal form only
//! (RFC 7622 section 3.2, IDNA), and a peer sees no other spelling than the one that a stream was
//! authenticated for.
//!
//! Where the node compares whole addresses, it compares them as written. Two spellings of one address then
//! count as two addresses, whichever profile (nodeprep and resourceprep, or PRECIS) their servers use, and
//! two addresses never count as one. The second error would lose a stanza of another user; the first costs a
//! repeated stanza.

mod domain;
mod parts;
mod plain;

use std::fmt;

pub use domain::{Domain, DomainPair};
pub(crate) use plain::is_at;

/// The three parts of an address, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jid<'a> {
    /// The text before `@`.
    pub local: Option<&'a str>,
    /// The domainpart as written, for [`Domain::new`].
    pub domain: &'a str,
    /// The text after `/`.
    pub resource: Option<&'a str>,
}

impl<'a> Jid<'a> {
    /// Splits an address and checks its localpart and resourcepart (RFC 7622 section 3).
    ///
    /// The domainpart must not be empty, and is not checked further: [`Domain::new`] does that, once.
    ///
    /// # Errors
    /// Gives the part that is empty, too long, or has a character that is not relayed (see `jid/parts.rs`).
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        // Section 3.1: the resource begins at the first slash; `@` is searched before it.
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };

        if let Some(local) = local {
            check_length(Part::Local, local)?;
            parts::check_local(local)?;
        }
        check_length(Part::Domain, domain)?;
        if let Some(resource) = resource {
            check_length(Part::Resource, resource)?;
            parts::check_resource(resource)?;
        }
        Ok(Self { local, domain, resource })
    }
}

impl fmt::Display for Jid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = self.local {
            write!(f, "{local}@")?;
        }
        f.write_str(self.domain)?;
        match self.resource {
            Some(resource) => write!(f, "/{resource}"),
            None => Ok(()),
        }
    }
}

/// The reason why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A part behind its separator, or the domain, is empty.
    Empty(Part),
    /// A part is longer than 1023 octets.
    TooLong(Part),
    /// The part contains a character that is not allowed.
    Forbidden(Part, char),
    /// The domain is neither an internationalised domain name nor an IP address.
    NotADomain,
    /// A label of the domain is empty or longer than 63 octets.
    Label,
}

/// One of the three parts of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The part before `@`.
    Local,
    /// The domain, the only required part.
    Domain,
    /// The part after `/`.
    Resource,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "localpart",
            Self::Domain => "domainpart",
            Self::Resource => "resourcepart",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(part) => write!(f, "the {part} is empty"),
            Self::TooLong(part) => write!(f, "the {part} is longer than {MAX_PART} octets"),
            Self::Forbidden(part, c) if c.is_ascii_graphic() => {
                write!(f, "the {part} may not contain \"{c}\" (U+{:04X})", u32::from(*c))
            }
            Self::Forbidden(part, c) => write!(f, "the {part} may not contain U+{:04X}", u32::from(*c)),
            Self::NotADomain => f.write_str(
                "a label of the domainpart begins or ends with a hyphen, or is not a valid internationalised label",
            ),
            Self::Label => f.write_str("a label of the domainpart is empty or longer than 63 octets"),
        }
    }
}

impl std::error::Error for Error {}

fn check_length(part: Part, text: &str) -> Result<(), Error> {
    match text.len() {
        0 => Err(Error::Empty(part)),
        1..=MAX_PART => Ok(()),
        _ => Err(Error::TooLong(part)),
    }
}

/// The limit for one part, in octets (RFC 7622 sections 3.2 to 3.4).
pub(crate) const MAX_PART: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_slash_before_the_first_at() {
        let jid = Jid::parse("a.example/b@c/d").unwrap();
        assert_eq!(jid, Jid { local: None, domain: "a.example", resource: Some("b@c/d") });
        let jid = Jid::parse("juliet@a.example/balcony").unwrap();
        assert_eq!(jid, Jid { local: Some("juliet"), domain: "a.example", resource: Some("balcony") });
        assert_eq!(jid.to_string(), "juliet@a.example/balcony");
    }

    #[test]
    fn refuses_an_empty_part() {
        assert_eq!(Jid::parse(""), Err(Error::Empty(Part::Domain)));
        assert_eq!(Jid::parse("@a.example"), Err(Error::Empty(Part::Local)));
        assert_eq!(Jid::parse("a@"), Err(Error::Empty(Part::Domain)));
        assert_eq!(Jid::parse("a@/b"), Err(Error::Empty(Part::Domain)));
        assert_eq!(Jid::parse("a.example/"), Err(Error::Empty(Part::Resource)));
    }

    #[test]
    fn takes_1023_octets_a_part_and_no_more() {
        let (full, over) = ("a".repeat(1023), "a".repeat(1024));
        assert!(Jid::parse(&format!("{full}@{full}/{full}")).is_ok());
        assert_eq!(Jid::parse(&format!("{over}@b")), Err(Error::TooLong(Part::Local)));
        assert_eq!(Jid::parse(&over), Err(Error::TooLong(Part::Domain)));
        assert_eq!(Jid::parse(&format!("b/{over}")), Err(Error::TooLong(Part::Resource)));
        assert_eq!(Jid::parse(&format!("{}@b", "é".repeat(512))), Err(Error::TooLong(Part::Local)));
    }

    #[test]
    fn errors_have_readable_texts() {
        assert_eq!(Jid::parse("a b@c").unwrap_err().to_string(), "the localpart may not contain U+0020");
        let text = Domain::new("a!b").unwrap_err().to_string();
        assert_eq!(text, "the domainpart may not contain \"!\" (U+0021)");
        assert_eq!(Jid::parse("@c").unwrap_err().to_string(), "the localpart is empty");
    }
}

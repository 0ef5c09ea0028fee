//! Domain names in their normal form (RFC 7622 section 3.2).

use super::{Error, MAX_PART, Part};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::{
    borrow::{Borrow, Cow},
    fmt,
    hash::{Hash, Hasher},
    net,
    sync::Arc,
};

/// A normalised domainpart: IDNA A-labels in lower case without a trailing dot, or an IP address in the form
/// of RFC 7622.
///
/// Two spellings of one domain are equal, with the same hash and order. A clone costs a reference count.
///
/// The configuration also has names of wildcards, `*.example.org`: see [`Domain::named`].
#[derive(Clone, Debug, Eq, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads a domainpart in any spelling: `EXAMPLE.com`, `bücher.example`, `x.com.`, `[2001:DB8::1]`.
    ///
    /// # Errors
    /// Gives the reason why the text is neither a domain name nor an IP address.
    pub fn new(text: &str) -> Result<Self, Error> {
        if is_normal(text) {
            return Ok(Self(Arc::from(text)));
        }
        match text.len() {
            0 => return Err(Error::Empty(Part::Domain)),
            1..=MAX_PART => {}
            _ => return Err(Error::TooLong(Part::Domain)),
        }
        if let Some(literal) = text.strip_prefix('[') {
            let address = literal.strip_suffix(']').and_then(|literal| literal.parse::<net::Ipv6Addr>().ok());
            return address.map(|address| Self(Arc::from(format!("[{address}]")))).ok_or(Error::NotADomain);
        }

        // Section 3.2.2 requires a comparison of U-labels. A-labels compare in the same way, and DNS and
        // certificates have them. `wire` gives the U-labels.
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), DENIED, Hyphens::CheckFirstLast, DnsLength::Ignore)
            .map_err(|_| {
                text.chars().find(is_denied).map_or(Error::NotADomain, |c| Error::Forbidden(Part::Domain, c))
            })?;
        // The dot is removed after the mapping, since it may have been an ideographic full stop.
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        match name.len() {
            0 => Err(Error::Empty(Part::Domain)),
            1..=MAX_PART if name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len())) => {
                Ok(Self(Arc::from(name)))
            }
            1..=MAX_PART => Err(Error::Label),
            _ => Err(Error::TooLong(Part::Domain)),
        }
    }

    /// Reads a domain, or the name of all domains below one: `*.example.org`.
    ///
    /// # Errors
    /// As [`Domain::new`]. There are no domains below an IP address.
    pub fn named(text: &str) -> Result<Self, Error> {
        match text.strip_prefix(WILDCARD) {
            Some(parent) => Self::new(parent)?.wildcard().ok_or(Error::NotADomain),
            None => Self::new(text),
        }
    }

    /// The name of all domains below this one: `*.example.org`. It is a key of tables and a text for the operator: no
    /// address has it. `None` below an IP address and below a wildcard.
    pub fn wildcard(&self) -> Option<Self> {
        let has_none = self.is_ip_literal() || self.is_wildcard();
        (!has_none).then(|| Self(Arc::from(format!("{WILDCARD}{}", self.0))))
    }

    /// Whether this is the name of all domains below one.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(WILDCARD)
    }

    /// The domain below which the domains of a wildcard are. `None` for a domain.
    pub fn wildcard_parent(&self) -> Option<Self> {
        self.0.strip_prefix(WILDCARD).map(|parent| Self(Arc::from(parent)))
    }

    /// The form in A-labels, for DNS, certificates, comparison and logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in U-labels, for everything that a peer reads as an address: an address must not contain
    /// A-labels (RFC 7622 section 3.2.1). Both forms of nearly every domain are the same.
    pub fn wire(&self) -> Cow<'_, str> {
        if !self.0.contains(A_LABEL) {
            return Cow::Borrowed(&self.0);
        }
        match Uts46::new().to_unicode(self.0.as_bytes(), DENIED, Hyphens::CheckFirstLast) {
            (name, Ok(())) if name.len() <= MAX_PART => name,
            // The name is far longer than DNS allows (RFC 1035 section 2.3.4), and is no address in U-labels.
            _ => Cow::Borrowed(&self.0),
        }
    }

    /// Whether this is a proper subdomain of `parent`, at any depth.
    pub fn is_below(&self, parent: &Self) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            && !self.is_ip_literal()
    }

    /// Whether this is an IP address. It has no subdomains, no DNS records and no name in a certificate.
    pub fn is_ip_literal(&self) -> bool {
        self.0.starts_with('[')
            || (self.0.ends_with(|c: char| c.is_ascii_digit()) && self.0.parse::<net::Ipv4Addr>().is_ok())
    }
}

impl PartialEq for Domain {
    /// Compares the names, unless both are clones of one domain.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Borrow<str> for Domain {
    /// For look-ups in tables. Equality and hash are those of the text.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A local and a remote domain. A session is authenticated for one pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainPair {
    /// The domain that this node serves.
    pub local: Domain,
    /// The domain that the peer serves.
    pub remote: Domain,
}

impl fmt::Display for DomainPair {
    /// Writes `LOCAL > REMOTE`: `a.example > b.example`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.local, self.remote)
    }
}

/// A quick check whether a name is in normal form, as nearly every name on the wire is: lower-case letters,
/// digits and inner hyphens in labels of valid length, none of which has the prefix of an A-label.
fn is_normal(text: &str) -> bool {
    text.len() <= MAX_PART
        && text.split('.').all(|label| {
            let bytes = label.as_bytes();
            (1..=MAX_LABEL).contains(&bytes.len())
                && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && bytes[0] != b'-'
                && bytes[bytes.len() - 1] != b'-'
                && !label.starts_with(A_LABEL)
        })
}

/// Whether no domain contains the character, wherever it is.
fn is_denied(c: &char) -> bool {
    c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')
}

/// ASCII that no domain contains. The underscore is allowed: host names do not contain it, but names of
/// services in private networks do.
const DENIED: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

/// The prefix of the name of a wildcard. No domain contains an asterisk.
const WILDCARD: &str = "*.";

/// The prefix of an A-label (RFC 5890 section 2.3.2.5).
const A_LABEL: &str = "xn--";

/// The limit for one label, in octets (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::new(text).unwrap()
    }

    #[test]
    fn equal_spellings_are_equal() {
        for spelling in ["EXAMPLE.com", "example.com.", "example。com", "example．com｡", "ｅｘａｍｐｌｅ.com"]
        {
            assert_eq!(domain(spelling), domain("example.com"), "{spelling}");
        }
        for spelling in
            ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example."]
        {
            assert_eq!(domain(spelling).as_str(), "xn--bcher-kva.example", "{spelling}");
        }
    }

    // E28
    #[test]
    fn is_written_to_the_wire_in_u_labels() {
        for (spelling, wire) in [
            ("XN--BCHER-KVA.Example.", "bücher.example"),
            ("Straße.xn--mnchen-3ya.example", "straße.münchen.example"),
            ("ΒΌΛΟΣ.example", "βόλοσ.example"),
            ("βόλος.example", "βόλος.example"),
            ("xn--4dbrk0ce.example", "ישראל.example"),
            ("a.axn--b.example", "a.axn--b.example"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(domain(spelling).wire(), wire, "{spelling}");
            assert_eq!(domain(wire), domain(spelling), "{spelling}");
        }
        assert!(matches!(domain("A.example").wire(), Cow::Borrowed("a.example")));
    }

    #[test]
    fn is_the_same_domain_in_either_form() {
        let label = domain(&"ü".repeat(50));
        for labels in 1..=16 {
            let long = domain(&vec![label.as_str(); labels].join("."));
            let wire = long.wire();
            assert_eq!(wire.contains('ü'), labels * 101 <= MAX_PART + 1, "{labels}");
            assert_eq!(domain(&wire), long);
        }
    }

    #[test]
    fn reads_ip_literals() {
        assert_eq!(domain("[2001:DB8:0::1]").as_str(), "[2001:db8::1]");
        assert_eq!(domain("192.0.2.7").as_str(), "192.0.2.7");
        assert!(domain("[::1]").is_ip_literal() && domain("192.0.2.7").is_ip_literal());
        assert!(!domain("a.192").is_ip_literal());
        for broken in ["[::1", "::1", "[192.0.2.7]", "[fe80::1%eth0]", "[]"] {
            assert!(Domain::new(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn refuses_text_that_is_no_domain() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a@b",
            "a/b",
            "-a.example",
            "a-.example",
            "xn--a.example",
            "xn--",
            "a\0b",
            "a:5269",
            "<a>",
            "a&b",
            "\u{202e}a",
            "a\u{3000}b",
        ] {
            assert!(Domain::new(text).is_err(), "{text:?}");
        }
        assert_eq!(Domain::new("a!b.example"), Err(Error::Forbidden(Part::Domain, '!')));
        assert_eq!(Domain::new("-a.example"), Err(Error::NotADomain));
        assert_eq!(Domain::new(&format!("{}.example", "a".repeat(64))), Err(Error::Label));
        assert_eq!(Domain::new(&"a.".repeat(512)), Err(Error::TooLong(Part::Domain)));
        assert!(Domain::new(&format!("{}.example", "a".repeat(63))).is_ok());
        assert!(Domain::new(&format!("{}a", "a.".repeat(511))).is_ok());
    }

    #[test]
    fn accepts_service_names_of_deployed_peers() {
        assert_eq!(domain("my_service.localhost").as_str(), "my_service.localhost");
        assert_eq!(domain("localhost").as_str(), "localhost");
        assert_eq!(domain("r3---sn.example").as_str(), "r3---sn.example");
    }

    #[test]
    fn is_below_its_parents_only() {
        assert!(domain("a.b.example").is_below(&domain("b.example")));
        assert!(domain("a.b.example").is_below(&domain("example")));
        assert!(!domain("b.example").is_below(&domain("b.example")));
        assert!(!domain("ab.example").is_below(&domain("b.example")));
        assert!(!domain("example").is_below(&domain("b.example")));
        assert!(!domain("192.0.2.7").is_below(&domain("0.2.7")));
    }

    #[test]
    fn a_wildcard_is_named_after_its_parent_and_equals_no_domain() {
        let wildcard = Domain::named("*.EXAMPLE.org").unwrap();
        assert_eq!(wildcard, domain("example.org").wildcard().unwrap());
        assert_eq!((wildcard.as_str(), wildcard.is_wildcard()), ("*.example.org", true));
        assert_eq!(wildcard.wildcard_parent(), Some(domain("example.org")));
        assert_eq!(Domain::named("example.org"), Ok(domain("example.org")));
        assert_eq!((domain("a.example").wildcard_parent(), domain("a.example").is_wildcard()), (None, false));
        assert_eq!(wildcard.wildcard(), None);
        for text in
            ["*", "*.", "*.*.example.org", "a.*.example.org", "*.192.0.2.7", "*.[::1]", "*example.org"]
        {
            assert!(Domain::named(text).is_err(), "{text}");
        }
        assert!(Domain::new("*.example.org").is_err());
    }

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        for text in ["a", "a.b", "a-b.c1", "0.a", "1.2.3", "a--b.c", "ab--c.d"] {
            assert!(is_normal(text));
            let long = Uts46::new()
                .to_ascii(text.as_bytes(), DENIED, Hyphens::CheckFirstLast, DnsLength::Ignore)
                .unwrap();
            assert_eq!(long, text);
        }
    }
}

//! A quick check of addresses in one pass over the bytes. Nearly all addresses on the wire pass it.

use super::{Domain, MAX_PART};

/// Whether the raw value of an attribute is certainly a valid address at `domain`, in the form of
/// [`Domain::as_str`].
///
/// Other values may be valid and at that domain too: [`Jid::parse`](super::Jid::parse) decides.
pub(crate) fn is_at(raw: &[u8], domain: &Domain) -> bool {
    let length = run(raw, LOCAL);
    let behind_local = match raw.get(length) {
        Some(b'@') if (1..=MAX_PART).contains(&length) => &raw[length + 1..],
        Some(b'@') => return false,
        _ => raw,
    };
    match behind_local.strip_prefix(domain.as_str().as_bytes()) {
        Some([]) => true,
        Some([b'/', resource @ ..]) => {
            (1..=MAX_PART).contains(&resource.len()) && run(resource, RESOURCE) == resource.len()
        }
        _ => false,
    }
}

/// Counts the bytes at the front that are allowed in a part.
fn run(bytes: &[u8], part: u8) -> usize {
    bytes.iter().position(|&byte| ALLOWED[usize::from(byte)] & part == 0).unwrap_or(bytes.len())
}

const LOCAL: u8 = 1;
const RESOURCE: u8 = 2;

/// The parts in which a byte is allowed: printable ASCII, in a localpart without the characters that RFC 7622
/// section 3.3.1 excludes. The ampersand, which begins a reference, is not allowed in any.
const ALLOWED: [u8; 256] = {
    let mut allowed = [0; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        allowed[byte as usize] = match byte {
            b'&' => 0,
            b' ' | b'"' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@' => RESOURCE,
            _ => LOCAL | RESOURCE,
        };
        byte += 1;
    }
    allowed
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jid::Jid, xml};

    fn is_at_b(raw: &str) -> bool {
        is_at(raw.as_bytes(), &Domain::new("b.example").unwrap())
    }

    #[test]
    fn the_quick_check_accepts_plain_addresses() {
        for raw in ["b.example", "a@b.example", "a@b.example/r", "b.example/r", "b.example/a@c.example/ '"] {
            assert!(is_at_b(raw), "{raw}");
        }
        assert!(is_at(b"a@[::1]/r", &Domain::new("[::1]").unwrap()));
    }

    #[test]
    fn the_quick_check_rejects_all_other_addresses() {
        for raw in [
            "",
            "c.example",
            "a@c.example",
            "B.example",
            "b.example.",
            "a.b.example",
            "b.exampleb",
            "@b.example",
            "a@b.example@b.example",
            "a@b.example/",
            "a b@b.example",
            "a&amp;@b.example",
            "a@b.example/&lt;",
            "a@b.example/\t",
            "a@b.example/\u{7f}",
            "ü@b.example",
            "b.example/ü",
        ] {
            assert!(!is_at_b(raw), "{raw}");
        }
        let long = "a".repeat(MAX_PART + 1);
        assert!(!is_at_b(&format!("{long}@b.example")) && !is_at_b(&format!("b.example/{long}")));
    }

    #[test]
    fn the_quick_check_agrees_with_the_full_check_for_every_byte() {
        for byte in 0..=0x7f_u8 {
            let c = char::from(byte);
            for raw in [format!("a{c}@b.example"), format!("b.example/{c}")] {
                let read = xml::unescape(&raw);
                let sound = Jid::parse(&read).is_ok_and(|jid| jid.domain == "b.example");
                assert!(sound || !is_at_b(&raw), "{raw:?}");
                // These wait for the second look: an ampersand begins a reference, and a reader of XML makes
                // spaces of the others.
                assert!(is_at_b(&raw) || !sound || matches!(c, '&' | '\t' | '\n' | '\r'), "{raw:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_quick_check_accepts_nothing_that_the_full_check_refuses(
            local in "[a-c&@:/ \u{80}-\u{ff}♥＠]{0,4}", at in "@?", resource in "(/[ -~\u{7f}·\u{200b}\t]{0,4})?",
        ) {
            let raw = format!("{local}{at}b.example{resource}");
            let read = xml::unescape(&raw);
            let sound = Jid::parse(&read).is_ok_and(|jid| jid.domain == "b.example");
            proptest::prop_assert!(sound || !is_at_b(&raw), "{:?}", raw);
        }
    }
}

//! The XML declaration before a stream header (XML 1.0 section 2.8).

use super::{Error, chars::is_white_space};

/// Reads the declaration at the front of `view`. Gives the position of its end; `None` when it is incomplete.
///
/// `looked` is the position up to which its end was searched before.
pub(super) fn read(view: &[u8], looked: &mut usize) -> Result<Option<usize>, Error> {
    for (at, expected) in b"<?xml".iter().enumerate() {
        match view.get(at) {
            None => return Ok(None),
            Some(byte) if byte == expected => {}
            Some(_) => return Err(Error::Restricted("a processing instruction")),
        }
    }
    match view.get(5) {
        None => return Ok(None),
        Some(&byte) if is_white_space(byte) => {}
        Some(_) => return Err(Error::Restricted("a processing instruction")),
    }
    // A declaration cannot contain a `>`.
    let from = (*looked).clamp(6, view.len());
    let Some(length) = memchr::memchr(b'>', &view[from..]) else {
        *looked = view.len();
        return Ok(None);
    };
    let close = from + length;
    check(&view[5..close])?;
    Ok(Some(close + 1))
}

/// Checks the text between `<?xml` and `>`.
fn check(text: &[u8]) -> Result<(), Error> {
    let mut rest = text.strip_suffix(b"?").ok_or(BROKEN)?;
    if pair(&mut rest, b"version")? != Some(b"1.0") {
        return Err(Error::NotWellFormed("an XML version other than 1.0"));
    }
    if pair(&mut rest, b"encoding")?.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"utf-8")) {
        return Err(Error::UnsupportedEncoding);
    }
    if pair(&mut rest, b"standalone")?.is_some_and(|value| value != b"yes" && value != b"no") {
        return Err(BROKEN);
    }
    if skip_white_space(rest).is_empty() { Ok(()) } else { Err(BROKEN) }
}

/// Takes ` name = "value"` from the front of `rest`, if it is there.
fn pair<'a>(rest: &mut &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Error> {
    let Some(after) = skip_white_space(rest).strip_prefix(name) else {
        return Ok(None);
    };
    if !rest.first().is_some_and(|&b| is_white_space(b)) {
        return Err(BROKEN);
    }
    let after = skip_white_space(skip_white_space(after).strip_prefix(b"=").ok_or(BROKEN)?);
    let (quote, after) =
        after.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\'')).ok_or(BROKEN)?;
    let end = memchr::memchr(*quote, after).ok_or(BROKEN)?;
    *rest = &after[end + 1..];
    Ok(Some(&after[..end]))
}

fn skip_white_space(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&b| is_white_space(b)).count()..]
}

const BROKEN: Error = Error::NotWellFormed("an invalid XML declaration");

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<Option<usize>, Error> {
        read(text.as_bytes(), &mut 0)
    }

    #[test]
    fn takes_every_lawful_form() {
        for text in [
            "<?xml version='1.0'?>",
            "<?xml version=\"1.0\" encoding='UTF-8'?>",
            "<?xml\n version = '1.0'\tencoding = 'utf-8' standalone='yes' ?>",
            "<?xml version='1.0' standalone='no'?>",
        ] {
            assert_eq!(verdict(text), Ok(Some(text.len())), "{text}");
            assert_eq!(verdict(&text[..text.len() - 1]), Ok(None), "{text}");
        }
    }

    #[test]
    fn refuses_other_versions_encodings_and_forms() {
        assert_eq!(verdict("<?xml version='1.0' encoding='iso-8859-1'?>"), Err(Error::UnsupportedEncoding));
        assert_eq!(verdict("<?xml version='1.0' encoding='UTF-16'?>"), Err(Error::UnsupportedEncoding));
        assert!(matches!(verdict("<?xml version='1.1'?>"), Err(Error::NotWellFormed(_))));
        for text in [
            "<?xml?>",
            "<?xml >",
            "<?xml encoding='UTF-8'?>",
            "<?xml version='1.0'>",
            "<?xml version='1.0'encoding='UTF-8'?>",
            "<?xml version='1.0' encoding='UTF-8' version='1.0'?>",
            "<?xml version='1.0' standalone='maybe'?>",
            "<?xml version='1.0\" ?>",
            "<?xml version=1.0 ?>",
        ] {
            assert!(verdict(text).is_err(), "{text}");
        }
        assert_eq!(verdict("<?php ?>"), Err(Error::Restricted("a processing instruction")));
        assert_eq!(verdict("<?xml-stylesheet ?>"), Err(Error::Restricted("a processing instruction")));
    }
}

//! The rules of a `[[component]]`: the remote addresses that may exchange stanzas with it, and its rate.

use std::{
    io::{self, Read},
    path::Path,
};

use actors::settings::{Access, Rate};
use xmpp::{policy::Addresses, stanza::Denial};

use super::{identity, section::Section, users, value};

/// Reads `allow`, `deny`, their files, and `deny_error`. `None`: every address may.
pub(super) fn access(section: &Section<'_>) -> Option<Access> {
    let allow = addresses(section, "allow", "allow_file");
    let deny = addresses(section, "deny", "deny_file");
    let denial = section.read("deny_error", value::one_of(&DENIALS));
    if allow.is_none() && deny.is_none() {
        if denial.is_some() {
            section.warning("deny_error", "has no effect without \"allow\", \"deny\" or a file of them");
        }
        return None;
    }
    let key = if section.has("allow") { "allow" } else { "allow_file" };
    if allow.as_ref().is_some_and(Addresses::is_empty) && !section.has_problem(key) {
        section.warning(key, "is empty: no server can exchange stanzas with the component");
    }
    if deny.as_ref().is_some_and(Addresses::is_all) {
        let key = if section.has("deny") { "deny" } else { "deny_file" };
        section.warning(key, "\"*\" denies every address: no server can exchange stanzas with the component");
    }
    Some(Access {
        allow: allow.unwrap_or_else(Addresses::all),
        deny: deny.unwrap_or_default(),
        denial: denial.unwrap_or_default(),
    })
}

/// Reads `max_rate`: a number of stanzas, or a size, per second.
pub(super) fn max_rate(section: &Section<'_>) -> Option<Rate> {
    if section.is_integer("max_rate") {
        section.count("max_rate", 1).map(Rate::Stanzas)
    } else {
        section.read("max_rate", value::rate).flatten().map(Rate::Bytes)
    }
}

/// The name of a component for people.
pub(super) fn title(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        Err("must not have control characters".to_owned())
    } else if text.chars().count() > MAX_TITLE {
        Err(format!("has more than {MAX_TITLE} characters"))
    } else {
        Ok(text.to_owned())
    }
}

/// The addresses of the list at `key` and of the file at `key_file`, together; `None` if there is neither.
fn addresses(section: &Section<'_>, key: &'static str, key_file: &'static str) -> Option<Addresses> {
    let source = section.source();
    let listed = section.list(key, address);
    let from_file = section.read(key_file, |path| from_file(&source.path(path)));
    if !section.has(key) && !section.has(key_file) {
        return None;
    }
    let mut addresses = from_file.unwrap_or_default();
    listed.into_iter().flatten().for_each(|listed| addresses.extend(listed));
    Some(addresses)
}

fn address(text: &str) -> Result<Addresses, String> {
    let mut addresses = Addresses::default();
    addresses.add(text).map(|()| addresses).map_err(|error| {
        let shown: String = text.chars().take(MAX_SHOWN).collect();
        format!(
            "\"{shown}\" is not an address, for example \"example.net\", \"*.example.net\" or \"user@example.net\": {error}"
        )
    })
}

/// The addresses of a file, one a line. Empty lines and those that begin with `#` are left out; so is what follows a `#`
/// behind a space.
fn from_file(path: &Path) -> Result<Addresses, String> {
    let text = read(path).map_err(|error| {
        let reason = identity::unreadable(path, &error);
        users::help_if_denied(path, &error).map_or_else(|| reason.clone(), |help| format!("{reason}; {help}"))
    })?;
    if text.len() > MAX_FILE {
        return Err(format!(
            "{} has more than {} MiB: list domains (\"*.example.net\") instead of addresses",
            path.display(),
            MAX_FILE >> 20
        ));
    }
    let mut addresses = Addresses::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split_once(" #").map_or(line, |(before, _)| before).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |error| format!("{}: line {}: {error}", path.display(), number + 1);
        addresses.extend(address(line).map_err(wrong)?);
    }
    Ok(addresses)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    identity::open(path)?.take(MAX_FILE as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

const DENIALS: [(&str, Denial); 4] = [
    ("not-allowed", Denial::NotAllowed),
    ("policy-violation", Denial::PolicyViolation),
    ("forbidden", Denial::Forbidden),
    ("service-unavailable", Denial::ServiceUnavailable),
];

/// Bytes of a file with addresses: about 150,000 of them, which take 20 MiB of memory.
const MAX_FILE: usize = 4 << 20;

/// Characters of a wrong address in the log: more than most addresses have.
const MAX_SHOWN: usize = 100;

/// Characters of a title. Clients show it in a list.
const MAX_TITLE: usize = 128;

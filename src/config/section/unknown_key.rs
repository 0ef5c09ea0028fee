//! The message about an unknown key of the configuration file, with the key that is probably meant.

use std::net::IpAddr;

use toml::de::DeValue;

use super::{
    super::finding::Message,
    synonyms::{self, LISTENER, NEEDLESS, Synonym, plain},
};

/// The message about the unknown `key` of the section `name`, which has the `known` keys.
pub(super) fn unknown_key(name: &str, key: &str, value: &DeValue<'_>, known: &[&str]) -> Message {
    let text = match name {
        "" => "unknown key or section".to_owned(),
        name if REPEATABLE.contains(&name) => format!("unknown key in [[{name}]]"),
        name => format!("unknown key in [{name}]"),
    };
    let elsewhere = ELSEWHERE.iter().find(|(known, section)| *known == key && *section != name);
    let needless =
        NEEDLESS.iter().find(|(used_in, words, _)| *used_in == name && words.contains(&plain(key).as_str()));
    if let Some((.., reason)) = needless {
        return Message::with_help(text, format!("remove it: {reason}"));
    }
    let help = match (elsewhere, meant(name, key, value), nearest(key, known)) {
        (_, Some(synonym), _) => format!("did you mean {}?", described(synonym)),
        (Some((_, section)), ..) => format!("it belongs in {}", header(section)),
        (.., Some(near)) => format!("did you mean \"{near}\"?"),
        _ => format!("the known keys are \"{}\"", known.join("\", \"")),
    };
    Message::with_help(text, help)
}

/// `"secret"`, or `"component" in [listen], for example ["127.0.0.1:5347"]`.
fn described(synonym: &Synonym) -> String {
    let Synonym { used_in, section, key, example, .. } = synonym;
    let mut text = match *key {
        "" => header(section),
        key if section == used_in => format!("\"{key}\""),
        key => format!("\"{key}\" in {}", header(section)),
    };
    if !example.is_empty() {
        text += &format!(", for example {example}");
    }
    text
}

/// `[s2s]`, or `[[component]]`.
fn header(section: &str) -> String {
    if REPEATABLE.contains(&section) { format!("[[{section}]]") } else { format!("[{section}]") }
}

/// Whether `key` of the section `name` is another word for `other`, a key of the same section.
pub(super) fn is_other_word(name: &str, key: &str, value: &DeValue<'_>, other: &str) -> bool {
    let synonym = meant(name, key, value);
    synonym.is_some_and(|synonym| synonym.section == name && synonym.key == other)
}

/// The key that is meant by an unknown one. In the configuration of a component, `host` is often the machine of the server
/// and not the name: its value tells.
fn meant(name: &str, key: &str, value: &DeValue<'_>) -> Option<&'static Synonym> {
    let synonym = synonyms::meant(name, key)?;
    let is_machine =
        synonym.section == "component" && synonym.key == "name" && value.as_str().is_some_and(is_machine);
    Some(if is_machine { &LISTENER } else { synonym })
}

/// Whether a text is an IP address or `localhost`, with or without a port, or a URL.
fn is_machine(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host.trim_matches(['[', ']']),
        _ => text,
    };
    host == "localhost"
        || host.parse::<IpAddr>().is_ok()
        || text.parse::<IpAddr>().is_ok()
        || text.contains("://")
}

/// The known word that is most similar to `word`, if any is similar enough.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = plain(word);
    let similarity = |near: &&str| strsim::normalized_damerau_levenshtein(&word, near);
    let similar = known.iter().copied().filter(|near| similarity(near) >= SIMILAR);
    similar.max_by(|one, other| similarity(one).total_cmp(&similarity(other)))
}

/// The minimum similarity, from 0 to 1, at which a word is probably a misspelling of another.
const SIMILAR: f64 = 0.6;

/// Sections that may be repeated.
pub(in super::super) const REPEATABLE: [&str; 3] = ["domain", "component", "remote"];

/// Keys that operators often put in a wrong section, or take for a section, and the right section.
const ELSEWHERE: [(&str, &str); 23] = [
    ("metrics", "listen"),
    ("control", "listen"),
    ("s2s_tls", "listen"),
    ("allow", "s2s"),
    ("deny", "s2s"),
    ("tls", "s2s"),
    ("auth", "s2s"),
    ("trust", "s2s"),
    ("idle_timeout", "s2s"),
    ("keepalive", "s2s"),
    ("dialback_secret", "s2s"),
    ("acks", "s2s"),
    ("resume_timeout", "s2s"),
    ("ack_timeout", "s2s"),
    ("repeat", "s2s"),
    ("resumable", "limits"),
    ("max_connections", "limits"),
    ("max_connections_unauthenticated", "limits"),
    ("max_depth", "limits"),
    ("backoff", "promise"),
    ("keep", "component"),
    ("redeliver", "component"),
    ("nameservers", "dns"),
];

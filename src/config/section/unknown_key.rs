//! The message about an unknown key of the configuration file, with the key that is probably meant.

use super::{
    super::finding::Message,
    synonyms::{self, Synonym, meant, plain},
};

/// The message about the unknown `key` of the section `name`, which has the `known` keys.
pub(super) fn unknown_key(name: &str, key: &str, known: &[&str]) -> Message {
    let text = match name {
        "" => "unknown key or section".to_owned(),
        name if REPEATABLE.contains(&name) => format!("unknown key in [[{name}]]"),
        name => format!("unknown key in [{name}]"),
    };
    let elsewhere = ELSEWHERE.iter().find(|(known, section)| *known == key && *section != name);
    let help = match (elsewhere, meant(name, key), nearest(key, known)) {
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

/// Whether `key` of the section `name` is another word for `meant`, a key of the same section.
pub(super) fn is_other_word(name: &str, key: &str, meant: &str) -> bool {
    let synonym = synonyms::meant(name, key);
    synonym.is_some_and(|synonym| synonym.section == name && synonym.key == meant)
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

//! The message about an unknown key of the configuration file, with the key that is probably meant.

use super::super::finding::Message;

/// The message about the unknown `key` of the section `name`, which has the `known` keys.
pub(super) fn unknown_key(name: &str, key: &str, known: &[&str]) -> Message {
    let text = match name {
        "" => "unknown key or section".to_owned(),
        name if REPEATABLE.contains(&name) => format!("unknown key in [[{name}]]"),
        name => format!("unknown key in [{name}]"),
    };
    let elsewhere = ELSEWHERE.iter().find(|(known, section)| *known == key && *section != name);
    let synonym = SYNONYMS.iter().find(|(section, word, _)| *section == name && *word == key);
    let help = match (elsewhere, synonym, nearest(key, known)) {
        (_, Some((_, _, meant)), _) => format!("did you mean {meant}?"),
        (Some((_, section)), ..) => format!("it belongs in [{section}]"),
        (.., Some(near)) => format!("did you mean \"{near}\"?"),
        _ => format!("the known keys are \"{}\"", known.join("\", \"")),
    };
    Message::with_help(text, help)
}

/// The known word that is most similar to `word`, if any is similar enough.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let similarity = |near: &&str| strsim::normalized_damerau_levenshtein(word, near);
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

/// Words for a key in other servers: the section, the word, and the key.
const SYNONYMS: [(&str, &str, &str); 41] = [
    ("", "domains", "[[domain]]"),
    ("", "components", "[[component]]"),
    ("", "remotes", "[[remote]]"),
    ("", "host", "[[domain]] with \"name\""),
    ("", "hosts", "[[domain]] with \"name\""),
    ("", "log_level", "\"log\""),
    ("", "loglevel", "\"log\""),
    ("", "threads", "\"workers\""),
    ("listen", "port", "\"s2s\", for example [\"0.0.0.0:5269\"]"),
    ("listen", "ports", "\"s2s\", for example [\"0.0.0.0:5269\"]"),
    ("listen", "server", "\"s2s\""),
    ("listen", "components", "\"component\""),
    ("listen", "prometheus", "\"metrics\""),
    ("listen", "socket", "\"control\""),
    ("domain", "host", "\"name\""),
    ("domain", "domain", "\"name\""),
    ("domain", "cert", "\"certificate\""),
    ("domain", "private_key", "\"key\""),
    ("component", "password", "\"secret\""),
    ("component", "pass", "\"secret\""),
    ("component", "passwd", "\"secret\""),
    ("component", "password_file", "\"secret_file\""),
    ("component", "host", "\"name\""),
    ("component", "domain", "\"name\""),
    ("component", "jid", "\"name\""),
    ("component", "cert", "\"certificate\""),
    ("s2s", "secret", "\"dialback_secret\""),
    ("s2s", "secret_file", "\"dialback_secret_file\""),
    ("s2s", "require_tls", "\"tls\", for example \"required\""),
    ("s2s", "encryption", "\"tls\", for example \"required\""),
    ("s2s", "whitelist", "\"allow\""),
    ("s2s", "blacklist", "\"deny\""),
    ("s2s", "max_stanza_size", "\"max_stanza\""),
    ("s2s", "smacks", "\"acks\""),
    ("s2s", "stream_management", "\"acks\""),
    ("s2s", "smacks_hibernation_time", "\"resume_timeout\""),
    ("s2s", "smacks_max_ack_delay", "\"ack_timeout\""),
    ("s2s", "resend", "\"repeat\""),
    ("remote", "host", "\"address\", for example \"192.0.2.7:5269\""),
    ("remote", "domain", "\"name\""),
    ("dns", "servers", "\"nameservers\""),
];

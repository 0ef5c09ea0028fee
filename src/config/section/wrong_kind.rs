//! Describes a value of the wrong kind, and the value that its key expects, with an example.

use toml::de::DeValue;

use super::super::CONTACTS;

/// The kind of string that a key expects.
#[derive(Debug)]
pub(super) enum Expected {
    /// A string.
    Text,
    /// A duration, a size or a rate.
    WithUnit,
    /// A rate in stanzas or in bytes.
    NumberOrUnit,
}

impl Expected {
    /// The expected value of `key` in a section, with an example.
    pub(super) fn string(section: &str, key: &str) -> String {
        let (kind, examples) = example(section, key);
        let example = examples.first().copied().unwrap_or_default();
        match kind {
            Self::Text => format!("a quoted string, for example \"{example}\""),
            Self::WithUnit => format!("a quoted string with a unit, for example \"{example}\""),
            Self::NumberOrUnit => {
                format!("an integer, or a quoted string with a unit, for example 100 or \"{example}\"")
            }
        }
    }

    /// The expected list of `key` in a section, with an example.
    pub(super) fn list(section: &str, key: &str) -> String {
        let (_, examples) = example(section, key);
        let quoted: Vec<String> = examples.iter().map(|example| format!("\"{example}\"")).collect();
        format!("a list of quoted strings, for example [{}]", quoted.join(", "))
    }
}

/// The kind of a value, for people.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Valid strings of a key; several for a list.
fn example(section: &str, key: &str) -> (Expected, &'static [&'static str]) {
    let found =
        EXAMPLES.iter().find(|(own, keys, ..)| (own.is_empty() || *own == section) && keys.contains(&key));
    let Some((.., examples)) = found else { return (Expected::Text, &["…"]) };
    let kind = match (section, key) {
        ("component", "max_rate") => Expected::NumberOrUnit,
        (_, "keep" | "backoff") => Expected::WithUnit,
        _ if DURATIONS.contains(&key) || SIZES.contains(&key) => Expected::WithUnit,
        _ => Expected::Text,
    };
    (kind, examples)
}

/// Sections, keys and examples; an empty section stands for all that no line above names.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    ("domain", &["name"], &["example.org"]),
    ("remote", &["name"], &["example.net"]),
    ("component", &["name"], &["echo.example.org"]),
    ("component", &["names"], &["echo.example.org", "*.rooms.example.org"]),
    ("component", &["allow", "deny"], &["example.net", "user@example.net"]),
    ("listen", &["component"], &["127.0.0.1:5347"]),
    ("journal", &["key_file"], &["journal.key"]),
    ("cluster", &["name"], &["example"]),
    ("cluster", &["node"], &["a"]),
    ("cluster", &["servers"], &["nats://127.0.0.1:4222"]),
    ("cluster", &["user"], &["nuncio"]),
    ("cluster", &["password_file"], &["nats.password"]),
    ("cluster", &["on_engine_loss"], &["freeze"]),
    ("", &["log"], &["info"]),
    ("", &["s2s"], &["0.0.0.0:5269", "[::]:5269"]),
    ("", &["s2s_tls"], &["0.0.0.0:5270", "[::]:5270"]),
    ("", &["component_tls"], &["192.0.2.1:5348"]),
    ("", &["component_allow"], &["192.0.2.7", "2001:db8::/32"]),
    ("", &["component_socket_mode"], &["0660"]),
    ("", &["component_socket_group"], &["xmpp"]),
    ("", &["metrics"], &["127.0.0.1:9469"]),
    ("", &["control"], &["nuncio.sock"]),
    ("", &["certificate"], &["certs/example.org.crt"]),
    ("", &["key"], &["certs/example.org.key"]),
    ("", &["secret", "dialback_secret"], &["a long random text"]),
    ("", &["secret_file", "dialback_secret_file"], &["secret.txt"]),
    ("", &["conflict"], &["replace"]),
    ("", &["allow", "deny"], &["example.net", "*.example.net"]),
    ("", &["allow_file"], &["allowed.txt"]),
    ("", &["deny_file"], &["denied.txt"]),
    ("", &["deny_error"], &["not-allowed"]),
    ("", &["title"], &["Weather service"]),
    ("", &["tls"], &["required"]),
    ("", &["auth"], &["external", "dialback"]),
    ("", &["trust"], &["system"]),
    ("", &["unknown_recipient"], &["close"]),
    ("", &["malformed_stanza"], &["bounce"]),
    ("", &["repeat"], &["messages"]),
    ("", &["address"], &["192.0.2.7:5269"]),
    ("", &["backoff"], &["1s", "5m"]),
    ("", &["keep"], &["1h"]),
    ("", &["max_rate"], &["64 KiB"]),
    ("", &["total_bytes"], &["256 MiB"]),
    ("", &["path"], &["journal"]),
    ("", &["nameservers"], &["9.9.9.9"]),
    ("", &CONTACTS, &["mailto:admin@example.org", "xmpp:admin@example.org"]),
    ("", &DURATIONS, &["30s"]),
    ("", &SIZES, &["512 KiB"]),
];

const DURATIONS: [&str; 18] = [
    "ack_timeout",
    "after",
    "attempt_timeout",
    "connect_timeout",
    "element_timeout",
    "grace",
    "handshake_timeout",
    "idle_timeout",
    "iq",
    "keepalive",
    "lease",
    "log_mailboxes",
    "message",
    "presence",
    "resume_timeout",
    "shutdown_timeout",
    "timeout",
    "write_timeout",
];

const SIZES: [&str; 8] = [
    "max_bytes",
    "max_bytes_unauthenticated",
    "max_handshake",
    "max_rate",
    "max_stanza",
    "max_stanza_unauthenticated",
    "total_bytes",
    "window",
];

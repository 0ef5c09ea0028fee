//! Words for keys in the configurations of Prosody, ejabberd and components, and the keys that are meant.

/// Words that mean one key.
pub(in super::super) struct Synonym {
    /// The section in which the words are used; empty for the top of the file.
    pub(in super::super) used_in: &'static str,
    /// In lower case, with underscores.
    pub(in super::super) words: &'static [&'static str],
    /// The section of the key that is meant.
    pub(in super::super) section: &'static str,
    /// Empty: the section itself is meant.
    pub(in super::super) key: &'static str,
    /// A value, if it has another form than elsewhere.
    pub(in super::super) example: &'static str,
}

/// The key that is meant by a word in a section.
pub(super) fn meant(used_in: &str, word: &str) -> Option<&'static Synonym> {
    let word = plain(word);
    SYNONYMS.iter().find(|synonym| synonym.used_in == used_in && synonym.words.contains(&word.as_str()))
}

/// A word in lower case, with underscores: `Log-Level` is `log_level`.
pub(super) fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace(['-', '.', ' '], "_")
}

/// Words in a section for a key of the same section.
const fn here(used_in: &'static str, key: &'static str, words: &'static [&'static str]) -> Synonym {
    Synonym { used_in, words, section: used_in, key, example: "" }
}

/// Words in a section for a key of another one.
const fn there(
    used_in: &'static str,
    section: &'static str,
    key: &'static str,
    words: &'static [&'static str],
) -> Synonym {
    Synonym { used_in, words, section, key, example: "" }
}

impl Synonym {
    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }
}

const CERTIFICATE: &[&str] = &[
    "cert",
    "certfile",
    "cert_file",
    "certfiles",
    "certificate_file",
    "certificates",
    "crt",
    "domain_certfile",
    "fullchain",
    "pem",
    "s2s_certfile",
    "ssl_certificate",
    "tls_cert",
    "tls_certificate",
];

const KEY: &[&str] = &[
    "keyfile",
    "key_file",
    "privkey",
    "private_key",
    "privatekey",
    "ssl_key",
    "ssl_certificate_key",
    "tls_key",
];

const NAME: &[&str] = &[
    "component_domain",
    "component_host",
    "component_jid",
    "component_name",
    "domain",
    "host",
    "hostname",
    "jid",
    "my_jid",
    "server_name",
    "service_jid",
    "service_name",
    "subdomain",
    "virtualhost",
];

const LISTENERS: &[&str] = &[
    "address",
    "bind",
    "interface",
    "interfaces",
    "ip",
    "port",
    "ports",
    "s2s_interfaces",
    "s2s_port",
    "s2s_ports",
];

/// An address with a port: others have two keys for it.
const SERVERS: &str = r#"["0.0.0.0:5269"]"#;
const COMPONENTS: &str = r#"["127.0.0.1:5347"]"#;
const REQUIRED: &str = r#""required""#;

/// Where components connect: what a machine in place of a component's name means.
pub(super) static LISTENER: Synonym =
    there("component", "listen", "component", &["component_host", "host", "hostname"]).example(COMPONENTS);

/// Words in a section that no key replaces: the section, the words, and why there is none.
pub(in super::super) const NEEDLESS: &[(&str, &[&str], &str)] = &[
    (
        "component",
        &["backend", "component_module", "module", "modules_enabled", "plugin", "protocol", "type"],
        "a [[component]] is an external component (XEP-0114), whatever it does",
    ),
    (
        "component",
        &["check_from", "component_validate_from", "global_routes", "validate_from_addresses"],
        "a component sends from its own names only; give it further ones with \"names\"",
    ),
    ("component", &["user", "username"], "a component authenticates with its name and \"secret\""),
];

/// The words. A key that a section has is never looked up here.
pub(in super::super) static SYNONYMS: &[Synonym] = &[
    // Above the first section.
    there("", "domain", "", &["domains", "vhost", "vhosts", "virtualhost", "virtualhosts", "virtual_host"]),
    there("", "component", "", &["components", "external_components"]),
    there("", "remote", "", &["peers", "remotes", "s2s_insecure_domains", "s2s_secure_domains", "servers"]),
    there("", "domain", "name", &["host", "hostname", "hosts", "jid", "name", "server_name"]),
    there("", "domain", "certificate", CERTIFICATE),
    there("", "domain", "certificate", &["certificate"]),
    there("", "domain", "key", KEY),
    there("", "domain", "key", &["key"]),
    there(
        "",
        "component",
        "secret",
        &["component_secret", "pass", "passwd", "password", "secret", "shared_secret"],
    ),
    here("", "log", &["log_level", "logging", "loglevel", "verbosity"]),
    here("", "workers", &["num_threads", "threads", "worker_threads"]),
    there(
        "",
        "listen",
        "component",
        &["component_interface", "component_interfaces", "component_port", "component_ports"],
    )
    .example(COMPONENTS),
    there("", "listen", "s2s_tls", &["s2s_direct_tls_ports"]).example(r#"["0.0.0.0:5270"]"#),
    there("", "listen", "s2s", LISTENERS).example(SERVERS),
    there("", "listen", "metrics", &["openmetrics", "prometheus", "statistics"])
        .example(r#"["127.0.0.1:9469"]"#),
    there("", "listen", "control", &["admin_socket", "control_socket", "socket"]),
    there("", "s2s", "tls", &["s2s_encryption", "s2s_require_encryption", "s2s_use_starttls"])
        .example(REQUIRED),
    there("", "s2s", "strict_certificates", &["s2s_secure_auth"]),
    there("", "s2s", "allow", &["s2s_access", "s2s_whitelist", "whitelist"]),
    there("", "s2s", "deny", &["blacklist", "s2s_blacklist"]),
    there("", "s2s", "max_stanza", &["s2s_max_stanza_size", "s2s_stanza_size_limit"]),
    there("", "s2s", "idle_timeout", &["s2s_idle_timeout"]),
    there("", "s2s", "trust", &["ca_file", "cafile", "s2s_cafile"]),
    there("", "dns", "timeout", &["dns_timeout", "s2s_dns_timeout"]),
    there(
        "",
        "dns",
        "nameservers",
        &["dns_resolver", "dns_resolvers", "dns_servers", "nameserver", "resolver", "resolvers"],
    ),
    there("", "promise", "backoff", &["max_retry_delay", "s2s_max_retry_delay"]).example(r#"["1s", "5m"]"#),
    there("", "contact", "admin", &["admins", "contact_info"]).example(r#"["xmpp:admin@example.org"]"#),
    // Listeners.
    here("listen", "s2s", LISTENERS).example(SERVERS),
    here("listen", "s2s", &["server", "servers"]).example(SERVERS),
    here("listen", "s2s_tls", &["direct_tls", "s2s_direct_tls", "s2s_direct_tls_ports", "xmpps"])
        .example(r#"["0.0.0.0:5270"]"#),
    here(
        "listen",
        "component",
        &["component_interfaces", "component_port", "component_ports", "components", "external"],
    )
    .example(COMPONENTS),
    here("listen", "metrics", &["http", "openmetrics", "prometheus", "statistics"])
        .example(r#"["127.0.0.1:9469"]"#),
    here("listen", "control", &["admin_socket", "control_socket", "socket", "unix"]),
    // Domains.
    here("domain", "name", NAME),
    here("domain", "certificate", CERTIFICATE),
    here("domain", "key", KEY),
    there("domain", "listen", "s2s", LISTENERS).example(SERVERS),
    there("domain", "component", "secret", &["pass", "passwd", "password", "secret"]),
    // Components.
    here(
        "component",
        "secret",
        &[
            "component_secret",
            "handshake",
            "pass",
            "passwd",
            "password",
            "service_password",
            "shared_secret",
            "token",
        ],
    ),
    here("component", "secret_file", &["passwd_file", "password_file", "passwordfile", "secretfile"]),
    here("component", "name", NAME),
    here("component", "names", &["aliases", "domains", "hosts", "jids", "subdomains"])
        .example(r#"["irc.example.org", "*.rooms.example.org"]"#),
    here("component", "title", &["description", "display_name", "displayname", "label"]),
    here("component", "hidden", &["disco_hidden"]),
    here("component", "conflict", &["component_conflict_resolve", "conflict_resolve", "on_conflict"])
        .example(r#""replace""#),
    here(
        "component",
        "allow",
        &["access", "allow_list", "allowed", "allowed_servers", "allowlist", "whitelist"],
    )
    .example(r#"["example.net"]"#),
    here("component", "deny", &["blacklist", "block", "blocked", "denied", "deny_list", "denylist"])
        .example(r#"["example.net"]"#),
    here("component", "max_rate", &["limits", "rate", "rate_limit", "shaper", "shaper_rule"])
        .example(r#""64 KiB""#),
    there("component", "listen", "component", LISTENERS).example(COMPONENTS),
    there(
        "component",
        "listen",
        "component",
        &[
            "component_interface",
            "component_interfaces",
            "component_port",
            "component_ports",
            "listen",
            "listen_port",
            "server",
            "server_address",
            "server_host",
            "server_ip",
            "server_port",
            "service",
            "service_port",
            "socket",
            "xmpp_server",
            "xmpp_server_ip",
        ],
    )
    .example(COMPONENTS),
    there(
        "component",
        "listen",
        "component_tls",
        &[
            "component_tls",
            "component_tls_ports",
            "direct_tls",
            "ssl",
            "starttls",
            "tls",
            "use_ssl",
            "use_tls",
        ],
    )
    .example(r#"["192.0.2.1:5348"]"#),
    here("component", "certificate", CERTIFICATE),
    here("component", "key", KEY),
    here("component", "max_stanza", &["component_stanza_size_limit", "max_stanza_size", "stanza_size_limit"]),
    here("component", "max_stanzas", &["max_messages", "max_queue", "queue_size"]),
    // All remote domains.
    here("s2s", "dialback_secret", &["dialback", "dialback_key", "secret"]),
    here("s2s", "dialback_secret_file", &["secret_file"]),
    here(
        "s2s",
        "tls",
        &[
            "encryption",
            "require_encryption",
            "require_tls",
            "s2s_require_encryption",
            "s2s_use_starttls",
            "starttls",
            "use_starttls",
        ],
    )
    .example(REQUIRED),
    here(
        "s2s",
        "strict_certificates",
        &["require_certificates", "s2s_secure_auth", "secure_auth", "verify_certificates"],
    ),
    here("s2s", "allow", &["allow_list", "allowed", "allowlist", "whitelist"]),
    here("s2s", "deny", &["blacklist", "block", "blocked", "denied", "deny_list", "denylist"]),
    here("s2s", "max_stanza", &["max_stanza_size", "stanza_size_limit"]),
    here("s2s", "max_rate", &["rate", "rate_limit", "shaper"]),
    here("s2s", "acks", &["sm", "smacks", "stream_management"]),
    here("s2s", "resume_timeout", &["hibernation_time", "smacks_hibernation_time"]),
    here("s2s", "ack_timeout", &["smacks_max_ack_delay"]),
    here("s2s", "repeat", &["resend"]),
    here("s2s", "trust", &["ca", "ca_file", "ca_path", "cafile", "truststore"]),
    here("s2s", "keepalive", &["ping", "ping_interval", "whitespace"]),
    there("s2s", "listen", "s2s", LISTENERS).example(SERVERS),
    there("s2s", "domain", "certificate", CERTIFICATE),
    there("s2s", "domain", "key", KEY),
    // Single remote domains.
    here("remote", "address", &["host", "ip", "port", "server", "srv", "target"])
        .example(r#""192.0.2.7:5269""#),
    here("remote", "name", &["domain", "jid", "remote"]),
    here("remote", "direct_tls", &["ssl", "xmpps"]),
    // The rest.
    here("dns", "nameservers", &["dns_servers", "nameserver", "resolver", "resolvers", "server", "servers"]),
    here("promise", "backoff", &["max_retry_delay", "reconnect", "retry", "retry_delay", "retry_interval"])
        .example(r#"["1s", "5m"]"#),
    here("promise", "message", &["message_timeout", "timeout", "ttl"]),
    here("promise", "max_stanzas", &["max_messages", "queue_size"]),
    here("absence", "message", &["message_timeout", "timeout", "ttl"]),
    here("absence", "max_stanzas", &["max_messages", "queue_size"]),
    here("journal", "path", &["database", "db", "dir", "directory", "file"]),
    here("journal", "max_bytes", &["max_size", "size"]),
    here("journal", "key_file", &["key", "keyfile", "password", "secret"]),
    here("limits", "max_connections", &["max_s2s_connections"]),
];

//! The policy for remote domains: `[s2s]` for all of them, `[[remote]]` for exceptions.

use std::time::Duration;

use actors::settings::{Promise, Remote, Repeat};
use openssl::rand;
use xmpp::{
    Served,
    certificate::TrustStore,
    dialback::Secret,
    policy::{MalformedStanza, Mechanism, Pattern, Policy, Tls, UnknownRecipient},
};

use super::{
    acks,
    identity::{SYSTEM, Stores},
    local,
    section::Section,
    value,
};

/// Reads `[s2s]`.
pub(crate) fn defaults(s2s: &Section<'_>, stores: &mut Stores, promise: &Promise) -> Remote {
    let trust = trust(s2s, stores).unwrap_or_else(|| stores.number(SYSTEM, s2s).unwrap_or_default());
    let built_in = Remote {
        policy: Policy {
            tls: Tls::Required,
            auth: vec![Mechanism::External, Mechanism::Dialback],
            strict_certificates: false,
            dialback_after_external: false,
            dialback_shortcut: false,
            trust,
            max_stanza: MAX_STANZA,
            max_stanza_unauthenticated: MAX_STANZA_UNAUTHENTICATED,
            unknown_recipient: UnknownRecipient::Close,
            malformed_stanza: MalformedStanza::Bounce,
            idle_seconds: IDLE.as_secs(),
            // Random, and different at each start.
            secret: Secret::made_up(&random_secret(s2s)),
            acks: None,
        },
        connect_timeout: Duration::from_secs(10),
        handshake_timeout: Duration::from_secs(30),
        attempt_timeout: Duration::from_secs(90),
        idle_timeout: IDLE,
        keepalive: Duration::from_secs(5 * 60),
        element_timeout: Duration::from_secs(2 * 60),
        write_timeout: Duration::from_secs(2 * 60),
        max_rate: None,
        acks: true,
        resume_timeout: Duration::from_secs(2 * 60),
        ack_timeout: Duration::from_secs(30),
        repeat: Repeat::Messages,
        address: None,
        direct_tls: false,
    };
    shared_keys(s2s, &built_in, promise)
}

/// Reads every `[[remote]]`: the domains, and their policy, which differs from `defaults`.
pub(crate) fn overrides(
    sections: Vec<Section<'_>>,
    defaults: &Remote,
    local: &Served<()>,
    stores: &mut Stores,
    promise: &Promise,
) -> Vec<(Pattern, Remote)> {
    let mut overrides: Vec<(Pattern, Remote)> = Vec::new();
    let mut lines: Vec<(Pattern, usize)> = Vec::new();
    for section in sections {
        let pattern = section.require("name", remote_name);
        if let Some(pattern) = &pattern {
            if let Some((_, line)) = lines.iter().find(|(known, _)| known == pattern) {
                section.problem("name", format!("already defined on line {line}"));
            }
            if let Pattern::Exactly(name) = pattern
                && local.contains(name)
            {
                section.problem("name", format!("{name} is served by this node: remove this section"));
            }
            lines.push((pattern.clone(), section.line()));
        }
        let mut remote = shared_keys(&section, defaults, promise);
        if let Some(trust) = trust(&section, stores) {
            remote.policy.trust = trust;
        }
        remote.address = section.read("address", value::host_port);
        remote.direct_tls = section.flag("direct_tls").unwrap_or_default();
        if remote.direct_tls && !section.has("address") {
            section.problem("direct_tls", "requires \"address\"");
        }
        if remote.direct_tls && remote.policy.tls == Tls::Disabled {
            section.problem("direct_tls", "conflicts with tls = \"disabled\"");
        }
        for key in ["allow", "deny", "max_connections_per_address"] {
            section.refuse(key, "is valid only in [s2s]: it applies to all domains");
        }
        overrides.extend(pattern.map(|pattern| (pattern, remote)));
        section.finish();
    }
    overrides
}

/// Reads the keys that `[s2s]` and `[[remote]]` share, except `trust`.
fn shared_keys(section: &Section<'_>, base: &Remote, promise: &Promise) -> Remote {
    let policy = &base.policy;
    let idle_timeout = section.read("idle_timeout", value::some_duration).unwrap_or(base.idle_timeout);
    let with_acks = section.flag("acks").unwrap_or(base.acks);
    let resume_timeout = section.read("resume_timeout", acks::resume_timeout).unwrap_or(base.resume_timeout);
    let remote = Remote {
        policy: Policy {
            tls: section.read("tls", value::one_of(&TLS)).unwrap_or(policy.tls),
            auth: section.list("auth", value::one_of(&MECHANISMS)).unwrap_or_else(|| policy.auth.clone()),
            strict_certificates: section.flag("strict_certificates").unwrap_or(policy.strict_certificates),
            dialback_after_external: section
                .flag("dialback_after_external")
                .unwrap_or(policy.dialback_after_external),
            dialback_shortcut: section.flag("dialback_shortcut").unwrap_or(policy.dialback_shortcut),
            trust: policy.trust,
            max_stanza: section.read("max_stanza", value::size).unwrap_or(policy.max_stanza),
            max_stanza_unauthenticated: section
                .read("max_stanza_unauthenticated", value::size)
                .unwrap_or(policy.max_stanza_unauthenticated),
            unknown_recipient: section
                .read("unknown_recipient", value::one_of(&UNKNOWN_RECIPIENT))
                .unwrap_or(policy.unknown_recipient),
            malformed_stanza: section
                .read("malformed_stanza", value::one_of(&MALFORMED_STANZA))
                .unwrap_or(policy.malformed_stanza),
            // 0 would mean no timeout.
            idle_seconds: idle_timeout.as_secs().max(1),
            secret: dialback_secret(section).unwrap_or_else(|| policy.secret.clone()),
            acks: acks::offer(with_acks, resume_timeout),
        },
        connect_timeout: section
            .read("connect_timeout", value::some_duration)
            .unwrap_or(base.connect_timeout),
        handshake_timeout: section
            .read("handshake_timeout", value::some_duration)
            .unwrap_or(base.handshake_timeout),
        attempt_timeout: section
            .read("attempt_timeout", value::some_duration)
            .unwrap_or(base.attempt_timeout),
        idle_timeout,
        keepalive: section.read("keepalive", value::some_duration).unwrap_or(base.keepalive),
        element_timeout: section
            .read("element_timeout", value::some_duration)
            .unwrap_or(base.element_timeout),
        write_timeout: section.read("write_timeout", value::some_duration).unwrap_or(base.write_timeout),
        max_rate: section.read("max_rate", value::rate).unwrap_or(base.max_rate),
        acks: with_acks,
        resume_timeout,
        ack_timeout: section.read("ack_timeout", acks::ack_timeout).unwrap_or(base.ack_timeout),
        repeat: section.read("repeat", value::one_of(&acks::REPEAT)).unwrap_or(base.repeat),
        address: base.address.clone(),
        direct_tls: base.direct_tls,
    };
    check_combination(section, &remote.policy);
    acks::check(section, &remote, promise);
    if remote.attempt_timeout < remote.handshake_timeout {
        if section.has("attempt_timeout") {
            section.warning("attempt_timeout", "is shorter than handshake_timeout, which then has no effect");
        } else if section.has("handshake_timeout") {
            section.warning("handshake_timeout", "is longer than attempt_timeout, so it has no effect");
        }
    }
    remote
}

/// Checks values that are valid alone but not together.
fn check_combination(section: &Section<'_>, policy: &Policy) {
    if policy.auth.is_empty() && section.has("auth") && !section.has_problem("auth") {
        section.problem(
            "auth",
            "is empty: no remote server could authenticate; add \"external\", \"dialback\" or both",
        );
    }
    if value::repeated(&policy.auth).is_some() {
        section.problem("auth", "contains a mechanism twice");
    }
    let key = if section.has("auth") { "auth" } else { "tls" };
    if policy.tls == Tls::Disabled && policy.auth == [Mechanism::External] && section.has(key) {
        section.problem(
            key,
            "\"external\" requires TLS, but tls = \"disabled\": add \"dialback\", or enable TLS",
        );
    }
    if policy.max_stanza < MIN_MAX_STANZA && section.has("max_stanza") {
        section.warning(
            "max_stanza",
            format!(
                "is below {MIN_MAX_STANZA} bytes, which other servers may rely on (RFC 6120 section 13.12)"
            ),
        );
    }
}

/// The configured secret; `None` if it is empty or missing.
fn dialback_secret(section: &Section<'_>) -> Option<Secret> {
    let configured = local::secret(section, "dialback_secret", "dialback_secret_file");
    let configured = configured.filter(|secret| !secret.is_empty())?;
    local::warn_if_weak(
        section,
        ["dialback_secret", "dialback_secret_file"],
        &configured,
        MIN_DIALBACK_SECRET,
    );
    Some(Secret::new(&configured))
}

/// 32 random bytes in hexadecimal.
fn random_secret(s2s: &Section<'_>) -> String {
    let mut bytes = [0; 32];
    if let Err(error) = rand::rand_bytes(&mut bytes) {
        s2s.problem(
            "dialback_secret",
            format!("cannot be generated, since OpenSSL returned no random bytes: {error}"),
        );
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn trust(section: &Section<'_>, stores: &mut Stores) -> Option<TrustStore> {
    section.read("trust", |name| stores.number(name, section))
}

fn remote_name(text: &str) -> Result<Pattern, String> {
    match value::pattern(text)? {
        Pattern::Any => Err("\"*\" matches every domain: set defaults for all domains in [s2s]".to_owned()),
        pattern => Ok(pattern),
    }
}

/// Minimum number of characters of a dialback secret. An attacker who guesses it can impersonate the domains
/// of this node (XEP-0185 section 3).
const MIN_DIALBACK_SECRET: usize = 16;

/// Default of `idle_timeout`: domains that exchange stanzas keep their link, and unused links do not
/// accumulate.
const IDLE: Duration = Duration::from_secs(60 * 60);

const TLS: [(&str, Tls); 3] =
    [("required", Tls::Required), ("optional", Tls::Optional), ("disabled", Tls::Disabled)];

const MECHANISMS: [(&str, Mechanism); 2] =
    [("external", Mechanism::External), ("dialback", Mechanism::Dialback)];

const UNKNOWN_RECIPIENT: [(&str, UnknownRecipient); 2] =
    [("close", UnknownRecipient::Close), ("bounce", UnknownRecipient::Bounce)];

const MALFORMED_STANZA: [(&str, MalformedStanza); 2] =
    [("bounce", MalformedStanza::Bounce), ("close", MalformedStanza::Close)];

/// Default of `max_stanza`, which is also the default of Prosody.
const MAX_STANZA: usize = 512 << 10;

/// Default of `max_stanza_unauthenticated`: several times the size of stream features, SASL and dialback
/// elements.
const MAX_STANZA_UNAUTHENTICATED: usize = 10 << 10;

/// A server must accept stanzas of at least this size, in bytes (RFC 6120 section 13.12).
const MIN_MAX_STANZA: usize = 10_000;

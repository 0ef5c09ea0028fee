//! What the node serves: its domains, and the components that may connect.

use xmpp::{
    Domain,
    policy::{Policy, Tls},
};

use super::{finding::Said, identity, section::Section, value};
use actors::settings::{Component, Conflict, Identity, LocalDomain};

/// Reads every `[[domain]]`.
pub(crate) fn domains(sections: Vec<Section<'_>>, policy: &Policy) -> Vec<LocalDomain> {
    let mut domains: Vec<LocalDomain> = Vec::new();
    let mut lines = Vec::new();
    for section in sections {
        let name = section.require("name", value::domain);
        let identity = identity::read(&section);
        if let Some(name) = name {
            refuse_second(&section, &name, &mut lines);
            match &identity {
                Some(identity) => identity::judge(&section, identity, &name),
                None if !section.has("certificate") && !section.has("key") => {
                    section.warning("certificate", without_certificate(name.as_str(), policy));
                }
                None => {}
            }
            domains.push(LocalDomain { name, identity });
        }
        section.finish();
    }
    domains
}

/// Reads every `[[component]]`; one without a certificate shows that of the domain it is, or is below.
pub(crate) fn components(
    sections: Vec<Section<'_>>,
    domains: &[LocalDomain],
    policy: &Policy,
) -> Vec<Component> {
    let mut components = Vec::new();
    let mut lines = Vec::new();
    for section in sections {
        let name = section.require("name", value::domain);
        let secret = shared_secret(&section);
        let conflict = section.read("conflict", value::one_of(&CONFLICT)).unwrap_or_default();
        let own = identity::read(&section);
        let max_stanza = section.read("max_stanza", value::size);
        if let Some(name) = &name {
            refuse_second(&section, name, &mut lines);
        }
        if let (Some(name), Some(secret)) = (name, secret) {
            let identity = if section.has("certificate") || section.has("key") {
                own.inspect(|identity| identity::judge(&section, identity, &name))
            } else {
                inherited(&section, &name, domains, policy)
                    .inspect(|identity| identity::judge_inherited(&section, identity, &name))
            };
            components.push(Component { name, secret, identity, max_stanza, conflict });
        }
        section.finish();
    }
    components
}

/// Reads `key`, or the first line of the file that `key_file` names; both at once are a contradiction.
pub(crate) fn secret(section: &Section<'_>, key: &'static str, key_file: &'static str) -> Option<String> {
    if section.has(key) && section.has(key_file) {
        section.problem(key_file, format!("contradicts \"{key}\": set one of the two"));
    }
    let source = section.source();
    let written = section.read(key, |text| Ok(text.to_owned()));
    let filed = section.read(key_file, |path| first_line(&source.path(path)));
    written.or(filed)
}

const CONFLICT: [(&str, Conflict); 2] = [("refuse", Conflict::Refuse), ("replace", Conflict::Replace)];

fn shared_secret(section: &Section<'_>) -> Option<String> {
    let secret = secret(section, "secret", "secret_file");
    if !section.has("secret") && !section.has("secret_file") {
        section.problem("secret", "is missing: a component proves itself with \"secret\" or \"secret_file\"");
    }
    match secret.as_deref() {
        Some("") => section.problem("secret", "is empty: anyone could connect as this component"),
        Some(secret) => warn_of_weak(section, ["secret", "secret_file"], secret, LEAST_OF_COMPONENT),
        None => {}
    }
    secret
}

/// Warns of a secret that anybody tries first, or that is short. `keys`: where it may stand, in the file or another one.
pub(crate) fn warn_of_weak(section: &Section<'_>, keys: [&'static str; 2], secret: &str, least: usize) {
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    let why = if SAMPLES.contains(&letters.to_ascii_lowercase().as_str()) {
        "is a sample value that everybody knows".to_owned()
    } else if secret.chars().count() < least {
        format!("has fewer than {least} characters and can be guessed")
    } else {
        return;
    };
    let [key, key_file] = keys;
    let key = if section.has(key) { key } else { key_file };
    section.warning(key, Said::with_help(why, "make one with `openssl rand -hex 32`"));
}

fn inherited(
    section: &Section<'_>,
    name: &Domain,
    domains: &[LocalDomain],
    policy: &Policy,
) -> Option<Identity> {
    let parents = domains.iter().filter(|domain| domain.name == *name || name.is_below(&domain.name));
    let nearest = parents.max_by_key(|domain| domain.name.as_str().len());
    if nearest.is_none() {
        let name = format!("{name} belongs to no [[domain]] and");
        section.warning("certificate", without_certificate(&name, policy));
    }
    nearest?.identity.clone()
}

fn without_certificate(name: &str, policy: &Policy) -> String {
    let consequence = match policy.tls {
        Tls::Required => ", and as [s2s] requires TLS no server can connect to it",
        Tls::Optional | Tls::Disabled => "",
    };
    format!("{name} has no certificate and key: it offers no TLS to other servers{consequence}")
}

fn refuse_second(section: &Section<'_>, name: &Domain, lines: &mut Vec<(Domain, usize)>) {
    if let Some((_, line)) = lines.iter().find(|(known, _)| known == name) {
        section.problem("name", format!("{name} is already defined on line {line}"));
    }
    lines.push((name.clone(), section.line()));
}

/// Secrets of samples and manuals, without punctuation.
const SAMPLES: [&str; 8] =
    ["changeme", "secret", "password", "example", "test", "mysecret", "component", "nuncio"];

/// Characters of a component's secret: who overhears one handshake can try secrets as fast as SHA-1 can be computed.
const LEAST_OF_COMPONENT: usize = 8;

fn first_line(path: &std::path::Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| identity::unreadable(path, &error))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        Err(format!("{} begins with an empty line", path.display()))
    } else {
        Ok(line.to_owned())
    }
}

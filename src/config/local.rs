//! `[[domain]]` and `[[component]]`: the domains that the node serves, and the components that may connect.

use xmpp::{
    Domain,
    policy::{Policy, Tls},
};

use super::{
    absence::{self, Defaults},
    access,
    finding::Message,
    identity,
    section::Section,
    value,
};
use actors::settings::{Component, Conflict, Identity, LocalDomain};

/// Reads every `[[domain]]`.
pub(crate) fn domains(sections: Vec<Section<'_>>, policy: &Policy) -> Vec<LocalDomain> {
    let mut domains: Vec<LocalDomain> = Vec::new();
    let mut lines = Vec::new();
    for section in sections {
        let name = section.require("name", value::domain);
        let identity = identity::read(&section);
        if let Some(name) = name {
            refuse_duplicate(&section, "name", &name, &mut lines);
            match &identity {
                Some(identity) => identity::check(&section, identity, &name),
                None if !section.has("certificate") && !section.has("key") => {
                    section
                        .warning("certificate", without_certificate("no certificate and key", &name, policy));
                }
                None => {}
            }
            domains.push(LocalDomain { name, identity });
        }
        section.finish();
    }
    domains
}

/// Reads every `[[component]]`. One without a certificate uses for each of its names the certificate of the domain with
/// that name or above it.
pub(super) fn components(
    sections: Vec<Section<'_>>,
    domains: &[LocalDomain],
    policy: &Policy,
    defaults: &Defaults,
) -> Vec<Component> {
    let mut components = Vec::new();
    let mut lines = Vec::new();
    for section in sections {
        let names = names(&section, &mut lines);
        let secret = shared_secret(&section);
        let conflict = section.read("conflict", value::one_of(&CONFLICT)).unwrap_or_default();
        let own = identity::read(&section);
        let max_stanza = section.read("max_stanza", value::size);
        let max_rate = access::max_rate(&section);
        let access = access::access(&section);
        let hidden = section.flag("hidden").unwrap_or_default();
        let title = section.read("title", access::title);
        if hidden && title.is_some() {
            section.warning("title", "has no effect: hidden = true keeps the component out of the list");
        }
        let absence = absence::of_component(&section, defaults);
        if let (Some(name), Some(secret)) = (names.first().cloned(), secret) {
            let has_own = section.has("certificate") || section.has("key");
            for name in &names {
                if has_own {
                    own.iter().for_each(|identity| identity::check(&section, identity, name));
                } else if let Some(identity) = inherited(&section, name, domains, policy) {
                    identity::check_inherited(&section, identity, name);
                }
            }
            components.push(Component {
                name,
                names,
                secret,
                identity: own,
                max_stanza,
                max_rate,
                access,
                hidden,
                title,
                conflict,
                absence,
            });
        }
        section.finish();
    }
    components
}

/// Reads `key`, or the first line of the file at `key_file`. Both at once are a problem.
pub(crate) fn secret(section: &Section<'_>, key: &'static str, key_file: &'static str) -> Option<String> {
    if section.has(key) && section.has(key_file) {
        section.problem(key_file, format!("conflicts with \"{key}\": set only one of them"));
    }
    let source = section.source();
    let inline = section.read(key, |text| Ok(text.to_owned()));
    let from_file = section.read(key_file, |path| first_line(&source.path(path)));
    inline.or(from_file)
}

const CONFLICT: [(&str, Conflict); 2] = [("refuse", Conflict::Refuse), ("replace", Conflict::Replace)];

fn shared_secret(section: &Section<'_>) -> Option<String> {
    let secret = secret(section, "secret", "secret_file");
    let has = |key| section.has(key) || section.has_other_word_for(key);
    if !has("secret") && !has("secret_file") {
        section.problem(
            "secret",
            "is missing: set \"secret\" or \"secret_file\", with which the component authenticates",
        );
    }
    match secret.as_deref() {
        Some("") => section.problem("secret", "is empty: anyone could connect as this component"),
        Some(secret) => warn_if_weak(section, ["secret", "secret_file"], secret, MIN_COMPONENT_SECRET),
        None => {}
    }
    secret
}

/// Adds a warning for a secret that is a sample value or has fewer than `min` characters. `keys` are the key
/// of the secret and that of a file with it.
pub(crate) fn warn_if_weak(section: &Section<'_>, keys: [&'static str; 2], secret: &str, min: usize) {
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    let text = if SAMPLES.contains(&letters.to_ascii_lowercase().as_str()) {
        "is a sample value from documentation, which attackers try first".to_owned()
    } else if secret.chars().count() < min {
        format!("has fewer than {min} characters and can be guessed")
    } else {
        return;
    };
    let [key, key_file] = keys;
    let key = if section.has(key) { key } else { key_file };
    section.warning(key, Message::with_help(text, "generate one with `openssl rand -hex 32`"));
}

/// Reads `name` and `names`: the domains and wildcards of a component, `name` first.
fn names(section: &Section<'_>, lines: &mut Vec<(Domain, usize)>) -> Vec<Domain> {
    let has = |key| section.has(key) || section.has_other_word_for(key);
    if !has("name") && !has("names") {
        section.problem("name", "is missing: set \"name\", or \"names\" with all names of the component");
    }
    let name = section.read("name", value::served_name);
    let further = section.list("names", value::served_name);
    if !section.has("name") && further.as_ref().is_some_and(Vec::is_empty) && !section.has_problem("names") {
        section.problem("names", "is empty: the component has no name");
    }
    let mut further = further.unwrap_or_default();
    // It may be repeated in the list.
    further.retain(|further| Some(further) != name.as_ref());
    if let Some(repeated) = value::repeated(&further) {
        section.problem("names", format!("contains {repeated} twice"));
    }
    for (key, name) in
        name.iter().map(|name| ("name", name)).chain(further.iter().map(|name| ("names", name)))
    {
        refuse_duplicate(section, key, name, lines);
        warn_if_whole_registry(section, key, name);
    }
    name.into_iter().chain(further).collect()
}

/// Adds a warning for a wildcard such as `*.org`.
fn warn_if_whole_registry(section: &Section<'_>, key: &str, name: &Domain) {
    let parent = name.wildcard_parent().filter(|parent| !parent.as_str().contains('.'));
    if let Some(parent) = parent.filter(|parent| parent.as_str() != "localhost") {
        let text = format!(
            "{name} takes every domain below \"{parent}\" for one of this node: none can be reached on another server"
        );
        section.warning(key, Message::with_help(text, "name the domain above your own: \"*.example.org\""));
    }
}

fn inherited<'a>(
    section: &Section<'_>,
    name: &Domain,
    domains: &'a [LocalDomain],
    policy: &Policy,
) -> Option<&'a Identity> {
    let parents = domains.iter().filter(|domain| domain.name == *name || name.is_below(&domain.name));
    let nearest = parents.max_by_key(|domain| domain.name.as_str().len());
    if nearest.is_none() {
        let reason = "no certificate and key, and not below a [[domain]]";
        section.warning("certificate", without_certificate(reason, name, policy));
    }
    nearest?.identity.as_ref()
}

fn without_certificate(reason: &str, name: &Domain, policy: &Policy) -> Message {
    let consequence = match policy.tls {
        Tls::Required => ", and no server can connect, because of tls = \"required\" in [s2s]",
        Tls::Optional | Tls::Disabled => "",
    };
    let after = format!(" cannot offer TLS to other servers{consequence}");
    Message::of_name(format!("{reason}: "), name.as_str(), after)
}

fn refuse_duplicate(section: &Section<'_>, key: &str, name: &Domain, lines: &mut Vec<(Domain, usize)>) {
    let known = lines.iter().find(|(known, line)| known == name && *line != section.line());
    if let Some((_, line)) = known {
        section.problem(key, format!("{name} is already defined on line {line}"));
    }
    lines.push((name.clone(), section.line()));
}

/// Secrets in samples and manuals, in lower case and without punctuation.
const SAMPLES: [&str; 8] =
    ["changeme", "secret", "password", "example", "test", "mysecret", "component", "nuncio"];

/// Minimum number of characters of the secret of a component. An eavesdropper on one handshake can try
/// secrets at the speed of SHA-1.
const MIN_COMPONENT_SECRET: usize = 8;

fn first_line(path: &std::path::Path) -> Result<String, String> {
    let text = identity::open(path).and_then(std::io::read_to_string);
    let text = text.map_err(|error| identity::unreadable(path, &error))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        Err(format!("the first line of {}, which must contain the secret, is empty", path.display()))
    } else {
        Ok(line.to_owned())
    }
}

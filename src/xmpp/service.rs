//! The node's own services at its local domains, as a pure function: discovery, ping, version, time, uptime,
//! contact.
//!
//! Only a domain itself is a service, with or without a resource. There is no user at `user@domain`.
use crate::{Domain, Stanza, jid::Jid, stanza, xml};
use stanza::{Condition, Error, ErrorType};
use xml::{Element, ns::SERVER};

mod disco;

/// A component that service discovery lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its address.
    pub address: Domain,
    /// Its name for people.
    pub title: Option<String>,
}

/// The facts that the answers contain.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The version of the node.
    pub version: &'a str,
    /// The operating system, if it may be published.
    pub os: Option<&'a str>,
    /// The seconds since the start.
    pub uptime: u64,
    /// The current time in UTC, in the form of XEP-0082: `2026-11-22T10:00:00Z`.
    pub utc: &'a str,
    /// The components to list as items.
    pub components: &'a [Listed],
    /// The contact addresses of XEP-0157 (`abuse-addresses` …) with their URIs.
    pub contact: &'a [(String, Vec<String>)],
}

/// The answer to an IQ request to a local domain; `None` for an IQ that is itself an answer.
///
/// A request that is longer than any supported one is refused without being parsed.
pub fn answer(request: &Stanza, facts: &Facts<'_>) -> Option<Stanza> {
    if !request.is_answerable() {
        return None;
    }
    match result(request, facts) {
        Ok(result) => Stanza::from_element(&result).ok(),
        Err(error) => request.bounce(&error),
    }
}

fn result(request: &Stanza, facts: &Facts<'_>) -> Result<Element, Error> {
    let bytes = request.bytes();
    if bytes.len() > MAX_BYTES || Element::is_too_long(bytes) {
        let text = "the request is longer than any that is supported here";
        return Err(error(ErrorType::Modify, Condition::PolicyViolation, text));
    }
    let request = request
        .element()
        .map_err(|_| error(ErrorType::Modify, Condition::BadRequest, "the request cannot be read"))?;
    let Some(kind @ ("get" | "set")) = request.attribute("type") else {
        let text = "the type of an iq must be get, set, result or error";
        return Err(error(ErrorType::Modify, Condition::BadRequest, text));
    };
    let payload = serve(&request, kind, checked(&request)?, facts)?;
    Ok(payload.into_iter().fold(reply(&request), Element::with_child))
}

/// The only child of a request that has an id (RFC 6120 section 8.2.3).
fn checked(request: &Element) -> Result<&Element, Error> {
    let bad = |text| Err(error(ErrorType::Modify, Condition::BadRequest, text));
    if request.attribute("id").is_none_or(str::is_empty) {
        return bad("an iq must have an id");
    }
    let mut payload = request.elements();
    match (payload.next(), payload.next()) {
        (Some(only), None) => Ok(only),
        _ => bad("an iq of type get or set must have exactly one child"),
    }
}

fn serve(
    request: &Element,
    kind: &str,
    payload: &Element,
    facts: &Facts<'_>,
) -> Result<Option<Element>, Error> {
    let to = request.attribute("to").unwrap_or_default();
    let unavailable = || {
        error(
            ErrorType::Cancel,
            Condition::ServiceUnavailable,
            &format!("no service at {to} handles this request"),
        )
    };
    if Jid::parse(to).is_ok_and(|jid| jid.local.is_some()) {
        return Err(unavailable());
    }
    match (kind, payload.namespace.as_str(), payload.name.as_str()) {
        ("get", ns::PING, "ping") => Ok(None),
        ("get", ns::DISCO_INFO, "query") => disco::info(payload, facts).map(Some),
        ("get", ns::DISCO_ITEMS, "query") => disco::items(payload, facts).map(Some),
        ("get", ns::VERSION, "query") => Ok(Some(version(facts))),
        ("get", ns::TIME, "time") => Ok(Some(time(facts))),
        ("get", ns::LAST, "query") => {
            Ok(Some(Element::new("query", ns::LAST).with("seconds", facts.uptime.to_string())))
        }
        _ => Err(unavailable()),
    }
}

/// The answer to a version request (XEP-0092).
fn version(facts: &Facts<'_>) -> Element {
    let field = |name, value: &str| Element::new(name, ns::VERSION).with_text(value);
    let query = Element::new("query", ns::VERSION)
        .with_child(field("name", "Nuncio"))
        .with_child(field("version", facts.version));
    facts.os.into_iter().fold(query, |query, os| query.with_child(field("os", os)))
}

/// The answer to a time request (XEP-0202).
fn time(facts: &Facts<'_>) -> Element {
    Element::new("time", ns::TIME)
        .with_child(Element::new("tzo", ns::TIME).with_text("+00:00"))
        .with_child(Element::new("utc", ns::TIME).with_text(facts.utc))
}

fn reply(request: &Element) -> Element {
    let copied = [("id", "id"), ("to", "from"), ("from", "to")];
    let reply = Element::new("iq", SERVER).with("type", "result");
    copied.into_iter().fold(reply, |reply, (name, source)| match request.attribute(source) {
        Some(value) => reply.with(name, value),
        None => reply,
    })
}

fn error(type_: ErrorType, condition: Condition, text: &str) -> Error {
    Error { type_, condition, text: text.to_owned() }
}

/// The limit for a request in bytes: an error answer contains as much.
const MAX_BYTES: usize = stanza::MAX_ECHO;

/// The namespaces of the services.
mod ns {
    pub(super) const PING: &str = "urn:xmpp:ping";
    pub(super) const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
    pub(super) const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
    pub(super) const VERSION: &str = "jabber:iq:version";
    pub(super) const TIME: &str = "urn:xmpp:time";
    pub(super) const LAST: &str = "jabber:iq:last";
    pub(super) const DATA: &str = "jabber:x:data";
    pub(super) const SERVERINFO: &str = "http://jabber.org/network/serverinfo";
}

#[cfg(test)]
mod tests;

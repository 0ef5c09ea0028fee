//! The node's own services at its local domains, as a pure function: discovery, ping, version, time, uptime, contact.
//!
//! Only a domain itself is a service, with a resource or without one; behind `user@domain` there is nobody.
use crate::{Domain, Stanza, jid::Jid, stanza, xml};
use stanza::{Condition, Error, ErrorType};
use xml::{Element, ns::SERVER};

mod disco;

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// version of the node
    pub version: &'a str,
    /// operating system, when it may be told
    pub os: Option<&'a str>,
    /// seconds since the start
    pub uptime: u64,
    /// now, in UTC, as XEP-0082 writes it: `2026-11-22T10:00:00Z`
    pub utc: &'a str,
    /// components to list as items
    pub components: &'a [Domain],
    /// XEP-0157 fields (`abuse-addresses` …) with their URIs
    pub contact: &'a [(String, Vec<String>)],
}

/// Answers an IQ request to a local domain; `None` for an IQ that is itself an answer.
///
/// A request that costs more to read than any that is served here is refused unread.
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
        let text = "no service here reads a request of so many bytes or elements";
        return Err(error(ErrorType::Modify, Condition::PolicyViolation, text));
    }
    let request = request
        .element()
        .map_err(|_| error(ErrorType::Modify, Condition::BadRequest, "the request cannot be read"))?;
    let Some(kind @ ("get" | "set")) = request.attribute("type") else {
        let text = "an iq has a type: get, set, result or error";
        return Err(error(ErrorType::Modify, Condition::BadRequest, text));
    };
    let payload = serve(&request, kind, checked(&request)?, facts)?;
    Ok(payload.into_iter().fold(reply(&request), Element::with_child))
}

/// The one child of a request that has an id (RFC 6120 8.2.3).
fn checked(request: &Element) -> Result<&Element, Error> {
    let bad = |text| Err(error(ErrorType::Modify, Condition::BadRequest, text));
    if request.attribute("id").is_none_or(str::is_empty) {
        return bad("an iq has an id");
    }
    let mut payload = request.elements();
    match (payload.next(), payload.next()) {
        (Some(only), None) => Ok(only),
        _ => bad("an iq of type get or set has exactly one child"),
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

/// XEP-0092.
fn version(facts: &Facts<'_>) -> Element {
    let field = |name, value: &str| Element::new(name, ns::VERSION).with_text(value);
    let query = Element::new("query", ns::VERSION)
        .with_child(field("name", "Nuncio"))
        .with_child(field("version", facts.version));
    facts.os.into_iter().fold(query, |query, os| query.with_child(field("os", os)))
}

/// XEP-0202.
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

/// Bytes of a request: as many as come back inside an error.
const MAX_BYTES: usize = stanza::MAX_ECHO;

/// Namespaces of the services.
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

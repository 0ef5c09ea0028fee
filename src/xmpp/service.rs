//! The node's own services at its local domains, as a pure function: discovery, ping, version, time, uptime, contact.
//!
//! Only a domain itself is a service, with a resource or without one; behind `user@domain` there is nobody.
use crate::{Domain, jid::Jid, stanza, xml};
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

/// Answers an IQ request (in `jabber:server`) to a local domain; `None` for an IQ that is itself an answer.
pub fn answer(request: &Element, facts: &Facts<'_>) -> Option<Element> {
    let result = match request.attribute("type") {
        Some("result" | "error") => return None,
        Some(kind @ ("get" | "set")) => {
            checked(request).and_then(|payload| serve(request, kind, payload, facts))
        }
        _ => Err(error(
            ErrorType::Modify,
            Condition::BadRequest,
            "an iq has a type: get, set, result or error",
        )),
    };
    Some(match result {
        Ok(payload) => payload.into_iter().fold(reply(request, "result"), Element::with_child),
        Err(error) => request
            .elements()
            .cloned()
            .fold(reply(request, "error"), Element::with_child)
            .with_child(error.element(SERVER)),
    })
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
    let unavailable =
        || error(ErrorType::Cancel, Condition::ServiceUnavailable, &format!("nothing at {to} answers this"));
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

fn reply(request: &Element, kind: &str) -> Element {
    let copied = [("id", "id"), ("to", "from"), ("from", "to")];
    let reply = Element::new("iq", SERVER).with("type", kind);
    copied.into_iter().fold(reply, |reply, (name, source)| match request.attribute(source) {
        Some(value) => reply.with(name, value),
        None => reply,
    })
}

fn error(type_: ErrorType, condition: Condition, text: &str) -> Error {
    Error { type_, condition, text: text.to_owned() }
}

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

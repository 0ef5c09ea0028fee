//! Discovery (XEP-0030) with the contact addresses (XEP-0157).
use super::{Facts, error, ns};
use crate::{
    stanza::{Condition, Error, ErrorType},
    xml::Element,
};

/// The identity, the features and the contact addresses of the domain.
pub(super) fn info(query: &Element, facts: &Facts<'_>) -> Result<Element, Error> {
    refuse_node(query)?;
    let identity = Element::new("identity", ns::DISCO_INFO)
        .with("category", "server")
        .with("type", "im")
        .with("name", "Nuncio");
    let answer = FEATURES
        .iter()
        .fold(Element::new("query", ns::DISCO_INFO).with_child(identity), |answer, feature| {
            answer.with_child(Element::new("feature", ns::DISCO_INFO).with("var", *feature))
        });
    Ok(match facts.contact {
        [] => answer,
        contact => answer.with_child(form(contact)),
    })
}

/// Lists the components.
pub(super) fn items(query: &Element, facts: &Facts<'_>) -> Result<Element, Error> {
    refuse_node(query)?;
    Ok(facts.components.iter().fold(Element::new("query", ns::DISCO_ITEMS), |answer, component| {
        let item = Element::new("item", ns::DISCO_ITEMS).with("jid", component.address.wire());
        answer.with_child(match &component.title {
            Some(title) => item.with("name", title.as_str()),
            None => item,
        })
    }))
}

/// The node has no disco nodes.
fn refuse_node(query: &Element) -> Result<(), Error> {
    match query.attribute("node") {
        Some(node) if !node.is_empty() => {
            Err(error(ErrorType::Cancel, Condition::ItemNotFound, "this entity has no nodes"))
        }
        _ => Ok(()),
    }
}

fn form(contact: &[(String, Vec<String>)]) -> Element {
    let field = |name: &str, kind: &str, values: &[String]| {
        let field = Element::new("field", ns::DATA).with("var", name).with("type", kind);
        values
            .iter()
            .fold(field, |field, value| field.with_child(Element::new("value", ns::DATA).with_text(value)))
    };
    let form = Element::new("x", ns::DATA).with("type", "result").with_child(field(
        "FORM_TYPE",
        "hidden",
        &[ns::SERVERINFO.to_owned()],
    ));
    contact.iter().fold(form, |form, (name, uris)| form.with_child(field(name, "list-multi", uris)))
}

/// The features that [`super::answer`] supports.
const FEATURES: [&str; 6] = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::LAST, ns::VERSION, ns::PING, ns::TIME];

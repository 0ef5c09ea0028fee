//! What the node itself answers for the local domains that no component serves.

use std::time::SystemTime;

use xmpp::{
    Domain, Stanza, service,
    stanza::{self, Condition, ErrorType, Kind},
};

use super::{Local, Router, Source};
use crate::{
    account::{Amount, Outcome},
    batch::Batch,
};

impl Router {
    /// What is addressed to a local domain that no component claims.
    pub(super) fn serve(&mut self, mut batch: Batch) {
        for stanza in std::mem::take(&mut batch.stanzas) {
            let answer = match stanza.kind() {
                Kind::Iq => self.serve_iq(&stanza),
                Kind::Message => stanza.bounce(&stanza::Error {
                    type_: ErrorType::Cancel,
                    condition: Condition::ServiceUnavailable,
                    text: format!("nobody receives messages at {}", batch.to),
                }),
                // RFC 6120 10.5.3.1: presence for nobody is ignored.
                Kind::Presence => None,
            };
            let outcome = if answer.is_some() { Outcome::Answered } else { Outcome::Dropped };
            batch.slip.settle(outcome, Amount::of([&stanza]));
            if let Some(answer) = answer {
                self.route(Batch { pass: batch.pass.clone(), ..Batch::of(answer) }, Source::Component);
            }
        }
    }

    fn serve_iq(&self, stanza: &Stanza) -> Option<Stanza> {
        let Ok(request) = stanza.element() else {
            return stanza.bounce(&stanza::Error {
                type_: ErrorType::Modify,
                condition: Condition::PolicyViolation,
                text: "no service here reads a request of so many elements".to_owned(),
            });
        };
        let to = stanza.to_domain();
        let components: Vec<Domain> = self
            .local
            .iter()
            .filter(|(name, local)| matches!(local, Local::Component(_)) && name.is_below(to))
            .map(|(name, _)| name.clone())
            .collect();
        let facts = service::Facts {
            version: env!("CARGO_PKG_VERSION"),
            os: None,
            uptime: self.started.elapsed().as_secs(),
            utc: &humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            components: &components,
            contact: &self.service.contact,
        };
        let answer = service::answer(&request, &facts)?;
        Stanza::from_element(&answer).ok()
    }
}

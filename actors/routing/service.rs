//! The service: an actor that answers stanzas to local domains that no component serves.
//!
//! It runs on a thread of its own, because it parses the stanzas. The router only looks at the recipient, so
//! requests to the node do not delay the stanzas of others.

use std::time::Instant;

use actix::{Actor, Context, Handler};
use xmpp::{
    Stanza,
    service::{self, Listed},
    stanza::{self, Condition, ErrorType, Kind},
};

use crate::{
    flow::{
        account::Outcome,
        batch::{self, Batch},
    },
    settings,
};
use mailbox::{Outlet, Queued, drain, panic_guard::PanicGuard};
use status::amount::Amount;

/// Answer these stanzas.
#[derive(Debug)]
pub struct Serve {
    /// Stanzas to a local domain.
    pub batch: Batch,
}

/// Use this configuration from now on.
#[derive(Debug)]
pub struct Adopt {
    /// The components that service discovery lists.
    pub components: Vec<Listed>,
    /// The contact addresses.
    pub service: settings::Service,
}

/// Send the token back when everything that was sent to the service before has been answered.
#[derive(Debug)]
pub struct Acknowledge {
    /// Sent back with [`Acknowledged`].
    pub token: drain::Token,
}

/// The answers to a batch.
#[derive(Debug)]
pub struct Answered {
    /// In the order of the requests. They hold the read permit of the requests.
    pub batches: Vec<Batch>,
}

/// Everything that came before [`Acknowledge`] has been answered.
#[derive(Debug)]
pub struct Acknowledged {
    /// To be dropped when the answers have been passed on.
    pub token: drain::Token,
}

/// The receiver of the service's events: the router.
#[derive(Debug)]
pub struct Owners {
    /// Receives the answers.
    pub answered: Outlet<Answered>,
    /// Receives the acknowledgements.
    pub acknowledged: Outlet<Acknowledged>,
}

/// The actor.
pub struct Service {
    /// The components that service discovery lists.
    components: Vec<Listed>,
    settings: settings::Service,
    started: Instant,
    owners: Owners,
    _guard: PanicGuard,
}

impl Service {
    /// A service that describes the node with these components and settings.
    pub fn new(
        components: Vec<Listed>,
        settings: settings::Service,
        owners: Owners,
        guard: PanicGuard,
    ) -> Self {
        Self { components, settings, started: clock::now(), owners, _guard: guard }
    }

    fn answer(&self, stanza: &Stanza) -> Option<Stanza> {
        match stanza.kind() {
            Kind::Iq => self.answer_iq(stanza),
            Kind::Message => stanza.bounce(&stanza::Error {
                type_: ErrorType::Cancel,
                condition: Condition::ServiceUnavailable,
                text: format!("{} does not accept messages", stanza.to_domain()),
            }),
            // RFC 6120 10.5.3.1: presence to a recipient that does not exist is ignored.
            Kind::Presence => None,
        }
    }

    fn answer_iq(&self, request: &Stanza) -> Option<Stanza> {
        let below = |listed: &&Listed| listed.address.is_below(request.to_domain());
        let components: Vec<Listed> = self.components.iter().filter(below).cloned().collect();
        let facts = service::Facts {
            version: env!("CARGO_PKG_VERSION"),
            os: None,
            uptime: clock::since(self.started).as_secs(),
            utc: &humantime::format_rfc3339_seconds(clock::system()).to_string(),
            components: &components,
            contact: &self.settings.contact,
        };
        service::answer(request, &facts)
    }
}

impl Actor for Service {
    type Context = Context<Self>;
}

impl Handler<Queued<Serve>> for Service {
    type Result = ();

    fn handle(&mut self, serve: Queued<Serve>, _: &mut Context<Self>) {
        let Serve { mut batch } = serve.into_message();
        let mut answers = Vec::new();
        for stanza in std::mem::take(&mut batch.stanzas) {
            let answer = self.answer(&stanza);
            let outcome = if answer.is_some() { Outcome::Answered } else { Outcome::Dropped };
            batch.entry.settle(outcome, Amount::of([&stanza]));
            answers.extend(answer);
        }
        let mut batches = batch::sort(answers, &batch.permit);
        // There are at most as many answers as stanzas in one read, and the next read waits for their permit.
        // So they are held where others would be refused, and a peer that does not read its answers is not
        // read either.
        batches.iter_mut().for_each(|batch| batch.returning = true);
        if !batches.is_empty() {
            // If the router is gone, the process ends.
            let _ = self.owners.answered.signal(Answered { batches });
        }
    }
}

impl Handler<Queued<Adopt>> for Service {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        Adopt { components: self.components, service: self.settings } = adopt.into_message();
    }
}

impl Handler<Queued<Acknowledge>> for Service {
    type Result = ();

    fn handle(&mut self, acknowledge: Queued<Acknowledge>, _: &mut Context<Self>) {
        let Acknowledge { token } = acknowledge.into_message();
        let _ = self.owners.acknowledged.signal(Acknowledged { token });
    }
}

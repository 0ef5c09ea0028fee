//! Answers what is addressed to the local domains that no component serves.
//!
//! It is an actor of its own, on a thread of its own, because it reads: the router only looks at where a stanza goes,
//! and whatever somebody sends to the node itself, the stanzas of others do not wait for that.

use std::time::Instant;

use actix::{Actor, Context, Handler};
use xmpp::{
    Domain, Stanza, service,
    stanza::{self, Condition, ErrorType, Kind},
};

use crate::{
    flow::{
        batch::{self, Batch},
        ledger::Outcome,
    },
    settings,
};
use mailbox::{Outlet, Queued, drain, panic_guard::PanicGuard};
use status::amount::Amount;

/// Answer these.
#[derive(Debug)]
pub struct Serve {
    /// To a local domain.
    pub batch: Batch,
}

/// Say this of the node from now on.
#[derive(Debug)]
pub struct Adopt {
    /// The names that components serve.
    pub components: Vec<Domain>,
    /// The rest.
    pub service: settings::Service,
}

/// Say when all that was sent to you before has been answered.
#[derive(Debug)]
pub struct Acknowledge {
    /// Handed back then.
    pub token: drain::Token,
}

/// These are answers of the node's own.
#[derive(Debug)]
pub struct Answered {
    /// In the order of the requests; they hold the passes of those.
    pub batches: Vec<Batch>,
}

/// All that came before has been answered.
#[derive(Debug)]
pub struct Acknowledged {
    /// To be dropped when the answers have been passed on.
    pub token: drain::Token,
}

/// Who takes what the service says: the router.
#[derive(Debug)]
pub struct Owners {
    /// Answers.
    pub answered: Outlet<Answered>,
    /// The end of them.
    pub acknowledged: Outlet<Acknowledged>,
}

/// The actor that answers for the node.
pub struct Service {
    components: Vec<Domain>,
    facts: settings::Service,
    started: Instant,
    owners: Owners,
    _vital: PanicGuard,
}

impl Service {
    /// One that tells of these components and these facts.
    pub fn new(components: Vec<Domain>, facts: settings::Service, owners: Owners, vital: PanicGuard) -> Self {
        Self { components, facts, started: clock::now(), owners, _vital: vital }
    }

    fn answer(&self, stanza: &Stanza) -> Option<Stanza> {
        match stanza.kind() {
            Kind::Iq => self.answer_iq(stanza),
            Kind::Message => stanza.bounce(&stanza::Error {
                type_: ErrorType::Cancel,
                condition: Condition::ServiceUnavailable,
                text: format!("{} does not accept messages", stanza.to_domain()),
            }),
            // RFC 6120 10.5.3.1: presence for nobody is ignored.
            Kind::Presence => None,
        }
    }

    fn answer_iq(&self, request: &Stanza) -> Option<Stanza> {
        let below = |name: &&Domain| name.is_below(request.to_domain());
        let components: Vec<Domain> = self.components.iter().filter(below).cloned().collect();
        let facts = service::Facts {
            version: env!("CARGO_PKG_VERSION"),
            os: None,
            uptime: clock::since(self.started).as_secs(),
            utc: &humantime::format_rfc3339_seconds(clock::system()).to_string(),
            components: &components,
            contact: &self.facts.contact,
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
        let Serve { mut batch } = serve.open();
        let mut answers = Vec::new();
        for stanza in std::mem::take(&mut batch.stanzas) {
            let answer = self.answer(&stanza);
            let outcome = if answer.is_some() { Outcome::Answered } else { Outcome::Dropped };
            batch.slip.settle(outcome, Amount::of([&stanza]));
            answers.extend(answer);
        }
        let mut batches = batch::sort(answers, &batch.pass);
        // They are as many as one read brought, and the next read waits for their pass: they are held back where others
        // would be refused, and whoever does not take his answers is not read either.
        batches.iter_mut().for_each(|batch| batch.returning = true);
        if !batches.is_empty() {
            // A router that is gone takes the process with it.
            let _ = self.owners.answered.signal(Answered { batches });
        }
    }
}

impl Handler<Queued<Adopt>> for Service {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        Adopt { components: self.components, service: self.facts } = adopt.open();
    }
}

impl Handler<Queued<Acknowledge>> for Service {
    type Result = ();

    fn handle(&mut self, acknowledge: Queued<Acknowledge>, _: &mut Context<Self>) {
        let Acknowledge { token } = acknowledge.open();
        let _ = self.owners.acknowledged.signal(Acknowledged { token });
    }
}

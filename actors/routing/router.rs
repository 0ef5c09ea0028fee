//! Decides where a stanza goes. The only one that knows: the table of local domains, components and sessions is here
//! and nowhere else.

mod account;
mod asked;
mod figures;
mod refusal;
mod seats;
mod sessions;
mod show;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::{mpsc, oneshot};
use xmpp::{
    Domain, DomainPair,
    stanza::{self, Condition, ErrorType},
};

pub use self::figures::{Figures, ShowFigures};
use self::{account::Account, seats::Seat};
use crate::{
    flow::{
        batch::{self, Batch},
        ledger::Outcome,
        route::{Ingress, Return, Route},
    },
    observe::recorder::RecorderHandle,
    routing::{
        promise::{self, Promise},
        service::{self, Service},
    },
    settings::{self, Conflict},
    streams::{
        component,
        outgoing::{self, Outgoing},
    },
};
use mailbox::{Mailbox, Queued, Refused, drain, panic_guard::PanicGuard};
use status::{amount::Amount, report};

/// Log what stands in the table now.
#[derive(Debug)]
pub struct Report;

/// Say when all that was sent to you before has been passed on.
#[derive(Debug)]
pub struct Acknowledge {
    /// Dropped then.
    pub token: drain::Token,
}

/// Log the account.
#[derive(Debug)]
pub struct LogAccount {
    /// Dropped when that is done.
    pub token: drain::Token,
}

/// Have sessions say how they are.
#[derive(Debug)]
pub struct ShowSessions {
    /// Only those with this remote domain.
    pub of: Option<Domain>,
    /// At most so many, in the order of the remote domains.
    pub limit: usize,
    /// Where the sessions' answers go.
    pub links: mpsc::Sender<report::Link>,
    /// Where the number of all sessions goes, shown or not.
    pub total: oneshot::Sender<usize>,
}

/// Say what is known of one domain.
#[derive(Debug)]
pub struct ShowDomain {
    /// Which.
    pub domain: Domain,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Known>,
}

/// An operator wants the sessions with this remote domain closed in good order.
#[derive(Debug)]
pub struct Dismiss {
    /// Which.
    pub remote: Domain,
    /// Dropped when their links are down.
    pub token: drain::Token,
    /// Where the number of sessions goes.
    pub answer: oneshot::Sender<usize>,
}

/// Say how the configured components are.
#[derive(Debug)]
pub struct ShowComponents {
    /// Only this one.
    pub of: Option<Domain>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Vec<report::Component>>,
}

/// An operator wants the connection of this component closed.
#[derive(Debug)]
pub struct DismissComponent {
    /// Which.
    pub name: Domain,
    /// Dropped when the name is free.
    pub token: drain::Token,
    /// Where it goes whether there is a connection.
    pub answer: oneshot::Sender<bool>,
}

/// What the router knows of a domain.
#[derive(Debug)]
pub struct Known {
    /// It is served here.
    pub local: bool,
    /// What became of stanzas to it since something waited; `None`: nothing does.
    pub account: Option<report::Figures>,
}

/// Have every session empty its outbox.
#[derive(Debug)]
pub struct Flush {
    /// How long that may take.
    pub within: Duration,
    /// Dropped when all is written.
    pub token: drain::Token,
}

/// Have every session give back what it has not written by now.
#[derive(Debug)]
pub struct Abandon {
    /// Dropped when that has been dealt with.
    pub token: drain::Token,
}

/// Have every session closed.
#[derive(Debug)]
pub struct Finish {
    /// How long what is left may take to be written.
    pub within: Duration,
    /// Dropped when all links are down.
    pub token: drain::Token,
}

/// Serve these from now on, and end what the rules forbid.
#[derive(Debug)]
pub struct Adopt {
    /// The local domains.
    pub domains: Vec<Domain>,
    /// The names that components serve, and who wins when two connections claim one.
    pub components: Vec<(Domain, Conflict)>,
    /// What the node says of itself.
    pub service: settings::Service,
    /// What sessions go on under.
    pub terms: outgoing::Adopt,
}

/// The actor that routes.
pub struct Router {
    local: HashMap<Domain, Local>,
    sessions: HashMap<DomainPair, Mailbox<Outgoing>>,
    promise: Mailbox<Promise>,
    service: Mailbox<Service>,
    account: Account,
    _vital: PanicGuard,
}

/// Who serves a local domain.
enum Local {
    /// The node itself.
    Node,
    /// A component, connected or not.
    Component(Box<Seat>),
}

impl Router {
    /// A router for these domains, of which those in `components` are served by a component.
    pub fn new(
        domains: impl IntoIterator<Item = Domain>,
        components: impl IntoIterator<Item = (Domain, Conflict)>,
        promise: Mailbox<Promise>,
        service: Mailbox<Service>,
        log_account: Option<Duration>,
        notes: RecorderHandle,
        vital: PanicGuard,
    ) -> Self {
        let account = Account { all: Arc::default(), domains: HashMap::new(), every: log_account, notes };
        let mut local: HashMap<Domain, Local> = domains.into_iter().map(|name| (name, Local::Node)).collect();
        let seats = components.into_iter();
        local.extend(seats.map(|(name, conflict)| (name, Local::Component(Box::new(Seat::new(conflict))))));
        Self { local, sessions: HashMap::new(), promise, service, account, _vital: vital }
    }

    fn route(&mut self, batch: Batch, ingress: Ingress) {
        match self.local.get_mut(&batch.to) {
            Some(Local::Component(seat)) => {
                let Some(component) = &seat.connection else {
                    seat.refuse(&batch.to, Amount::of(&batch.stanzas));
                    let text = format!("the component {} is not connected", batch.to);
                    return self.answer(batch, ErrorType::Wait, Condition::ServiceUnavailable, &text);
                };
                if batch.returning {
                    // A component that is gone wants no answers.
                    let _ = component.signal(component::Send { batch });
                } else if let Err(refused) = component.tell(component::Send { batch }) {
                    let (batch, reason) = match refused {
                        Refused::Full(send) => (send.batch, "takes stanzas more slowly than they come"),
                        Refused::Gone(send) => (send.batch, "has just gone away"),
                    };
                    let text = format!("the component {} {reason}", batch.to);
                    self.answer(batch, ErrorType::Wait, Condition::ResourceConstraint, &text);
                }
            }
            Some(Local::Node) => self.serve(batch),
            None if ingress == Ingress::Remote => refuse_to_relay(batch),
            None => self.send(batch),
        }
    }

    /// Sends what leaves the node: to the session of its pair, or to the promise of one.
    fn send(&mut self, batch: Batch) {
        let pair = batch.pair();
        let Some(session) = self.sessions.get(&pair) else {
            return self.promise(batch);
        };
        match session.tell(outgoing::Send { batch }) {
            Ok(()) => {}
            Err(Refused::Full(send)) => {
                let text = format!("{} takes stanzas more slowly than they come", pair.remote);
                self.answer(send.batch, ErrorType::Wait, Condition::ResourceConstraint, &text);
            }
            Err(Refused::Gone(send)) => {
                let session = session.clone();
                self.session_closed(&pair, &session);
                self.promise(send.batch);
            }
        }
    }

    fn promise(&mut self, batch: Batch) {
        if let Err(refused) = self.promise.tell(promise::Deliver { batch }) {
            let batch = refused.into_inner().batch;
            let text = "this server has too much to do".to_owned();
            self.answer(batch, ErrorType::Wait, Condition::ResourceConstraint, &text);
        }
    }

    /// Answers a batch that cannot be delivered. Whoever sent it, a component or a remote, gets the answer on the usual
    /// way; an answer is never answered, so this ends.
    fn answer(&mut self, batch: Batch, type_: ErrorType, condition: Condition, text: &str) {
        let (from, to) = (batch.from.clone(), batch.to.clone());
        let answers =
            batch.into_answers(&stanza::Error { type_, condition, text: text.to_owned() }, Outcome::Answered);
        log::debug!(
            target: LOG, from:% = from, to:% = to, answered = answers.stanzas.len(), dropped = answers.dropped;
            "not delivered: {text}"
        );
        for mut batch in batch::sort(answers.stanzas, &answers.pass) {
            batch.returning = true;
            self.route(batch, Ingress::Local);
        }
    }
}

/// The streams refuse these already (host-unknown): a second look costs nothing and an open relay much.
fn refuse_to_relay(mut batch: Batch) {
    log::error!(
        target: LOG, from:% = batch.from, to:% = batch.to, stanzas = batch.stanzas.len();
        "dropped: a remote may not use this node as a relay"
    );
    batch.slip.settle_rest(Outcome::Dropped);
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.watch_seats(context);
        if let Some(every) = self.account.every {
            context.run_interval(every, |router, _| router.account.log());
        }
    }
}

impl Handler<Queued<Route>> for Router {
    type Result = ();

    fn handle(&mut self, route: Queued<Route>, _: &mut Context<Self>) {
        let Route { batches, ingress } = route.open();
        for mut batch in batches {
            self.account.take_in(&mut batch);
            self.route(batch, ingress);
        }
    }
}

impl Handler<Queued<Return>> for Router {
    type Result = ();

    fn handle(&mut self, answers: Queued<Return>, _: &mut Context<Self>) {
        let Return { answers, pass } = answers.open();
        for mut batch in batch::sort(answers, &pass) {
            batch.returning = true;
            match self.local.get(&batch.to) {
                Some(Local::Component(seat)) if seat.connection.is_some() => {
                    self.route(batch, Ingress::Local);
                }
                None if self.sessions.contains_key(&batch.pair()) => self.send(batch),
                _ => log::debug!(
                    target: LOG, to:% = batch.to, dropped = batch.stanzas.len();
                    "error answers found their sender gone"
                ),
            }
        }
    }
}

impl Handler<Queued<Adopt>> for Router {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { domains, components, service, terms } = adopt.open();
        // A service that is gone takes the process with it.
        let names = components.iter().map(|(name, _)| name.clone()).collect();
        let _ = self.service.signal(service::Adopt { components: names, service });
        self.serve_these(domains, components);
        for session in self.sessions.values() {
            // One that has just ended needs no news.
            let _ = session.signal(terms.clone());
        }
    }
}

impl Handler<Queued<Report>> for Router {
    type Result = ();

    fn handle(&mut self, report: Queued<Report>, _: &mut Context<Self>) {
        report.open();
        self.account.log();
        for (name, local) in &self.local {
            let served_by = match local {
                Local::Node => "the node",
                Local::Component(seat) if seat.connection.is_some() => "a component",
                Local::Component(_) => "a component that is not connected",
            };
            log::info!(target: LOG, name:% = name, served_by = served_by; "local domain");
        }
    }
}

const LOG: &str = "nuncio::router";

//! The router: an actor that decides where each stanza goes. It alone has the table of local domains,
//! components and sessions.

mod accounts;
mod claimant;
mod commands;
mod components;
mod figures;
mod local;
mod messages;
mod refusal;
mod registration;
mod relay_pauses;
mod restore;
mod seating;
mod sessions;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{
    Domain, DomainPair, Served, Stanza,
    stanza::{self, Condition, ErrorType},
};

use self::{
    accounts::Accounts,
    registration::Registration,
    seating::Seating,
    sessions::{Session, Way},
};
pub use self::{
    figures::{ComponentFigures, Figures, ShowFigures},
    messages::{
        Acknowledge, Adopt, Broadcast, Dismiss, DismissComponent, DomainStatus, FinishSeats, Known,
        LogAccount, Report, Restore, ShowComponents, ShowDomain, ShowSessions,
    },
};
use crate::{
    flow::{
        account::{Outcome, Totals},
        batch::{self, Batch, ReadPermit},
        claims::Claims,
        journal::{Places, Writer},
        route::{Ingress, Return, Route},
    },
    observe::recorder::RecorderHandle,
    routing::{
        mailroom::{self, Mailroom},
        promise::{self, Promise},
        service::{self, Service},
    },
    streams::{component, outgoing},
};
use mailbox::{Mailbox, Meter, Queued, Refused, panic_guard::PanicGuard, workers::Workers};
use status::report::EndCause;

/// The actor.
pub struct Router {
    /// Every local name.
    local: Served<Local>,
    /// The components, by the name under which each is configured.
    components: HashMap<Domain, Registration>,
    sessions: HashMap<DomainPair, Session>,
    promise: Mailbox<Promise>,
    mailroom: Mailbox<Mailroom>,
    service: Mailbox<Service>,
    journal: Option<Writer>,
    seats: Option<Seating>,
    accounts: Accounts,
    _guard: PanicGuard,
}

/// The actors to which the router sends stanzas, beside those of the streams.
#[derive(Clone, Debug)]
pub struct Receivers {
    /// Keeps stanzas for remote domains without a session.
    pub promise: Mailbox<Promise>,
    /// Keeps stanzas for components.
    pub mailroom: Mailbox<Mailroom>,
    /// Answers for domains without a component.
    pub service: Mailbox<Service>,
    /// Reserves the places of stanzas in the journal, if there is one.
    pub(crate) journal: Option<Writer>,
    /// Knows which components are connected to other nodes. `None`: the node is alone.
    pub(crate) seats: Option<Seats>,
    /// The account of all domains. The ferries count in it what they carry for other nodes.
    pub account: Arc<Totals>,
}

/// The other nodes, as far as the router needs them.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    /// Decides to which node a component is connected.
    pub(crate) claims: Claims,
    /// The threads of the relays to components of other nodes.
    pub(crate) workers: Workers,
    /// Counts them and their mailboxes.
    pub(crate) relays: Arc<Meter>,
    /// The mailboxes that they report to.
    pub(crate) owners: component::RelayOwners,
}

/// Serves a local domain.
#[derive(PartialEq, Eq)]
enum Local {
    /// The node's own service.
    Node,
    /// The component with this name, connected or not.
    Component(Domain),
}

impl Router {
    /// A router for these domains, and for the names of these components. The account is logged every `log_account`, if it
    /// has changed.
    pub fn new(
        domains: impl IntoIterator<Item = Domain>,
        components: impl IntoIterator<Item = Known>,
        receivers: Receivers,
        log_account: Option<Duration>,
        recorder: RecorderHandle,
        guard: PanicGuard,
    ) -> Self {
        let accounts = Accounts {
            all: Arc::clone(&receivers.account),
            by_domain: HashMap::new(),
            interval: log_account,
            logged: None,
            recorder,
        };
        let Receivers { promise, mailroom, service, journal, seats, .. } = receivers;
        let mut router = Self {
            local: Served::default(),
            components: HashMap::new(),
            sessions: HashMap::new(),
            promise,
            mailroom,
            service,
            journal,
            seats: seats.map(Seating::new),
            accounts,
            _guard: guard,
        };
        router.set_local(domains, components, false);
        router
    }

    /// Sends a batch to the local domain, the session or the promise that it is for. A batch of a remote
    /// server never leaves the node again.
    fn route(&mut self, mut batch: Batch, ingress: Ingress) {
        self.reserve_places(&mut batch);
        match self.local.get(&batch.to) {
            Some(Local::Component(name)) => {
                if let Some((node, begins)) = batch.receipt.lender()
                    && !self.components.get_mut(name).is_some_and(|it| it.takes_from(node, begins))
                {
                    return batch.give_back();
                }
                let direct = self.components.get(name).and_then(Registration::direct);
                let Some(component) = direct else { return self.keep(batch) };
                let sent = if is_bounded_elsewhere(&batch) {
                    component.signal(component::Send { batch })
                } else {
                    component.tell(component::Send { batch })
                };
                match sent {
                    Ok(()) => {}
                    Err(Refused::Full(send)) => self.answer_overloaded(send.batch),
                    Err(Refused::Gone(send)) => {
                        let (batch, name, component) = (send.batch, name.clone(), component.clone());
                        let reason = "internal error of this node".to_owned();
                        self.component_gone(&name, component, EndCause::Internal, reason, false);
                        self.keep(batch);
                    }
                }
            }
            Some(Local::Node) => self.serve(batch),
            None if ingress == Ingress::Remote => refuse_to_relay(batch),
            None => self.send(batch),
        }
    }

    /// Gives the stanzas their places in the journal: they are in the order in which the router takes them. What another node
    /// has lent for a component is never in the journal of this one.
    fn reserve_places(&self, batch: &mut Batch) {
        if let Some(journal) = &self.journal
            && (batch.places.is_none() || batch.places.are_lent() && !self.serves(&batch.to))
        {
            batch.places = Places::From(journal.reserve(batch.stanzas.len()));
        }
    }

    /// Whether a component of the configuration serves a domain.
    fn serves(&self, domain: &Domain) -> bool {
        matches!(self.local.get(domain), Some(Local::Component(_)))
    }

    /// Sends a batch to a remote domain: to the session of its pair, or to the promise.
    fn send(&mut self, batch: Batch) {
        let pair = batch.pair();
        let session = match self.sessions.get(&pair) {
            Some(Session { carrier, way: Way::Direct }) => carrier,
            Some(Session { way: Way::ThroughPromise, .. }) | None => return self.queue(batch),
        };
        let sent = if batch.receipt.is_of_a_parcel() {
            session.signal(outgoing::Send { batch })
        } else {
            session.tell(outgoing::Send { batch })
        };
        match sent {
            Ok(()) => {}
            Err(Refused::Full(send)) => {
                let text = "this server is overloaded; try again later";
                self.answer(send.batch, ErrorType::Wait, Condition::ResourceConstraint, text);
            }
            Err(Refused::Gone(send)) => {
                let session = session.clone();
                self.session_closed(&pair, &session);
                self.queue(send.batch);
            }
        }
    }

    /// Sends a batch to the promise, which keeps it until there is a session.
    fn queue(&mut self, batch: Batch) {
        let sent = if batch.receipt.is_of_a_parcel() {
            self.promise.signal(promise::Deliver { batch })
        } else {
            self.promise.tell(promise::Deliver { batch })
        };
        if let Err(refused) = sent {
            self.answer_overloaded(refused.into_inner().batch);
        }
    }

    /// Sends a batch to the mailroom, which keeps it until the component asks for it, or gives it back.
    fn keep(&mut self, batch: Batch) {
        let sent = if is_bounded_elsewhere(&batch) {
            self.mailroom.signal(mailroom::Deliver { batch })
        } else {
            self.mailroom.tell(mailroom::Deliver { batch })
        };
        if let Err(refused) = sent {
            self.answer_overloaded(refused.into_inner().batch);
        }
    }

    /// Answers a batch for which the mailbox of an actor is full.
    fn answer_overloaded(&mut self, batch: Batch) {
        let text = "this server is overloaded; try again later";
        self.answer(batch, ErrorType::Wait, Condition::ResourceConstraint, text);
    }

    /// Answers a batch that cannot be delivered. The answers are routed as any stanza is, to a component or
    /// to a remote server; an answer is never answered, so this ends.
    fn answer(&mut self, batch: Batch, type_: ErrorType, condition: Condition, text: &str) {
        let (from, to) = (batch.from.clone(), batch.to.clone());
        let answers =
            batch.into_answers(&stanza::Error { type_, condition, text: text.to_owned() }, Outcome::Answered);
        log::debug!(
            target: LOG, from:% = from, to:% = to,
            answered = answers.stanzas.len(), dropped = answers.dropped;
            "not delivered: {text}"
        );
        self.route_answers(answers.stanzas, &answers.permit);
    }

    /// Routes error answers as any stanza.
    fn route_answers(&mut self, answers: Vec<Stanza>, permit: &ReadPermit) {
        for mut batch in batch::sort(answers, permit) {
            batch.returning = true;
            self.route(batch, Ingress::Local);
        }
    }
}

/// Whether a batch for a component is bounded by other means than the mailbox: error answers by what is answered, and stanzas
/// of another node by the window that this node grants it. Such a batch is never refused.
fn is_bounded_elsewhere(batch: &Batch) -> bool {
    batch.returning || batch.receipt.is_of_a_parcel()
}

/// The streams refuse these stanzas with `host-unknown` already. This check is cheap, and an open relay would
/// be abused.
fn refuse_to_relay(mut batch: Batch) {
    log::error!(
        target: LOG, from:% = batch.from, to:% = batch.to, stanzas = batch.stanzas.len();
        "dropped: a remote server may not use this node as a relay"
    );
    batch.entry.settle_rest(Outcome::Dropped);
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.log_missing_components_later(context);
        if let Some(interval) = self.accounts.interval {
            context.run_interval(interval, |router, _| router.accounts.log_changes());
        }
    }
}

impl Handler<Queued<Route>> for Router {
    type Result = ();

    fn handle(&mut self, route: Queued<Route>, _: &mut Context<Self>) {
        let Route { batches, ingress } = route.into_message();
        for mut batch in batches {
            // What another node brings stands in its account.
            if ingress != Ingress::Node {
                self.take_in(&mut batch);
            }
            self.route(batch, ingress);
        }
    }
}

impl Handler<Queued<Return>> for Router {
    type Result = ();

    /// Error answers of the promise and of the sessions never create a promise: without a recipient they are
    /// dropped.
    fn handle(&mut self, answers: Queued<Return>, _: &mut Context<Self>) {
        let Return { answers, permit } = answers.into_message();
        for mut batch in batch::sort(answers, &permit) {
            batch.returning = true;
            self.reserve_places(&mut batch);
            match self.local.get(&batch.to) {
                // The answers wait for a component that is not connected.
                Some(Local::Component(_)) => self.route(batch, Ingress::Local),
                None if self.sessions.contains_key(&batch.pair()) => self.send(batch),
                _ => log::debug!(
                    target: LOG, to:% = batch.to, dropped = batch.stanzas.len();
                    "dropped error answers: their recipient is not connected"
                ),
            }
        }
    }
}

impl Handler<Queued<Adopt>> for Router {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { domains, components, service, listed, sessions, mailroom } = adopt.into_message();
        // If the service is gone, the process ends.
        let _ = self.service.signal(service::Adopt { components: listed, service });
        self.adopt_local(domains, components, mailroom);
        self.log_missing_components_later(context);
        for session in self.sessions.values() {
            // A session that has just ended does not need it.
            let _ = session.carrier.signal(sessions.clone());
        }
        // Nothing more is sent to a remote server for a name that this node serves itself.
        for (_, session) in self.sessions.iter().filter(|(pair, _)| self.local.contains(&pair.remote)) {
            let _ = session.carrier.signal(outgoing::Forbid);
        }
    }
}

impl Handler<Queued<Report>> for Router {
    type Result = ();

    fn handle(&mut self, report: Queued<Report>, _: &mut Context<Self>) {
        report.into_message();
        self.accounts.log();
        for (name, local) in self.local.iter() {
            let is_connected = |name| self.components.get(name).is_some_and(Registration::is_connected);
            let served_by = match local {
                Local::Node => "the node",
                Local::Component(component) if self.is_elsewhere(component) => "a component of another node",
                Local::Component(component) if is_connected(component) => "a component",
                Local::Component(_) => "a component that is not connected",
            };
            log::info!(target: LOG, name:% = name, served_by = served_by; "local domain");
        }
    }
}

const LOG: &str = "nuncio::router";

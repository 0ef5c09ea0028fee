//! The actor of the cluster: it owns the client of the message broker and the arbiter, and starts a ferry to each other node.
//!
//! The promise asks it which node has the link of a pair, and the router to which node a component is connected. Neither
//! learns what the broker is.

mod commands;
mod messages;
mod own_run;
mod peers;
mod seats;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ::cluster::{
    arbiter::{Arbiter, Config, Output},
    engine::{Answer, Bucket, EngineError, Event},
    ferry::{Body, Frame},
    name::{Incarnation, NodeName},
};
use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::mpsc;
use xmpp::DomainPair;

pub(crate) use self::{
    messages::{Leave, Receivers, Reconfigure, Show, Shown, StopReceiving},
    peers::{MOST as MOST_NODES, Starter as Peering},
};
use self::{
    own_run::{Held, OwnRun},
    peers::Peers,
    seats::Seats,
};
use super::{
    LOG, SharedEngine,
    events::{self, Came, What},
    ferry,
    questions::{Question, Questions},
};
use crate::{
    flow::{
        claims::{
            Claim, Claims, Conflict, Freeze, Granted, HeldBy, Renounce, SeatAt, SeatTaken, Seated, Unknown,
        },
        outbox::Timer,
    },
    observe::log_limit::{FEW, LogLimiter},
};
use mailbox::{Mailbox, Queued, drain, panic_guard::PanicGuard};
use status::report::{BrokerReport, Time, bounded};

/// What the actor needs at its start.
pub(crate) struct Setup {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// What the arbiter must know of the node.
    pub(crate) config: Config,
    /// The client of the broker, and what it reports.
    pub(crate) engine: SharedEngine,
    pub(crate) events: mpsc::Receiver<Event>,
    /// Gives random numbers.
    pub(crate) random: Box<dyn FnMut() -> u64 + Send>,
    /// Starts the ferries.
    pub(crate) ferries: Peering,
    pub(crate) receivers: Receivers,
    /// Answers questions of other nodes.
    pub(crate) desk: mpsc::Sender<Question>,
}

/// The actor.
pub(crate) struct Cluster {
    /// The name of the cluster.
    name: String,
    broker: BrokerReport,
    arbiter: Arbiter,
    engine: SharedEngine,
    /// `None` once the task has them.
    events: Option<mpsc::Receiver<Event>>,
    mailbox: Mailbox<Self>,
    receivers: Receivers,
    peers: Peers,
    /// The claims of the promise, with their numbers: asked for or granted.
    claims: HashMap<DomainPair, u64>,
    seats: Seats,
    questions: Questions,
    run: OwnRun,
    /// It has held a lease since its start.
    joined: bool,
    /// Held until nothing of this node is left at the broker.
    leaving: Option<drain::Token>,
    log_limits: LogLimits,
    timer: Timer,
    _guard: PanicGuard,
}

impl Cluster {
    /// The actor of a node that has just started.
    pub(crate) fn new(setup: Setup, mailbox: Mailbox<Self>, guard: PanicGuard) -> Self {
        let Setup { cluster, config, engine, events, mut random, ferries, receivers, desk } = setup;
        let questions = Questions::new(config.own.clone(), engine.clone(), desk, random());
        Self {
            questions,
            name: cluster,
            broker: BrokerReport { connected: false, since: Time::now(), last_error: None },
            arbiter: Arbiter::new(config, clock::now(), random),
            engine,
            events: Some(events),
            mailbox,
            receivers,
            peers: Peers::new(ferries),
            claims: HashMap::new(),
            seats: Seats::default(),
            run: OwnRun::default(),
            leaving: None,
            log_limits: LogLimits::new(),
            joined: false,
            timer: Timer::default(),
            _guard: guard,
        }
    }

    /// The way to the actor, for promise and router.
    pub(crate) fn claims(mailbox: &Mailbox<Self>) -> Claims {
        Claims {
            claim: mailbox.outlet(),
            renounce: mailbox.outlet(),
            seat: mailbox.outlet(),
            unseat: mailbox.outlet(),
            contest: mailbox.outlet(),
        }
    }

    fn came(&mut self, event: Event, now: Instant) {
        match &event {
            Event::Up { .. } => {
                if self.log_limits.broker.count_line() {
                    log::info!(target: LOG, node:% = self.peers.own(); "message broker connected");
                }
                (self.broker.connected, self.broker.since) = (true, Time::now());
                self.peers.tell_all(&ferry::Up);
            }
            Event::Down { reason } => {
                if self.log_limits.broker.count_line() {
                    log::warn!(target: LOG, reason = reason.as_str(); "message broker unreachable");
                }
                if self.broker.connected {
                    (self.broker.connected, self.broker.since) = (false, Time::now());
                }
                self.broker.last_error = Some(bounded(reason.clone()));
                self.peers.tell_all(&ferry::Down);
            }
            _ => {}
        }
        self.peers.set_up(&event);
        self.arbiter.handle(event, now);
    }

    /// A line in the log, as long as there is no broker.
    fn remind(&self) {
        let BrokerReport { connected, since, last_error } = &self.broker;
        if !connected {
            let reason = last_error.as_deref().unwrap_or("it has not answered yet");
            log::warn!(
                target: LOG, since:% = since, reason = reason;
                "message broker still unreachable: no new link is opened"
            );
        }
    }

    fn arrived(&mut self, frame: Box<Frame>, permit: tokio::sync::OwnedSemaphorePermit) {
        if let Body::Contest(name) = &frame.body {
            return self.contested(&frame.header, name.clone());
        }
        // Whoever is no member starts no ferry. A member that is not known yet sends its frame again.
        if let Some(ferry) = self.peers.known(&frame.header.from) {
            // A ferry that is gone ends the process.
            let _ = ferry.signal(ferry::Arrived { frame, permit });
        }
    }

    /// Does what the arbiter has decided, until nothing is left, and sets the timer.
    fn act(&mut self, now: Instant, context: &mut Context<Self>) {
        self.seats.retry(&mut self.arbiter, now);
        while let Some(output) = self.arbiter.poll() {
            self.perform(output, now);
        }
        let next = self.seats.next_retry().into_iter().fold(self.arbiter.next_tick(), Instant::min);
        // At least a millisecond: the arbiter must not keep this thread busy, whatever it waits for.
        let next = next.max(now + SHORTEST_WAIT);
        self.timer.set(Some(next), context, |cluster, context| {
            let now = clock::now();
            cluster.arbiter.tick(now);
            cluster.act(now, context);
        });
    }

    fn perform(&mut self, output: Output, now: Instant) {
        if !matches!(output, Output::Request(_)) {
            log::debug!(target: LOG, decision:? = output; "decided");
        }
        match output {
            Output::Request(request) => {
                let id = request.id;
                if self.engine.request(request).is_err() {
                    let answer: Result<Answer, EngineError> = Err(EngineError::Unreachable);
                    self.arbiter.handle(Event::Answered { id, answer }, now);
                }
            }
            Output::Granted { pair } => {
                if let Some(&number) = self.claims.get(&pair) {
                    tell(&self.receivers.granted, Granted { pair, number });
                }
            }
            Output::HeldBy { pair, node } => self.held_by(pair, &node),
            Output::Unknown { pair, why } => {
                if let Some(number) = self.claims.remove(&pair) {
                    tell(&self.receivers.unknown, Unknown { pair, number, why });
                }
            }
            Output::Conflict { pair, node } => {
                if let Some(number) = self.claims.remove(&pair) {
                    if self.log_limits.conflicts.count_line() {
                        log::warn!(target: LOG, pair:% = pair, node:% = node; "link held by another node: it is closed here");
                    }
                    tell(&self.receivers.conflict, Conflict { pair, number, node });
                }
            }
            Output::Seated { name } => {
                self.seats.granted(&name);
                tell(&self.receivers.seated, Seated { name });
            }
            Output::SeatTaken { name, node } | Output::SeatConflict { name, node } => {
                self.seats.lost(&name);
                tell(&self.receivers.seat_taken, SeatTaken { name, node });
            }
            Output::SeatUnknown { name, why } => self.seat_unknown(name, &why, now),
            Output::SeatAt { name, node } => {
                let seat = node.and_then(|node| self.peers.way(&node));
                tell(&self.receivers.seat_at, SeatAt { name, seat });
            }
            Output::Joined { node, incarnation, version } => {
                // Without a version that both have, what is for the node waits here.
                if version.is_some() {
                    self.peers.joined(&node, incarnation);
                }
            }
            Output::Died { node, incarnation, last_seen, ending } => {
                self.peers.died(&node, incarnation, last_seen, ending);
            }
            Output::LeaseHeld { incarnation, until } => self.lease_held(incarnation, until, now),
            Output::LeaseLost => self.lease_lost(),
            Output::Refused { bucket, reason } => self.refused(bucket, &reason),
            Output::Disagrees { node, about } => {
                if self.log_limits.disagreements.count_line() {
                    log::error!(target: LOG, node:% = node, reason:% = about; "node disagrees");
                }
            }
            Output::Agrees { node } => {
                log::info!(target: LOG, node:% = node; "node agrees again");
            }
            Output::Left => self.leaving = None,
        }
    }

    fn held_by(&mut self, pair: DomainPair, node: &NodeName) {
        let Some(number) = self.claims.remove(&pair) else { return };
        match self.peers.way(node) {
            Some(ferry) => tell(&self.receivers.held_by, HeldBy { pair, number, ferry }),
            None => {
                let why = format!(
                    "node {node} has the link, and more nodes than this one can talk to are in the cluster"
                );
                tell(&self.receivers.unknown, Unknown { pair, number, why });
            }
        }
    }

    fn lease_held(&mut self, incarnation: Incarnation, until: Instant, now: Instant) {
        let lease = match self.run.held(incarnation, until, now) {
            Held::Extended => return,
            Held::Began { lease, ended } => {
                if let Some(run) = ended {
                    self.tell_lease_lost(run);
                }
                lease
            }
        };
        log::info!(target: LOG, run:% = incarnation; "lease held");
        if !std::mem::replace(&mut self.joined, true) {
            let (node, nodes) = (self.peers.own(), self.peers.members().len() + 1);
            log::info!(target: LOG, cluster = self.name.as_str(), node:% = node, nodes = nodes; "cluster joined");
        }
        self.peers.lease_held(ferry::LeaseHeld { incarnation, lease });
    }

    fn refused(&self, bucket: Bucket, reason: &str) {
        if self.log_limits.refusals[bucket as usize].count_line() {
            log::error!(
                target: LOG, node:% = self.peers.own(), table = bucket.name(), reason = reason;
                "message broker refuses a record: `nuncio check` says which setting of the broker is wrong"
            );
        }
    }

    fn lease_lost(&mut self) {
        if let Some(run) = self.run.lost() {
            self.tell_lease_lost(run);
        }
    }

    fn tell_lease_lost(&mut self, run: Incarnation) {
        log::warn!(target: LOG, run:% = run; "lease lost: what other nodes have lent goes back to them");
        self.peers.lease_lost();
        if let Some(freeze) = &self.receivers.freeze {
            log::warn!(target: LOG, "links are closed, as cluster.on_engine_loss = \"freeze\" says");
            freeze.iter().for_each(|receiver| tell(receiver, Freeze));
        }
    }
}

/// Limits on the lines that a broker or a node can cause which come and go all the time.
struct LogLimits {
    broker: Arc<LogLimiter>,
    conflicts: Arc<LogLimiter>,
    disagreements: Arc<LogLimiter>,
    /// For each table.
    refusals: [Arc<LogLimiter>; 3],
}

impl LogLimits {
    fn new() -> Self {
        Self {
            broker: LogLimiter::new(LOG, FEW, "more changes of the connection to the message broker"),
            conflicts: LogLimiter::new(LOG, FEW, "more links that other nodes hold are closed here"),
            disagreements: LogLimiter::new(LOG, FEW, "more disagreements between nodes"),
            refusals: Bucket::ALL.map(|table| {
                LogLimiter::about(LOG, 1, "the message broker refused more records", table.name())
            }),
        }
    }
}

/// Sends a message of which there is one for each claim, seat or change.
fn tell<M: Send + 'static>(receiver: &mailbox::Outlet<M>, message: M) {
    // A promise or router that is gone ends the process.
    let _ = receiver.signal(message);
}

impl Actor for Cluster {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(events) = self.events.take() {
            events::start(events, self.mailbox.outlet());
        }
        context.run_interval(REMIND, |cluster, _| cluster.remind());
        self.act(clock::now(), context);
    }
}

impl Handler<Queued<Came>> for Cluster {
    type Result = ();

    fn handle(&mut self, came: Queued<Came>, context: &mut Context<Self>) {
        let now = clock::now();
        let Came { what, permit } = came.into_message();
        match what {
            What::Frame(frame) => self.arrived(frame, permit),
            What::Question(frame) => self.question_came(frame, now),
            What::Event(event) => {
                self.came(event, now);
                self.act(now, context);
            }
        }
    }
}

impl Handler<Queued<Claim>> for Cluster {
    type Result = ();

    fn handle(&mut self, claim: Queued<Claim>, context: &mut Context<Self>) {
        let (Claim { pair, number }, now) = (claim.into_message(), clock::now());
        self.claims.insert(pair.clone(), number);
        self.arbiter.claim(&pair, now);
        self.act(now, context);
    }
}

impl Handler<Queued<Renounce>> for Cluster {
    type Result = ();

    fn handle(&mut self, renounce: Queued<Renounce>, context: &mut Context<Self>) {
        let (Renounce { pair, number }, now) = (renounce.into_message(), clock::now());
        // An answer that ended the claim may have crossed it, and another claim may have followed.
        if self.claims.get(&pair) == Some(&number) {
            self.claims.remove(&pair);
            self.arbiter.renounce(&pair, now);
            self.act(now, context);
        }
    }
}

impl Handler<Queued<Reconfigure>> for Cluster {
    type Result = ();

    fn handle(&mut self, reconfigure: Queued<Reconfigure>, context: &mut Context<Self>) {
        let (Reconfigure { secret, names }, now) = (reconfigure.into_message(), clock::now());
        self.arbiter.reconfigure(secret, names, now);
        self.act(now, context);
    }
}

impl Handler<Queued<StopReceiving>> for Cluster {
    type Result = ();

    fn handle(&mut self, stop: Queued<StopReceiving>, _: &mut Context<Self>) {
        let StopReceiving { within, token } = stop.into_message();
        self.peers.stop_receiving(within, token);
    }
}

impl Handler<Queued<Leave>> for Cluster {
    type Result = ();

    fn handle(&mut self, leave: Queued<Leave>, context: &mut Context<Self>) {
        let now = clock::now();
        self.leaving = Some(leave.into_message().token);
        self.claims.clear();
        self.arbiter.stop(now);
        self.act(now, context);
    }
}

/// How often the log says that there is no broker. An operator reads the last minutes of it.
const REMIND: Duration = Duration::from_secs(60);

/// Between two looks at the arbiter, if nothing happens.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

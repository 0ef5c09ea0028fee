//! The actor of the cluster: it owns the client of the message broker and the arbiter, and starts a ferry to each other node.
//!
//! The promise asks it which node has the link of a pair, and the router to which node a component is connected. Neither
//! learns what the broker is.

mod commands;
mod decisions;
mod log_limits;
mod messages;
mod own_run;
mod peers;
mod seats;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ::cluster::{
    arbiter::{Arbiter, Config},
    engine::Event,
    ferry::{Body, Frame},
    record::Process,
};
use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::mpsc;
use xmpp::DomainPair;

use self::{log_limits::LogLimits, own_run::OwnRun, peers::Peers, seats::Seats};
pub(crate) use self::{
    messages::{Leave, Receivers, Reconfigure, Show, Shown, StopReceiving},
    peers::{MOST as MOST_NODES, Starter as Peering},
};
use super::{
    LOG, SharedEngine,
    events::{self, Came, What},
    ferry,
    questions::{Question, Questions},
};
use crate::flow::{
    claims::{Claim, Claims, Renounce},
    outbox::Timer,
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
    /// Tells whether a process has certainly ended.
    pub(crate) has_ended: Box<dyn Fn(&Process) -> bool + Send>,
    /// Starts the ferries.
    pub(crate) ferries: Peering,
    pub(crate) receivers: Receivers,
    /// Answers questions of other nodes.
    pub(crate) desk: mpsc::Sender<Question>,
}

/// The actor. What it gives the arbiter are times of [`clock::with_suspension`]: to the other nodes, a node whose machine is
/// suspended is away.
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
        let Setup { cluster, config, engine, events, mut random, has_ended, ferries, receivers, desk } =
            setup;
        let questions = Questions::new(config.own.clone(), engine.clone(), desk, random());
        Self {
            questions,
            name: cluster,
            broker: BrokerReport { connected: false, since: Time::now(), last_error: None },
            arbiter: Arbiter::new(config, clock::with_suspension(), random, has_ended),
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
        self.tell_delays(now);
        let next = self.seats.next_look().into_iter().fold(self.arbiter.next_tick(), Instant::min);
        // At least a millisecond: the arbiter must not keep this thread busy, whatever it waits for.
        let wait = next.saturating_duration_since(now).max(SHORTEST_WAIT);
        self.timer.set(Some(clock::now() + wait), context, |cluster, context| {
            let now = clock::with_suspension();
            cluster.arbiter.tick(now);
            cluster.act(now, context);
        });
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
        self.act(clock::with_suspension(), context);
    }
}

impl Handler<Queued<Came>> for Cluster {
    type Result = ();

    fn handle(&mut self, came: Queued<Came>, context: &mut Context<Self>) {
        let now = clock::with_suspension();
        let Came { what, permit } = came.into_message();
        match what {
            What::Frame(frame) => self.arrived(frame, permit),
            What::Question(frame) => self.question_came(frame),
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
        let (Claim { pair, number }, now) = (claim.into_message(), clock::with_suspension());
        self.claims.insert(pair.clone(), number);
        self.arbiter.claim(&pair, now);
        self.act(now, context);
    }
}

impl Handler<Queued<Renounce>> for Cluster {
    type Result = ();

    fn handle(&mut self, renounce: Queued<Renounce>, context: &mut Context<Self>) {
        let (Renounce { pair, number }, now) = (renounce.into_message(), clock::with_suspension());
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
        let (Reconfigure { secret, names }, now) = (reconfigure.into_message(), clock::with_suspension());
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
        let now = clock::with_suspension();
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

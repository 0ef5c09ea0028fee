//! A program that serves one of our domains, connected by XEP-0114.

mod alive;
mod change;
mod goodbye;
mod machine;
mod refusals;
mod seat;
mod show;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use bytes::Bytes;
use tokio::sync::mpsc;
use xmpp::{
    Domain, Stanza,
    component::{Configured, Handshake, Output, open},
    policy::Bounds,
    stanza,
    stream::{self, Condition, End},
};

pub use self::refusals::Refusals;
use self::{alive::Alive, goodbye::Parting, machine::Machine};
use crate::{
    flow::{
        batch::{self, Batch, ReadPermit, Watch},
        fan_out::FanOut,
        farewell::Farewell,
        link::{self, Link},
        outbox::{self, Alarm, Outbox},
        refused::{self, RefusedStanzas},
        route::{Ingress, Refuse, Route},
        throttle::{Throttle, UNPRODUCTIVE},
        trace::Trace,
    },
    observe::log_limit::LogLimiter,
    streams::caller,
};
use mailbox::{Mailbox, Meter, Outlet, Queued, Refused, drain};
use net::{stream::Stream, stream_id};
use status::report;

/// Write this to the program.
#[derive(Debug)]
pub struct Send {
    /// To the served name.
    pub batch: Batch,
}

/// Nobody will send anything more: answer what is left, and stop.
#[derive(Debug)]
pub struct Retire;

/// Say how the link is.
#[derive(Debug)]
pub struct Show {
    /// Only if it serves this domain.
    pub of: Option<Domain>,
    /// Where the answer goes.
    pub links: mpsc::Sender<report::Link>,
}

/// The name is not served any more: close the stream.
#[derive(Debug)]
pub struct Expel;

/// Go on with these secrets and limits, or end where the secret is another one.
#[derive(Debug)]
pub struct Adopt {
    /// Those of the next connection.
    pub environment: Box<Environment>,
}

/// Another connection serves the name from now on: close the stream.
#[derive(Debug)]
pub struct GiveWay;

/// An operator wants the connection closed.
#[derive(Debug)]
pub struct Dismiss {
    /// Dropped when the name is free.
    pub token: drain::Token,
}

/// Another connection claims the name: find out whether the component at the other end still answers.
#[derive(Debug)]
pub struct Prove;

/// Close the stream once the program is quiet.
#[derive(Debug)]
pub struct Drain {
    /// How long a program that goes on sending is listened to.
    pub within: Duration,
    /// Dropped when the stream is over.
    pub token: drain::Token,
}

/// The answer to `component::Claimed`.
#[derive(Debug)]
pub struct Seated {
    /// False: another connection serves the name.
    pub accepted: bool,
    /// That one was asked for a sign of life, and has not answered yet.
    pub asked: bool,
}

/// A program has shown the secret of this name.
#[derive(Debug)]
pub struct Claimed {
    /// Which.
    pub name: Domain,
    /// Where its stanzas go.
    pub component: Mailbox<Component>,
}

/// The program is no longer connected.
#[derive(Debug)]
pub struct Gone {
    /// Which name it served.
    pub name: Domain,
    /// Which connection.
    pub component: Mailbox<Component>,
    /// Why it ended.
    pub reason: String,
}

/// The component has said something since it was asked for a sign of life.
#[derive(Debug)]
pub struct Answered {
    /// Which name it serves.
    pub name: Domain,
    /// By which connection.
    pub component: Mailbox<Component>,
}

/// A connection claimed a name with a wrong secret.
#[derive(Debug)]
pub struct Rejected {
    /// Which name.
    pub name: Domain,
    /// The other end.
    pub address: SocketAddr,
}

/// These could not be given to the program; their senders want to know.
#[derive(Debug)]
pub struct Undelivered {
    /// In order.
    pub batch: Batch,
    /// Why, for the machine.
    pub condition: stanza::Condition,
    /// Why, for a person.
    pub text: String,
}

/// The mailboxes that a connection reports to: those of the router.
#[derive(Debug)]
pub struct Owners {
    /// Stanzas.
    pub routes: Outlet<Route>,
    /// Refused stanzas.
    pub refused: Outlet<Refuse>,
    /// A name that the component has shown the secret of.
    pub claimed: Outlet<Claimed>,
    /// The end of a connection that served a name.
    pub gone: Outlet<Gone>,
    /// A sign of life.
    pub answered: Outlet<Answered>,
    /// A wrong secret.
    pub rejected: Outlet<Rejected>,
    /// Stanzas that the component did not get.
    pub undelivered: Outlet<Undelivered>,
}

/// What every component connection needs.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The names, with their secrets and limits.
    pub names: Arc<HashMap<Domain, Configured>>,
    /// Bytes of one stanza, where a name has no limit of its own.
    pub max_stanza: usize,
    /// What one stream may cost.
    pub bounds: Bounds,
    /// A program that takes not one chunk in this time reads nothing.
    pub write_timeout: Duration,
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// The mailboxes that it reports to.
    pub owners: Arc<Owners>,
    /// By which of the listener's sockets it came.
    pub door: usize,
    /// Counts the streams of an address.
    pub ended: Outlet<caller::Ended>,
    /// Counts those of them that have authenticated apart.
    pub proved: Outlet<caller::Proved>,
    /// Slows down those that try secrets.
    pub mistaken: Outlet<caller::Mistaken>,
    /// Limits the log lines about connections that serve no name.
    pub refusals: Refusals,
    /// The address from which the node asks a component whether it still answers; the component's own name without.
    pub asker: Option<Domain>,
    /// Limits the log lines that the users of components can cause.
    pub bad_stanzas: Arc<LogLimiter>,
}

/// The actor of one component connection.
pub struct Component {
    environment: Environment,
    address: SocketAddr,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    link: Option<Link>,
    machine: Machine,
    trace: Trace,
    name: Option<Domain>,
    seated: bool,
    outbox: Outbox,
    /// When the patience with a full outbox is looked at.
    alarm: Alarm,
    /// To whom it writes.
    habit: FanOut,
    offered: Option<Route>,
    over: bool,
    /// Whether the component still has to close its stream, when ours is over.
    farewell: Farewell,
    gone: bool,
    retired: bool,
    since: Instant,
    /// Looks in a row at which it had said nothing.
    quiet_looks: u32,
    /// Whether what it said last is still being taken; it is not read meanwhile.
    reading: Watch,
    /// Since when the link has been writing one chunk.
    writing_since: Option<Instant>,
    /// For elements that are refused.
    unproductive: Throttle,
    stanzas_in: u64,
    /// Stanzas that were refused one by one.
    stanzas_refused: u64,
    bytes_in: u64,
    last_stanza: Instant,
    draining: Option<drain::Token>,
    /// Held until the name is free, for the operator who wants that.
    dismissed: Option<drain::Token>,
    /// Whether it is being asked for a sign of life.
    alive: Alive,
    /// Why the connection ended, once that is known.
    ended: Option<String>,
    /// Why we closed the stream.
    parting: Option<Parting>,
}

impl Component {
    /// An actor for a connection that has just been accepted.
    pub fn new(
        environment: Environment,
        stream: Stream,
        address: SocketAddr,
        own: Mailbox<Self>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            link: Some(Link::start(stream, own.outlet())),
            trace: Trace::new(LOG),
            machine: Machine::Handshake(Handshake::new(
                Arc::clone(&environment.names),
                environment.max_stanza,
                environment.bounds,
                stream_id::source(),
            )),
            environment,
            address,
            own,
            meter,
            name: None,
            seated: false,
            outbox: Outbox::of_component(outbox::BUDGET),
            alarm: Alarm::default(),
            habit: FanOut::default(),
            offered: None,
            over: false,
            farewell: Farewell::Now,
            gone: false,
            retired: false,
            since: clock::now(),
            quiet_looks: 0,
            reading: Watch::default(),
            writing_since: None,
            unproductive: Throttle::new(Some(UNPRODUCTIVE)),
            stanzas_in: 0,
            stanzas_refused: 0,
            bytes_in: 0,
            last_stanza: clock::now(),
            draining: None,
            dismissed: None,
            alive: Alive::default(),
            ended: None,
            parting: None,
        }
    }

    fn caller(&self) -> caller::Caller {
        caller::Caller { address: self.address, door: self.environment.door }
    }

    /// Lets the machine say what is to be done.
    fn turn(&mut self, pass: &ReadPermit, context: &mut Context<Self>) {
        let mut stanzas: Vec<Stanza> = Vec::new();
        let mut refused = RefusedStanzas::default();
        loop {
            match &mut self.machine {
                Machine::Handshake(handshake) => match handshake.poll() {
                    None => break,
                    Some(Output::Transmit(bytes)) => self.transmit(bytes),
                    Some(Output::Claimed { name }) => {
                        self.name = Some(name.clone());
                        self.claim(name, context);
                    }
                    Some(Output::Ended(end)) => self.stream_ended(&end, context),
                },
                Machine::Open(open) => match open.poll() {
                    None => break,
                    Some(open::Output::Transmit(bytes)) => self.transmit(bytes),
                    Some(open::Output::Stanza(stanza)) if self.alive.is_answer(&stanza) => {}
                    // Counted at once, since the line about the end of the stream may be the next thing to do.
                    Some(open::Output::Stanza(stanza)) => {
                        self.stanzas_in += 1;
                        stanzas.push(stanza);
                    }
                    Some(open::Output::StanzaRefused(stanza)) => {
                        refused.enter(&stanza);
                        self.refuse(*stanza, pass);
                    }
                    Some(open::Output::Ended(end)) => self.stream_ended(&end, context),
                },
            }
        }
        if self.machine.has_closed() {
            let outside = self.outbox.take_overflow();
            self.return_to_senders(outside);
        }
        self.feed_link();
        if !refused.is_empty() {
            self.watch_patience(context);
            // A router that is gone takes the process with it.
            let _ = self.environment.owners.refused.signal(Refuse { refused, answers: Vec::new() });
        }
        if !stanzas.is_empty() {
            self.last_stanza = clock::now();
            let mut batches = batch::sort(stanzas, pass);
            self.habit.mark(&mut batches, self.last_stanza);
            self.offer(batches, context);
        }
    }

    fn transmit(&mut self, bytes: Bytes) {
        if let Some(shown) = self.trace.sent(&bytes) {
            log::trace!(target: LOG, address:% = self.address; "sent {shown}");
        }
        self.outbox.push_raw(bytes);
    }

    /// Answers a stanza that the stream refused, on that stream: its sender may be somebody whom the component does not
    /// serve. The answer waits for room in the outbox with the pass of what was read, and so does the next read.
    fn refuse(&mut self, refused: stanza::Refused, pass: &ReadPermit) {
        self.stanzas_refused += 1;
        refused::log(LOG, &self.environment.bad_stanzas, self.address, &refused);
        if let Some(answer) = refused.answer {
            let batch = Batch { pass: pass.clone(), returning: true, ..Batch::of(answer) };
            // Answers on their way back are never refused.
            let _ = self.outbox.push(batch, clock::now());
        }
    }

    /// Offers stanzas to the router until it takes them. Their passes keep the link from reading meanwhile.
    fn offer(&mut self, batches: Vec<Batch>, context: &mut Context<Self>) {
        let route = Route { batches, ingress: Ingress::Local };
        match self.environment.owners.routes.tell(route) {
            Ok(()) => {}
            Err(Refused::Full(route)) => {
                self.offered = Some(route);
                context.run_later(OFFER_AGAIN, |component, context| {
                    if let Some(route) = component.offered.take() {
                        component.offer(route.batches, context);
                    }
                });
            }
            Err(Refused::Gone(_)) => context.stop(),
        }
    }

    fn feed_link(&mut self) {
        let Some(link) = &self.link else { return };
        if let Some(chunk) = self.outbox.next_chunk() {
            self.writing_since = Some(clock::now());
            link.write(chunk);
        } else if self.over && self.outbox.is_empty() {
            link.close(self.farewell);
        }
    }

    fn stream_ended(&mut self, end: &End, context: &mut Context<Self>) {
        if !self.over {
            self.over = true;
            self.farewell = Farewell::after(end, self.machine.is_open());
            self.report_rejection(end);
            // After our own error the closing tags go both ways like after none.
            let reason = match (end, &self.parting) {
                (End::Closed, Some(parting)) => parting.to_string(),
                (End::Closed, None) => "closed by the component".to_owned(),
                _ => end.to_string(),
            };
            self.log_closed(&reason);
        }
        self.leave(context);
    }

    fn link_ended(&mut self, written: usize, reason: &str, context: &mut Context<Self>) {
        if !self.over {
            self.over = true;
            self.log_closed(reason);
        }
        self.link = None;
        if self.offered.is_some() {
            // What was read is still owed to the router.
            context
                .run_later(OFFER_AGAIN, move |component, context| component.link_ended(written, "", context));
            return;
        }
        let remains = self.outbox.remains(written);
        if remains.uncertain > 0 {
            log::warn!(
                target: LOG, address:% = self.address, name:% = self.name.as_ref().map_or("-", Domain::as_str),
                stanzas = remains.uncertain;
                "the connection ended with stanzas on the wire; they may not have arrived"
            );
        }
        self.return_to_senders(remains.unwritten);
        self.leave(context);
        // One that has claimed a name waits for the router's word: the seat may be its own.
        if self.retired || self.name.is_none() {
            context.stop();
        }
    }

    /// Why the component closed the connection, if it was for our closing tag: many read that and say nothing more.
    fn why_it_went(&self) -> Option<String> {
        self.parting.as_ref().map(Parting::to_string)
    }

    fn return_to_senders(&self, batches: Vec<Batch>) {
        let Some(name) = &self.name else { return };
        let text = format!("the component {name} is not connected");
        self.undelivered(batches, stanza::Condition::ServiceUnavailable, &text);
    }

    fn undelivered(&self, batches: Vec<Batch>, condition: stanza::Condition, text: &str) {
        for batch in batches {
            let undelivered = Undelivered { batch, condition, text: text.to_owned() };
            // A router that is gone takes the process with it.
            let _ = self.environment.owners.undelivered.signal(undelivered);
        }
    }

    fn log_closed(&mut self, reason: &str) {
        self.ended = Some(reason.to_owned());
        if !self.seated {
            return self.log_refused(reason);
        }
        log::info!(
            target: LOG, address:% = self.address, name:% = self.name.as_ref().map_or("-", Domain::as_str),
            reason = reason, stanzas_in = self.stanzas_in, refused = self.stanzas_refused, stanzas_out = self.outbox.stanzas_written(),
            lived:% = format_args!("{}s", clock::since(self.since).as_secs());
            "disconnected"
        );
    }

    /// Logs that the connection came to serve no name: a warning if its header named one, for somebody meant it to.
    fn log_refused(&self, reason: &str) {
        let claimed = self.machine.claimed();
        if !self.environment.refusals.permits(claimed) {
            return;
        }
        let level = if claimed.is_some() { log::Level::Warn } else { log::Level::Info };
        log::log!(
            target: LOG, level, address:% = self.address, name:% = claimed.map_or("-", Domain::as_str),
            reason = reason;
            "component refused"
        );
    }

    /// Tells the router about a wrong secret, for `nuncio components`, and the listener, which slows down further ones.
    fn report_rejection(&self, end: &End) {
        let (Some(name), End::ByUs(error)) = (self.machine.claimed(), end) else { return };
        if !self.seated && error.condition == Condition::NotAuthorized {
            let rejected = Rejected { name: name.clone(), address: self.address };
            // A router that is gone takes the process with it.
            let _ = self.environment.owners.rejected.signal(rejected);
            let mistaken = caller::Mistaken { caller: self.caller(), name: name.clone() };
            // A listener that is gone counts no more.
            let _ = self.environment.mistaken.signal(mistaken);
        }
    }

    /// Wakes up when the patience with a full outbox ends.
    fn watch_patience(&mut self, context: &mut Context<Self>) {
        self.alarm.set(self.outbox.patience_ends(), context, |component, context| {
            let batches = component.outbox.lose_patience(clock::now());
            component.refuse_slow(batches, log::Level::Warn);
            component.watch_patience(context);
        });
    }

    fn refuse_slow(&self, batches: Vec<Batch>, level: log::Level) {
        let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
        if let Some(name) = self.name.as_ref().filter(|_| stanzas > 0) {
            log::log!(target: LOG, level, name:% = name, stanzas = stanzas; "refused: the component reads too slowly");
            let text = format!("the component {name} takes stanzas more slowly than they come");
            self.undelivered(batches, stanza::Condition::ResourceConstraint, &text);
        }
    }
}

impl Actor for Component {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_later(self.environment.handshake_timeout, |component, context| {
            if !component.seated && !component.over {
                let text = format!("no handshake in time, {}", component.machine.stage());
                component
                    .close(Parting::Error(stream::Error::new(Condition::ConnectionTimeout, text)), context);
            }
        });
        context.run_interval(TICK.min(self.environment.write_timeout / 2), |component, context| {
            let within = component.environment.write_timeout;
            if component.writing_since.is_some_and(|since| clock::since(since) > within) {
                component.give_up_on_reader(context);
            }
        });
        self.turn(&ReadPermit::free(), context);
    }
}

impl Handler<Queued<link::Event>> for Component {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.open() {
            link::Event::Received { bytes, pass } => {
                if let Some(shown) = self.trace.received(&bytes) {
                    log::trace!(target: LOG, address:% = self.address; "received {shown}");
                }
                self.quiet_looks = 0;
                self.is_alive();
                self.reading = pass.watch();
                self.bytes_in += bytes.len() as u64;
                self.machine.receive(bytes);
                self.turn(&pass, context);
                if let Some(pause) = self.unproductive.take(self.machine.take_unproductive(), clock::now()) {
                    context.run_later(pause, move |_, _| drop(pass));
                }
            }
            link::Event::Written => {
                self.outbox.written(clock::now());
                self.writing_since = None;
                self.feed_link();
            }
            link::Event::Secured(_) => {}
            link::Event::Eof => {
                let reason = self.why_it_went().unwrap_or_else(|| "connection lost".to_owned());
                self.link_ended(WHOLE_CHUNK, &reason, context);
            }
            link::Event::Ended { written, error } => {
                if error.is_some() && !self.over {
                    // A program that closes has read what it had; of one that was cut off nobody knows.
                    let doubtful = self.outbox.doubt_recent(clock::now());
                    log::warn!(
                        target: LOG, address:% = self.address,
                        name:% = self.name.as_ref().map_or("-", Domain::as_str), stanzas = doubtful;
                        "the connection was reset; stanzas written lately may not have arrived"
                    );
                }
                let told = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
                let reason = self.why_it_went().unwrap_or(told);
                self.link_ended(written, &reason, context);
            }
        }
    }
}

impl Handler<Queued<Send>> for Component {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { batch } = send.open();
        if self.link.is_none() || self.over || self.machine.has_closed() {
            return self.return_to_senders(vec![batch]);
        }
        self.last_stanza = clock::now();
        if let Err(batch) = self.outbox.push(batch, clock::now()) {
            // It was said at `warn` when the patience ended.
            self.refuse_slow(vec![batch], log::Level::Debug);
        }
        self.feed_link();
        self.watch_patience(context);
    }
}

impl Handler<Queued<Retire>> for Component {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.open();
        self.retired = true;
        if self.link.is_none() {
            context.stop();
        }
    }
}

impl Handler<Queued<Drain>> for Component {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, context: &mut Context<Self>) {
        let Drain { within, token } = drain.open();
        self.draining = Some(token);
        let quiet_within = within / 5 * 4;
        self.close_when_quiet(clock::now() + quiet_within, context);
        context.run_later(within, |component, context| {
            component.link_ended(WHOLE_CHUNK, "the component did not close its stream", context);
        });
    }
}

impl Handler<Queued<Expel>> for Component {
    type Result = ();

    fn handle(&mut self, expel: Queued<Expel>, context: &mut Context<Self>) {
        expel.open();
        if !self.over {
            let text = "this name is no longer served here";
            self.close(Parting::Error(stream::Error::new(Condition::HostGone, text)), context);
        }
    }
}

impl Handler<Queued<GiveWay>> for Component {
    type Result = ();

    fn handle(&mut self, give_way: Queued<GiveWay>, context: &mut Context<Self>) {
        give_way.open();
        if !self.over {
            let text = "another connection of this component took over";
            self.close(Parting::Error(stream::Error::new(Condition::Conflict, text)), context);
        }
    }
}

impl Handler<Queued<Dismiss>> for Component {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { token } = dismiss.open();
        if !self.gone {
            self.dismissed = Some(token);
        }
        if !self.over {
            self.close(Parting::Operator, context);
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        if std::thread::panicking()
            && let Some(name) = self.name.take().filter(|_| self.seated)
        {
            let reason = "internal error of this node".to_owned();
            let _ = self.environment.owners.gone.signal(Gone { name, component: self.own.clone(), reason });
        }
        let ended = caller::Ended { caller: self.caller(), is_expected: false };
        let _ = self.environment.ended.signal(ended);
    }
}

pub(crate) const LOG: &str = "nuncio::component";

/// When a link is given up while it writes, all of the chunk may be on the wire.
const WHOLE_CHUNK: usize = usize::MAX;

/// How soon a full router is asked again.
const OFFER_AGAIN: Duration = Duration::from_millis(25);

/// How often slow readers are looked for, unless they are given less time.
const TICK: Duration = Duration::from_secs(15);

//! The state of a configured component, connected or not.
//!
//! Architecture Invariant: no actor. The router sends and receives the messages.

use std::time::{Duration, Instant};

use xmpp::Domain;

use crate::{
    settings::Conflict,
    streams::component::{self, Component},
};
use mailbox::Mailbox;
use status::{
    amount::Amount,
    report::{self, Time, bounded},
};

/// A configured component.
pub(super) struct Registration {
    /// The domains and wildcards that it serves.
    names: Vec<Domain>,
    state: State,
    conflict: Conflict,
    /// A connection that no longer serves the name, and from which the router has not everything that the component sent.
    being_read: Option<Mailbox<Component>>,
    /// When what such a connection brought would have been read at `max_rate`.
    debt: Option<Instant>,
    /// When it connected, or when its last connection ended; before the first connection, the start of the
    /// node.
    since: Time,
    /// How its last connection ended.
    last_end: Option<report::Ending>,
    /// Stanzas that were answered because it was not connected.
    refused: Amount,
    /// Connections with a wrong secret.
    rejected: report::Rejections,
}

/// Whether a component is connected.
enum State {
    /// No connection has served the name.
    NeverSeen {
        /// The log says so.
        is_logged: bool,
    },
    /// The last connection has ended.
    Absent {
        /// The log says so.
        is_logged: bool,
    },
    /// A connection serves the name.
    Connected(Connection),
}

/// The connection that serves the name.
struct Connection {
    component: Mailbox<Component>,
    way: Way,
    ping: Ping,
}

/// Whether the component answers.
enum Ping {
    /// It was not asked yet.
    Unsent,
    /// It was asked to answer a ping and has not answered yet.
    Sent,
    /// It answered the last ping at this time.
    Answered(Instant),
}

/// The way of stanzas to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The router sends them.
    Direct,
    /// The mailroom sends them in portions: it has older ones, or the component reads more slowly than they come.
    ThroughMailroom,
}

/// The decision about a connection that wants to serve the name.
pub(super) enum Decision {
    /// The name was free.
    Accepted,
    /// The connection takes the name from this one.
    Replaces(Mailbox<Component>),
    /// Another connection keeps the name.
    Refused {
        /// The answer of the other connection to a ping is not there yet.
        pinged: bool,
    },
}

impl Registration {
    /// A component that has not connected yet.
    pub(super) fn new() -> Self {
        Self {
            names: Vec::new(),
            state: State::NeverSeen { is_logged: false },
            conflict: Conflict::default(),
            being_read: None,
            debt: None,
            since: Time::now(),
            last_end: None,
            refused: Amount::default(),
            rejected: report::Rejections::default(),
        }
    }

    /// The same component under this configuration.
    pub(super) fn configured(self, names: Vec<Domain>, conflict: Conflict) -> Self {
        Self { names, conflict, ..self }
    }

    /// The domains and wildcards that it serves.
    pub(super) fn names(&self) -> impl Iterator<Item = &Domain> {
        self.names.iter()
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::NeverSeen { .. } | State::Absent { .. } => None,
            State::Connected(connection) => Some(connection),
        }
    }

    /// The connection that serves the name, if it is this one.
    fn current(&mut self, component: &Mailbox<Component>) -> Option<&mut Connection> {
        match &mut self.state {
            State::Connected(connection) if connection.component.is(component) => Some(connection),
            State::Connected(_) | State::NeverSeen { .. } | State::Absent { .. } => None,
        }
    }

    /// The connection that serves the name.
    pub(super) fn component(&self) -> Option<&Mailbox<Component>> {
        self.connection().map(|connection| &connection.component)
    }

    /// The connection to which the router sends stanzas. `None`: they go to the mailroom.
    pub(super) fn direct(&self) -> Option<&Mailbox<Component>> {
        let direct = self.connection().filter(|connection| connection.way == Way::Direct);
        direct.map(|connection| &connection.component)
    }

    /// Sets the way of stanzas to a connection. False: it does not serve the name, or has this way.
    pub(super) fn set_way(&mut self, component: &Mailbox<Component>, way: Way) -> bool {
        let current = self.current(component);
        current.is_some_and(|current| std::mem::replace(&mut current.way, way) != way)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// When it connected, or when its last connection ended.
    pub(super) fn since(&self) -> Time {
        self.since
    }

    /// Decides whether a connection that has shown the secret serves the name from now on. One that serves
    /// the name already is asked to answer a ping.
    pub(super) fn bind(&mut self, component: &Mailbox<Component>) -> Decision {
        if self.being_read.is_some() {
            // What it sends would overtake what was sent before.
            return Decision::Refused { pinged: true };
        }
        let decision = match (&mut self.state, self.conflict) {
            (State::NeverSeen { .. } | State::Absent { .. }, _) => Decision::Accepted,
            (State::Connected(current), Conflict::Replace) => Decision::Replaces(current.component.clone()),
            (State::Connected(current), Conflict::Refuse) => {
                return Decision::Refused { pinged: current.ping() };
            }
        };
        if matches!(decision, Decision::Replaces(_)) {
            let reason = "replaced by another connection of the component".to_owned();
            self.last_end = Some(report::Ending { at: Time::now(), reason });
        }
        let (component, way) = (component.clone(), Way::ThroughMailroom);
        self.state = State::Connected(Connection { component, way, ping: Ping::Unsent });
        self.since = Time::now();
        decision
    }

    /// Notes that a connection has answered the ping.
    pub(super) fn answered(&mut self, component: &Mailbox<Component>) {
        if let Some(connection) = self.current(component) {
            connection.ping = Ping::Answered(clock::now());
        }
    }

    /// Takes out when the next connection may be read at the rate of the component.
    pub(super) fn take_debt(&mut self) -> Option<Instant> {
        self.debt.take()
    }

    /// Notes that a connection has brought everything that the component sent on it.
    pub(super) fn read_all(&mut self, component: &Mailbox<Component>, debt: Option<Instant>) {
        if self.being_read.take_if(|being_read| being_read.is(component)).is_some() {
            self.debt = debt;
        }
    }

    /// Notes the end of a connection, from which something `is_read` still. False: it does not serve the name, and nothing
    /// changes.
    pub(super) fn gone(&mut self, component: &Mailbox<Component>, reason: String, is_read: bool) -> bool {
        if self.current(component).is_none() {
            return false;
        }
        self.being_read = is_read.then(|| component.clone());
        (self.state, self.since) = (State::Absent { is_logged: false }, Time::now());
        self.last_end = Some(report::Ending { at: self.since, reason: bounded(reason) });
        true
    }

    /// Counts a connection with a wrong secret.
    pub(super) fn rejected(&mut self, address: status::address::Host) {
        self.rejected.count += 1;
        self.rejected.last = Some(Time::now());
        self.rejected.address = Some(address);
    }

    /// Counts stanzas that were answered because the component is not connected. The first ones are logged.
    pub(super) fn count_refused(&mut self, name: &Domain, amount: Amount) {
        self.refused = self.refused.plus(amount);
        self.log_missing(name, "stanzas for it are answered with service-unavailable");
    }

    /// Logs once for each absence that the component is not connected.
    pub(super) fn log_missing(&mut self, name: &Domain, detail: &str) {
        let (State::NeverSeen { is_logged } | State::Absent { is_logged }) = &mut self.state else { return };
        if std::mem::replace(is_logged, true) {
            return;
        }
        let last_end = self.last_end.as_ref().map_or("it has not connected yet", |ending| &ending.reason);
        log::warn!(
            target: component::LOG, name:% = name, since:% = self.since, last_end = last_end,
            wrong_secrets = Some(self.rejected.count).filter(|count| *count > 0);
            "component missing: {detail}"
        );
    }

    pub(super) fn report(&self, name: &Domain) -> report::ComponentReport {
        report::ComponentReport {
            name: name.to_string(),
            names: self.names.iter().map(Domain::to_string).collect(),
            connected: self.is_connected(),
            since: self.since,
            last_end: self.last_end.clone(),
            refused: self.refused,
            waiting: Amount::default(),
            kept: 0,
            on_disk: Amount::default(),
            first_answered: None,
            rejected: self.rejected.clone(),
            link: None,
        }
    }
}

impl Connection {
    /// Has the connection ping its component, unless it has answered within [`FRESH`]. Returns whether an
    /// answer is awaited.
    fn ping(&mut self) -> bool {
        match self.ping {
            Ping::Sent => true,
            Ping::Answered(at) if clock::since(at) < FRESH => false,
            Ping::Unsent | Ping::Answered(_) => {
                let is_sent = self.component.signal(component::Prove).is_ok();
                if is_sent {
                    self.ping = Ping::Sent;
                }
                is_sent
            }
        }
    }
}

/// How long the answer to a ping counts. A connection that waits for the name asks for it again long before.
const FRESH: Duration = Duration::from_secs(1);

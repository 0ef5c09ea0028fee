//! The state of a configured component, connected or not.
//!
//! Architecture Invariant: no actor. The router sends and receives the messages.

mod history;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use cluster::name::NodeName;
use xmpp::Domain;

pub(crate) use self::history::History;
use super::{claimant::Claimant, relay_pauses::RelayPauses};
use crate::{
    settings::Conflict,
    streams::component::{self, Carrier, Component},
};
use mailbox::Mailbox;
use status::{
    address::Host,
    amount::Amount,
    report::{self, ComponentState, Denials, EndCause, SinceEvent, Time, UnansweredPing},
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
    /// When it connected, or when its last connection ended; before the first connection, when the node came to know it.
    since: Time,
    history: History,
    /// The connection that wants to serve the name, while it is asked whether it may.
    pub(super) claimant: Option<Claimant>,
    /// Between relays to the node where it is connected.
    pub(super) relay_pauses: RelayPauses,
}

/// Whether a component is connected.
enum State {
    /// No connection has served the name.
    NeverSeen {
        /// A reload has added the component.
        is_added: bool,
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
    component: Carrier,
    way: Way,
    /// The handover that is under way began before a reload which put older stanzas in front: another one follows.
    repeats: bool,
    ping: Ping,
    /// The ping that the component has not answered.
    unanswered: Option<UnansweredPing>,
    /// The other nodes whose relays have begun while this connection served the name.
    lenders: HashSet<NodeName>,
}

impl Connection {
    /// A connection that gets its stanzas from the mailroom first.
    fn new(component: Carrier) -> Self {
        let (way, ping) = (Way::ThroughMailroom, Ping::Unsent);
        Self { component, way, repeats: false, ping, unanswered: None, lenders: HashSet::new() }
    }
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
    Replaces(Carrier),
    /// Another connection keeps the name.
    Refused {
        /// The answer of the other connection to a ping is not there yet.
        pinged: bool,
    },
}

impl Registration {
    /// A component that has not connected yet. A reload has added it, or the node starts.
    pub(super) fn new(is_added: bool) -> Self {
        Self {
            names: Vec::new(),
            state: State::NeverSeen { is_added, is_logged: false },
            conflict: Conflict::default(),
            being_read: None,
            debt: None,
            since: Time::now(),
            history: History::default(),
            claimant: None,
            relay_pauses: RelayPauses::default(),
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
    fn current(&mut self, component: &Carrier) -> Option<&mut Connection> {
        match &mut self.state {
            State::Connected(connection) if connection.component.is(component) => Some(connection),
            State::Connected(_) | State::NeverSeen { .. } | State::Absent { .. } => None,
        }
    }

    /// The connection that serves the name.
    pub(super) fn component(&self) -> Option<&Carrier> {
        self.connection().map(|connection| &connection.component)
    }

    /// The connection to which the router sends stanzas. `None`: they go to the mailroom.
    pub(super) fn direct(&self) -> Option<&Carrier> {
        let direct = self.connection().filter(|connection| connection.way == Way::Direct);
        direct.map(|connection| &connection.component)
    }

    /// Whether stanzas that another node has lent are delivered here. They are if a connection here has had all of the relay that
    /// they came from, which `begins` with them or began before. Otherwise they go back: earlier ones may have gone back too,
    /// and must not be overtaken.
    pub(super) fn takes_from(&mut self, node: &NodeName, begins: bool) -> bool {
        let State::Connected(connection) = &mut self.state else { return false };
        if connection.component.here().is_none() {
            return false;
        }
        if begins && !connection.lenders.contains(node) {
            connection.lenders.insert(node.clone());
        }
        begins || connection.lenders.contains(node)
    }

    /// Sets the way of stanzas to a connection. False: it does not serve the name, or has this way.
    pub(super) fn set_way(&mut self, component: &Carrier, way: Way) -> bool {
        let current = self.current(component);
        current.is_some_and(|current| std::mem::replace(&mut current.way, way) != way)
    }

    /// A reload puts older stanzas in front of those that the mailroom has for the connection, which may have reported the
    /// end of its handover already.
    pub(super) fn repeat_handover(&mut self) {
        if let State::Connected(connection) = &mut self.state {
            connection.repeats = connection.way == Way::ThroughMailroom;
        }
    }

    /// A handover to this connection has ended. Gives whether another one follows.
    pub(super) fn takes_repeat(&mut self, component: &Carrier) -> bool {
        self.current(component).is_some_and(|current| std::mem::take(&mut current.repeats))
    }

    /// Whether a connection here serves the name, or is read still.
    pub(super) fn has_seat(&self) -> bool {
        self.being_read.is_some() || self.component().is_some_and(|component| component.here().is_some())
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// When it connected, or when its last connection ended.
    pub(super) fn since(&self) -> Time {
        self.since
    }

    /// The time for which the component was away, if the log or its last end says that something was wrong.
    pub(super) fn away(&self) -> Option<Duration> {
        let is_noted = match &self.state {
            State::NeverSeen { is_logged, .. } => *is_logged,
            State::Absent { is_logged } => {
                let hung = self.history.last_end.as_ref().is_some_and(|end| end.cause == EndCause::Hung);
                *is_logged || hung
            }
            State::Connected(_) => false,
        };
        is_noted.then(|| self.since.before(Time::now()))
    }

    /// Decides whether a connection that has shown the secret serves the name from now on. One that serves
    /// the name already is asked to answer a ping.
    pub(super) fn bind(&mut self, component: &Carrier, address: Host) -> Decision {
        if self.being_read.is_some() {
            // What it sends would overtake what was sent before.
            return Decision::Refused { pinged: true };
        }
        let decision = match (&mut self.state, self.conflict) {
            (State::NeverSeen { .. } | State::Absent { .. }, _) => Decision::Accepted,
            (State::Connected(current), Conflict::Replace) => Decision::Replaces(current.component.clone()),
            (State::Connected(current), Conflict::Refuse) => {
                let pinged = current.ping();
                if !pinged {
                    self.history.conflicts.count(address);
                }
                return Decision::Refused { pinged };
            }
        };
        if matches!(decision, Decision::Replaces(_)) {
            let reason = "replaced by another connection of the component".to_owned();
            self.history.ended(Time::now(), EndCause::Replaced, reason);
        }
        self.state = State::Connected(Connection::new(component.clone()));
        self.since = Time::now();
        self.history.accepted += 1;
        decision
    }

    /// A component wants to serve the name at another node. Gives the connection that has to give way to it; `None`: there is
    /// none, or it is asked to answer a ping first.
    pub(super) fn contest(&mut self) -> Option<Carrier> {
        let State::Connected(current) = &mut self.state else { return None };
        match self.conflict {
            Conflict::Replace => Some(current.component.clone()),
            Conflict::Refuse => {
                current.ping();
                None
            }
        }
    }

    /// The relay takes the place of the connection, which is to another node.
    pub(super) fn relay(&mut self, relay: Carrier) {
        self.state = State::Connected(Connection::new(relay));
        self.since = Time::now();
    }

    /// Notes that a connection has pinged its component, and has read nothing since.
    pub(super) fn pinged(&mut self, component: &Carrier, ping: UnansweredPing) {
        if let Some(connection) = self.current(component) {
            connection.unanswered = Some(ping);
        }
    }

    /// Notes that a connection has answered the ping.
    pub(super) fn answered(&mut self, component: &Carrier) {
        if let Some(connection) = self.current(component) {
            connection.ping = Ping::Answered(clock::now());
            connection.unanswered = None;
        }
    }

    /// Takes out when the next connection may be read at the rate of the component.
    pub(super) fn take_debt(&mut self) -> Option<Instant> {
        self.debt.take()
    }

    /// Notes that a connection has brought everything that the component sent on it. False: nothing changes.
    pub(super) fn read_all(
        &mut self,
        component: &Mailbox<Component>,
        cause: EndCause,
        reason: String,
        debt: Option<Instant>,
    ) -> bool {
        let was_read = self.being_read.take_if(|being_read| being_read.is(component)).is_some();
        if was_read {
            self.debt = debt;
            self.history.ended(self.since, cause, reason);
        }
        was_read
    }

    /// Notes the end of a connection, from which something `is_read` still. False: it does not serve the name, and nothing
    /// changes.
    pub(super) fn gone(
        &mut self,
        component: &Carrier,
        cause: EndCause,
        reason: String,
        is_read: bool,
    ) -> bool {
        if self.current(component).is_none() {
            return false;
        }
        (self.state, self.since) = (State::Absent { is_logged: false }, Time::now());
        // The end of a relay is not one of the component.
        if let Some(connection) = component.here() {
            self.being_read = is_read.then(|| connection.clone());
            if is_read {
                // Its cause is not certain before everything is read.
                self.history.ends_now(self.since, cause, reason);
            } else {
                self.history.ended(self.since, cause, reason);
            }
        }
        true
    }

    /// Counts a connection that another one keeps from the name.
    pub(super) fn count_conflict(&mut self, address: Host) {
        self.history.conflicts.count(address);
    }

    /// Counts a connection with a wrong secret.
    pub(super) fn rejected(&mut self, address: Host) {
        self.history.rejected.count(address);
    }

    /// Counts stanzas that its rules do not permit.
    pub(super) fn count_denied(&mut self, denials: Denials) {
        self.history.count_denied(denials);
    }

    /// Counts stanzas that were answered because the component is not connected. The first ones are logged.
    pub(super) fn count_refused(&mut self, name: &Domain, amount: Amount) {
        self.history.refused = self.history.refused.plus(amount);
        self.log_missing(name, "stanzas for it are answered with service-unavailable");
    }

    /// What was counted.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The ping that the component has not answered.
    pub(super) fn unanswered(&self) -> Option<UnansweredPing> {
        self.connection().and_then(|connection| connection.unanswered)
    }

    /// Logs that it has not connected in this time since the node knows it. It may know it for a shorter time.
    pub(super) fn log_never_connected(&mut self, name: &Domain, grace: Duration) {
        let State::NeverSeen { is_added, .. } = self.state else { return };
        // Timers and the calendar may differ a little.
        if self.since.before(Time::now()) + Duration::from_secs(1) >= grace {
            let begin = if is_added { "a reload added it" } else { "the start of the node" };
            self.log_missing(name, &format!("not connected {} s after {begin}", grace.as_secs()));
        }
    }

    /// Logs once for each absence that the component is not connected.
    pub(super) fn log_missing(&mut self, name: &Domain, detail: &str) {
        let (State::NeverSeen { is_logged, .. } | State::Absent { is_logged }) = &mut self.state else {
            return;
        };
        if std::mem::replace(is_logged, true) {
            return;
        }
        let last_end = self.history.last_end.as_ref();
        let last_end = last_end.map_or("it has not connected yet", |ending| &ending.reason);
        log::warn!(
            target: component::LOG, name:% = name, since:% = self.since, last_end = last_end,
            wrong_secrets = Some(self.history.rejected.count).filter(|count| *count > 0);
            "component missing: {detail}"
        );
    }

    pub(super) fn report(&self, name: &Domain) -> report::ComponentReport {
        let ping_unanswered = self.unanswered();
        let waits = self.claimant.as_ref().and_then(|it| it.delayed).filter(|_| !self.is_connected());
        let (state, since_event) = match &self.state {
            _ if waits.is_some() => (ComponentState::WaitsForCluster, SinceEvent::Asked),
            State::NeverSeen { is_added: false, .. } => {
                (ComponentState::NeverConnected, SinceEvent::NodeStarted)
            }
            State::NeverSeen { is_added: true, .. } => {
                (ComponentState::NeverConnected, SinceEvent::AddedByReload)
            }
            State::Absent { .. } => (ComponentState::NotConnected, SinceEvent::Disconnected),
            State::Connected(_) if ping_unanswered.is_some() => {
                (ComponentState::PingUnanswered, SinceEvent::Connected)
            }
            State::Connected(_) => (ComponentState::Connected, SinceEvent::Connected),
        };
        let History { last_end, refused, rejected, conflicts, denied, .. } = self.history.clone();
        report::ComponentReport {
            name: name.to_string(),
            names: self.names.iter().map(Domain::to_string).collect(),
            connected: self.is_connected(),
            node: self.component().and_then(Carrier::node).map(ToString::to_string),
            state,
            since: waits.unwrap_or(self.since),
            since_event,
            ping_unanswered,
            last_end,
            refused,
            waiting: Amount::default(),
            kept: 0,
            on_disk: Amount::default(),
            first_answered: None,
            rejected,
            conflicts,
            denied,
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
                let connection = self.component.here();
                let is_sent = connection.is_some_and(|it| it.signal(component::Prove).is_ok());
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

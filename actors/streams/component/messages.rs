//! The messages of a component connection.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use xmpp::{Domain, stream};

use super::{Carrier, Component, Environment};
use crate::flow::batch::{Batch, ReadPermit};
use mailbox::{Mailbox, drain};
use status::{
    address::Host,
    report::{self, EndCause, UnansweredPing},
};

/// Write these stanzas to the component. They are held until [`Open`].
#[derive(Debug)]
pub struct Send {
    /// Stanzas for a name that it serves.
    pub batch: Batch,
}

/// Write these stanzas, which have waited in the mailroom: the answer to [`Requested`].
#[derive(Debug)]
pub struct SendPortion {
    /// Stanzas for the names that it serves, in order.
    pub batches: Vec<Batch>,
}

/// The mailroom has handed over everything: write what the router sends.
#[derive(Debug)]
pub struct Open;

/// The router sends nothing itself until [`Open`]: ask the mailroom for stanzas, in portions.
#[derive(Debug)]
pub struct Pull;

/// The connection gets no more stanzas: give back what was not written, and stop.
#[derive(Debug)]
pub struct Retire;

/// Report the state of the link.
#[derive(Debug)]
pub struct Show {
    /// Report it only if the component serves this name.
    pub of: Option<Domain>,
    /// Receives the report.
    pub links: mpsc::Sender<report::LinkReport>,
}

/// The new configuration has no such name: close the stream.
#[derive(Debug)]
pub struct Expel;

/// Go on with these secrets and limits, or end if the secret of the name has changed.
#[derive(Debug)]
pub struct Adopt {
    /// The dependencies of the next connection.
    pub environment: Box<Environment>,
}

/// The new configuration has no component at the address of the connection: close the stream.
#[derive(Debug)]
pub struct Forbid;

/// Another connection serves the name from now on: close the stream.
#[derive(Debug)]
pub struct GiveWay;

/// Other connections of the address wait to be served: close the stream, if the component has not shown a secret.
#[derive(Debug)]
pub struct MakeRoom {
    /// The reason for the component.
    pub error: stream::Error,
}

/// An operator closes the connection.
#[derive(Debug)]
pub struct Dismiss {
    /// Dropped when the name is free.
    pub token: drain::Token,
}

/// Another connection claims the name: ping the component to find out whether it still answers.
#[derive(Debug)]
pub struct Prove;

/// The node stops: close the stream once the component sends nothing more.
#[derive(Debug)]
pub struct Drain {
    /// The time after which a component that goes on sending is cut off.
    pub within: Duration,
    /// Dropped when the stream is over.
    pub token: drain::Token,
}

/// The node stops: the relay to another node takes no more, and waits until everything is settled.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The time for that.
    pub within: Duration,
    /// Dropped when the relay has given back the rest.
    pub token: drain::Token,
}

/// The answer of the router to [`BindRequested`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindDecided {
    /// The connection serves the name from now on.
    Accepted {
        /// When what the connection before has sent would have been read at `max_rate`.
        debt: Option<Instant>,
    },
    /// Another connection serves the name, and is being asked whether it still answers, or the router has not everything
    /// that the connection before has sent: request again.
    Pending,
    /// Another connection serves the name.
    Refused,
}

/// A component has shown the secret of this name. Here and below a component is named by the first of its names, under
/// which it is configured.
#[derive(Debug)]
pub struct BindRequested {
    /// The name.
    pub name: Domain,
    /// The connection that is to serve it.
    pub component: Mailbox<Component>,
    /// The address of the peer.
    pub address: Host,
}

/// A connection no longer serves its name.
#[derive(Debug)]
pub struct Gone {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
    /// The cause of its end.
    pub cause: EndCause,
    /// The reason for its end.
    pub reason: String,
    /// What the component sent before is still being read: [`ReadAll`] follows, with the final cause.
    pub is_read: bool,
}

/// A connection that no longer serves its name has given the router everything that the component sent.
#[derive(Debug)]
pub struct ReadAll {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Mailbox<Component>,
    /// The cause of its end.
    pub cause: EndCause,
    /// The reason for its end.
    pub reason: String,
    /// When this would have been read at `max_rate`.
    pub debt: Option<Instant>,
}

/// The component was pinged, and has sent nothing since. Sent again if the connection is closed for it after all.
#[derive(Debug)]
pub struct Pinged {
    /// The name that it serves.
    pub name: Domain,
    /// The connection.
    pub component: Mailbox<Component>,
    /// The ping.
    pub ping: UnansweredPing,
}

/// The component has sent something since it was pinged.
#[derive(Debug)]
pub struct Answered {
    /// The name that it serves.
    pub name: Domain,
    /// The connection.
    pub component: Mailbox<Component>,
}

/// A connection claimed a name with a wrong secret.
#[derive(Debug)]
pub struct Rejected {
    /// The name.
    pub name: Domain,
    /// The address of the peer.
    pub address: Host,
}

/// The outbox is full: the next stanzas for the component have to wait elsewhere.
#[derive(Debug)]
pub struct Congested {
    /// The name that it serves.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
}

/// The outbox has drained: the connection asks for a portion.
#[derive(Debug)]
pub struct Requested {
    /// The name that it serves.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
    /// Bytes that it takes.
    pub room: usize,
}

/// A connection that gets no more stanzas has ended, and gives back what it has not written.
#[derive(Debug)]
pub struct Returned {
    /// The name that it served.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
    /// Stanzas that were written and may not have arrived, if they are to be sent again; in order, before the others.
    pub doubtful: Vec<Batch>,
    /// Stanzas that were not written, in order.
    pub unwritten: Vec<Batch>,
}

impl Returned {
    /// Of a connection that has panicked.
    pub(super) fn nothing(name: Domain, component: Carrier) -> Self {
        Self { name, component, doubtful: Vec::new(), unwritten: Vec::new() }
    }
}

/// A component has sent presence.
#[derive(Debug)]
pub struct PresenceSent {
    /// The name that it serves.
    pub name: Domain,
    /// The presence of one read, in order.
    pub sent: Vec<Presence>,
    /// The permit of the read: the socket is not read before the mailroom has noted the presence.
    pub permit: ReadPermit,
}

/// A presence that says whether an address is available.
#[derive(Debug)]
pub struct Presence {
    /// The address that is available or not.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Whether it is available.
    pub is_available: bool,
}

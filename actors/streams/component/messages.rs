//! The messages of a component connection.

use std::{net::SocketAddr, time::Duration};

use tokio::sync::mpsc;
use xmpp::{Domain, stanza};

use super::{Component, Environment};
use crate::flow::batch::Batch;
use mailbox::{Mailbox, drain};
use status::report;

/// Write these stanzas to the component.
#[derive(Debug)]
pub struct Send {
    /// Stanzas for the name that it serves.
    pub batch: Batch,
}

/// The router has sent its last stanza: report unwritten stanzas as undelivered, and stop.
#[derive(Debug)]
pub struct Retire;

/// Report the state of the link.
#[derive(Debug)]
pub struct Show {
    /// Report it only if the component serves this domain.
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

/// Another connection serves the name from now on: close the stream.
#[derive(Debug)]
pub struct GiveWay;

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

/// The answer of the router to [`BindRequested`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindDecided {
    /// The connection serves the name from now on.
    Accepted,
    /// Another connection serves the name, and is being asked whether it still answers: request again.
    Pending,
    /// Another connection serves the name.
    Refused,
}

/// A component has shown the secret of this name.
#[derive(Debug)]
pub struct BindRequested {
    /// The name.
    pub name: Domain,
    /// The connection that is to serve it.
    pub component: Mailbox<Component>,
}

/// A connection no longer serves its name.
#[derive(Debug)]
pub struct Gone {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Mailbox<Component>,
    /// The reason for its end.
    pub reason: String,
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
    pub address: SocketAddr,
}

/// Stanzas that could not be written to the component: answer their senders.
#[derive(Debug)]
pub struct Undelivered {
    /// The stanzas, in order.
    pub batch: Batch,
    /// The condition of the error.
    pub condition: stanza::Condition,
    /// The text of the error.
    pub text: String,
}

//! The messages of the router, apart from those of the streams and of the promise.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use xmpp::{Domain, service::Listed};

use crate::{
    flow::batch::Batch,
    routing::mailroom,
    settings::{self, Conflict},
    streams::outgoing,
};
use mailbox::drain;
use status::report;

/// Take in these stanzas, which an earlier run of the node has left in the journal. Comes before everything else.
#[derive(Debug)]
pub struct Restore {
    /// Those that waited for a link, in order.
    pub for_links: Vec<Batch>,
    /// Those that waited for a component, in order.
    pub for_components: Vec<Batch>,
}

/// Log the account and the local domains.
#[derive(Debug)]
pub struct Report;

/// Drop the token when everything that was sent to the router and to the service before has been passed on.
#[derive(Debug)]
pub struct Acknowledge {
    /// Dropped then.
    pub token: drain::Token,
}

/// Log the account.
#[derive(Debug)]
pub struct LogAccount {
    /// Dropped when the account is logged.
    pub token: drain::Token,
}

/// Ask the sessions for reports.
#[derive(Debug)]
pub struct ShowSessions {
    /// Only those with this remote domain.
    pub of: Option<Domain>,
    /// The number of sessions to ask at most, in the order of the remote domains.
    pub limit: usize,
    /// Receives the reports of the sessions.
    pub links: mpsc::Sender<report::LinkReport>,
    /// Receives the number of all sessions, asked or not.
    pub total: oneshot::Sender<usize>,
}

/// The node stops: have the relays to components of other nodes take no more, and wait until everything is settled.
#[derive(Debug)]
pub struct FinishSeats {
    /// The time for that.
    pub within: Duration,
    /// Dropped when the relays have given back the rest.
    pub token: drain::Token,
}

/// Report what the router knows of one domain.
#[derive(Debug)]
pub struct ShowDomain {
    /// The domain.
    pub domain: Domain,
    /// Receives the report.
    pub answer: oneshot::Sender<DomainStatus>,
}

/// Close the sessions with this remote domain, with closing tags, for an operator.
#[derive(Debug)]
pub struct Dismiss {
    /// The remote domain.
    pub remote: Domain,
    /// Dropped when their links are down.
    pub token: drain::Token,
    /// Receives the number of sessions.
    pub answer: oneshot::Sender<usize>,
}

/// Report the configured components.
#[derive(Debug)]
pub struct ShowComponents {
    /// Only the one that serves this name.
    pub of: Option<Domain>,
    /// Receives the report.
    pub answer: oneshot::Sender<Vec<report::ComponentReport>>,
}

/// Close the connection of this component, for an operator.
#[derive(Debug)]
pub struct DismissComponent {
    /// A name that the component serves.
    pub name: Domain,
    /// Dropped when the name is free.
    pub token: drain::Token,
    /// Receives whether the component is connected.
    pub answer: oneshot::Sender<bool>,
}

/// The state of a domain in the router.
#[derive(Debug)]
pub struct DomainStatus {
    /// The domain is served here.
    pub local: bool,
    /// It is not, and lies below this domain, which is.
    pub above: Option<Domain>,
    /// The account of stanzas to the domain, kept while something waits for it; `None`: nothing waits.
    pub account: Option<report::Account>,
}

/// Send a copy of this message to every session. A token in it has one clone in each copy.
#[derive(Debug)]
pub struct Broadcast<M>(pub M);

/// A configured component.
#[derive(Clone, Debug)]
pub struct Known {
    /// The first of its names, under which it is configured.
    pub name: Domain,
    /// The domains and wildcards that it serves.
    pub names: Vec<Domain>,
    /// Which connection wins when two have its secret.
    pub conflict: Conflict,
}

/// Use this configuration from now on, and end what it forbids.
#[derive(Debug)]
pub struct Adopt {
    /// The local domains.
    pub domains: Vec<Domain>,
    /// The components.
    pub components: Vec<Known>,
    /// Contact addresses of the node.
    pub service: settings::Service,
    /// The components that service discovery lists.
    pub listed: Vec<Listed>,
    /// The policies of the sessions.
    pub sessions: outgoing::Adopt,
    /// For the mailroom.
    pub mailroom: mailroom::Adopt,
}

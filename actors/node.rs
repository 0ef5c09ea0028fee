//! A node: starts, reloads and stops the actors, and reports about them.

pub(crate) mod broker_check;
mod client_slots;
mod cluster;
pub(crate) mod control;
mod exporter;
pub(crate) mod heartbeat;
mod journal_watch;
mod listeners;
pub(crate) mod reload;
mod sockets;
mod start;
mod starter;
mod stop;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub use self::cluster::ClusterError;
use self::listeners::Listeners;
use crate::{
    flow::{account::Totals, journal::Writer},
    node::control::Sources,
    relaying::cluster::Cluster,
    routing::{
        journal::{Journal, OpenError},
        mailroom::Mailroom,
        promise::Promise,
        router::{self, Router},
    },
    settings::{Absence, Address, Settings},
    streams::listener::Listener,
};
use heartbeat::Heartbeat;
use mailbox::{
    Mailbox, drain,
    monitor::{self, Monitor},
    threads::Threads,
};
use net::{dns, network::Network, tls, unix_socket};
use xmpp::{Served, service::Listed};

/// A running node.
pub struct Node {
    addresses: Vec<(&'static str, Address)>,
    /// The file of the control socket; it is removed with the node.
    control_file: Option<unix_socket::SocketFile>,
    servers: Option<Mailbox<Listener>>,
    components: Option<Mailbox<Listener>>,
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    mailroom: Mailbox<Mailroom>,
    /// The actors that answer commands.
    sources: Sources,
    monitor: Mailbox<Monitor>,
    journal: Option<(Mailbox<Journal>, Writer)>,
    /// `None`: the node is alone.
    cluster: Option<Mailbox<Cluster>>,
    panics: mpsc::Receiver<&'static str>,
    listeners: Listeners,
    settings: Box<Settings>,
    network: Network,
    /// Tasks that serve metrics, one that watches the journal, and one that answers other nodes.
    tasks: Vec<JoinHandle<()>>,
    /// They stop when the node is dropped.
    _threads: Threads,
}

/// The reason why a node could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be bound.
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        error: io::Error,
    },
    /// The control socket could not be created.
    Control {
        /// Its path.
        path: PathBuf,
        /// The reason.
        error: unix_socket::Error,
    },
    /// A Unix socket for components could not be created.
    Component {
        /// Its address.
        address: Address,
        /// The reason.
        error: unix_socket::Error,
    },
    /// A certificate, a key or a trust store cannot be used.
    Tls(tls::Error),
    /// The DNS client cannot be set up.
    Dns(dns::SetupError),
    /// The node cannot take part in its cluster.
    Cluster(ClusterError),
    /// The journal cannot be opened.
    Journal {
        /// Its path.
        path: PathBuf,
        /// The reason.
        error: OpenError,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot listen on {address}: {error}; `nuncio check` shows which process uses it")
            }
            Self::Bind { address, error }
                if error.kind() == io::ErrorKind::PermissionDenied && address.port() < 1024 =>
            {
                write!(
                    f,
                    "cannot listen on {address}: {error}; ports below 1024 require root or the capability \
                     CAP_NET_BIND_SERVICE (AmbientCapabilities= of the systemd unit)"
                )
            }
            Self::Bind { address, error } if error.kind() == io::ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot listen on {address}: {error}; this machine has no such address: `ip address` lists those that it \
                 has, 0.0.0.0 and [::] mean all of them"
            ),
            Self::Bind { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::Control { path, error } => write!(
                f,
                "cannot create the control socket {}: {error}; set listen.control to another path, or to \"\" for none",
                path.display()
            ),
            Self::Component { address, error } => {
                write!(f, "cannot listen for components on {address} (listen.component): {error}")
            }
            Self::Tls(error) => write!(f, "cannot set up TLS: {error}"),
            Self::Dns(error) => write!(f, "cannot set up the DNS client: {error}"),
            Self::Cluster(error) => write!(f, "cannot take part in the cluster: {error}"),
            Self::Journal { path, error } => {
                write!(f, "cannot open the journal {} (journal.path): {error}", path.display())
            }
        }
    }
}

impl std::error::Error for StartError {}

impl Node {
    /// The bound addresses, each with its key in `[listen]`.
    pub fn addresses(&self) -> &[(&'static str, Address)] {
        &self.addresses
    }

    /// The current settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The path of the control socket; `None` if there is none.
    pub fn control(&self) -> Option<&Path> {
        self.control_file.as_ref().map(unix_socket::SocketFile::path)
    }

    /// Logs every mailbox, the table of the router, and every session.
    pub fn report(&self) {
        // An actor that has ended reports nothing.
        let _ = self.monitor.signal(monitor::Report);
        let _ = self.router.signal_quietly(router::Report);
        let sources = self.sources.clone();
        actix::spawn(async move { sources.log_sessions().await });
    }

    /// Waits until an actor panics that the node cannot run without; returns its kind.
    pub async fn panicked(&mut self) -> &'static str {
        self.panics.recv().await.unwrap_or("node")
    }

    /// The account of all stanzas; its figures go on counting. `None` if the router has ended.
    pub async fn account(&self) -> Option<Arc<Totals>> {
        let (answer, figures) = oneshot::channel();
        let _ = self.router.signal_quietly(router::ShowFigures { busiest: 0, answer });
        figures.await.ok().map(|figures| figures.account)
    }

    /// Closes the outgoing links to a remote domain with closing tags. Returns whether all are closed `within` that time.
    pub async fn close_links(&self, remote: xmpp::Domain, within: Duration) -> bool {
        let (token, down) = drain::tokens();
        // The number of links is not needed.
        let answer = oneshot::channel().0;
        let _ = self.router.signal(router::Dismiss { remote, token, answer });
        down.within(within).await
    }

    /// Checks whether the router, the promise and the mailroom still process their mailboxes.
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat::new(&self.router, &self.promise, &self.mailroom)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((_, writer)) = &self.journal {
            writer.freeze();
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// The certificates of all local names. Those of the domains come first, for TLS clients without a server name.
pub fn identities(settings: &Settings) -> Vec<(xmpp::Domain, Option<crate::settings::Identity>)> {
    settings.served().into_iter().map(|(name, identity)| (name, identity.cloned())).collect()
}

/// The local domains, and the components.
fn served(settings: &Settings) -> (Vec<xmpp::Domain>, Vec<router::Known>) {
    let domains = settings.domains.iter().map(|domain| domain.name.clone());
    let components = settings.components.iter().map(|component| {
        let (name, names) = (component.name.clone(), component.names.clone());
        router::Known { name, names, conflict: component.conflict }
    });
    (domains.collect(), components.collect())
}

/// The component of each name that a component serves.
fn served_by_components(settings: &Settings) -> Served<xmpp::Domain> {
    let components = settings.components.iter();
    let names = components
        .flat_map(|component| component.names.iter().map(|name| (name.clone(), component.name.clone())));
    names.collect()
}

/// The components that service discovery lists. A wildcard is no address.
fn listed(settings: &Settings) -> Vec<Listed> {
    let components = settings.components.iter().filter(|component| !component.hidden);
    let names = components.flat_map(|component| {
        let names = component.names.iter().filter(|name| !name.is_wildcard());
        names.map(|name| Listed { address: name.clone(), title: component.title.clone() })
    });
    names.collect()
}

/// The names of the components, and the rules for stanzas that wait for each.
fn absences(settings: &Settings) -> Vec<(xmpp::Domain, Absence)> {
    let components = settings.components.iter();
    components.map(|component| (component.name.clone(), component.absence.clone())).collect()
}

const LOG: &str = "nuncio::node";

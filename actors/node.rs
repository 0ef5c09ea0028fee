//! A node: its actors, started in the order in which they need each other, and stopped so that nothing is lost.

pub mod control;
mod exporter;
pub mod heartbeat;
mod listeners;
pub mod places;
mod reload;
mod sockets;
mod start;
mod stop;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix::Arbiter;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use self::listeners::Listeners;
use crate::{
    dial::attempt::Dialer,
    flow::ledger::Totals,
    node::control::{Sources, socket},
    routing::{
        promise::Promise,
        router::{self, Router},
    },
    settings::{Conflict, Settings},
    streams::listener::Listener,
};
use heartbeat::Heartbeat;
use mailbox::{
    Mailbox, drain,
    monitor::{self, Monitor},
};
use net::{dns, tls};

/// A running node.
pub struct Node {
    addresses: Vec<(&'static str, SocketAddr)>,
    /// The control socket's file, which is removed with the node.
    seat: Option<socket::Seat>,
    servers: Option<Mailbox<Listener>>,
    components: Option<Mailbox<Listener>>,
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    /// Who can be asked how things are.
    sources: Sources,
    pulse: Mailbox<Monitor>,
    deaths: mpsc::Receiver<&'static str>,
    listeners: Listeners,
    means: Dialer,
    settings: Box<Settings>,
    threads: Vec<Arbiter>,
    /// Those who answer scrapes of the metrics.
    scrapes: Vec<JoinHandle<()>>,
}

/// Why a node could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be bound.
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The control socket cannot be where it was wanted.
    Control {
        /// Where.
        path: PathBuf,
        /// Why.
        error: socket::Error,
    },
    /// A certificate, a key or a trust store is of no use.
    Tls(tls::Error),
    /// There is no name service.
    Dns(dns::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot listen on {address}: {error}; `nuncio check` shows which program uses it")
            }
            Self::Bind { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::Control { path, error } => write!(
                f,
                "the control socket cannot be at {}: {error}; listen.control names another place, or none when empty",
                path.display()
            ),
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
            Self::Dns(error) => write!(f, "the DNS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Node {
    /// What was bound: the key of `[listen]` and the address.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// What it goes by now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the control socket is, if there is one.
    pub fn control(&self) -> Option<&Path> {
        self.seat.as_ref().map(socket::Seat::path)
    }

    /// Logs every mailbox and what stands in the router's table.
    pub fn report(&self) {
        // Actors that are gone have nothing to report.
        let _ = self.pulse.signal(monitor::Report);
        let _ = self.router.signal(router::Report);
        let sources = self.sources.clone();
        actix::spawn(async move { sources.log_sessions().await });
    }

    /// Waits until an actor that the node cannot live without panics, and names it.
    pub async fn death(&mut self) -> &'static str {
        self.deaths.recv().await.unwrap_or("node")
    }

    /// What became of every stanza; its figures go on counting. `None`: the router is gone.
    pub async fn account(&self) -> Option<Arc<Totals>> {
        let (answer, figures) = oneshot::channel();
        let _ = self.router.signal(router::ShowFigures { busiest: 0, answer });
        figures.await.ok().map(|figures| figures.account)
    }

    /// Closes the links that the node opened to a remote domain in good order. Tells whether all are down `within` that time.
    pub async fn close_links(&self, remote: xmpp::Domain, within: Duration) -> bool {
        let (token, down) = drain::tokens();
        // The number of links is not wanted.
        let answer = oneshot::channel().0;
        let _ = self.router.signal(router::Dismiss { remote, token, answer });
        down.within(within).await
    }

    /// What tells whether the actors that the node cannot live without still take their messages.
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat::new(&self.router, &self.promise)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.scrapes.iter().for_each(JoinHandle::abort);
        for thread in &self.threads {
            thread.stop();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// The certificates of all local names; those of the domains first, for clients that name none.
pub fn identities(settings: &Settings) -> Vec<(xmpp::Domain, Option<crate::settings::Identity>)> {
    let domains = settings.domains.iter().map(|domain| (domain.name.clone(), domain.identity.clone()));
    let components =
        settings.components.iter().map(|component| (component.name.clone(), component.identity.clone()));
    domains.chain(components).collect()
}

/// The local domains, and the names that components serve.
fn served(settings: &Settings) -> (Vec<xmpp::Domain>, Vec<(xmpp::Domain, Conflict)>) {
    let domains = settings.domains.iter().map(|domain| domain.name.clone());
    let components = settings.components.iter().map(|component| (component.name.clone(), component.conflict));
    (domains.collect(), components.collect())
}

const LOG: &str = "nuncio::node";

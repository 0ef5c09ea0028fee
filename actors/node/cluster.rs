//! Starts the actor of the cluster with the client of its message broker.

mod process;

use std::{fmt, sync::Arc};

use ::cluster::{
    arbiter::Config,
    engine::{Event, examination::Examination},
    ferry::codec::Versions,
    name::NodeName,
    names::Names,
    record::Process,
};
use actix::ArbiterHandle;
use tokio::sync::mpsc;

use crate::{
    flow::account::Totals,
    relaying::{
        SharedEngine,
        cluster::{Cluster, Peering, Receivers, Setup},
        ferry,
        questions::Desk,
    },
    routing::{promise::Promise, router::Router},
    settings::{Cluster as Joined, OnEngineLoss, Settings},
};
use mailbox::{Inbox, Mailbox, Meter, panic_guard::PanicGuard, workers::Workers};

/// A client of the broker that runs, and the thread on which it does.
pub(super) struct Connected {
    settings: Joined,
    engine: SharedEngine,
    events: mpsc::Receiver<Event>,
    thread: ArbiterHandle,
}

/// The reason why a node cannot take part in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterError {
    /// This program has no client of the broker.
    NotBuiltIn,
    /// The settings of the client cannot work.
    Settings(String),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn => f.write_str(
                "this program was built without the feature `cluster`: build it with that feature, or remove cluster.name",
            ),
            Self::Settings(why) => f.write_str(why),
        }
    }
}

/// Starts the client on a thread of its own. It connects, and connects again, by itself.
///
/// # Errors
///
/// The program has no client, or an address of the broker cannot work.
pub(super) async fn connect(settings: &Joined, thread: ArbiterHandle) -> Result<Connected, ClusterError> {
    let (reports, events) = mpsc::channel(EVENTS);
    let engine = engine::start(settings, &thread, reports).await?;
    Ok(Connected { settings: settings.clone(), engine, events, thread })
}

#[cfg(feature = "cluster")]
mod engine {
    //! The client of NATS.

    use std::sync::Arc;

    use ::cluster::{
        engine::{
            Event,
            examination::Examination,
            nats::{self, Login},
        },
        name::NodeName,
    };
    use actix::ArbiterHandle;
    use tokio::sync::{mpsc, oneshot};

    use super::{ClusterError, Joined};
    use crate::{relaying::SharedEngine, settings::HostPort};

    /// The address of a server as NATS writes it.
    fn address(HostPort { host, port }: &HostPort) -> String {
        if host.contains(':') { format!("nats://[{host}]:{port}") } else { format!("nats://{host}:{port}") }
    }

    /// The settings of the client.
    fn client(settings: &Joined) -> Result<nats::Settings, ClusterError> {
        let cluster = NodeName::new(&settings.name).map_err(|error| why(&error))?;
        let servers = settings.servers.iter().map(address).collect();
        let login = settings.login.clone();
        let login = login.map_or(Login::None, |login| Login::User(login.user, login.password));
        Ok(nats::Settings { cluster, servers, login, replicas: settings.replicas })
    }

    fn why(error: &dyn ToString) -> ClusterError {
        ClusterError::Settings(error.to_string())
    }

    /// Examines all servers, beside each other.
    pub(super) async fn examine(settings: &Joined) -> Result<Vec<Examination>, ClusterError> {
        let client = client(settings)?;
        let addresses: Result<Vec<_>, _> = client.servers.iter().map(|text| nats::address(text)).collect();
        let addresses = addresses.map_err(|error| why(&error))?;
        let examined = addresses.iter().map(|server| nats::examine::examine(&client, server, &settings.node));
        Ok(futures_util::future::join_all(examined).await)
    }

    pub(super) async fn start(
        settings: &Joined,
        thread: &ArbiterHandle,
        reports: mpsc::Sender<Event>,
    ) -> Result<SharedEngine, ClusterError> {
        let client = client(settings)?;
        let (answer, connected) = oneshot::channel();
        let own = settings.node.clone();
        thread.spawn(async move {
            // Its tasks run on this thread.
            let _ = answer.send(nats::connect(client, own, reports));
        });
        let connected = connected.await.map_err(|error| why(&error))?;
        connected.map(|client| Arc::new(client) as SharedEngine).map_err(|error| why(&error))
    }
}

#[cfg(not(feature = "cluster"))]
mod engine {
    //! No client.

    use ::cluster::engine::{Event, examination::Examination};
    use actix::ArbiterHandle;
    use tokio::sync::mpsc;

    use super::{ClusterError, Joined};
    use crate::relaying::SharedEngine;

    pub(super) async fn examine(_: &Joined) -> Result<Vec<Examination>, ClusterError> {
        Err(ClusterError::NotBuiltIn)
    }

    pub(super) async fn start(
        _: &Joined,
        _: &ArbiterHandle,
        _: mpsc::Sender<Event>,
    ) -> Result<SharedEngine, ClusterError> {
        Err(ClusterError::NotBuiltIn)
    }
}

/// Examines the servers of the broker, in the order of the settings.
///
/// # Errors
///
/// The program has no client, or an address of the broker cannot work.
pub(super) async fn examine(settings: &Joined) -> Result<Vec<Examination>, ClusterError> {
    engine::examine(settings).await
}

/// The actors with which the actor of the cluster works.
pub(super) struct Others<'a> {
    pub(super) promise: &'a Mailbox<Promise>,
    pub(super) router: &'a Mailbox<Router>,
    /// Counts the stanzas of other nodes.
    pub(super) account: Arc<Totals>,
    /// The threads of the ferries.
    pub(super) workers: Workers,
    /// Of their mailboxes.
    pub(super) ferries: Arc<Meter>,
    /// Receives the kind of an actor that panics.
    pub(super) panic: mpsc::Sender<&'static str>,
}

impl Connected {
    /// Starts the actor of the cluster. The desk has to be served.
    pub(super) fn start(
        self,
        inbox: Inbox<Cluster>,
        own: Mailbox<Cluster>,
        settings: &Settings,
        others: Others<'_>,
    ) -> Desk {
        let Self { settings: joined, engine, events, thread } = self;
        let Others { promise, router, account, workers, ferries, panic } = others;
        let guard = PanicGuard::new("cluster", panic.clone());
        let node: NodeName = joined.node.clone();
        let common = ferry::Common {
            own: node.clone(),
            engine: Arc::clone(&engine),
            routes: router.outlet(),
            account,
            window: joined.window,
        };
        let (to_desk, desk) = Desk::open(node.clone(), Arc::clone(&engine));
        let freezes = joined.on_engine_loss == OnEngineLoss::Freeze;
        let setup = Setup {
            cluster: joined.name,
            config: Config {
                own: node,
                versions: Versions::OWN,
                lease: joined.lease,
                secret: secret(settings),
                names: names(settings),
                process: process::own(),
            },
            engine,
            events,
            random: Box::new(random),
            has_ended: Box::new(process::has_ended),
            ferries: Peering { common, workers, meter: ferries, panic },
            receivers: Receivers {
                granted: promise.outlet(),
                held_by: promise.outlet(),
                unknown: promise.outlet(),
                conflict: promise.outlet(),
                seated: router.outlet(),
                seat_taken: router.outlet(),
                seat_unknown: router.outlet(),
                seat_delayed: router.outlet(),
                seat_at: router.outlet(),
                contested: router.outlet(),
                freeze: freezes.then(|| [promise.outlet(), router.outlet()]),
            },
            desk: to_desk,
        };
        inbox.start_on(&thread, move || Cluster::new(setup, own, guard));
        desk
    }
}

/// The fingerprint of the secret for dialback.
pub(super) fn secret(settings: &Settings) -> String {
    settings.remote.policy.secret.fingerprint()
}

/// The domains and components that the node serves.
pub(super) fn names(settings: &Settings) -> Names {
    let domains = settings.domains.iter().map(|domain| format!("domain {}", domain.name));
    let of_components = settings.components.iter().flat_map(|component| {
        component.names.iter().map(|name| {
            if *name == component.name {
                format!("component {name}")
            } else {
                format!("name {name} of component {}", component.name)
            }
        })
    });
    Names::new(domains.chain(of_components))
}

/// Whether a process that has a record of its own has certainly ended.
pub(super) fn has_ended(process: &Process) -> bool {
    process::has_ended(process)
}

/// The number of a process that is on this machine and in the same name space of processes.
pub(super) fn number_here(process: &Process) -> Option<u32> {
    process::number_here(process)
}

/// 64 random bits. Without random bytes the runs of a node have successive numbers, which differ too.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match openssl::rand::rand_bytes(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => clock::system().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs()),
    }
}

/// Events of the client that wait for the actor. A frame has 64 KiB, so they take a few megabytes.
const EVENTS: usize = 64;

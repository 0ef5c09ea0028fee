//! A node: its actors, started in the order in which they need each other, and stopped so that nothing is lost.

mod listeners;
mod reload;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant, SystemTime},
};

use actix::Arbiter;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use self::listeners::Listeners;
use crate::{
    attempt::Means,
    control::{Control, Sources, socket},
    dns::{self, Dns},
    drain,
    gate::{self, Gate},
    incoming,
    listener::{self, Listener},
    mailbox::{self, Inbox, Mailbox, Meter, Outlet},
    metrics::{Metrics, Tally, gather, http},
    promise::{self, Promise},
    pulse::{self, Pulse},
    recorder::{Notes, Recorder},
    report::Time,
    resolver::Resolver,
    router::{self, Router},
    settings::Settings,
    terms::Terms,
    tls::{self, Tls},
    verifier::Verifier,
    vital::{Heartbeat, Vital},
    witness::Witness,
    workers::Workers,
};

/// A running node.
pub struct Node {
    addresses: Vec<(&'static str, SocketAddr)>,
    /// The control socket's file, which is removed with the node.
    seat: Option<socket::Seat>,
    servers: Vec<Mailbox<Listener>>,
    components: Vec<Mailbox<Listener>>,
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    pulse: Mailbox<Pulse>,
    deaths: mpsc::Receiver<&'static str>,
    listeners: Listeners,
    means: Means,
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
    /// Binds every address and starts every actor. To be called in an actix system.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound, or settings that TLS or the DNS cannot use; nothing runs then.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let tls = Tls::new(identities(&settings), &settings.trust).map_err(StartError::Tls)?;
        let dns = Dns::new(&settings.dns).map_err(StartError::Dns)?;
        let sockets = Sockets::bind(&settings)?;
        let addresses = sockets.addresses();
        let (control_socket, seat) = bind_control(&settings)?.unzip();
        let (threads, workers) = Workers::start(settings.workers);
        let terms = Terms::new(&settings);
        let here = Arbiter::current();
        let (dead, deaths) = mpsc::channel(1);

        let every = settings.log_mailboxes;
        let pulse_meter = Meter::new("pulse", 65_536, None);
        let pulse = mailbox::start_on(&here, &pulse_meter, "pulse", move |_| Pulse::new(every));
        let watch: Outlet<pulse::Watch> = pulse.outlet();
        let meter = |kind, capacity| Meter::new(kind, capacity, Some(watch.clone()));

        let resolver_meter = meter("resolver", 65_536);
        let counted = Arc::clone(&resolver_meter);
        let resolver =
            mailbox::start_on(&here, &resolver_meter, "resolver", move |_| Resolver::new(dns, counted));
        let bound = addresses.iter().map(|(_, address)| *address).collect();
        let recorder_meter = meter("recorder", 8192);
        let (counted, recording) = (Arc::clone(&recorder_meter), settings.limits.recording);
        let recorder =
            mailbox::start_on(&here, &recorder_meter, "recorder", move |_| Recorder::new(recording, counted));
        let notes = Notes::new(recorder.clone());
        let witness_meter = meter("witness", 1024);
        let (counted, noting) = (Arc::clone(&witness_meter), notes.clone());
        let witness =
            mailbox::start_on(&here, &witness_meter, "witness", move |_| Witness::new(noting, counted));

        let admitted = Arc::<AtomicUsize>::default();
        let (own, metrics_meter) = (Arc::clone(&admitted), meter("metrics", 4096));
        let metrics = mailbox::start_on(&here, &metrics_meter, "metrics", move |_| Metrics::new(own));
        let tally = Tally::new(metrics.outlet(), admitted);

        let (router, router_inbox): (_, Inbox<Router>) = mailbox::open(&meter("router", 4096), "router");
        let (promise, promise_inbox): (_, Inbox<Promise>) = mailbox::open(&meter("promise", 4096), "promise");
        let gate_meter = meter("gate", 65_536);
        let counted = Arc::clone(&gate_meter);
        let owners = gate::Owners { held: promise.outlet(), admitted: promise.outlet() };
        let dials = settings.limits.dials;
        let gate = mailbox::start_on(&here, &gate_meter, "gate", move |own| {
            Gate::new(dials.per_address, own, owners, counted)
        });
        let means = Means {
            terms: terms.clone(),
            tls: tls.clone(),
            resolver,
            gate: Some(gate),
            at_once: dials.at_once,
            witness: witness.clone(),
            tally: tally.clone(),
            notes: notes.clone(),
            bound,
        };
        let verifier_meter = meter("verifier", 1024);
        let counted = Arc::clone(&verifier_meter);
        let (asking, calls) = (means.clone(), settings.limits.verifications);
        let vital = Vital::new("promise", dead.clone());
        let verifier = mailbox::start_on(&here, &verifier_meter, "verifier", move |own| {
            Verifier::new(asking, calls, own, counted)
        });

        let outgoing = meter("outgoing", 1024);
        let (own, bounds, sessions) = (promise.clone(), settings.promise.clone(), workers.clone());
        let owners = promise::Owners {
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            notes: notes.clone(),
        };
        let kept = means.clone();
        promise_inbox.start_on(&here, move || {
            Promise::new(Box::new(means), bounds, sessions, outgoing, own, owners, vital)
        });

        let vital = Vital::new("router", dead);
        let (domains, names) = served(&settings);
        let (promising, service, noting) = (promise.clone(), settings.service.clone(), notes.clone());
        router_inbox
            .start_on(&here, move || Router::new(domains, names, promising, service, every, noting, vital));

        let listeners = Listeners {
            meter: meter("listener", 1024),
            incoming: meter("incoming", 1024),
            component: meter("component", 1024),
            limits: listeners::limits(&settings, Arc::new(Semaphore::new(settings.limits.max_connections))),
            strangers: incoming::Strangers::default(),
            workers,
            tls,
            terms,
            router: router.clone(),
            promise: promise.clone(),
            verifier,
            witness,
            tally,
            notes,
            secrets: listeners::secrets(&settings),
        };
        let servers = listeners.start_servers(sockets.s2s, sockets.s2s_tls);
        let components = listeners.start_components(sockets.component);
        let sources = gather::Sources {
            pulse: pulse.clone(),
            router: router.clone(),
            promise: promise.clone(),
            metrics,
            started: SystemTime::now(),
        };
        let scrapes =
            sockets.metrics.into_iter().map(|socket| actix::spawn(http::serve(socket, sources.clone())));
        let scrapes = scrapes.collect();
        if let Some(socket) = control_socket {
            let sources = Sources {
                router: router.clone(),
                promise: promise.clone(),
                recorder,
                servers: servers.clone(),
                components: components.clone(),
                started: Time::now(),
            };
            let control_meter = meter("control", 64);
            let counted = Arc::clone(&control_meter);
            mailbox::start_on(&here, &control_meter, "control", move |own| {
                Control::new(socket, sources, own, counted)
            });
        }
        Ok(Self {
            addresses,
            seat,
            servers,
            components,
            router,
            promise,
            pulse,
            deaths,
            listeners,
            means: kept,
            settings: Box::new(settings),
            threads,
            scrapes,
        })
    }

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
        let _ = self.pulse.signal(pulse::Report);
        let _ = self.router.signal(router::Report);
    }

    /// Waits until an actor that the node cannot live without panics, and names it.
    pub async fn death(&mut self) -> &'static str {
        self.deaths.recv().await.unwrap_or("node")
    }

    /// What tells whether the actors that the node cannot live without still take their messages.
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat::new(&self.router, &self.promise)
    }

    /// Stops gracefully, within `shutdown_timeout`.
    ///
    /// First what is taken in ends: listeners, then the streams of other servers, while what waits for a link is
    /// answered and sessions empty their outboxes. Then the components, which have had their answers. Last the sessions:
    /// what components sent until their own closing tag still goes out.
    pub async fn drain(self) {
        let end = Instant::now() + self.settings.shutdown_timeout;
        let left = || end.saturating_duration_since(Instant::now());
        for listener in self.servers.iter().chain(&self.components) {
            let _ = listener.signal(listener::Stop);
        }
        let (token, answered) = drain::tokens();
        let _ = self.promise.signal(promise::Drain { token: token.clone() });
        let _ = self.router.signal(router::Flush { within: left() / 3, token: token.clone() });
        for listener in &self.servers {
            let _ = listener.signal(listener::Drain { within: left() / 2, token: token.clone() });
        }
        drop(token);
        if !answered.within(left() / 2).await {
            log::warn!(target: LOG, "some servers did not close their streams in time");
        }
        let (token, closed) = drain::tokens();
        for listener in &self.components {
            let _ = listener.signal(listener::Drain { within: left() / 2, token: token.clone() });
        }
        drop(token);
        if !closed.within(left() / 4 * 3).await {
            log::warn!(target: LOG, "some components did not close their streams in time");
        }
        let (token, finished) = drain::tokens();
        let _ = self.router.signal(router::Finish { token });
        if !finished.within(left()).await {
            log::warn!(target: LOG, "some links could not be closed in time");
        }
        let (token, logged) = drain::tokens();
        let _ = self.router.signal(router::LogAccount { token });
        logged.within(left().max(LAST_WORDS)).await;
        log::info!(target: LOG, "stopped");
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
fn served(settings: &Settings) -> (Vec<xmpp::Domain>, Vec<xmpp::Domain>) {
    let domains = settings.domains.iter().map(|domain| domain.name.clone());
    let components = settings.components.iter().map(|component| component.name.clone());
    (domains.collect(), components.collect())
}

/// The listening sockets, bound before anything runs.
struct Sockets {
    s2s: Vec<TcpListener>,
    s2s_tls: Vec<TcpListener>,
    component: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
}

impl Sockets {
    fn bind(settings: &Settings) -> Result<Self, StartError> {
        let listen = &settings.listen;
        Ok(Self {
            s2s: bind(&listen.s2s)?,
            s2s_tls: bind(&listen.s2s_tls)?,
            component: bind(&listen.component)?,
            metrics: bind(&listen.metrics)?,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let kinds = [
            ("s2s", &self.s2s),
            ("s2s_tls", &self.s2s_tls),
            ("component", &self.component),
            ("metrics", &self.metrics),
        ];
        let sockets =
            kinds.into_iter().flat_map(|(kind, sockets)| sockets.iter().map(move |socket| (kind, socket)));
        sockets.filter_map(|(kind, socket)| Some((kind, socket.local_addr().ok()?))).collect()
    }
}

/// Binds the control socket. Where nobody asked for one by name, a node that cannot have it goes without.
fn bind_control(settings: &Settings) -> Result<Option<(UnixListener, socket::Seat)>, StartError> {
    let Some(wanted) = &settings.listen.control else { return Ok(None) };
    match socket::bind(&wanted.path) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if wanted.required => Err(StartError::Control { path: wanted.path.clone(), error }),
        Err(error) => {
            log::warn!(
                target: LOG, path:% = wanted.path.display(), reason:% = error;
                "no control socket, so no answers to nuncio explain and the like: set listen.control"
            );
            Ok(None)
        }
    }
}

fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    addresses
        .iter()
        .map(|address| {
            listener::bind(*address).map_err(|error| StartError::Bind { address: *address, error })
        })
        .collect()
}

const LOG: &str = "nuncio::node";

/// For the account's last line, should nothing be left of `shutdown_timeout`.
const LAST_WORDS: Duration = Duration::from_millis(100);

//! A node: its actors, started in the order in which they need each other, and stopped so that nothing is lost.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::Arbiter;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Semaphore, mpsc},
};
use xmpp::component::Secret;

use crate::{
    attempt::Means,
    component,
    control::{Control, Sources, socket},
    dns::{self, Dns},
    drain,
    gate::{self, Gate},
    incoming,
    listener::{self, For, Limits, Listener},
    mailbox::{self, Inbox, Mailbox, Meter, Outlet},
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
    shutdown_timeout: Duration,
    threads: Vec<Arbiter>,
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
        let notes = Notes::new(recorder.outlet());
        let witness_meter = meter("witness", 1024);
        let (counted, noting) = (Arc::clone(&witness_meter), notes.clone());
        let witness =
            mailbox::start_on(&here, &witness_meter, "witness", move |_| Witness::new(noting, counted));

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
        promise_inbox.start_on(&here, move || {
            Promise::new(Box::new(means), bounds, sessions, outgoing, own, owners, vital)
        });

        let vital = Vital::new("router", dead);
        let domains: Vec<_> = settings.domains.iter().map(|domain| domain.name.clone()).collect();
        let names: Vec<_> = settings.components.iter().map(|component| component.name.clone()).collect();
        let (promising, service, settled) = (promise.clone(), settings.service.clone(), recorder.outlet());
        router_inbox
            .start_on(&here, move || Router::new(domains, names, promising, service, every, settled, vital));

        let listeners = Listeners {
            meter: meter("listener", 1024),
            incoming: meter("incoming", 1024),
            component: meter("component", 1024),
            limits: Limits {
                seats: Arc::new(Semaphore::new(settings.limits.max_connections)),
                per_address: settings.max_connections_per_address,
                attempts: settings.limits.max_attempts_per_address,
                handshake_timeout: settings.remote.handshake_timeout,
            },
            strangers: incoming::Strangers::default(),
            workers,
            tls,
            terms,
            router: router.clone(),
            promise: promise.clone(),
            verifier,
            witness,
            notes,
            secrets: Arc::new(
                settings
                    .components
                    .iter()
                    .map(|component| (component.name.clone(), Secret::new(component.secret.clone())))
                    .collect(),
            ),
        };
        let servers = listeners.start_servers(sockets.s2s, sockets.s2s_tls);
        let components = listeners.start_components(sockets.component);
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
            shutdown_timeout: settings.shutdown_timeout,
            threads,
        })
    }

    /// What was bound: the key of `[listen]` and the address.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
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
        let end = Instant::now() + self.shutdown_timeout;
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

/// The listening sockets, bound before anything runs.
struct Sockets {
    s2s: Vec<TcpListener>,
    s2s_tls: Vec<TcpListener>,
    component: Vec<TcpListener>,
}

impl Sockets {
    fn bind(settings: &Settings) -> Result<Self, StartError> {
        let listen = &settings.listen;
        Ok(Self {
            s2s: bind(&listen.s2s)?,
            s2s_tls: bind(&listen.s2s_tls)?,
            component: bind(&listen.component)?,
        })
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let kinds = [("s2s", &self.s2s), ("s2s_tls", &self.s2s_tls), ("component", &self.component)];
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

/// What listeners are started with.
struct Listeners {
    meter: Arc<Meter>,
    incoming: Arc<Meter>,
    component: Arc<Meter>,
    limits: Limits,
    strangers: incoming::Strangers,
    workers: Workers,
    tls: Tls,
    terms: Terms,
    router: Mailbox<Router>,
    promise: Mailbox<Promise>,
    verifier: Mailbox<Verifier>,
    witness: Mailbox<Witness>,
    notes: Notes,
    secrets: Arc<HashMap<xmpp::Domain, Secret>>,
}

impl Listeners {
    fn start_servers(&self, s2s: Vec<TcpListener>, s2s_tls: Vec<TcpListener>) -> Vec<Mailbox<Listener>> {
        let plain = s2s.into_iter().map(|socket| (socket, For::Servers as fn(_) -> _));
        let direct = s2s_tls.into_iter().map(|socket| (socket, For::ServersOverTls as fn(_) -> _));
        plain
            .chain(direct)
            .map(|(socket, whose)| {
                let (terms, tls) = (self.terms.clone(), self.tls.clone());
                let (router, verifier, witness) =
                    (self.router.clone(), self.verifier.clone(), self.witness.clone());
                let (limits, strangers, notes) =
                    (self.limits.clone(), self.strangers.clone(), self.notes.clone());
                let authorized = self.promise.outlet();
                self.start(socket, &self.incoming, limits, move |own| {
                    whose(incoming::Surroundings {
                        terms,
                        tls,
                        router,
                        verifier,
                        authorized,
                        witness,
                        ended: own.outlet(),
                        strangers,
                        notes,
                    })
                })
            })
            .collect()
    }

    fn start_components(&self, sockets: Vec<TcpListener>) -> Vec<Mailbox<Listener>> {
        // A host may well run all of its components at one address: the limit is meant for strangers. Strangers take
        // no seats from programs either.
        let limits = Limits {
            seats: Arc::new(Semaphore::new(COMPONENTS)),
            per_address: usize::MAX,
            attempts: usize::MAX,
            ..self.limits.clone()
        };
        sockets
            .into_iter()
            .map(|socket| {
                let (names, router) = (Arc::clone(&self.secrets), self.router.clone());
                let remote = self.terms.default_remote();
                let (max_stanza, write_timeout) = (remote.policy.max_stanza, remote.write_timeout);
                let handshake_timeout = self.limits.handshake_timeout;
                let bounds = *self.terms.rules().bounds();
                self.start(socket, &self.component, limits.clone(), move |own| {
                    let ended = own.outlet();
                    For::Components(component::Surroundings {
                        names,
                        max_stanza,
                        bounds,
                        write_timeout,
                        handshake_timeout,
                        router,
                        ended,
                    })
                })
            })
            .collect()
    }

    fn start<F>(
        &self,
        socket: TcpListener,
        streams: &Arc<Meter>,
        limits: Limits,
        whose: F,
    ) -> Mailbox<Listener>
    where
        F: FnOnce(&Mailbox<Listener>) -> For + Send + 'static,
    {
        let name = socket.local_addr().map_or_else(|_| "listener".to_owned(), |address| address.to_string());
        let (workers, streams, meter) = (self.workers.clone(), Arc::clone(streams), Arc::clone(&self.meter));
        mailbox::start_on(&Arbiter::current(), &self.meter, &name, move |own| {
            Listener::new(socket, whose(&own), limits, workers, streams, own, meter)
        })
    }
}

const LOG: &str = "nuncio::node";

/// Connections of programs in all: far more than a machine has, and fewer than would take all its files.
const COMPONENTS: usize = 1024;

/// For the account's last line, should nothing be left of `shutdown_timeout`.
const LAST_WORDS: Duration = Duration::from_millis(100);

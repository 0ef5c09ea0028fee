//! Starts a node: every actor after those that it needs.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;

use super::{
    Node, StartError, absences, cluster,
    exporter::{gather, http},
    identities, journal_watch, listed,
    listeners::{Listeners, Receivers, Terms},
    served, served_by_components,
    sockets::{Sockets, bind_control},
    starter::Starter,
};
use crate::{
    dial::{attempt::Dialer, dial_limit::DialLimit, remote_policy::RemotePolicies, resolver::Resolver},
    flow::{account::Totals, journal::Keeping},
    node::control::{Control, Patience, Sources},
    observe::{
        fingerprints::Fingerprints,
        metrics::{Metrics, MetricsHandle, SharedFigures},
        recorder::{Recorder, RecorderHandle},
    },
    relaying::cluster::Cluster,
    routing::{
        journal::{self, Opened, Restoring},
        mailroom::{self, Mailroom},
        promise::{self, Promise},
        router::{self, Router},
        service::{self, Service},
    },
    settings::Settings,
    streams::{component, resumer::Resumer, verifier::Verifier},
};
use mailbox::{Inbox, Mailbox, panic_guard::PanicGuard, threads::Threads, workers::Workers};
use net::{dns::Dns, network::Network, tls::Tls};
use status::report::Time;

impl Node {
    /// Binds every address and starts every actor. Call it inside an actix system.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, or TLS or the DNS client cannot use the settings; nothing runs then.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_on(settings, Network::System, Threads::default()).await
    }

    /// Like [`start`](Self::start), with all actors on the current thread and with this network, for tests on paused
    /// time.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    #[cfg(any(test, feature = "test-util"))]
    pub async fn start_here(settings: Settings, network: Network) -> Result<Self, StartError> {
        Self::start_on(settings, network, Threads::Current).await
    }

    async fn start_on(
        settings: Settings,
        network: Network,
        mut threads: Threads,
    ) -> Result<Self, StartError> {
        // All that can fail comes first.
        let tls = Tls::new(identities(&settings), &settings.trust)
            .map_err(StartError::Tls)?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns, &network).map_err(StartError::Dns)?;
        let sockets = Sockets::bind(&settings, &network)?;
        let addresses = sockets.addresses();
        let (control_socket, control_file) = bind_control(&settings)?.unzip();
        let opened = settings.journal.as_ref().map(|settings| {
            // Nothing else runs yet: it may block.
            let opened = journal::open(settings);
            opened.map_err(|error| StartError::Journal { path: settings.path.clone(), error })
        });
        let opened = opened.transpose()?;
        let connected = match &settings.cluster {
            Some(joined) => {
                Some(cluster::connect(joined, threads.start()).await.map_err(StartError::Cluster)?)
            }
            None => None,
        };

        let workers = threads.start_workers(settings.workers);
        let starter = Starter::new(&mut threads, settings.log_mailboxes);
        let observers = Observers::start(&starter, &settings);
        let mut opened =
            opened.map(|opened| opened.start(&starter.meter("journal", JOURNAL), &threads.start()));
        let bound = addresses.iter().filter_map(|(_, address)| address.tcp()).collect();
        let dialer = start_dialer(&starter, &settings, &observers, tls, dns, network.clone(), bound);
        let verifier = start_verifier(&starter, &settings, dialer.clone());
        let resumer = start_resumer(&starter, &settings, dialer.policies.clone());

        // The router and the promise address each other.
        let (router, router_inbox) = starter.open("router", 4096);
        // 100 components that write to 100 domains each at once fill 10,000 places. Their memory is bounded by the unread
        // stanzas that each component may have.
        let (promise, promise_inbox) = starter.open("promise", 65_536);
        let joined = connected.map(|connected| (connected, starter.open("cluster", 65_536)));
        let claims = joined.as_ref().map(|(_, (cluster, _))| Cluster::claims(cluster));
        let relays = starter.meter("relay", 1024);
        let (panic, panics) = mpsc::channel(1);
        let routing = Routing {
            starter: &starter,
            settings: &settings,
            router: &router,
            journal: opened.as_ref(),
            panic: panic.clone(),
        };
        let others = claims.clone().map(|claims| promise::Cluster { claims, relays: Arc::clone(&relays) });
        let account = Arc::new(Totals::of_all());
        routing.start_promise(
            promise_inbox,
            promise.clone(),
            dialer.clone(),
            workers.clone(),
            (others, Arc::clone(&account)),
        );
        let service = routing.start_service();
        let mailroom = routing.start_mailroom();
        let keeping = routing.store().map(|store| store.keeping);
        let journal = keeping.as_ref().map(|keeping| keeping.writer.clone());
        let seats = claims.map(|claims| router::Seats {
            claims,
            workers: workers.clone(),
            relays,
            owners: component::RelayOwners {
                gone: router.outlet(),
                congested: router.outlet(),
                requested: mailroom.outlet(),
                returned: mailroom.outlet(),
                bounces: router.outlet(),
                journal: keeping.clone(),
            },
        });
        let routed = router::Receivers {
            promise: promise.clone(),
            mailroom: mailroom.clone(),
            service,
            journal,
            seats,
            account: Arc::clone(&account),
        };
        routing.start_router(router_inbox, routed, dialer.recorder.clone());

        if let Some((opened, journal)) = opened.as_mut().zip(settings.journal.as_ref()) {
            let names = settings.components.iter();
            let absences =
                names.flat_map(|it| it.names.iter().map(|name| (name.clone(), it.absence.clone())));
            let absences = absences.collect();
            let restoring = Restoring { grace: journal.grace, message: settings.promise.message, absences };
            let journal::Restored { for_links, for_components } = opened.take_batches(&restoring);
            // Before the listeners start, so that nothing overtakes them.
            let _ = router.signal(router::Restore { for_links, for_components });
        }
        let cluster = joined.map(|(connected, (cluster, inbox))| {
            let others = cluster::Others {
                promise: &promise,
                router: &router,
                account,
                workers: workers.clone(),
                ferries: starter.meter("ferry", 65_536),
                panic: panic.clone(),
            };
            let desk = connected.start(inbox, cluster.clone(), &settings, others);
            (cluster, desk)
        });
        let (cluster, desk) = cluster.unzip();
        let receivers = Receivers {
            journal: keeping,
            router: router.clone(),
            promise: promise.clone(),
            mailroom: mailroom.clone(),
            verifier,
            resumer,
        };
        let listeners = Listeners::new(&starter, workers, receivers, Terms::new(&settings), dialer);
        let servers = listeners.start_servers(sockets.s2s, sockets.s2s_tls);
        let components = listeners.start_components(sockets.component, sockets.component_tls);

        let monitor = starter.monitor.clone();
        let scraped = gather::Sources {
            monitor: monitor.clone(),
            router: router.clone(),
            promise: promise.clone(),
            journal: opened.as_ref().map(|opened| opened.writer.clone()),
            mailroom: mailroom.clone(),
            metrics: observers.metrics,
            cluster: cluster.clone(),
            highest: Arc::default(),
            started: clock::system(),
        };
        let scrapes =
            sockets.metrics.into_iter().map(|socket| actix::spawn(http::serve(socket, scraped.clone())));
        let tasks = scrapes.chain(opened.as_ref().zip(settings.journal.as_ref()).map(|(opened, journal)| {
            let (asked, path, writer) =
                (opened.mailbox.outlet(), journal.path.clone(), opened.writer.clone());
            actix::spawn(async move { journal_watch::watch(asked, &path, writer).await })
        }));
        let mut tasks: Vec<_> = tasks.collect();
        let sources = Sources {
            router: router.clone(),
            promise: promise.clone(),
            mailroom: mailroom.clone(),
            recorder: observers.recorder,
            servers: servers.clone(),
            components: components.clone(),
            monitor: monitor.clone(),
            cluster: cluster.clone(),
            started: Time::now(),
            patience: Patience::FOR_OPERATOR,
        };
        if let Some(desk) = desk {
            tasks.push(actix::spawn(sources.clone().serve(desk)));
        }
        if let Some(socket) = control_socket {
            let sources = sources.clone();
            starter.start(&starter.main, "control", 64, move |own| Control::new(socket, sources, own));
        }
        Ok(Self {
            addresses,
            control_file,
            servers,
            components,
            router,
            promise,
            mailroom,
            sources,
            monitor,
            journal: opened.map(|opened| (opened.mailbox, opened.writer)),
            cluster,
            panics,
            listeners,
            settings: Box::new(settings),
            network,
            tasks,
            _threads: threads,
        })
    }
}

/// The actors that others report to.
struct Observers {
    recorder: Mailbox<Recorder>,
    fingerprints: Mailbox<Fingerprints>,
    metrics: Mailbox<Metrics>,
    recorder_handle: RecorderHandle,
    metrics_handle: MetricsHandle,
}

impl Observers {
    fn start(starter: &Starter, settings: &Settings) -> Self {
        let (recording, meter) = (settings.limits.recording, starter.meter("recorder", 8192));
        let counted = Arc::clone(&meter);
        let recorder =
            mailbox::start_on(&starter.dial, &meter, "recorder", move |_| Recorder::new(recording, counted));
        let recorder_handle = RecorderHandle::new(recorder.clone());
        let own = recorder_handle.clone();
        let fingerprints =
            starter.start(&starter.dial, "fingerprints", 1024, move |_| Fingerprints::new(own));
        let figures = Arc::<SharedFigures>::default();
        let own = Arc::clone(&figures);
        let metrics = starter.start(&starter.dial, "metrics", 4096, move |_| Metrics::new(own));
        let metrics_handle = MetricsHandle::new(metrics.outlet(), figures);
        Self { recorder, fingerprints, metrics, recorder_handle, metrics_handle }
    }
}

/// Starts the actors that all attempts share. `bound`: the addresses of our own listeners.
fn start_dialer(
    starter: &Starter,
    settings: &Settings,
    observers: &Observers,
    tls: Tls,
    dns: Dns,
    network: Network,
    bound: Vec<SocketAddr>,
) -> Dialer {
    let resolver = starter.start(&starter.dns, "resolver", 65_536, move |own| Resolver::new(dns, own));
    let dials = settings.limits.dials;
    let dial_limit =
        starter.start(&starter.dial, "dial_limit", 65_536, move |own| DialLimit::new(dials.per_address, own));
    Dialer {
        policies: RemotePolicies::new(settings),
        tls,
        network,
        resolver,
        dial_limit: Some(dial_limit),
        dials,
        fingerprints: observers.fingerprints.clone(),
        metrics: observers.metrics_handle.clone(),
        recorder: observers.recorder_handle.clone(),
        bound: bound.into(),
    }
}

fn start_verifier(starter: &Starter, settings: &Settings, dialer: Dialer) -> Mailbox<Verifier> {
    let limits = settings.limits.verifications;
    starter.start(&starter.dns, "verifier", 1024, move |own| Verifier::new(dialer, limits, own))
}

fn start_resumer(starter: &Starter, settings: &Settings, policies: RemotePolicies) -> Mailbox<Resumer> {
    let limit = settings.limits.resumable;
    starter.start(&starter.dns, "resumer", 4096, move |_| Resumer::new(policies, limit))
}

/// Starts the actors that the node cannot run without. All of them address the router.
struct Routing<'a> {
    starter: &'a Starter,
    settings: &'a Settings,
    router: &'a Mailbox<Router>,
    journal: Option<&'a Opened>,
    /// Receives the kind of an actor that panics.
    panic: mpsc::Sender<&'static str>,
}

impl Routing<'_> {
    /// The way to the journal, if there is one.
    fn store(&self) -> Option<journal::Store> {
        let (opened, settings) = self.journal.zip(self.settings.journal.as_ref())?;
        let keeping = Keeping { writer: opened.writer.clone(), after: settings.after };
        let mailbox = &opened.mailbox;
        let (sync, confirm, fetch) = (mailbox.outlet(), mailbox.outlet(), mailbox.outlet());
        Some(journal::Store { keeping, sync, confirm, fetch })
    }

    fn start_promise(
        &self,
        inbox: Inbox<Promise>,
        own: Mailbox<Promise>,
        dialer: Dialer,
        workers: Workers,
        (cluster, account): (Option<promise::Cluster>, Arc<Totals>),
    ) {
        let (outgoing, bounds) = (self.starter.meter("outgoing", 1024), self.settings.promise.clone());
        let owners = promise::Owners {
            fulfilled: self.router.outlet(),
            linked: self.router.outlet(),
            unlinked: self.router.outlet(),
            congested: self.router.outlet(),
            closed: self.router.outlet(),
            moved_out: self.router.outlet(),
            bounces: self.router.outlet(),
            routes: self.router.outlet(),
            recorder: dialer.recorder.clone(),
            account,
            cluster,
            journal: self.store(),
        };
        let guard = self.guard("promise");
        inbox.start_on(&self.starter.dial, move || {
            Promise::new(Box::new(dialer), bounds, workers, outgoing, &own, owners, guard)
        });
    }

    fn start_service(&self) -> Mailbox<Service> {
        let components = listed(self.settings);
        let settings = self.settings.service.clone();
        let owners = service::Owners { answered: self.router.outlet(), acknowledged: self.router.outlet() };
        let guard = self.guard("service");
        self.starter.start(&self.starter.service, "service", 4096, move |_| {
            Service::new(components, settings, owners, guard)
        })
    }

    fn start_mailroom(&self) -> Mailbox<Mailroom> {
        let owners = mailroom::Owners {
            handed_over: self.router.outlet(),
            answered: self.router.outlet(),
            bounced: self.router.outlet(),
            notified: self.router.outlet(),
            moved: self.router.outlet(),
            journal: self.store(),
        };
        let (rules, total_bytes) = (absences(self.settings), self.settings.absence_bytes);
        let names = served_by_components(self.settings);
        let guard = self.guard("mailroom");
        self.starter.start(&self.starter.mail, "mailroom", 65_536, move |own| {
            Mailroom::new(rules, names, total_bytes, &own, owners, guard)
        })
    }

    fn start_router(&self, inbox: Inbox<Router>, receivers: router::Receivers, recorder: RecorderHandle) {
        let (domains, components) = served(self.settings);
        let (log_account, guard) = (self.settings.log_mailboxes, self.guard("router"));
        inbox.start_on(&self.starter.main, move || {
            Router::new(domains, components, receivers, log_account, recorder, guard)
        });
    }

    fn guard(&self, kind: &'static str) -> PanicGuard {
        PanicGuard::new(kind, self.panic.clone())
    }
}

/// Messages in the mailbox of the journal. Each stanza that is settled sends one, and the stanzas that are to be written
/// must not be refused for it: as many as all queues hold, with one message more for each.
const JOURNAL: usize = 1 << 20;

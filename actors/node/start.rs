//! Starts a node: every actor after those that it needs.

use std::sync::Arc;

use actix::Arbiter;
use tokio::sync::{Semaphore, mpsc};

use super::{
    Node, StartError,
    exporter::{gather, http},
    identities,
    listeners::{self, Listeners},
    served,
    sockets::{Sockets, bind_control},
};
use crate::{
    dial::{attempt::Dialer, dial_limit::DialLimit, remote_policy::RemotePolicies, resolver::Resolver},
    flow::journal::Keeping,
    node::control::{Control, Sources},
    observe::{
        fingerprints::Fingerprints,
        metrics::{Metrics, MetricsHandle, SharedFigures},
        recorder::{Recorder, RecorderHandle},
    },
    routing::{
        journal::{self, Restoring},
        promise::{self, Promise},
        router::{self, Router},
        service::{self, Service},
    },
    settings::Settings,
    streams::{incoming, resumer::Resumer, verifier::Verifier},
};
use mailbox::{Inbox, Meter, Outlet, monitor::Monitor, panic_guard::PanicGuard, threads::Threads};
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
        let workers = threads.start_workers(settings.workers);
        let policies = RemotePolicies::new(&settings);
        // The router has the main thread. The promise and what it dials with have a second one, the DNS, the dialback
        // verifications and the resumptions a third, the services of the node a fourth. So stanzas with a link do not wait for connection
        // attempts or for answers of the services, and a large DNS answer does not hold up the promise.
        let main = Arbiter::current();
        let (dial_thread, dns_thread, service_thread) = (threads.start(), threads.start(), threads.start());
        let (panic, panics) = mpsc::channel(1);

        let every = settings.log_mailboxes;
        let monitor_meter = Meter::new("monitor", 65_536, None);
        let monitor = mailbox::start_on(&main, &monitor_meter, "monitor", move |_| Monitor::new(every));
        let watch: Outlet<mailbox::Register> = monitor.outlet();
        let meter = |kind, capacity| Meter::new(kind, capacity, Some(watch.clone()));

        let mut opened = opened.map(|opened| opened.start(&meter("journal", 65_536), &threads.start()));

        let resolver_meter = meter("resolver", 65_536);
        let counted = Arc::clone(&resolver_meter);
        let resolver = mailbox::start_on(&dns_thread, &resolver_meter, "resolver", move |own| {
            Resolver::new(dns, own, counted)
        });
        let bound = addresses.iter().map(|(_, address)| *address).collect();
        let recorder_meter = meter("recorder", 8192);
        let (counted, recording) = (Arc::clone(&recorder_meter), settings.limits.recording);
        let recorder = mailbox::start_on(&dial_thread, &recorder_meter, "recorder", move |_| {
            Recorder::new(recording, counted)
        });
        let recorder_handle = RecorderHandle::new(recorder.clone());
        let fingerprints_meter = meter("fingerprints", 1024);
        let (counted, own_recorder) = (Arc::clone(&fingerprints_meter), recorder_handle.clone());
        let fingerprints = mailbox::start_on(&dial_thread, &fingerprints_meter, "fingerprints", move |_| {
            Fingerprints::new(own_recorder, counted)
        });

        let figures = Arc::<SharedFigures>::default();
        let (own, metrics_meter) = (Arc::clone(&figures), meter("metrics", 4096));
        let metrics = mailbox::start_on(&dial_thread, &metrics_meter, "metrics", move |_| Metrics::new(own));
        let metrics_handle = MetricsHandle::new(metrics.outlet(), figures);

        let (router, router_inbox): (_, Inbox<Router>) = mailbox::open(&meter("router", 4096), "router");
        // 100 components that write to 100 domains each at once fill 10,000 places. Their memory is bounded by what each
        // component may have unread.
        let (promise, promise_inbox): (_, Inbox<Promise>) =
            mailbox::open(&meter("promise", 65_536), "promise");
        let dial_limit_meter = meter("dial_limit", 65_536);
        let counted = Arc::clone(&dial_limit_meter);
        let dials = settings.limits.dials;
        let dial_limit = mailbox::start_on(&dial_thread, &dial_limit_meter, "dial_limit", move |own| {
            DialLimit::new(dials.per_address, own, counted)
        });
        let dialer = Dialer {
            policies: policies.clone(),
            tls: tls.clone(),
            network: network.clone(),
            resolver,
            dial_limit: Some(dial_limit),
            dials,
            fingerprints: fingerprints.clone(),
            metrics: metrics_handle.clone(),
            recorder: recorder_handle.clone(),
            bound,
        };
        let verifier_meter = meter("verifier", 1024);
        let counted = Arc::clone(&verifier_meter);
        let (own_dialer, limits) = (dialer.clone(), settings.limits.verifications);
        let guard = PanicGuard::new("promise", panic.clone());
        let verifier = mailbox::start_on(&dns_thread, &verifier_meter, "verifier", move |own| {
            Verifier::new(own_dialer, limits, own, counted)
        });
        let resumer_meter = meter("resumer", 4096);
        let counted = Arc::clone(&resumer_meter);
        let (terms, limit) = (policies.clone(), settings.limits.resumable);
        let resumer = mailbox::start_on(&dns_thread, &resumer_meter, "resumer", move |_| {
            Resumer::new(terms, limit, counted)
        });

        let outgoing = meter("outgoing", 1024);
        let (own, bounds, sessions) = (promise.clone(), settings.promise.clone(), workers.clone());
        let owners = promise::Owners {
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            routes: router.outlet(),
            recorder: recorder_handle.clone(),
            journal: opened.as_ref().zip(settings.journal.as_ref()).map(|(opened, settings)| {
                let keeping = Keeping { writer: opened.writer.clone(), after: settings.after };
                (keeping, opened.mailbox.outlet())
            }),
        };
        let node_dialer = dialer.clone();
        promise_inbox.start_on(&dial_thread, move || {
            Promise::new(Box::new(dialer), bounds, sessions, outgoing, own, owners, guard)
        });

        let (domains, names) = served(&settings);
        let (guard, own_settings) = (PanicGuard::new("service", panic.clone()), settings.service.clone());
        let components = names.iter().map(|(name, _)| name.clone()).collect();
        let owners = service::Owners { answered: router.outlet(), acknowledged: router.outlet() };
        let service = mailbox::start_on(&service_thread, &meter("service", 4096), "service", move |_| {
            Service::new(components, own_settings, owners, guard)
        });
        let guard = PanicGuard::new("router", panic);
        let (own_promise, own_recorder) = (promise.clone(), recorder_handle.clone());
        router_inbox.start_on(&main, move || {
            Router::new(domains, names, own_promise, service, every, own_recorder, guard)
        });

        if let Some((opened, journal)) = opened.as_mut().zip(settings.journal.as_ref()) {
            let restoring = Restoring { grace: journal.grace, message: settings.promise.message };
            let batches = opened.take_batches(restoring);
            // Before the listeners start, so that nothing overtakes them.
            let _ = router.signal(router::Restore { batches });
        }
        let listeners = Listeners {
            meter: meter("listener", 1024),
            incoming: meter("incoming", 1024),
            component: meter("component", 1024),
            limits: listeners::limits(&settings, Arc::new(Semaphore::new(settings.limits.max_connections))),
            component_limits: listeners::limits_of_components(
                &settings,
                Arc::new(Semaphore::new(listeners::component_connections(&settings))),
            ),
            incoming_log_limits: incoming::LogLimits::default(),
            component_log_limits: listeners::component_log_limits(&settings),
            asker: settings.domains.first().map(|domain| domain.name.clone()),
            bad_stanzas: listeners::bad_stanzas(),
            workers,
            tls,
            policies,
            router: router.clone(),
            promise: promise.clone(),
            verifier,
            resumer,
            fingerprints,
            metrics: metrics_handle,
            recorder: recorder_handle,
            secrets: listeners::secrets(&settings),
        };
        let servers = listeners.start_servers(sockets.s2s, sockets.s2s_tls);
        let components = listeners.start_components(sockets.component);
        let sources = gather::Sources {
            monitor: monitor.clone(),
            router: router.clone(),
            promise: promise.clone(),
            metrics,
            journal: opened.as_ref().map(|opened| opened.writer.clone()),
            highest: Arc::default(),
            started: clock::system(),
        };
        let scrapes =
            sockets.metrics.into_iter().map(|socket| actix::spawn(http::serve(socket, sources.clone())));
        let scrapes = scrapes.collect();
        let sources = Sources {
            router: router.clone(),
            promise: promise.clone(),
            recorder,
            servers: servers.clone(),
            components: components.clone(),
            started: Time::now(),
        };
        if let Some(socket) = control_socket {
            let sources = sources.clone();
            let control_meter = meter("control", 64);
            let counted = Arc::clone(&control_meter);
            mailbox::start_on(&main, &control_meter, "control", move |own| {
                Control::new(socket, sources, own, counted)
            });
        }
        Ok(Self {
            addresses,
            control_file,
            servers,
            components,
            router,
            promise,
            sources,
            monitor,
            journal: opened.map(|opened| (opened.mailbox, opened.writer)),
            panics,
            listeners,
            dialer: node_dialer,
            settings: Box::new(settings),
            network,
            scrapes,
            _threads: threads,
        })
    }
}

//! The start of a node: every actor after those that it needs.

use std::sync::{Arc, atomic::AtomicUsize};

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
    node::control::{Control, Sources},
    observe::{
        fingerprints::Fingerprints,
        metrics::{Metrics, MetricsHandle},
        recorder::{Recorder, RecorderHandle},
    },
    routing::{
        promise::{self, Promise},
        router::Router,
        service::{self, Service},
    },
    settings::Settings,
    streams::{incoming, verifier::Verifier},
};
use mailbox::{Inbox, Meter, Outlet, monitor::Monitor, panic_guard::PanicGuard, workers::Workers};
use net::{dns::Dns, tls::Tls};
use status::report::Time;

impl Node {
    /// Binds every address and starts every actor. To be called in an actix system.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound, or settings that TLS or the DNS cannot use; nothing runs then.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let tls = Tls::new(identities(&settings), &settings.trust)
            .map_err(StartError::Tls)?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns).map_err(StartError::Dns)?;
        let sockets = Sockets::bind(&settings)?;
        let addresses = sockets.addresses();
        let (control_socket, seat) = bind_control(&settings)?.unzip();
        let (mut threads, workers) = Workers::start(settings.workers);
        let terms = RemotePolicies::new(&settings);
        // A thread for the router, one for those who make links, one for the DNS and for verifications, and one for what
        // the node itself is asked: however many domains there are to be tried and questions to be answered, what has a
        // link does not wait for that; and no answer of the DNS, however large, holds up the promise.
        let (here, office, counter) = (Arbiter::current(), Arbiter::new(), Arbiter::new());
        let desk = office.handle();
        threads.push(office);
        let enquiries = Arbiter::new();
        let enquiring = enquiries.handle();
        threads.push(enquiries);
        let (dead, deaths) = mpsc::channel(1);

        let every = settings.log_mailboxes;
        let pulse_meter = Meter::new("monitor", 65_536, None);
        let pulse = mailbox::start_on(&here, &pulse_meter, "monitor", move |_| Monitor::new(every));
        let watch: Outlet<mailbox::Watch> = pulse.outlet();
        let meter = |kind, capacity| Meter::new(kind, capacity, Some(watch.clone()));

        let resolver_meter = meter("resolver", 65_536);
        let counted = Arc::clone(&resolver_meter);
        let resolver = mailbox::start_on(&enquiring, &resolver_meter, "resolver", move |own| {
            Resolver::new(dns, own, counted)
        });
        let bound = addresses.iter().map(|(_, address)| *address).collect();
        let recorder_meter = meter("recorder", 8192);
        let (counted, recording) = (Arc::clone(&recorder_meter), settings.limits.recording);
        let recorder =
            mailbox::start_on(&desk, &recorder_meter, "recorder", move |_| Recorder::new(recording, counted));
        let notes = RecorderHandle::new(recorder.clone());
        let witness_meter = meter("fingerprints", 1024);
        let (counted, noting) = (Arc::clone(&witness_meter), notes.clone());
        let witness = mailbox::start_on(&desk, &witness_meter, "fingerprints", move |_| {
            Fingerprints::new(noting, counted)
        });

        let admitted = Arc::<AtomicUsize>::default();
        let (own, metrics_meter) = (Arc::clone(&admitted), meter("metrics", 4096));
        let metrics = mailbox::start_on(&desk, &metrics_meter, "metrics", move |_| Metrics::new(own));
        let tally = MetricsHandle::new(metrics.outlet(), admitted);

        let (router, router_inbox): (_, Inbox<Router>) = mailbox::open(&meter("router", 4096), "router");
        // A hundred programs that write to a hundred domains each at once fill ten thousand places; what they hold is
        // bounded by what each may have read.
        let (promise, promise_inbox): (_, Inbox<Promise>) =
            mailbox::open(&meter("promise", 65_536), "promise");
        let dial_limit_meter = meter("dial_limit", 65_536);
        let counted = Arc::clone(&dial_limit_meter);
        let dials = settings.limits.dials;
        let dial_limit = mailbox::start_on(&desk, &dial_limit_meter, "dial_limit", move |own| {
            DialLimit::new(dials.per_address, own, counted)
        });
        let means = Dialer {
            policies: terms.clone(),
            tls: tls.clone(),
            resolver,
            dial_limit: Some(dial_limit),
            dials,
            fingerprints: witness.clone(),
            metrics: tally.clone(),
            recorder: notes.clone(),
            bound,
        };
        let verifier_meter = meter("verifier", 1024);
        let counted = Arc::clone(&verifier_meter);
        let (asking, calls) = (means.clone(), settings.limits.verifications);
        let vital = PanicGuard::new("promise", dead.clone());
        let verifier = mailbox::start_on(&enquiring, &verifier_meter, "verifier", move |own| {
            Verifier::new(asking, calls, own, counted)
        });

        let outgoing = meter("outgoing", 1024);
        let (own, bounds, sessions) = (promise.clone(), settings.promise.clone(), workers.clone());
        let owners = promise::Owners {
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            routes: router.outlet(),
            notes: notes.clone(),
        };
        let kept = means.clone();
        promise_inbox.start_on(&desk, move || {
            Promise::new(Box::new(means), bounds, sessions, outgoing, own, owners, vital)
        });

        let (domains, names) = served(&settings);
        let (vital, components, facts) = (
            PanicGuard::new("service", dead.clone()),
            names.iter().map(|(name, _)| name.clone()),
            settings.service.clone(),
        );
        let components = components.collect();
        let owners = service::Owners { answered: router.outlet(), acknowledged: router.outlet() };
        let service = mailbox::start_on(&counter.handle(), &meter("service", 4096), "service", move |_| {
            Service::new(components, facts, owners, vital)
        });
        threads.push(counter);
        let vital = PanicGuard::new("router", dead);
        let (promising, noting) = (promise.clone(), notes.clone());
        router_inbox
            .start_on(&here, move || Router::new(domains, names, promising, service, every, noting, vital));

        let listeners = Listeners {
            meter: meter("listener", 1024),
            incoming: meter("incoming", 1024),
            component: meter("component", 1024),
            limits: listeners::limits(&settings, Arc::new(Semaphore::new(settings.limits.max_connections))),
            programs: listeners::limits_of_components(
                &settings,
                Arc::new(Semaphore::new(listeners::component_seats(&settings))),
            ),
            strangers: incoming::Strangers::default(),
            refusals: listeners::refusals(&settings),
            asker: settings.domains.first().map(|domain| domain.name.clone()),
            bad_stanzas: listeners::bad_stanzas(),
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
            sources,
            pulse,
            deaths,
            listeners,
            means: kept,
            settings: Box::new(settings),
            threads,
            scrapes,
        })
    }
}

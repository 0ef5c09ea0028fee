//! Starts the listeners with what their streams need.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix::Arbiter;
use tokio::sync::Semaphore;
use xmpp::{
    Domain,
    component::{Configured, Secret},
};

use crate::{
    dial::remote_policy::RemotePolicies,
    observe::{
        fingerprints::Fingerprints,
        log_limit::{self, LogLimiter},
        metrics::MetricsHandle,
        recorder::RecorderHandle,
    },
    routing::{mailroom::Mailroom, promise::Promise, router::Router},
    settings::Settings,
    streams::{
        component, incoming,
        listener::{Kind, Limits, Listener, ListeningSocket},
        resumer::Resumer,
        verifier::Verifier,
    },
};
use mailbox::{Mailbox, Meter, workers::Workers};
use net::{network, tls::Tls};

/// Everything that listeners and their streams need.
pub(super) struct Listeners {
    pub(super) meter: Arc<Meter>,
    pub(super) incoming: Arc<Meter>,
    pub(super) component: Arc<Meter>,
    pub(super) limits: Limits,
    /// For connections of components.
    pub(super) component_limits: Limits,
    pub(super) incoming_log_limits: incoming::LogLimits,
    pub(super) component_log_limits: component::LogLimits,
    pub(super) asker: Option<Domain>,
    pub(super) bad_stanzas: Arc<LogLimiter>,
    pub(super) workers: Workers,
    pub(super) tls: Tls,
    pub(super) policies: RemotePolicies,
    pub(super) router: Mailbox<Router>,
    pub(super) promise: Mailbox<Promise>,
    pub(super) mailroom: Mailbox<Mailroom>,
    pub(super) verifier: Mailbox<Verifier>,
    pub(super) resumer: Mailbox<Resumer>,
    pub(super) fingerprints: Mailbox<Fingerprints>,
    pub(super) metrics: MetricsHandle,
    pub(super) recorder: RecorderHandle,
    pub(super) secrets: Arc<HashMap<Domain, Configured>>,
    pub(super) redelivered: Arc<HashSet<Domain>>,
}

/// The limits for connections of servers; all listeners share `connection_permits`.
pub(super) fn limits(settings: &Settings, connection_permits: Arc<Semaphore>) -> Limits {
    Limits {
        connection_permits,
        connections: settings.limits.max_connections,
        unauthenticated: settings.limits.max_connections_unauthenticated,
        per_address: settings.max_connections_per_address,
        growth: GROWTH,
        attempts: settings.limits.max_attempts_per_address,
        handshake_timeout: settings.remote.handshake_timeout,
    }
}

/// The limits for connections of components. All components of a host may have one address, and they may reconnect
/// often. So only connections without a correct secret are limited. Servers take no permits from components.
pub(super) fn limits_of_components(settings: &Settings, connection_permits: Arc<Semaphore>) -> Limits {
    Limits {
        connection_permits,
        // All components of a host may be at one address.
        connections: usize::MAX,
        unauthenticated: component_connections(settings),
        per_address: settings.limits.components.unproved_per_address,
        // This also limits the rate of wrong secrets. Components connect over short
        // paths, so the limit needs no growth.
        growth: 1,
        attempts: usize::MAX,
        handshake_timeout: settings.remote.handshake_timeout,
    }
}

/// The number of accepted connections of components: one for every name, whatever the limit is, and some more for
/// connections without a correct secret.
pub(super) fn component_connections(settings: &Settings) -> usize {
    let names = settings.components.len();
    settings.limits.components.connections.max(names + names / 16)
}

/// The limits on log lines about component connections that serve no name.
pub(super) fn component_log_limits(settings: &Settings) -> component::LogLimits {
    component::LogLimits::of(settings.components.iter().map(|component| component.name.clone()))
}

/// The limit on log lines about refused stanzas of components.
pub(super) fn bad_stanzas() -> Arc<LogLimiter> {
    LogLimiter::new(component::LOG, log_limit::FEW, "more stanzas of components were refused")
}

/// The secret and the limits of each component.
pub(super) fn secrets(settings: &Settings) -> Arc<HashMap<Domain, Configured>> {
    let secret = |component: &crate::settings::Component| {
        let secret = Secret::new(component.secret.clone());
        (component.name.clone(), Configured { secret, max_stanza: component.max_stanza })
    };
    Arc::new(settings.components.iter().map(secret).collect())
}

/// The components for which stanzas are sent again that may not have arrived.
pub(super) fn redelivered(settings: &Settings) -> Arc<HashSet<Domain>> {
    let components = settings.components.iter().filter(|component| component.absence.redeliver);
    Arc::new(components.map(|component| component.name.clone()).collect())
}

impl Listeners {
    pub(super) fn start_servers(
        &self,
        s2s: Vec<network::Listener>,
        s2s_tls: Vec<network::Listener>,
    ) -> Option<Mailbox<Listener>> {
        let socket = |direct_tls| move |socket| ListeningSocket { socket, direct_tls };
        let sockets = s2s.into_iter().map(socket(false)).chain(s2s_tls.into_iter().map(socket(true)));
        let environment = |own: &Mailbox<Listener>| self.of_servers(own);
        self.start(
            "servers",
            sockets.collect(),
            &self.incoming,
            self.limits.clone(),
            environment,
            Kind::Servers,
        )
    }

    pub(super) fn start_components(&self, sockets: Vec<network::Listener>) -> Option<Mailbox<Listener>> {
        let sockets =
            sockets.into_iter().map(|socket| ListeningSocket { socket, direct_tls: false }).collect();
        let (limits, kind) = (self.component_limits.clone(), Kind::Components);
        self.start("components", sockets, &self.component, limits, |own| self.of_components(own), kind)
    }

    /// Everything that the stream of a server needs.
    pub(super) fn of_servers(&self, listener: &Mailbox<Listener>) -> incoming::Environment {
        incoming::Environment {
            policies: self.policies.clone(),
            tls: self.tls.clone(),
            owners: Arc::new(incoming::Owners {
                routes: self.router.outlet(),
                refused: self.router.outlet(),
            }),
            verifier: self.verifier.clone(),
            resumer: self.resumer.clone(),
            authorized: self.promise.outlet(),
            fingerprints: self.fingerprints.clone(),
            metrics: self.metrics.clone(),
            socket: 0,
            ended: listener.outlet(),
            authenticated: listener.outlet(),
            log_limits: self.incoming_log_limits.clone(),
            recorder: self.recorder.clone(),
        }
    }

    /// Everything that the connection of a component needs.
    pub(super) fn of_components(&self, listener: &Mailbox<Listener>) -> component::Environment {
        let remote = self.policies.default_remote();
        component::Environment {
            names: Arc::clone(&self.secrets),
            redelivered: Arc::clone(&self.redelivered),
            max_stanza: remote.policy.max_stanza,
            bounds: *self.policies.rules().bounds(),
            write_timeout: remote.write_timeout,
            handshake_timeout: self.limits.handshake_timeout,
            owners: Arc::new(component::Owners {
                routes: self.router.outlet(),
                refused: self.router.outlet(),
                bind_requested: self.router.outlet(),
                gone: self.router.outlet(),
                answered: self.router.outlet(),
                rejected: self.router.outlet(),
                congested: self.router.outlet(),
                requested: self.mailroom.outlet(),
                returned: self.mailroom.outlet(),
                presence_sent: self.mailroom.outlet(),
            }),
            socket: 0,
            ended: listener.outlet(),
            authenticated: listener.outlet(),
            wrong_secret: listener.outlet(),
            log_limits: self.component_log_limits.clone(),
            asker: self.asker.clone(),
            bad_stanzas: Arc::clone(&self.bad_stanzas),
        }
    }

    /// Starts one listener for all sockets of a kind; `None` if there are none.
    fn start<S>(
        &self,
        name: &str,
        sockets: Vec<ListeningSocket>,
        streams: &Arc<Meter>,
        limits: Limits,
        environment: impl FnOnce(&Mailbox<Listener>) -> S,
        kind: impl FnOnce(S) -> Kind + Send + 'static,
    ) -> Option<Mailbox<Listener>>
    where
        S: Send + 'static,
    {
        if sockets.is_empty() {
            return None;
        }
        let (workers, streams, meter) = (self.workers.clone(), Arc::clone(streams), Arc::clone(&self.meter));
        let (listener, inbox) = mailbox::open(&self.meter, name);
        let (environment, own) = (environment(&listener), listener.clone());
        inbox.start_on(&Arbiter::current(), move || {
            Listener::new(sockets, kind(environment), limits, workers, streams, own, meter)
        });
        Some(listener)
    }
}

/// Unauthenticated connections of one address that are served at once may grow to this many times
/// `max_connections_per_address` while connections of the address authenticate. 4 × 64 = 256 are as many as a node opens
/// at once, so that 1,000 links of a hoster are open within 3 s with round trips of 100 ms.
const GROWTH: usize = 4;

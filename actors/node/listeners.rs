//! Starts the listeners with the dependencies of their streams.

mod terms;

use std::sync::Arc;

use actix::Arbiter;

pub(super) use self::terms::{Terms, secrets};
use super::starter::Starter;
use crate::{
    dial::attempt::Dialer,
    flow::journal::Keeping,
    observe::log_limit::{self, LogLimiter},
    routing::{mailroom::Mailroom, promise::Promise, router::Router},
    streams::{
        component, incoming,
        listener::{self, Kind, Limits, Listener, ListeningSocket},
        resumer::Resumer,
        verifier::Verifier,
    },
};
use mailbox::{Mailbox, Meter, workers::Workers};
use net::network;

/// The actors that receive messages of accepted streams.
pub(super) struct Receivers {
    pub(super) router: Mailbox<Router>,
    pub(super) promise: Mailbox<Promise>,
    pub(super) mailroom: Mailbox<Mailroom>,
    pub(super) verifier: Mailbox<Verifier>,
    pub(super) resumer: Mailbox<Resumer>,
    /// Takes what waits for a while, if there is a journal.
    pub(super) journal: Option<Keeping>,
}

/// Everything that listeners and their streams need.
pub(super) struct Listeners {
    meter: Arc<Meter>,
    incoming: Arc<Meter>,
    component: Arc<Meter>,
    incoming_log_limits: incoming::LogLimits,
    bad_stanzas: Arc<LogLimiter>,
    workers: Workers,
    pub(super) receivers: Receivers,
    /// Replaced by a reload.
    pub(super) terms: Terms,
    /// Replaced by a reload. Accepted streams have its policies, and report to its observers.
    pub(super) dialer: Dialer,
}

impl Listeners {
    pub(super) fn new(
        starter: &Starter,
        workers: Workers,
        receivers: Receivers,
        terms: Terms,
        dialer: Dialer,
    ) -> Self {
        Self {
            meter: starter.meter("listener", 1024),
            incoming: starter.meter("incoming", 1024),
            component: starter.meter("component", 1024),
            incoming_log_limits: incoming::LogLimits::default(),
            bad_stanzas: LogLimiter::new(
                component::LOG,
                log_limit::FEW,
                "more stanzas of components were refused",
            ),
            workers,
            receivers,
            terms,
            dialer,
        }
    }

    pub(super) fn start_servers(
        &self,
        s2s: Vec<network::Listener>,
        s2s_tls: Vec<network::Listener>,
    ) -> Option<Mailbox<Listener>> {
        let (limits, environment) = (self.terms.servers.clone(), |own: &_| self.of_servers(own));
        self.start("servers", both(s2s, s2s_tls), &self.incoming, limits, environment, Kind::Servers)
    }

    pub(super) fn start_components(
        &self,
        plain: Vec<network::Listener>,
        tls: Vec<network::Listener>,
    ) -> Option<Mailbox<Listener>> {
        let (limits, environment) = (self.terms.components.clone(), |own: &_| self.of_components(own));
        let kind = self.kind_of_components();
        self.start("components", both(plain, tls), &self.component, limits, environment, kind)
    }

    /// Makes the kind of the listener for components with the present certificates.
    fn kind_of_components(&self) -> impl Fn(component::Environment) -> Kind + Send + 'static {
        let tls = self.dialer.tls.clone();
        move |environment| Kind::Components(environment, tls.clone())
    }

    /// Gives the present terms and policies to the listener for servers.
    pub(super) fn update_servers(&self, listener: &Mailbox<Listener>) {
        let (kind, limits) = (Kind::Servers(self.of_servers(listener)), self.terms.servers.clone());
        // A listener that has ended needs none.
        let _ = listener.signal(listener::Adopt { kind, limits });
    }

    /// Gives the present terms and policies to the listener for components.
    pub(super) fn update_components(&self, listener: &Mailbox<Listener>) {
        let kind = self.kind_of_components()(self.of_components(listener));
        let limits = self.terms.components.clone();
        // A listener that has ended needs none.
        let _ = listener.signal(listener::Adopt { kind, limits });
    }

    /// Everything that the stream of a server needs.
    fn of_servers(&self, listener: &Mailbox<Listener>) -> incoming::Environment {
        let Receivers { router, promise, verifier, resumer, journal, .. } = &self.receivers;
        incoming::Environment {
            policies: self.dialer.policies.clone(),
            tls: self.dialer.tls.clone(),
            owners: Arc::new(incoming::Owners { routes: router.outlet(), refused: router.outlet() }),
            verifier: verifier.clone(),
            resumer: resumer.clone(),
            authorized: promise.outlet(),
            fingerprints: self.dialer.fingerprints.clone(),
            metrics: self.dialer.metrics.clone(),
            socket: 0,
            ended: listener.outlet(),
            authenticated: listener.outlet(),
            log_limits: self.incoming_log_limits.clone(),
            recorder: self.dialer.recorder.clone(),
            journal: journal.clone(),
        }
    }

    /// Everything that the connection of a component needs.
    fn of_components(&self, listener: &Mailbox<Listener>) -> component::Environment {
        let (policies, Receivers { router, mailroom, journal, .. }) =
            (&self.dialer.policies, &self.receivers);
        let remote = policies.default_remote();
        component::Environment {
            names: Arc::clone(&self.terms.secrets),
            redelivered: Arc::clone(&self.terms.redelivered),
            rates: Arc::clone(&self.terms.rates),
            max_stanza: remote.policy.max_stanza,
            bounds: *policies.rules().bounds(),
            write_timeout: remote.write_timeout,
            keepalive: remote.keepalive,
            handshake_timeout: self.terms.servers.handshake_timeout,
            owners: Arc::new(component::Owners {
                routes: router.outlet(),
                refused: router.outlet(),
                bind_requested: router.outlet(),
                read_all: router.outlet(),
                gone: router.outlet(),
                pinged: router.outlet(),
                answered: router.outlet(),
                rejected: router.outlet(),
                congested: router.outlet(),
                requested: mailroom.outlet(),
                returned: mailroom.outlet(),
                presence_sent: mailroom.outlet(),
            }),
            ended: listener.outlet(),
            authenticated: listener.outlet(),
            wrong_secret: listener.outlet(),
            metrics: self.dialer.metrics.clone(),
            log_limits: self.terms.component_log_limits.clone(),
            asker: self.terms.asker.clone(),
            bad_stanzas: Arc::clone(&self.bad_stanzas),
            journal: journal.clone(),
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
        let (workers, streams) = (self.workers.clone(), Arc::clone(streams));
        let (listener, inbox) = mailbox::open(&self.meter, name);
        let (environment, own) = (environment(&listener), listener.clone());
        inbox.start_on(&Arbiter::current(), move || {
            Listener::new(sockets, kind(environment), limits, workers, streams, own)
        });
        Some(listener)
    }
}

/// The sockets for connections that begin in clear text, and those for connections that begin with TLS.
fn both(plain: Vec<network::Listener>, tls: Vec<network::Listener>) -> Vec<ListeningSocket> {
    let socket = |direct_tls| move |socket| ListeningSocket { socket, direct_tls };
    plain.into_iter().map(socket(false)).chain(tls.into_iter().map(socket(true))).collect()
}

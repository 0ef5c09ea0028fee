//! How listeners are started, and what they start streams with.

use std::{collections::HashMap, sync::Arc};

use actix::Arbiter;
use tokio::{net::TcpListener, sync::Semaphore};
use xmpp::{Domain, component::Secret};

use crate::{
    component, incoming,
    listener::{self, For, Limits, Listener},
    mailbox::{self, Mailbox, Meter, Outlet},
    metrics::Tally,
    promise::Promise,
    recorder::Notes,
    router::Router,
    settings::Settings,
    terms::Terms,
    tls::Tls,
    verifier::Verifier,
    witness::Witness,
    workers::Workers,
};

/// What listeners are started with.
pub(super) struct Listeners {
    pub(super) meter: Arc<Meter>,
    pub(super) incoming: Arc<Meter>,
    pub(super) component: Arc<Meter>,
    pub(super) limits: Limits,
    pub(super) strangers: incoming::Strangers,
    pub(super) workers: Workers,
    pub(super) tls: Tls,
    pub(super) terms: Terms,
    pub(super) router: Mailbox<Router>,
    pub(super) promise: Mailbox<Promise>,
    pub(super) verifier: Mailbox<Verifier>,
    pub(super) witness: Mailbox<Witness>,
    pub(super) tally: Tally,
    pub(super) notes: Notes,
    pub(super) secrets: Arc<HashMap<Domain, Secret>>,
}

/// What is accepted from servers; `seats` are those of all listeners.
pub(super) fn limits(settings: &Settings, seats: Arc<Semaphore>) -> Limits {
    Limits {
        seats,
        per_address: settings.max_connections_per_address,
        attempts: settings.limits.max_attempts_per_address,
        handshake_timeout: settings.remote.handshake_timeout,
    }
}

/// What each component proves itself with.
pub(super) fn secrets(settings: &Settings) -> Arc<HashMap<Domain, Secret>> {
    let secret = |component: &crate::settings::Component| {
        (component.name.clone(), Secret::new(component.secret.clone()))
    };
    Arc::new(settings.components.iter().map(secret).collect())
}

impl Listeners {
    pub(super) fn start_servers(
        &self,
        s2s: Vec<TcpListener>,
        s2s_tls: Vec<TcpListener>,
    ) -> Vec<Mailbox<Listener>> {
        let plain = s2s.into_iter().map(|socket| (socket, For::Servers as fn(_) -> _));
        let direct = s2s_tls.into_iter().map(|socket| (socket, For::ServersOverTls as fn(_) -> _));
        let start = |(socket, whose): (_, fn(_) -> _)| {
            let surroundings = |ended| self.of_servers(ended);
            self.start(socket, &self.incoming, self.limits.clone(), surroundings, whose)
        };
        plain.chain(direct).map(start).collect()
    }

    pub(super) fn start_components(&self, sockets: Vec<TcpListener>) -> Vec<Mailbox<Listener>> {
        let limits = self.limits_of_components(Arc::new(Semaphore::new(COMPONENTS)));
        let start = |socket| {
            let surroundings = |ended| self.of_components(ended);
            self.start(socket, &self.component, limits.clone(), surroundings, For::Components)
        };
        sockets.into_iter().map(start).collect()
    }

    /// A host may well run all of its components at one address: the limit is meant for strangers. Strangers take no
    /// seats from programs either.
    pub(super) fn limits_of_components(&self, seats: Arc<Semaphore>) -> Limits {
        Limits { seats, per_address: usize::MAX, attempts: usize::MAX, ..self.limits.clone() }
    }

    /// What the stream of a server needs.
    pub(super) fn of_servers(&self, ended: Outlet<listener::Ended>) -> incoming::Surroundings {
        incoming::Surroundings {
            terms: self.terms.clone(),
            tls: self.tls.clone(),
            router: self.router.clone(),
            verifier: self.verifier.clone(),
            authorized: self.promise.outlet(),
            witness: self.witness.clone(),
            tally: self.tally.clone(),
            ended,
            strangers: self.strangers.clone(),
            notes: self.notes.clone(),
        }
    }

    /// What the connection of a component needs.
    pub(super) fn of_components(&self, ended: Outlet<listener::Ended>) -> component::Surroundings {
        let remote = self.terms.default_remote();
        component::Surroundings {
            names: Arc::clone(&self.secrets),
            max_stanza: remote.policy.max_stanza,
            bounds: *self.terms.rules().bounds(),
            write_timeout: remote.write_timeout,
            handshake_timeout: self.limits.handshake_timeout,
            router: self.router.clone(),
            ended,
        }
    }

    fn start<S>(
        &self,
        socket: TcpListener,
        streams: &Arc<Meter>,
        limits: Limits,
        surroundings: impl FnOnce(Outlet<listener::Ended>) -> S,
        whose: impl FnOnce(S) -> For + Send + 'static,
    ) -> Mailbox<Listener>
    where
        S: Send + 'static,
    {
        let name = socket.local_addr().map_or_else(|_| "listener".to_owned(), |address| address.to_string());
        let (workers, streams, meter) = (self.workers.clone(), Arc::clone(streams), Arc::clone(&self.meter));
        let (listener, inbox) = mailbox::open(&self.meter, &name);
        let (surroundings, own) = (surroundings(listener.outlet()), listener.clone());
        inbox.start_on(&Arbiter::current(), move || {
            Listener::new(socket, whose(surroundings), limits, workers, streams, own, meter)
        });
        listener
    }
}

/// Connections of programs in all: far more than a machine has, and fewer than would take all its files.
const COMPONENTS: usize = 1024;

//! The part of the configuration that listeners and their streams use.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::sync::Semaphore;
use xmpp::{
    Domain, Served,
    component::{Configured, Names, Secret},
};

use crate::{
    dial::remote_policy,
    node::served_by_components,
    settings::{Rate, Settings},
    streams::{component, listener::Limits},
};

/// The settings of listeners and their streams.
pub(crate) struct Terms {
    /// The limits for connections of servers.
    pub(super) servers: Limits,
    /// The limits for connections of components.
    pub(super) components: Limits,
    /// The limits on log lines about component connections that serve no name.
    pub(super) component_log_limits: component::LogLimits,
    /// The address from which the node pings a component.
    pub(super) asker: Option<Domain>,
    /// The secret and the limits of each component.
    pub(in crate::node) secrets: Names,
    /// The components whose stanzas are read at a limited rate.
    pub(super) rates: Arc<HashMap<Domain, Rate>>,
    /// The components for which stanzas are sent again that may not have arrived.
    pub(super) redelivered: Arc<HashSet<Domain>>,
}

impl Terms {
    /// The terms of a node that starts.
    pub(in crate::node) fn new(settings: &Settings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.limits.max_connections));
        let component_permits = Arc::new(Semaphore::new(component_connections(settings)));
        Self::with_permits(settings, Arc::new(secrets(settings)), permits, component_permits)
    }

    /// Replaces the terms of `before` by those of `now`, which has these secrets. Connections keep their permits.
    pub(in crate::node) fn adopt(&mut self, before: &Settings, now: &Settings, secrets: Names) {
        let permits = Arc::clone(&self.servers.connection_permits);
        resize(&permits, before.limits.max_connections, now.limits.max_connections);
        let component_permits = Arc::clone(&self.components.connection_permits);
        resize(&component_permits, component_connections(before), component_connections(now));
        *self = Self::with_permits(now, secrets, permits, component_permits);
    }

    fn with_permits(
        settings: &Settings,
        secrets: Names,
        permits: Arc<Semaphore>,
        component_permits: Arc<Semaphore>,
    ) -> Self {
        let rates = settings.components.iter().filter_map(|it| Some((it.name.clone(), it.max_rate?)));
        let redelivered = settings.components.iter().filter(|component| component.absence.redeliver);
        Self {
            servers: of_servers(settings, permits),
            components: of_components(settings, component_permits),
            component_log_limits: component::LogLimits::of(&served_by_components(settings)),
            asker: settings.domains.first().map(|domain| domain.name.clone()),
            secrets,
            rates: Arc::new(rates.collect()),
            redelivered: Arc::new(redelivered.map(|component| component.name.clone()).collect()),
        }
    }
}

/// Adds permits, or takes away free ones.
fn resize(permits: &Semaphore, before: usize, now: usize) {
    permits.add_permits(now.saturating_sub(before));
    permits.forget_permits(before.saturating_sub(now));
}

fn of_servers(settings: &Settings, connection_permits: Arc<Semaphore>) -> Limits {
    Limits {
        connection_permits,
        connections: settings.limits.max_connections,
        unauthenticated: settings.limits.max_connections_unauthenticated,
        per_address: settings.max_connections_per_address,
        growth: GROWTH,
        attempts: settings.limits.max_attempts_per_address,
        handshake_timeout: settings.remote.handshake_timeout,
        allow: None,
    }
}

/// All components of a host may have one address, and they may reconnect often. So only connections without a correct
/// secret are limited. Servers take no permits from components.
fn of_components(settings: &Settings, connection_permits: Arc<Semaphore>) -> Limits {
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
        allow: settings.listen.component_allow.clone(),
    }
}

/// The number of accepted connections of components: one for every name, whatever the limit is, and some more for
/// connections without a correct secret.
fn component_connections(settings: &Settings) -> usize {
    let names = settings.components.len();
    settings.limits.components.connections.max(names + names / 16)
}

/// The names of the components, with their secrets, limits and lists of addresses.
pub(in crate::node) fn secrets(settings: &Settings) -> Served<Configured> {
    let access = remote_policy::access(settings);
    let names = settings.components.iter().flat_map(|component| {
        let configured = Configured {
            name: component.name.clone(),
            secret: Secret::new(component.secret.clone()),
            max_stanza: component.max_stanza,
            access: access.get(&component.name).cloned().flatten(),
        };
        component.names.iter().map(move |name| (name.clone(), configured.clone()))
    });
    names.collect()
}

/// Unauthenticated connections of one address that are served at once may grow to this many times
/// `max_connections_per_address` while connections of the address authenticate. 4 × 64 = 256 are as many as a node opens
/// at once, so that 1,000 links of a hoster are open within 3 s with round trips of 100 ms.
const GROWTH: usize = 4;

//! Gives new settings to a running node. Streams go on, except those that the new settings do not admit.

use tokio::sync::Semaphore;

use super::{Node, StartError, identities, listeners, served};
use crate::{
    dial::{attempt::Dialer, dial_limit, remote_policy::RemotePolicies, resolver},
    routing::{promise, router},
    settings::{Limits, Settings},
    streams::{
        listener::{self, Kind},
        outgoing, resumer, verifier,
    },
};
use net::{dns::Dns, tls::Tls};

impl Node {
    /// Applies new settings. Each actor gets its part, and closes only the streams that the settings do not admit: with
    /// servers by `policy-violation`, with components whose name was removed by `host-gone`, and with components whose
    /// secret has changed by `not-authorized`. Returns the keys that differ and need a restart to take effect.
    ///
    /// # Errors
    ///
    /// TLS or the DNS client cannot use the settings; nothing has changed then.
    pub fn reload(&mut self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let tls = Tls::new(identities(&settings), &settings.trust)
            .map_err(StartError::Tls)?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns, &self.network).map_err(StartError::Dns)?;
        let policies = RemotePolicies::new(&settings);

        // An actor that has ended needs no settings; if the node cannot run without it, the process ends.
        if settings.dns != self.settings.dns {
            let _ = self.dialer.resolver.signal(resolver::Adopt { dns });
        }
        if let Some(dial_limit) = &self.dialer.dial_limit {
            let _ = dial_limit.signal(dial_limit::Adopt { per_address: settings.limits.dials.per_address });
        }
        self.dialer = Dialer {
            policies: policies.clone(),
            tls: tls.clone(),
            dials: settings.limits.dials,
            ..self.dialer.clone()
        };
        let adopt = verifier::Adopt { dialer: self.dialer.clone(), limits: settings.limits.verifications };
        let _ = self.listeners.verifier.signal(adopt);
        let adopt = resumer::Adopt { policies: policies.clone(), limit: settings.limits.resumable };
        let _ = self.listeners.resumer.signal(adopt);
        // The promise before the router: a session on its way from one to the other is checked by the second.
        let (dial, bounds) = (Box::new(self.dialer.clone()), settings.promise.clone());
        let _ = self.promise.signal(promise::Adopt { dial, bounds });
        let (domains, components) = served(&settings);
        let service = settings.service.clone();
        let sessions = outgoing::Adopt { policies: policies.clone(), tls: tls.clone() };
        let adopt = router::Adopt { domains, components, service, sessions };
        let _ = self.router.signal(adopt);

        let limits = [&self.settings, &settings].map(|settings| &settings.limits);
        let permits = self.listeners.limits.connection_permits.clone();
        resize(&permits, limits.map(|limits| limits.max_connections));
        self.listeners.limits = listeners::limits(&settings, permits);
        let permits = self.listeners.component_limits.connection_permits.clone();
        resize(&permits, [&*self.settings, &settings].map(listeners::component_connections));
        self.listeners.component_limits = listeners::limits_of_components(&settings, permits);
        self.listeners.secrets = listeners::secrets(&settings);
        self.listeners.component_log_limits = listeners::component_log_limits(&settings);
        self.listeners.asker = settings.domains.first().map(|domain| domain.name.clone());
        (self.listeners.tls, self.listeners.policies) = (tls, policies);
        if let Some(server) = &self.servers {
            let kind = Kind::Servers(self.listeners.of_servers(server));
            let _ = server.signal(listener::Adopt { kind, limits: self.listeners.limits.clone() });
        }
        if let Some(component) = &self.components {
            let kind = Kind::Components(self.listeners.of_components(component));
            let _ =
                component.signal(listener::Adopt { kind, limits: self.listeners.component_limits.clone() });
        }
        let fixed = fixed(&self.settings, &settings);
        // The keys that need a restart keep their values, so that the next reload compares with them too.
        let before = &self.settings;
        *self.settings = Settings {
            listen: before.listen.clone(),
            workers: before.workers,
            log_mailboxes: before.log_mailboxes,
            journal: before.journal.clone(),
            limits: Limits { recording: before.limits.recording, ..settings.limits },
            ..settings
        };
        Ok(fixed)
    }
}

/// Adds permits, or takes away free ones.
fn resize(permits: &Semaphore, [before, now]: [usize; 2]) {
    permits.add_permits(now.saturating_sub(before));
    permits.forget_permits(before.saturating_sub(now));
}

/// The keys that differ and need a restart.
fn fixed(before: &Settings, now: &Settings) -> Vec<&'static str> {
    let recorded = |settings: &Settings| settings.limits.recording;
    let differs = [
        ("listen", before.listen != now.listen),
        ("workers", before.workers != now.workers),
        ("journal", before.journal != now.journal),
        ("log_mailboxes", before.log_mailboxes != now.log_mailboxes),
        ("limits.recorded_domains", recorded(before).domains != recorded(now).domains),
        ("limits.recorded_events", recorded(before).events != recorded(now).events),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

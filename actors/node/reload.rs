//! Other settings for a node that runs. Streams go on; what is new holds for what comes, and what is forbidden now ends.

use tokio::sync::Semaphore;

use super::{Node, StartError, identities, listeners, served};
use crate::{
    dial::{attempt::Dialer, dial_limit, remote_policy::RemotePolicies, resolver},
    routing::{promise, router},
    settings::{Limits, Settings},
    streams::{
        listener::{self, Kind},
        outgoing, verifier,
    },
};
use net::{dns::Dns, tls::Tls};

impl Node {
    /// Goes on with other settings. Each actor is told what concerns it, and ends only the streams that the settings
    /// would not admit now: with servers by `policy-violation`, with components whose name is gone by `host-gone`, and
    /// with components whose secret has changed by `not-authorized`. Gives the keys that differ and are taken at a start
    /// only.
    ///
    /// # Errors
    ///
    /// Settings that TLS or the DNS cannot use; nothing has changed then.
    pub fn reload(&mut self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let tls = Tls::new(identities(&settings), &settings.trust)
            .map_err(StartError::Tls)?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns).map_err(StartError::Dns)?;
        let terms = RemotePolicies::new(&settings);

        // Actors that are gone take the process with them, or need no news.
        if settings.dns != self.settings.dns {
            let _ = self.means.resolver.signal(resolver::Adopt { dns });
        }
        if let Some(dial_limit) = &self.means.dial_limit {
            let _ = dial_limit.signal(dial_limit::Adopt { per_address: settings.limits.dials.per_address });
        }
        self.means = Dialer {
            policies: terms.clone(),
            tls: tls.clone(),
            dials: settings.limits.dials,
            ..self.means.clone()
        };
        let adopt = verifier::Adopt { means: self.means.clone(), limits: settings.limits.verifications };
        let _ = self.listeners.verifier.signal(adopt);
        // The promise before the router: a session that the one lets go by, the other meets.
        let (dial, bounds) = (Box::new(self.means.clone()), settings.promise.clone());
        let _ = self.promise.signal(promise::Adopt { dial, bounds });
        let (domains, components) = served(&settings);
        let service = settings.service.clone();
        let terms_of_sessions = outgoing::Adopt { policies: terms.clone(), tls: tls.clone() };
        let adopt = router::Adopt { domains, components, service, terms: terms_of_sessions };
        let _ = self.router.signal(adopt);

        let limits = [&self.settings, &settings].map(|settings| &settings.limits);
        let seats = self.listeners.limits.seats.clone();
        resize(&seats, limits.map(|limits| limits.max_connections));
        self.listeners.limits = listeners::limits(&settings, seats);
        let seats = self.listeners.programs.seats.clone();
        resize(&seats, [&*self.settings, &settings].map(listeners::component_seats));
        self.listeners.programs = listeners::limits_of_components(&settings, seats);
        self.listeners.secrets = listeners::secrets(&settings);
        self.listeners.refusals = listeners::refusals(&settings);
        self.listeners.asker = settings.domains.first().map(|domain| domain.name.clone());
        (self.listeners.tls, self.listeners.terms) = (tls, terms);
        if let Some(server) = &self.servers {
            let whose = Kind::Servers(self.listeners.of_servers(server));
            let _ = server.signal(listener::Adopt { whose, limits: self.listeners.limits.clone() });
        }
        if let Some(component) = &self.components {
            let whose = Kind::Components(self.listeners.of_components(component));
            let _ = component.signal(listener::Adopt { whose, limits: self.listeners.programs.clone() });
        }
        let fixed = fixed(&self.settings, &settings);
        // Compared with what runs at the next reload too.
        let before = &self.settings;
        *self.settings = Settings {
            listen: before.listen.clone(),
            workers: before.workers,
            log_mailboxes: before.log_mailboxes,
            limits: Limits { recording: before.limits.recording, ..settings.limits },
            ..settings
        };
        Ok(fixed)
    }
}

/// Adds seats, or takes away those that are free.
fn resize(seats: &Semaphore, [before, now]: [usize; 2]) {
    seats.add_permits(now.saturating_sub(before));
    seats.forget_permits(before.saturating_sub(now));
}

/// The keys that differ and that only a start can change.
fn fixed(before: &Settings, now: &Settings) -> Vec<&'static str> {
    let recorded = |settings: &Settings| settings.limits.recording;
    let differs = [
        ("listen", before.listen != now.listen),
        ("workers", before.workers != now.workers),
        ("log_mailboxes", before.log_mailboxes != now.log_mailboxes),
        ("limits.recorded_domains", recorded(before).domains != recorded(now).domains),
        ("limits.recorded_events", recorded(before).events != recorded(now).events),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

//! Gives new settings to a running node. Streams go on, except those that the new settings do not admit.
//!
//! What takes long is prepared on a thread that may block; then the actors adopt it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use xmpp::component::Names;

use super::{
    Node, StartError, absences, cluster, identities, listed, listeners, served, served_by_components,
};
use crate::{
    dial::{attempt::Dialer, dial_limit, remote_policy::RemotePolicies, resolver},
    relaying::cluster::Reconfigure,
    routing::{mailroom, promise, router},
    settings::{Limits, Listen, Settings},
    streams::{outgoing, resumer, verifier},
};
use net::{dns::Dns, network::Network, tls::Tls};

/// Prepares new settings for a node. To be used on a thread that may block: lists of addresses, certificates and trust
/// stores can be large.
#[derive(Clone, Debug)]
pub struct Preparer {
    network: Network,
}

/// New settings, with everything that takes long to make of them.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    tls: Tls,
    dns: Dns,
    policies: RemotePolicies,
    secrets: Names,
}

impl Preparer {
    /// Prepares these settings.
    ///
    /// # Errors
    ///
    /// TLS or the DNS client cannot use the settings.
    pub fn prepare(&self, settings: Settings) -> Result<Prepared, StartError> {
        let tls = Tls::new(identities(&settings), &settings.trust)
            .map_err(StartError::Tls)?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns, &self.network).map_err(StartError::Dns)?;
        let (policies, secrets) = (RemotePolicies::new(&settings), Arc::new(listeners::secrets(&settings)));
        Ok(Prepared { settings, tls, dns, policies, secrets })
    }
}

impl Node {
    /// Prepares settings for [`Self::reload`].
    pub fn preparer(&self) -> Preparer {
        Preparer { network: self.network.clone() }
    }

    /// Applies new settings. Each actor gets its part, and closes only the streams that the settings do not admit: with
    /// servers by `policy-violation`, with components whose name was removed by `host-gone`, with components whose
    /// secret has changed by `not-authorized`, and with components whose address may no longer connect by
    /// `policy-violation`. Returns the keys that differ and need a restart to take effect.
    pub fn reload(&mut self, prepared: Prepared) -> Vec<&'static str> {
        let Prepared { mut settings, tls, dns, policies, secrets } = prepared;
        let is_keep_bounded = bound_keep(&self.settings, &mut settings);

        // An actor that has ended needs no settings; if the node cannot run without it, the process ends.
        let before = &self.listeners.dialer;
        if settings.dns != self.settings.dns {
            let _ = before.resolver.signal(resolver::Adopt { dns });
        }
        if let Some(dial_limit) = &before.dial_limit {
            let _ = dial_limit.signal(dial_limit::Adopt { per_address: settings.limits.dials.per_address });
        }
        let dialer = Dialer {
            policies: policies.clone(),
            tls: tls.clone(),
            dials: settings.limits.dials,
            ..before.clone()
        };
        let adopt = verifier::Adopt { dialer: dialer.clone(), limits: settings.limits.verifications };
        let _ = self.listeners.receivers.verifier.signal(adopt);
        let adopt = resumer::Adopt { policies: policies.clone(), limit: settings.limits.resumable };
        let _ = self.listeners.receivers.resumer.signal(adopt);
        // The promise before the router: a session on its way from one to the other is checked by the second.
        let (dial, bounds) = (Box::new(dialer.clone()), settings.promise.clone());
        let _ = self.promise.signal(promise::Adopt { dial, bounds });
        let (domains, components) = served(&settings);
        let (service, listed) = (settings.service.clone(), listed(&settings));
        let sessions = outgoing::Adopt { policies, tls };
        let mailroom = mailroom::Adopt {
            components: absences(&settings),
            names: served_by_components(&settings),
            total_bytes: settings.absence_bytes,
            gained: HashMap::new(),
            heirs: Vec::new(),
        };
        let adopt = router::Adopt { domains, components, service, listed, sessions, mailroom };
        let _ = self.router.signal(adopt);
        if let Some(cluster) = &self.cluster {
            let (secret, names) = (cluster::secret(&settings), cluster::names(&settings));
            let _ = cluster.signal(Reconfigure { secret, names });
        }

        let old_policies = std::mem::replace(&mut self.listeners.dialer, dialer).policies;
        let old_secrets = Arc::clone(&self.listeners.terms.secrets);
        self.listeners.terms.adopt(&self.settings, &settings, secrets);
        if let Some(servers) = &self.servers {
            self.listeners.update_servers(servers);
        }
        if let Some(components) = &self.components {
            self.listeners.update_components(components);
        }
        let fixed = fixed(&self.settings, &settings, is_keep_bounded);
        // The keys that need a restart keep their values, so that the next reload compares with them too.
        let before = &self.settings;
        let now = Settings {
            listen: Listen { component_allow: settings.listen.component_allow, ..before.listen.clone() },
            workers: before.workers,
            log_mailboxes: before.log_mailboxes,
            journal: before.journal.clone(),
            cluster: before.cluster.clone(),
            limits: Limits { recording: before.limits.recording, ..settings.limits },
            ..settings
        };
        let old = std::mem::replace(&mut *self.settings, now);
        drop_later((old, old_policies, old_secrets));
        fixed
    }
}

/// Drops what was replaced on a thread that may block, once the actors do not use it any more: a long list takes time.
fn drop_later(old: impl Send + 'static) {
    actix_rt::spawn(async move {
        tokio::time::sleep(ADOPTED_WITHIN).await;
        // The node may end meanwhile.
        let _ = actix_rt::task::spawn_blocking(move || drop(old)).await;
    });
}

/// Has messages wait no longer than the memory may keep them, unless the node runs with a journal. Tells whether a component
/// wants them kept longer.
fn bound_keep(running: &Settings, now: &mut Settings) -> bool {
    let mut is_bounded = false;
    if running.journal.is_none() {
        for component in &mut now.components {
            is_bounded |= component.absence.bound_keep();
        }
    }
    is_bounded
}

/// The keys that differ and need a restart.
fn fixed(before: &Settings, now: &Settings, is_keep_bounded: bool) -> Vec<&'static str> {
    let recorded = |settings: &Settings| settings.limits.recording;
    // It needs no other sockets.
    let listen = Listen { component_allow: before.listen.component_allow.clone(), ..now.listen.clone() };
    let differs = [
        ("listen", before.listen != listen),
        ("workers", before.workers != now.workers),
        ("journal", before.journal != now.journal),
        ("cluster", before.cluster != now.cluster),
        ("component.keep", is_keep_bounded),
        ("log_mailboxes", before.log_mailboxes != now.log_mailboxes),
        ("limits.recorded_domains", recorded(before).domains != recorded(now).domains),
        ("limits.recorded_events", recorded(before).events != recorded(now).events),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// All actors have handled a message after this time.
const ADOPTED_WITHIN: Duration = Duration::from_secs(10);

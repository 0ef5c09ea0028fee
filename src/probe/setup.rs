//! Sets up what a probe needs of a node: DNS, TLS and the attempt, without listeners.

use std::sync::Arc;

use actix_rt::Arbiter;
use tokio::sync::mpsc;
use xmpp::{DomainPair, Served, dialback};

use super::observed::{Event, EventSender};
use actors::{
    attempt::{
        Attempt, Dialer, Fingerprints, Goal, MetricsHandle, Observer as _, OpenSession, RecorderHandle,
        RemotePolicies, Resolver, VerifyKey, observer,
    },
    settings::{Identity, Settings},
};
use mailbox::Meter;
use net::{dns::Dns, network::Network, tls::Tls};

/// The parts of a probe.
pub(crate) struct Probe {
    pub(super) settings: Settings,
    pub(super) pair: DomainPair,
    pub(super) dialer: Dialer,
    pub(super) dns: Dns,
    pub(super) sender: EventSender,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Probe {
    /// Starts the actors of a probe on the current thread.
    ///
    /// # Errors
    /// TLS or the DNS cannot be set up; the text is for the operator.
    pub(crate) fn new(settings: Settings, pair: DomainPair) -> Result<Self, String> {
        let (sender, events) = EventSender::new();
        let tls = Tls::new(actors::identities(&settings), &settings.trust)
            .map_err(|error| format!("cannot set up TLS: {error}"))?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns, &Network::System).map_err(|error| error.to_string())?;
        let observer = sender.announcing(None);
        let dns = dns.observed(move |asked| observer.observe(observer::Step::Queried(asked)));
        let here = Arbiter::current();
        let queried = dns.clone();
        let meter = Meter::new("resolver", MAILBOX, None);
        let resolver = mailbox::start_on(&here, &meter, "resolver", move |own| Resolver::new(queried, own));
        let meter = Meter::new("fingerprints", MAILBOX, None);
        let fingerprints = mailbox::start_on(&here, &meter, "fingerprints", move |_| {
            Fingerprints::new(RecorderHandle::disabled())
        });
        let bound = [&settings.listen.s2s, &settings.listen.s2s_tls].into_iter().flatten().copied().collect();
        let dialer = Dialer {
            policies: RemotePolicies::new(&settings),
            tls,
            network: Network::System,
            resolver,
            dial_limit: None,
            dials: settings.limits.dials,
            fingerprints,
            metrics: MetricsHandle::default(),
            recorder: RecorderHandle::disabled(),
            bound,
        };
        Ok(Self { settings, pair, dialer, dns, sender, events })
    }

    /// The attempt of a node to open a session, with an observer.
    pub(crate) fn session(&self, pair: DomainPair) -> Attempt<OpenSession> {
        self.observed(self.dialer.session(pair, LOG))
    }

    /// The attempt of a node to verify a dialback key, with an observer.
    pub(crate) fn verification(&self, request: dialback::Request) -> Attempt<VerifyKey> {
        self.observed(self.dialer.verification(request, LOG))
    }

    fn observed<G: Goal>(&self, attempt: Attempt<G>) -> Attempt<G> {
        Attempt { observer: Some(Arc::new(self.sender.announcing(None))), ..attempt }
    }

    /// The certificate of the local domain.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        let served: Served<Option<&Identity>> = self.settings.served().into_iter().collect();
        served.get(&self.pair.local).copied().flatten()
    }
}

const LOG: &str = "nuncio::probe";

/// Capacity of each mailbox; only a few messages wait at a time.
const MAILBOX: usize = 256;

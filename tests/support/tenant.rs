//! One ejabberd for many tests, as a start takes three seconds of processor time: each test has its own domain on it.

use std::net::Ipv4Addr;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use super::{Certificate, Ejabberd, Network, Process, Purpose, Server, Setup, Tls};

/// A domain of the shared ejabberd, for one test. TLS is optional there, so that the other side decides.
pub(crate) struct Tenant {
    setup: Setup,
    shared: &'static Shared,
}

struct Shared {
    network: Network,
    ejabberd: Ejabberd,
    /// The domains that no test has used.
    free: Mutex<Vec<Setup>>,
}

impl Tenant {
    /// Takes a domain with that certificate, and publishes it.
    #[track_caller]
    pub(crate) fn with(certificate: &Certificate) -> Self {
        Self::take(certificate, false)
    }

    /// Takes a domain whose name is not ASCII.
    #[track_caller]
    pub(crate) fn international(certificate: &Certificate) -> Self {
        Self::take(certificate, true)
    }

    #[track_caller]
    fn take(certificate: &Certificate, international: bool) -> Self {
        let shared = shared();
        let fits =
            |setup: &Setup| setup.certificate == *certificate && setup.domain.is_ascii() != international;
        // A test that failed meanwhile changes nothing here.
        let mut free = shared.free.lock().unwrap_or_else(PoisonError::into_inner);
        let place = free.iter().position(fits).expect("a free domain: add some to `domains`");
        let setup = free.remove(place);
        setup.publish(&shared.network, shared.ejabberd.address());
        Self { setup, shared }
    }

    /// Publishes direct TLS instead.
    pub(crate) fn direct_tls(mut self) -> Self {
        self.shared.network.dns.clear(&self.setup.domain);
        self.setup.direct_tls = true;
        self.setup.publish(&self.shared.network, self.address());
        self
    }

    /// Publishes another name below the domain.
    pub(crate) fn component(mut self, label: &str) -> Self {
        let name = format!("{label}.{}", self.setup.domain);
        self.shared.network.publish(&name, self.address());
        self.setup.components.push(name);
        self
    }

    /// The network of the shared ejabberd.
    pub(crate) fn network(&self) -> &'static Network {
        &self.shared.network
    }

    /// A domain of this test only: `name-of-` before its domain.
    pub(crate) fn neighbour(&self, name: &str) -> String {
        format!("{name}-of-{}", self.setup.domain)
    }
}

impl Server for Tenant {
    fn setup(&self) -> &Setup {
        &self.setup
    }

    fn address(&self) -> Ipv4Addr {
        self.shared.ejabberd.address()
    }

    fn process(&self) -> &Process {
        self.shared.ejabberd.process()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.network.keep();
            eprintln!("--- lines of ejabberd with {} ---", self.setup.domain);
            let lines = self.process().lines();
            lines
                .iter()
                .filter(|line| line.contains(&self.setup.domain))
                .for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Starts the shared ejabberd on first use. It ends with this process.
#[track_caller]
fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (started, starts) = mpsc::channel();
        // The kernel ends ejabberd with the thread that started it, so this one never ends.
        thread::spawn(move || {
            let network = Network::until_exit();
            let domains = domains();
            let ejabberd = Ejabberd::start_for(&network, domains.clone());
            let _ = started.send(Shared { network, ejabberd, free: Mutex::new(domains) });
            loop {
                thread::park();
            }
        });
        starts.recv().expect("the shared ejabberd")
    })
}

/// Enough domains of each kind for all tests.
fn domains() -> Vec<Setup> {
    let good = || Certificate::Common(Purpose::Both);
    let kinds = [
        ("good", good(), 16),
        ("bücher", good(), 2),
        ("selfsigned", Certificate::SelfSigned, 4),
        ("übung", Certificate::SelfSigned, 2),
        ("expired", Certificate::Expired, 2),
        ("unknown", Certificate::UnknownAuthority, 2),
    ];
    let numbered = |(name, certificate, count): (&'static str, Certificate, usize)| {
        (0..count).map(move |number| {
            let domain = format!("{name}{number}.ejabberd.example");
            Setup::of(&domain).certificate(certificate.clone()).tls(Tls::Optional).wildcard()
        })
    };
    kinds.into_iter().flat_map(numbered).collect()
}

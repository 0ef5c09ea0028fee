//! A network of its own for each test: loopback addresses, a DNS zone, a certificate authority and
//! a directory. Tests of one run and of several runs at once share nothing.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use super::{Authority, Dns};

/// What one test has to itself. Every server gets an address of its own, so that all of them use
/// the standard ports.
pub(crate) struct Network {
    /// Answers for every name of the test.
    pub(crate) dns: Dns,
    /// The certificate authority that all servers of the test trust.
    pub(crate) authority: Authority,
    directory: Directory,
    /// Whether the targets of SRV records are written as addresses.
    numeric: bool,
}

impl Network {
    /// Makes the network of the test that calls.
    pub(crate) fn new() -> Self {
        Self::make(false)
    }

    /// Makes the network of a test with ejabberd.
    ///
    /// ejabberd asks libc for the addresses of SRV targets, and libc knows no name servers but those
    /// of the machine. So on this network a target is written as an address, which libc understands
    /// without asking anybody. The other servers look such names up, and find them.
    pub(crate) fn for_ejabberd() -> Self {
        Self::make(true)
    }

    fn make(numeric: bool) -> Self {
        let directory = Directory::of_this_test();
        Self {
            dns: Dns::start(address()),
            authority: Authority::new(directory.path(), "common authority"),
            directory,
            numeric,
        }
    }

    /// An address that nobody else has.
    pub(crate) fn address(&self) -> Ipv4Addr {
        address()
    }

    /// Whether ejabberd finds its way here.
    pub(crate) fn is_for_ejabberd(&self) -> bool {
        self.numeric
    }

    /// A new, empty directory for `who`.
    pub(crate) fn directory(&self, who: &str) -> PathBuf {
        let path = self.directory.path().join(who);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Publishes that `domain` is served by STARTTLS at the standard port of `address`.
    pub(crate) fn publish(&self, domain: &str, address: Ipv4Addr) {
        self.publish_service("_xmpp-server", domain, address, 5269);
    }

    /// Publishes that `domain` is served by direct TLS at the standard port of `address`, and by
    /// nothing else.
    pub(crate) fn publish_direct_tls(&self, domain: &str, address: Ipv4Addr) {
        self.publish_service("_xmpps-server", domain, address, 5270);
    }

    fn publish_service(&self, service: &str, domain: &str, address: Ipv4Addr, port: u16) {
        let target = match self.numeric {
            false => format!("server.{domain}"),
            true => address.to_string(),
        };
        self.dns.srv(&format!("{service}._tcp.{domain}"), 0, 0, port, &target);
        self.dns.a(&target, address);
    }
}

/// A directory that goes away with its test, unless the test failed or `NUNCIO_KEEP` is set.
struct Directory(PathBuf);

impl Directory {
    fn of_this_test() -> Self {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let test = thread::current().name().unwrap_or("unnamed").replace("::", ".");
        let path = std::env::temp_dir().join(format!("nuncio-{}-{count}-{test}", process::id()));
        // A killed run whose process had the same number may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if thread::panicking() || std::env::var_os("NUNCIO_KEEP").is_some() {
            eprintln!("logs and configurations are in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The next address of this process's own part of 127.0.0.0/8 at which nothing listens.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < LAST, "more addresses than one test run can have");
        let [third, fourth] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, block().second, third, fourth);
        if is_free(address) {
            return address;
        }
    }
}

/// Whether the ports that servers of tests use are free: a server of another user, or of a run that was killed, may be there.
fn is_free(address: Ipv4Addr) -> bool {
    SERVERS.iter().all(|port| TcpListener::bind((address, *port)).is_ok())
        && UdpSocket::bind((address, NAMES)).is_ok()
}

/// 127.`second`.0.0/16, ours as long as the claim is bound.
struct Block {
    second: u8,
    _claim: TcpListener,
}

/// Claims a block on first use. The kernel is the arbiter between test runs that happen at once: the claim of one ends with
/// its process, however that ends. From the highest on: older checkouts claim another port, from the lowest on.
fn block() -> &'static Block {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    BLOCK.get_or_init(|| {
        (1..=254)
            .rev()
            .find_map(|second| {
                let claim = TcpListener::bind((Ipv4Addr::new(127, second, 255, 254), CLAIM)).ok()?;
                Some(Block { second, _claim: claim })
            })
            .expect("a free block of loopback addresses")
    })
}

/// A port that no server of any test uses. Outside of the range that the kernel takes ports from (32768 to 60999): a listener
/// of a test at every address (`0.0.0.0:0`) must not be given it.
const CLAIM: u16 = 26_900;

/// The address with which the next block begins is not reached.
const LAST: u16 = u16::from_be_bytes([255, 254]);

/// STARTTLS, direct TLS, components, and the name server of a test.
const SERVERS: [u16; 4] = [5269, 5270, 5347, NAMES];
const NAMES: u16 = 5353;

//! A separate network for each test: loopback addresses, a DNS zone, a certificate authority and a directory. Tests of
//! one run, and of several runs at once, share nothing.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use openssl::x509::X509;

use super::{Authority, Dns, Identity};

/// The network of one test. Every server has its own address, so that all use the standard ports.
pub(crate) struct Network {
    /// Answers for every name of the test.
    pub(crate) dns: Dns,
    /// The certificate authority that all servers of the test trust, unless configured otherwise.
    pub(crate) authority: Authority,
    directory: Directory,
    /// Whether the targets of SRV records are written as addresses.
    numeric: bool,
}

impl Network {
    /// Makes the network of the current test.
    pub(crate) fn new() -> Self {
        Self::make(false)
    }

    /// Makes the network of a test with ejabberd.
    ///
    /// ejabberd resolves the targets of SRV records with libc, which uses the machine's name servers only. So on this network
    /// a target is written as an address, which libc needs not resolve. The other servers look such names up and find them.
    pub(crate) fn for_ejabberd() -> Self {
        Self::make(true)
    }

    /// Makes a network that lasts until the process exits, for [`super::Tenant`].
    pub(crate) fn until_exit() -> Self {
        Self::in_directory(Directory::until_exit(), true)
    }

    fn make(numeric: bool) -> Self {
        Self::in_directory(Directory::of_this_test(), numeric)
    }

    fn in_directory(directory: Directory, numeric: bool) -> Self {
        Self {
            dns: Dns::start((address(), NAMES).into()).expect("an address of its own"),
            authority: Authority::new("common authority").unwrap(),
            directory,
            numeric,
        }
    }

    /// A new address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        address()
    }

    /// Whether ejabberd can resolve domains here.
    pub(crate) fn is_for_ejabberd(&self) -> bool {
        self.numeric
    }

    /// Keeps the directory of a network that lasts until the process exits.
    pub(crate) fn keep(&self) {
        let directory = self.directory.path();
        eprintln!("logs and configurations are in {}", directory.display());
        let _ = fs::write(directory.join(KEPT), "");
    }

    /// The directory of `who`.
    pub(crate) fn directory(&self, who: &str) -> PathBuf {
        let path = self.directory.path().join(who);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes the certificate of an authority to a PEM file.
    pub(crate) fn file_of(&self, authority: &Authority) -> PathBuf {
        let certificate = authority.own();
        let file = self.directory.path().join(format!("authority-{}.pem", serial(certificate)));
        if !file.exists() {
            // Complete at once, as servers of other tests may read it.
            let draft = file.with_extension(format!("{:?}", thread::current().id()));
            fs::write(&draft, certificate.to_pem().unwrap()).unwrap();
            fs::rename(&draft, &file).unwrap();
        }
        file
    }

    /// Writes a certificate and its key to PEM files.
    pub(crate) fn files(&self, identity: &Identity) -> Files {
        let serial = serial(identity.certificate());
        let certificates: Vec<u8> =
            identity.chain.iter().flat_map(|certificate| certificate.to_pem().unwrap()).collect();
        let key = identity.key.private_key_to_pem_pkcs8().unwrap();
        let [certificate_file, key_file, combined_file] =
            ["crt", "key", "pem"].map(|ending| self.directory.path().join(format!("{serial}.{ending}")));
        fs::write(&certificate_file, &certificates).unwrap();
        fs::write(&key_file, &key).unwrap();
        fs::write(&combined_file, [certificates, key].concat()).unwrap();
        Files { certificate: certificate_file, key: key_file, combined: combined_file }
    }

    /// Publishes that `domain` is served by STARTTLS at the standard port of `address`.
    pub(crate) fn publish(&self, domain: &str, address: Ipv4Addr) {
        self.publish_service("_xmpp-server", domain, address, 5269);
    }

    /// Publishes that `domain` is served only by direct TLS, at the standard port of `address`.
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

/// The PEM files of an identity.
pub(crate) struct Files {
    /// The certificate, then those between it and the root.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// All of it in one file, for ejabberd and jabberd2.
    pub(crate) combined: PathBuf,
}

fn serial(certificate: &X509) -> String {
    certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
}

/// A directory that is removed with its test, unless the test failed or `NUNCIO_KEEP` is set.
struct Directory(PathBuf);

impl Directory {
    fn of_this_test() -> Self {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let test = thread::current().name().unwrap_or("unnamed").replace("::", ".");
        let path = std::env::temp_dir().join(format!("nuncio-{}-{count}-{test}", process::id()));
        // A killed run with the same process id may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A directory that a shell removes when this process exits, which closes the pipe between them.
    fn until_exit() -> Self {
        // Its input is open as long as this process runs.
        static SHELL: OnceLock<Child> = OnceLock::new();
        let directory = Self::of_this_test();
        if std::env::var_os("NUNCIO_KEEP").is_none() {
            let shell = Command::new("sh")
                .args(["-c", &format!("cat >&2; [ -e \"$0/{KEPT}\" ] || rm -rf \"$0\"")])
                .arg(directory.path())
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            assert!(SHELL.set(shell).is_ok(), "one such network in a process");
        }
        directory
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

/// The next free address of this process's block of 127.0.0.0/8.
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

/// Whether nothing listens on the ports that tests use: a server of another user, or of a killed run, may be there.
///
/// Connects and does not bind: a child that another thread has just forked keeps a bound socket open until it executes
/// its program, so that the port would still be taken when the test binds it.
fn is_free(address: Ipv4Addr) -> bool {
    SERVERS.iter().all(|port| refuses_connections(address, *port)) && refuses_datagrams(address, NAMES)
}

fn refuses_connections(address: Ipv4Addr, port: u16) -> bool {
    TcpStream::connect((address, port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// On loopback the refusal (ICMP port unreachable) is there as soon as the datagram is sent.
fn refuses_datagrams(address: Ipv4Addr, port: u16) -> bool {
    let refusal = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect((address, port))?;
        socket.send(&[])?;
        socket.recv(&mut [0])
    };
    refusal().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// 127.`second`.0.0/16, reserved as long as the claim is bound.
struct Block {
    second: u8,
    _claim: TcpListener,
}

/// Claims a block on first use. The kernel decides between simultaneous test runs: a claim ends with its process. From the
/// highest on, as older checkouts claim another port from the lowest on.
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

/// A port that no test uses. It is outside the range of automatically chosen ports (32768 to 60999), so that a listener at
/// `0.0.0.0:0` never gets it.
const CLAIM: u16 = 26_900;

/// The address of the claim.
const LAST: u16 = u16::from_be_bytes([255, 254]);

/// The file that says that a directory is to be kept.
const KEPT: &str = "keep";

/// STARTTLS, direct TLS, components, and DNS.
const SERVERS: [u16; 4] = [5269, 5270, 5347, NAMES];
const NAMES: u16 = 5353;

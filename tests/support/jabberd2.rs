//! jabberd2, as installed on this machine: its router, to which components connect, and its s2s process.

use std::fs;
use std::net::Ipv4Addr;

use super::process::{TO_START, needs};
use super::{Network, Process, SECRET, Server, Setup, Tls};

/// A running jabberd2.
///
/// It has neither accounts nor clients: components (XEP-0114) connect to its router. It authenticates by dialback only.
pub(crate) struct Jabberd2 {
    setup: Setup,
    address: Ipv4Addr,
    s2s: Process,
    /// Dropped after s2s, which would try to reconnect.
    _router: Process,
}

impl Jabberd2 {
    /// Starts jabberd2 and waits until it listens.
    ///
    /// Its resolver, udns, reads the name server and port from the environment, so that no file of the machine matters.
    #[track_caller]
    pub(crate) fn start(network: &Network, setup: Setup) -> Self {
        needs("command -v jabberd2-s2s", "jabberd2");
        let address = network.address();
        setup.publish(network, address);
        let directory = network.directory(&setup.domain);
        let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
        write("users.xml", USERS.to_owned());
        write("router.xml", router(address));
        write("s2s.xml", s2s(network, &setup, address));

        let name = format!("router of {}", setup.domain);
        let inside = network.directory(&format!("{}/router", setup.domain));
        let router = Process::start(&name, &inside, "jabberd2-router", &["-c", "../router.xml"], PATH);
        router.logs_within(TO_START, &["port=5347", "listening"]);
        let name_server = network.dns.address();
        let environment = [
            ("NAMESERVERS", name_server.ip().to_string()),
            ("RES_OPTIONS", format!("port:{}", name_server.port())),
        ];
        let environment: Vec<_> =
            PATH.iter().copied().chain(environment.iter().map(|(name, value)| (*name, &**value))).collect();
        let s2s = Process::start(&setup.domain, &directory, "jabberd2-s2s", &["-c", "s2s.xml"], &environment);
        s2s.logs_within(TO_START, &["port=5269", "listening"]);
        s2s.logs_within(TO_START, &["ready for connections"]);
        Self { setup, address, s2s, _router: router }
    }
}

impl Server for Jabberd2 {
    fn setup(&self) -> &Setup {
        &self.setup
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.s2s
    }
}

fn router(address: Ipv4Addr) -> String {
    format!(
        "<router>
  <id>router</id>
  <log type='stdout'/>
  <local>
    <ip>{address}</ip>
    <port>5347</port>
    <users>../users.xml</users>
    <secret>{SECRET}</secret>
  </local>
  <io>
    <limits><bytes>0</bytes><connects>0</connects></limits>
    <access><order>allow,deny</order></access>
  </io>
  <aliases/>
  <aci><acl type='all'><user>jabberd</user></acl></aci>
</router>
"
    )
}

/// DNS results are not cached, and a failed host is tried again at once.
fn s2s(network: &Network, setup: &Setup, address: Ipv4Addr) -> String {
    let pem = match setup.identity(&network.authority) {
        Some(identity) if setup.tls != Tls::Disabled => {
            format!("<pemfile>{}</pemfile>", network.files(&identity).combined.display())
        }
        _ => String::new(),
    };
    let security = if setup.tls == Tls::Required { "<security><require_tls/></security>" } else { "" };
    format!(
        "<s2s>
  <id>s2s</id>
  <router>
    <ip>{address}</ip>
    <port>5347</port>
    <user>jabberd</user>
    <pass>internal</pass>
    <retry><init>10</init><lost>0</lost><sleep>1</sleep></retry>
  </router>
  <log type='stdout'/>
  <local>
    <ip>{address}</ip>
    <port>5269</port>
    <origins><ip>{address}</ip></origins>
    {pem}
  </local>
  <check><interval>1</interval></check>
  <lookup>
    <srv>xmpp-server</srv>
    <min-ttl>1</min-ttl>
    <max-ttl>1</max-ttl>
    <bad-host-timeout>1</bad-host-timeout>
    <no-cache/>
  </lookup>
  {security}
</s2s>
"
    )
}

/// The accounts of jabberd2's own processes at the router.
const USERS: &str = "<users><user><name>jabberd</name><secret>internal</secret></user></users>\n";

/// Where Debian has it.
const PATH: &[(&str, &str)] = &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];

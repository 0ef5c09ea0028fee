//! Checks whether a node can listen on the addresses of the configuration, and which process uses an address.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    process,
};

use actors::settings::{Address, Listen};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{
    finding::{Message, Severity},
    listen::{LISTEN, addresses_of},
    source::{Source, Value},
    value,
};

/// Adds a finding for each address that cannot be bound. Returns the processes of running nodes of this
/// configuration that use an address; `is_ours` recognises them.
pub(super) fn check(source: &Source, listen: &Listen, is_ours: impl Fn(u32) -> bool) -> Vec<u32> {
    let values = source.values(&LISTEN);
    let lists = LISTEN.into_iter().zip(addresses_of(listen));
    let (mut tried, mut nodes) = (Vec::new(), Vec::new());
    // If a key is wrong, its addresses are defaults, which are not what the operator wants.
    for (key, addresses) in lists.filter(|(key, _)| !source.has_problem(key)) {
        let addresses = addresses.iter().filter_map(Address::tcp);
        for address in addresses.filter(|address| address.port() != 0) {
            if tried.contains(&address) {
                continue;
            }
            tried.push(address);
            let Some(error) = bind(address).err() else { continue };
            let node = node_at(address).filter(|_| error.kind() == io::ErrorKind::AddrInUse);
            if let Some(node) = node.filter(|node| is_ours(*node)) {
                nodes.push(node);
                continue;
            }
            let (severity, message) = match node {
                Some(node) => {
                    let text = format!("{address} is in use by another nuncio (process {node})");
                    (Severity::Problem, Message::with_help(text, STOP_IT))
                }
                None => explain(address, &error),
            };
            let matches = |value: &&Value| value.key == key && value::listen(&value.text) == Ok(address);
            match values.iter().find(matches) {
                Some(value) => source.add(severity, value.span.clone(), key, message),
                None => source.add_for_default(severity, key, message),
            }
        }
    }
    nodes
}

/// Whether this machine has the address.
pub(super) fn is_local(address: IpAddr) -> bool {
    bind(SocketAddr::new(address, 0)).is_ok()
}

/// Binds the address as a node does, and releases it. It does not listen, so no peer can connect.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn explain(address: SocketAddr, error: &io::Error) -> (Severity, Message) {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use(address),
        io::ErrorKind::AddrNotAvailable => {
            let text = format!("{} is not an address of this machine", address.ip());
            let all = if address.is_ipv6() { "[::]" } else { "0.0.0.0" };
            (
                Severity::Problem,
                Message::with_help(
                    text,
                    format!("`ip address` lists its addresses; {all} means all of them"),
                ),
            )
        }
        io::ErrorKind::PermissionDenied => {
            let text = format!("no permission to bind {address} as the user that runs this check");
            (
                Severity::Warning,
                Message::with_help(
                    text,
                    "ports below 1024 require root or the capability CAP_NET_BIND_SERVICE",
                ),
            )
        }
        _ => (Severity::Problem, Message::from(format!("cannot bind {address}: {error}"))),
    }
}

/// The process of the node that uses the address. It is not an error: operators check a file before a reload.
fn node_at(address: SocketAddr) -> Option<u32> {
    listener(address).filter(|(pid, name)| name == NAME || runs_this_binary(*pid)).map(|(pid, _)| pid)
}

fn in_use(address: SocketAddr) -> (Severity, Message) {
    let text = format!("{address} is in use");
    match listener(address) {
        Some((pid, name)) => {
            (Severity::Problem, Message::with_help(format!("{text} by {name} (process {pid})"), STOP_IT))
        }
        None => (
            Severity::Warning,
            Message::with_help(
                format!("{text} by a node or another process"),
                format!("`ss -Hltnp sport = :{}`, run as root, shows the process", address.port()),
            ),
        ),
    }
}

/// Whether the process runs the same binary as this one.
pub(super) fn runs_this_binary(pid: u32) -> bool {
    let binary = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    binary("self").is_some_and(|own| binary(&pid.to_string()) == Some(own))
}

/// The process that listens on the address and its name; `None` if the system does not let this user know.
pub(super) fn listener(address: SocketAddr) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let listeners = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let holds = files.any(|file| {
            let target = file.and_then(|file| fs::read_link(file.path()));
            target.is_ok_and(|target| inodes.iter().any(|inode| Path::new(inode) == target))
        });
        let name = holds.then(|| fs::read_to_string(format!("/proc/{pid}/comm")).ok())??;
        (pid != process::id()).then(|| (pid, name.trim_end().to_owned()))
    });
    // Several processes may use the port on different addresses. One that is not a node is the problem.
    let mut listeners: Vec<_> = listeners.collect();
    listeners.sort_by_key(|(_, name)| name == NAME);
    listeners.into_iter().next()
}

/// The inodes of the listening sockets that prevent binding `address`, from a table in `/proc/net`
/// (proc_pid_net(5)).
fn listening(table: &str, address: SocketAddr) -> Vec<String> {
    let (ip, port) = (hexadecimal(address.ip()), format!("{:04X}", address.port()));
    let rows = table.lines().skip(1).filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let (local, local_port) = fields.get(1)?.rsplit_once(':')?;
        let same = local == ip || local.bytes().all(|digit| digit == b'0') || address.ip().is_unspecified();
        let found = same && local_port == port && *fields.get(3)? == STATE_LISTEN;
        found.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
    });
    rows.collect()
}

/// The address in the form of the kernel: 32 bits at a time, in the byte order of the machine.
fn hexadecimal(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (words, _) = octets.as_chunks::<4>();
    words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
}

const STOP_IT: &str = "stop that process, or choose another address";

/// The name of this program in `/proc/PID/comm`.
const NAME: &str = "nuncio";

/// TCP_LISTEN in `/proc/net/tcp`.
const STATE_LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        assert_eq!(listening(&table, address).len(), 1);
        assert!(bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        assert!(listening(&table, (IpAddr::from([127, 0, 0, 2]), address.port()).into()).is_empty());
        assert_eq!(hexadecimal("::1".parse().unwrap()).len(), 32);
        drop(socket);
        // A process that another test starts at this moment has the socket until it runs its program.
        let is_free = || {
            bind(address).is_ok() || {
                std::thread::sleep(std::time::Duration::from_millis(50));
                false
            }
        };
        assert!((0..200).any(|_| is_free()));
    }

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        assert!(is_local([127, 0, 0, 1].into()));
        // An address for documentation (RFC 5737).
        assert!(!is_local([192, 0, 2, 7].into()));
    }
}

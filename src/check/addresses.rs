//! What the configuration asks of this machine: addresses to listen on, and files that nobody else reads.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process,
};

use actors::settings::Listen;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{
    LISTEN,
    finding::{Place, Said, Severity, Source},
    value,
};

/// Tries every address to listen on. Gives the processes of running nodes that use some of them.
pub(super) fn addresses(source: &Source, listen: &Listen) -> Vec<u32> {
    let places = source.places(&LISTEN);
    let lists = LISTEN.into_iter().zip([&listen.s2s, &listen.s2s_tls, &listen.component, &listen.metrics]);
    let (mut tried, mut nodes) = (Vec::new(), Vec::new());
    // Of a key that is wrong only the default is known, and nobody asked for that.
    for (key, addresses) in lists.filter(|(key, _)| !source.is_wrong(key)) {
        for address in addresses.iter().filter(|address| address.port() != 0) {
            if tried.contains(address) {
                continue;
            }
            tried.push(*address);
            let Some(error) = bind(*address).err() else { continue };
            if let Some(node) = node_at(*address).filter(|_| error.kind() == io::ErrorKind::AddrInUse) {
                nodes.push(node);
                continue;
            }
            let (severity, said) = judge(*address, &error);
            let is_it = |place: &&Place| place.key == key && value::listen(&place.value) == Ok(*address);
            match places.iter().find(is_it) {
                Some(place) => source.find(severity, place.span.clone(), key, said),
                None => source.find_in_default(severity, key, said),
            }
        }
    }
    nodes
}

/// Warns of keys and secrets that every user of this machine can read.
pub(super) fn secrets(source: &Source) {
    let inline = source.places(&INLINE_SECRETS).into_iter().find(|place| !place.value.is_empty());
    if let Some(place) = inline.filter(|_| is_readable_by_all(source.file())) {
        let path = source.file().display();
        let said = Said::with_help(
            format!("{path} contains a secret and every user of this machine can read it"),
            format!("chmod o-rwx {path}"),
        );
        source.find(Severity::Warning, place.span, &place.key, said);
    }
    for place in source.places(&SECRETS) {
        let path = source.path(&place.value);
        if is_readable_by_all(&path) {
            let path = path.display();
            let said = Said::with_help(
                format!("every user of this machine can read {path}"),
                format!("chmod o-rwx {path}"),
            );
            source.find(Severity::Warning, place.span, &place.key, said);
        }
    }
}

/// Whether it can be read at all was said before.
fn is_readable_by_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_ALL != 0)
}

/// Whether this machine has that address.
pub(super) fn has(address: IpAddr) -> bool {
    bind(SocketAddr::new(address, 0)).is_ok()
}

/// Binds as a node does, and lets go at once; it never listens, so nobody can connect meanwhile.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn judge(address: SocketAddr, error: &io::Error) -> (Severity, Said) {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use(address),
        io::ErrorKind::AddrNotAvailable => {
            let what = format!("{} is not an address of this machine", address.ip());
            let all = if address.is_ipv6() { "[::]" } else { "0.0.0.0" };
            (
                Severity::Problem,
                Said::with_help(what, format!("`ip address` lists them; {all} stands for all of them")),
            )
        }
        io::ErrorKind::PermissionDenied => {
            let what = format!("{address} cannot be bound by the user that runs this check");
            (
                Severity::Warning,
                Said::with_help(what, "ports below 1024 take root or the capability CAP_NET_BIND_SERVICE"),
            )
        }
        _ => (Severity::Problem, Said::from(format!("{address} cannot be bound: {error}"))),
    }
}

/// The process of the node that listens there. That is not a mistake: before a reload the file is checked beside it.
fn node_at(address: SocketAddr) -> Option<u32> {
    holder(address).filter(|(pid, name)| name == NAME || is_our_program(*pid)).map(|(pid, _)| pid)
}

fn in_use(address: SocketAddr) -> (Severity, Said) {
    let what = format!("{address} is in use");
    match holder(address) {
        Some((pid, name)) => (
            Severity::Problem,
            Said::with_help(
                format!("{what} by {name} (process {pid})"),
                "stop that program, or choose another address",
            ),
        ),
        None => (
            Severity::Warning,
            Said::with_help(
                format!("{what} by a running node or by another program"),
                format!("`ss -Hltnp sport = :{}` as root shows by which one", address.port()),
            ),
        ),
    }
}

/// Whether that process runs the program that we are, whatever it is called.
pub(super) fn is_our_program(pid: u32) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    program("self").is_some_and(|ours| program(&pid.to_string()) == Some(ours))
}

/// Who listens there, where the system lets us know: process and program.
pub(super) fn holder(address: SocketAddr) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let holders = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let holds = files.any(|file| {
            let target = file.and_then(|file| fs::read_link(file.path()));
            target.is_ok_and(|target| inodes.iter().any(|inode| Path::new(inode) == target))
        });
        let name = holds.then(|| fs::read_to_string(format!("/proc/{pid}/comm")).ok())??;
        (pid != process::id()).then(|| (pid, name.trim_end().to_owned()))
    });
    // Several may hold the port at different addresses; another program is the one that is in the way.
    let mut holders: Vec<_> = holders.collect();
    holders.sort_by_key(|(_, name)| name == NAME);
    holders.into_iter().next()
}

/// The inodes of the sockets that keep `address` from being bound, from a table of `/proc/net` (the kernel's
/// proc_net_tcp).
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

/// As the kernel prints an address: 32 bits at a time, in the byte order of the machine.
fn hexadecimal(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (words, _) = octets.as_chunks::<4>();
    words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
}

/// The keys that name files with secrets.
const SECRETS: [&str; 5] = [
    "domain.key",
    "component.key",
    "component.secret_file",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
];

/// The keys that are secrets themselves.
const INLINE_SECRETS: [&str; 3] = ["component.secret", "s2s.dialback_secret", "remote.dialback_secret"];

/// As the kernel knows our program.
const NAME: &str = "nuncio";

/// S_IROTH.
const READABLE_BY_ALL: u32 = 0o004;

/// TCP_LISTEN.
const STATE_LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_at_a_port_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        assert_eq!(listening(&table, address).len(), 1);
        assert!(bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        assert!(listening(&table, (IpAddr::from([127, 0, 0, 2]), address.port()).into()).is_empty());
        assert_eq!(hexadecimal("::1".parse().unwrap()).len(), 32);
        drop(socket);
        assert!(bind(address).is_ok());
    }

    #[test]
    fn an_address_of_another_machine_is_told_from_our_own() {
        assert!(has([127, 0, 0, 1].into()));
        // RFC 5737: nobody's.
        assert!(!has([192, 0, 2, 7].into()));
    }
}

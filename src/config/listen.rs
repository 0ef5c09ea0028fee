//! The section `[listen]`: the addresses and the control socket.

mod component;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{finding::Severity, section::Section, value};
use actors::settings::{Address, ControlSocket, Listen};
use net::unix_socket;

/// Reads the section.
pub(super) fn listen(section: Section<'_>) -> Listen {
    let addresses = |key, default: &[&str]| {
        let given = section.list(key, value::listen);
        given.unwrap_or_else(|| default.iter().filter_map(|address| address.parse().ok()).collect())
    };
    let components = component::read(&section);
    let listen = Listen {
        s2s: addresses("s2s", &["0.0.0.0:5269", "[::]:5269"]),
        s2s_tls: addresses("s2s_tls", &[]),
        component: components.plain,
        component_tls: components.tls,
        component_permissions: components.permissions,
        component_allow: components.allow,
        metrics: addresses("metrics", &[]),
        control: control(&section),
    };
    let [s2s, s2s_tls, component, component_tls, metrics] = addresses_of(&listen);
    // Port 0 is a different free port each time.
    let is_fixed = |address: &Address| address.tcp().is_none_or(|address| address.port() != 0);
    let all = [s2s, s2s_tls, component, component_tls, metrics].into_iter().flatten();
    let fixed: Vec<_> = all.filter(is_fixed).collect();
    if let Some(address) = value::repeated(&fixed) {
        let text = format!("{address} is listed twice: each address can be bound only once");
        let source = section.source();
        let mut values = source.values(&LISTEN);
        values.retain(|value| value::component(source, &value.text).as_ref() == Ok(address));
        match values.pop() {
            Some(second) => source.add(Severity::Problem, second.span, &second.key, text),
            None => section.problem("s2s", text),
        }
    }
    let control = listen.control.as_ref().map(|control| control.path.as_path());
    if let Some(address) = listen.component.iter().find(|its| its.path().is_some() && its.path() == control) {
        section.problem("component", format!("{address} is the control socket (listen.control) already"));
    }
    component::warn(&section, &listen);
    if let Some(address) = listen.metrics.iter().find(|address| !address.ip().is_loopback()) {
        let text =
            format!("{address} is not a loopback address: every host that can connect can read the metrics");
        section.warning("metrics", text);
    }
    section.finish();
    listen
}

/// The addresses of each key of [`LISTEN`].
pub(crate) fn addresses_of(listen: &Listen) -> [Vec<Address>; 5] {
    let tcp = |addresses: &[SocketAddr]| addresses.iter().copied().map(Address::Tcp).collect();
    [
        tcp(&listen.s2s),
        tcp(&listen.s2s_tls),
        listen.component.clone(),
        tcp(&listen.component_tls),
        tcp(&listen.metrics),
    ]
}

/// The control socket; `None` if its path is empty. A node does not start without a socket whose path was
/// configured and is not the default.
pub(super) fn control(listen: &Section<'_>) -> Option<ControlSocket> {
    let source = listen.source();
    let named = listen.read("control", |path| {
        let path = Some(path).filter(|path| !path.is_empty()).map(|path| source.path(path));
        match path {
            Some(path) if !unix_socket::fits(&path) => {
                Err(format!("{}: {}", path.display(), unix_socket::Error::TooLong))
            }
            path => Ok(path),
        }
    });
    let default = default_socket(source.file());
    let path = named.unwrap_or_else(|| Some(default.clone()))?;
    Some(ControlSocket { required: path != default, path })
}

/// The default path of the socket: beside the file and with its name. For a file below `/etc`, which is not
/// for sockets, it is in `/run/nuncio`.
fn default_socket(file: &Path) -> PathBuf {
    let socket = file.with_extension("sock");
    match socket.file_name() {
        Some(name) if file.starts_with("/etc") => Path::new("/run/nuncio").join(name),
        _ => socket,
    }
}

/// The keys with addresses to listen on, in the order of [`Listen`].
pub(crate) const LISTEN: [&str; 5] =
    ["listen.s2s", "listen.s2s_tls", "listen.component", "listen.component_tls", "listen.metrics"];

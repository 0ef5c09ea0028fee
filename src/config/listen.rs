//! The section `[listen]`: the addresses and the control socket.

use std::path::{Path, PathBuf};

use super::{
    finding::{Message, Severity},
    section::Section,
    value,
};
use actors::{
    control_socket,
    settings::{ControlSocket, Listen},
};

/// Reads the section.
pub(super) fn listen(section: Section<'_>) -> Listen {
    let addresses = |key, default: &[&str]| {
        let given = section.list(key, value::listen);
        given.unwrap_or_else(|| default.iter().filter_map(|address| address.parse().ok()).collect())
    };
    let listen = Listen {
        s2s: addresses("s2s", &["0.0.0.0:5269", "[::]:5269"]),
        s2s_tls: addresses("s2s_tls", &[]),
        component: addresses("component", &["127.0.0.1:5347"]),
        metrics: addresses("metrics", &[]),
        control: control(&section),
    };
    let all: Vec<_> = [&listen.s2s, &listen.s2s_tls, &listen.component, &listen.metrics]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    // Port 0 is a different free port each time.
    let fixed: Vec<_> = all.into_iter().filter(|address| address.port() != 0).collect();
    if let Some(address) = value::repeated(&fixed) {
        let text = format!("{address} is listed twice: each address can be bound only once");
        let source = section.source();
        let mut values = source.values(&LISTEN);
        values.retain(|value| value::listen(&value.text).as_ref() == Ok(address));
        match values.pop() {
            Some(second) => source.add(Severity::Problem, second.span, &second.key, text),
            None => section.problem("s2s", text),
        }
    }
    if let Some(address) = listen.component.iter().find(|address| !address.ip().is_loopback()) {
        let text = format!(
            "{address} is not a loopback address, and component connections (XEP-0114) are not encrypted: others on \
             the network can read stanzas and try secrets"
        );
        let help = "listen on 127.0.0.1, and let remote components connect through a tunnel";
        section.warning("component", Message::with_help(text, help));
    }
    if let Some(address) = listen.metrics.iter().find(|address| !address.ip().is_loopback()) {
        let text =
            format!("{address} is not a loopback address: every host that can connect can read the metrics");
        section.warning("metrics", text);
    }
    section.finish();
    listen
}

/// The control socket; `None` if its path is empty. A node does not start without a socket whose path was
/// configured and is not the default.
pub(super) fn control(listen: &Section<'_>) -> Option<ControlSocket> {
    let source = listen.source();
    let named = listen.read("control", |path| {
        let path = Some(path).filter(|path| !path.is_empty()).map(|path| source.path(path));
        match path {
            Some(path) if !control_socket::fits(&path) => {
                Err(format!("{}: {}", path.display(), control_socket::Error::TooLong))
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
pub(crate) const LISTEN: [&str; 4] = ["listen.s2s", "listen.s2s_tls", "listen.component", "listen.metrics"];

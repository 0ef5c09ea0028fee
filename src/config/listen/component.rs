//! The keys of `[listen]` about components: addresses, Unix sockets with their permissions, TLS, and who may connect.

use std::{net::SocketAddr, sync::Arc};

use super::super::{super::users, finding::Message, section::Section, value};
use actors::settings::{Address, Listen, Subnet};
use net::unix_socket::Access;

/// The values of the keys.
pub(super) struct Components {
    pub(super) plain: Vec<Address>,
    pub(super) tls: Vec<SocketAddr>,
    pub(super) access: Access,
    pub(super) allow: Option<Arc<[Subnet]>>,
}

/// Reads the keys.
pub(super) fn read(section: &Section<'_>) -> Components {
    let plain = section.list("component", |text| value::component(section.source(), text));
    let access = Access {
        mode: section.read("component_socket_mode", value::mode).unwrap_or_else(|| Access::default().mode),
        group: section.read("component_socket_group", users::group),
    };
    Components {
        plain: plain.unwrap_or_else(|| DEFAULT.parse().into_iter().collect()),
        tls: section.list("component_tls", value::listen).unwrap_or_default(),
        access,
        allow: section.list("component_allow", value::subnet).map(Arc::from),
    }
}

/// Adds warnings about components on other machines.
pub(super) fn warn(section: &Section<'_>, listen: &Listen) {
    if let Some(address) = listen.component.iter().find(|address| !address.is_local()) {
        let text = format!(
            "{address} is not a loopback address, and component connections (XEP-0114) are not encrypted: others on \
             the network can read stanzas and try secrets"
        );
        let help = "for components on this machine listen on 127.0.0.1 or on a Unix socket \
                    (\"unix:/run/nuncio/component.sock\"), for those on other machines with TLS (component_tls)";
        section.warning("component", Message::with_help(text, help));
    }
    let is_open = |address: &&SocketAddr| !address.ip().is_loopback() && listen.component_allow.is_none();
    if let Some(address) = listen.component_tls.iter().find(is_open) {
        let text = format!("every host that can connect to {address} can try secrets of components");
        let help = "list the addresses of the components in component_allow, for example [\"192.0.2.7\", \
                    \"192.0.2.0/24\"]";
        section.warning("component_tls", Message::with_help(text, help));
    }
}

/// Only processes on this machine can connect.
const DEFAULT: &str = "127.0.0.1:5347";

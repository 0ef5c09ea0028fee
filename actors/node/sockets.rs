//! Binds the sockets of a node before any actor runs.

use std::net::SocketAddr;

use tokio::net::UnixListener;

use super::{LOG, StartError};
use crate::settings::{Address, Settings};
use net::{
    network::{Listener, Network},
    unix_socket::{self, Permissions},
};

/// The bound sockets.
pub(super) struct Sockets {
    pub(super) s2s: Vec<Listener>,
    pub(super) s2s_tls: Vec<Listener>,
    pub(super) component: Vec<Listener>,
    pub(super) component_tls: Vec<Listener>,
    pub(super) metrics: Vec<Listener>,
}

impl Sockets {
    pub(super) fn bind(settings: &Settings, network: &Network) -> Result<Self, StartError> {
        let listen = &settings.listen;
        let bind = |addresses: &[SocketAddr]| bind(network, addresses);
        Ok(Self {
            s2s: bind(&listen.s2s)?,
            s2s_tls: bind(&listen.s2s_tls)?,
            component: bind_all(network, &listen.component, listen.component_permissions)?,
            component_tls: bind(&listen.component_tls)?,
            metrics: bind(&listen.metrics)?,
        })
    }

    pub(super) fn addresses(&self) -> Vec<(&'static str, Address)> {
        let kinds = [
            ("s2s", &self.s2s),
            ("s2s_tls", &self.s2s_tls),
            ("component", &self.component),
            ("component_tls", &self.component_tls),
            ("metrics", &self.metrics),
        ];
        let sockets =
            kinds.into_iter().flat_map(|(kind, sockets)| sockets.iter().map(move |socket| (kind, socket)));
        sockets.filter_map(|(kind, socket)| Some((kind, address(socket)?))).collect()
    }
}

/// The address that a socket is bound to.
fn address(socket: &Listener) -> Option<Address> {
    match socket.path() {
        Some(path) => Some(path.into()),
        None => socket.local_addr().ok().map(Address::Tcp),
    }
}

/// Binds the control socket. If the configuration does not require it, a failure is only a warning.
pub(super) fn bind_control(
    settings: &Settings,
) -> Result<Option<(UnixListener, unix_socket::SocketFile)>, StartError> {
    let Some(wanted) = &settings.listen.control else { return Ok(None) };
    match unix_socket::bind(&wanted.path, Permissions::OWNER_ONLY) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if wanted.required => Err(StartError::Control { path: wanted.path.clone(), error }),
        Err(error) => {
            log::warn!(
                target: LOG, path:% = wanted.path.display(), reason:% = error;
                "no control socket: nuncio explain and similar commands are not available; set listen.control"
            );
            Ok(None)
        }
    }
}

fn bind(network: &Network, addresses: &[SocketAddr]) -> Result<Vec<Listener>, StartError> {
    addresses.iter().map(|address| bind_one(network, *address)).collect()
}

fn bind_one(network: &Network, address: SocketAddr) -> Result<Listener, StartError> {
    network.bind(address).map_err(|error| StartError::Bind { address, error })
}

/// Binds TCP and Unix sockets.
fn bind_all(
    network: &Network,
    addresses: &[Address],
    permissions: Permissions,
) -> Result<Vec<Listener>, StartError> {
    let bind = |address: &Address| match address {
        Address::Tcp(address) => bind_one(network, *address),
        Address::Unix(path) => network
            .bind_unix(path, permissions)
            .map_err(|error| StartError::Component { address: address.clone(), error }),
    };
    addresses.iter().map(bind).collect()
}

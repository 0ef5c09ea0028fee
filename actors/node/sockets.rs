//! Binds the sockets of a node before any actor runs.

use std::net::SocketAddr;

use tokio::net::UnixListener;

use super::{LOG, StartError};
use crate::{node::control::socket, settings::Settings};
use net::network::{Listener, Network};

/// The bound sockets.
pub(super) struct Sockets {
    pub(super) s2s: Vec<Listener>,
    pub(super) s2s_tls: Vec<Listener>,
    pub(super) component: Vec<Listener>,
    pub(super) metrics: Vec<Listener>,
}

impl Sockets {
    pub(super) fn bind(settings: &Settings, network: &Network) -> Result<Self, StartError> {
        let listen = &settings.listen;
        let bind = |addresses: &[SocketAddr]| bind(network, addresses);
        Ok(Self {
            s2s: bind(&listen.s2s)?,
            s2s_tls: bind(&listen.s2s_tls)?,
            component: bind(&listen.component)?,
            metrics: bind(&listen.metrics)?,
        })
    }

    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let kinds = [
            ("s2s", &self.s2s),
            ("s2s_tls", &self.s2s_tls),
            ("component", &self.component),
            ("metrics", &self.metrics),
        ];
        let sockets =
            kinds.into_iter().flat_map(|(kind, sockets)| sockets.iter().map(move |socket| (kind, socket)));
        sockets.filter_map(|(kind, socket)| Some((kind, socket.local_addr().ok()?))).collect()
    }
}

/// Binds the control socket. If the configuration does not require it, a failure is only a warning.
pub(super) fn bind_control(
    settings: &Settings,
) -> Result<Option<(UnixListener, socket::SocketFile)>, StartError> {
    let Some(wanted) = &settings.listen.control else { return Ok(None) };
    match socket::bind(&wanted.path) {
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
    addresses
        .iter()
        .map(|address| network.bind(*address).map_err(|error| StartError::Bind { address: *address, error }))
        .collect()
}

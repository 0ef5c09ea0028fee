//! Connects to one of the addresses of a target, within the limit for each address.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::oneshot;

use super::{
    Attempt, Goal,
    budget::Budget,
    race::{Entrant, Point},
};
use crate::{
    dial::{dial_limit, error::AttemptError},
    observe::metrics::Phase,
};
use net::{address, happy_eyeballs, network::Socket};

/// An open TCP connection.
pub(super) struct Connected {
    pub(super) socket: Socket,
    /// Held until the attempt is done with the connection. `None` without a limit.
    pub(super) permit: Option<dial_limit::DialPermit>,
}

/// Addresses that could not be connected to.
type Failed = Vec<(SocketAddr, happy_eyeballs::ConnectError)>;

/// The reason why an address was not connected to.
enum OpenError {
    /// The limit of the address is reached.
    Full,
    /// A limit of the attempt is reached.
    Spent,
    /// There will be no permit for the address.
    /// In a box, as the list of errors is kept while the attempt waits.
    Denied(Box<AttemptError>),
    /// The connection failed.
    Failed(happy_eyeballs::ConnectError),
}

impl<G: Goal> Attempt<G> {
    /// Connects to one of `addresses`. They race, except for those whose limit is reached: these come last,
    /// one by one. Also returns the addresses that failed.
    ///
    /// # Errors
    /// No address was tried, as there are too many attempts.
    pub(super) async fn connect_any(
        &self,
        addresses: &[SocketAddr],
        share: &Budget,
        entrant: &Entrant,
    ) -> Result<(Option<Connected>, Failed), AttemptError> {
        let (began, waited) = (clock::now(), share.waited());
        let connecting = addresses.first().copied().map(Point::Connecting);
        connecting.into_iter().for_each(|point| entrant.reach(point));
        let (mut connected, mut errors) =
            happy_eyeballs::race(addresses, |address| self.open(address, None, share)).await;
        let full: Vec<SocketAddr> =
            errors.iter().filter(|(_, error)| matches!(error, OpenError::Full)).map(|(at, _)| *at).collect();
        for address in full {
            if connected.is_some() || share.is_spent() {
                break;
            }
            match self.open(address, Some(entrant), share).await {
                Ok(opened) => connected = Some(opened),
                Err(error) => errors.push((address, error)),
            }
        }
        let waited = share.waited().saturating_sub(waited);
        self.count(Phase::Connect, began + waited);

        let (mut failed, mut denied) = (Vec::new(), None);
        for (address, error) in errors {
            match error {
                OpenError::Failed(failure) => failed.push((address, failure)),
                OpenError::Denied(error) => denied = Some(*error),
                OpenError::Full | OpenError::Spent => {}
            }
        }
        match denied {
            Some(denied) if connected.is_none() && failed.is_empty() => Err(denied),
            _ => Ok((connected, failed)),
        }
    }

    /// Connects to `address`. `waiting` is the visit that waits for a permit if the limit is reached.
    async fn open(
        &self,
        address: SocketAddr,
        waiting: Option<&Entrant>,
        share: &Budget,
    ) -> Result<Connected, OpenError> {
        // Without a route nothing is sent, so this uses up no connection of a limited budget.
        if share.is_limited() && !self.dialer.network.has_route_to(address) {
            return Err(OpenError::Failed(happy_eyeballs::ConnectError::Unreachable));
        }
        let permit = match waiting {
            Some(entrant) => {
                let began = clock::now();
                let permit = self.wait_for_permit(address.ip(), entrant).await;
                share.add_wait(clock::since(began));
                entrant.reach(Point::Connecting(address));
                permit?
            }
            None => self.permit(address.ip(), false).await?,
        };
        if !share.try_take_connection() {
            return Err(OpenError::Spent);
        }
        let within = self.remote.connect_timeout.min(share.time_left());
        // In a box that exists from here on, as many attempts wait for a permit.
        let socket = Box::pin(happy_eyeballs::open(&self.dialer.network, address, within)).await;
        Ok(Connected { socket: socket.map_err(OpenError::Failed)?, permit })
    }

    /// Waits for a permit.
    async fn wait_for_permit(
        &self,
        address: IpAddr,
        entrant: &Entrant,
    ) -> Result<Option<dial_limit::DialPermit>, OpenError> {
        entrant.wait_begins();
        let permit = self.permit(address, true).await;
        entrant.wait_ended();
        permit
    }

    /// Requests a permit.
    async fn permit(
        &self,
        address: IpAddr,
        waits: bool,
    ) -> Result<Option<dial_limit::DialPermit>, OpenError> {
        let Some(limit) = &self.dialer.dial_limit else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let request = dial_limit::Acquire { address, purpose: G::PURPOSE, waits, answer };
        if limit.tell(request).is_err() {
            return Err(OpenError::Denied(Box::new(AttemptError::Overloaded)));
        }
        match answered.await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(dial_limit::Full)) if waits => {
                Err(OpenError::Denied(Box::new(AttemptError::Crowded(address))))
            }
            Ok(Err(dial_limit::Full)) => Err(OpenError::Full),
            Err(_) => Err(OpenError::Denied(Box::new(AttemptError::Crashed))),
        }
    }
}

/// The addresses to which an attempt may connect: without `local_scope` no loopback and no link-local ones.
///
/// # Errors
/// None is left; this is the first of the others.
pub(super) fn allowed(
    mut addresses: Vec<SocketAddr>,
    local_scope: bool,
) -> Result<Vec<SocketAddr>, SocketAddr> {
    if !local_scope {
        let first = addresses.iter().copied().find(|address| address::is_local_scope(address.ip()));
        addresses.retain(|address| !address::is_local_scope(address.ip()));
        if let Some(first) = first.filter(|_| addresses.is_empty()) {
            return Err(first);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 5269)).collect()
    }

    #[test]
    fn a_verification_for_a_distant_peer_connects_to_no_loopback_or_link_local_address() {
        let near =
            ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "0.0.0.0", "::"];
        for address in near {
            let address = addresses(&[address]);
            assert_eq!(allowed(address.clone(), false), Err(address[0]));
        }
        let far = ["192.0.2.7", "2001:db8::7", "10.1.2.3", "fd00::7"];
        assert_eq!(allowed(addresses(&far), false).unwrap(), addresses(&far));
        let mixed = [&near[..], &far].concat();
        assert_eq!(allowed(addresses(&mixed), false).unwrap(), addresses(&far));
    }

    #[test]
    fn a_session_or_a_peer_on_this_machine_may_use_any_address() {
        let all = ["127.0.0.1", "fe80::1", "192.0.2.7"];
        assert_eq!(allowed(addresses(&all), true).unwrap(), addresses(&all));
        // The site of an IPv6 address is its /64 network.
        for site in ["127.0.0.1", "::1", "fe80::1"].map(|ip| net::address::site(ip.parse().unwrap())) {
            assert!(address::is_local_scope(site), "{site}");
        }
        for site in ["192.0.2.7", "2001:db8::7", "10.1.2.3"].map(|ip| net::address::site(ip.parse().unwrap()))
        {
            assert!(!address::is_local_scope(site), "{site}");
        }
    }
}

//! From the addresses of a target to a connection to one of them, past the gate.

use std::net::{IpAddr, SocketAddr};

use tokio::{net::TcpStream, sync::oneshot};

use super::{Attempt, Budget, Purpose};
use crate::{
    dial::{dial_limit, failure::Failure},
    observe::metrics::Phase,
};
use net::happy_eyeballs;

/// A connection that stands.
pub(super) struct Way {
    pub(super) socket: TcpStream,
    /// Held until the connection has served its purpose, or not.
    pub(super) pass: Option<dial_limit::DialPermit>,
}

/// Why an address did not become the way.
enum Miss {
    /// The gate has no room for it now.
    Crowded,
    /// The attempt has made all the connections that it may make.
    Spent,
    /// The gate will have none for it.
    Barred(Failure),
    /// It did not answer.
    Failed(happy_eyeballs::Failure),
}

impl Attempt {
    /// Connects to one of the addresses. They are raced, but for those to which so many connect already: these come
    /// last, one by one. Gives those that failed, too.
    pub(super) async fn find_way(
        &self,
        addresses: &[SocketAddr],
        share: &Budget,
    ) -> Result<(Option<Way>, Vec<(SocketAddr, happy_eyeballs::Failure)>), Failure> {
        let (began, waited) = (clock::now(), share.waited());
        let (mut way, mut missed) =
            happy_eyeballs::race(addresses, |address| self.open(address, false, share)).await;
        let crowded =
            |(address, miss): &(SocketAddr, Miss)| matches!(miss, Miss::Crowded).then_some(*address);
        let crowded: Vec<SocketAddr> = missed.iter().filter_map(crowded).collect();
        for address in crowded {
            if way.is_some() || share.is_spent() {
                break;
            }
            match self.open(address, true, share).await {
                Ok(found) => way = Some(found),
                Err(miss) => missed.push((address, miss)),
            }
        }
        let waited = share.waited().saturating_sub(waited);
        self.count(Phase::Connect, began + waited);

        let (mut failed, mut barred) = (Vec::new(), None);
        for (address, miss) in missed {
            match miss {
                Miss::Failed(failure) => failed.push((address, failure)),
                Miss::Barred(failure) => barred = Some(failure),
                Miss::Crowded | Miss::Spent => {}
            }
        }
        match barred {
            Some(barred) if way.is_none() && failed.is_empty() => Err(barred),
            _ => Ok((way, failed)),
        }
    }

    async fn open(&self, address: SocketAddr, waits: bool, share: &Budget) -> Result<Way, Miss> {
        // What no way leads to costs no connection.
        if !happy_eyeballs::has_way_to(address) {
            return Err(Miss::Failed(happy_eyeballs::Failure::Unreachable));
        }
        let began = clock::now();
        let entered = self.enter(address.ip(), waits).await;
        if waits {
            share.wait(clock::since(began));
        }
        let pass = entered?;
        if !share.connect() {
            return Err(Miss::Spent);
        }
        let within = self.remote.connect_timeout.min(share.time_left());
        let socket = happy_eyeballs::open(address, within).await.map_err(Miss::Failed)?;
        Ok(Way { socket, pass })
    }

    /// Asks the gate to let us connect.
    async fn enter(&self, address: IpAddr, waits: bool) -> Result<Option<dial_limit::DialPermit>, Miss> {
        let Some(gate) = &self.gate else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let purpose = match self.purpose {
            Purpose::Session => dial_limit::Purpose::Session(self.pair.clone()),
            Purpose::Verify(_) => dial_limit::Purpose::Verification,
        };
        if gate.tell(dial_limit::Acquire { address, purpose, waits, answer }).is_err() {
            return Err(Miss::Barred(Failure::Overloaded));
        }
        match answered.await {
            Ok(Ok(pass)) => Ok(Some(pass)),
            Ok(Err(dial_limit::Full)) if waits => Err(Miss::Barred(Failure::Crowded(address))),
            Ok(Err(dial_limit::Full)) => Err(Miss::Crowded),
            Err(_) => Err(Miss::Barred(Failure::Crashed)),
        }
    }
}

/// The places that an attempt may connect to: without `near` none that has a meaning only on this machine or its link.
///
/// # Errors
///
/// There is no other than this.
pub(super) fn within_reach(mut places: Vec<SocketAddr>, near: bool) -> Result<Vec<SocketAddr>, SocketAddr> {
    if !near {
        let first = places.iter().copied().find(|place| happy_eyeballs::is_near(place.ip()));
        places.retain(|place| !happy_eyeballs::is_near(place.ip()));
        if let Some(first) = first.filter(|_| places.is_empty()) {
            return Err(first);
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 5269)).collect()
    }

    #[test]
    fn a_peer_from_elsewhere_has_nothing_connected_to_on_this_machine_or_its_link() {
        let near =
            ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "0.0.0.0", "::"];
        for address in near {
            let refused = within_reach(places(&[address]), false);
            assert_eq!(refused, Err(places(&[address])[0]));
        }
        let far = ["192.0.2.7", "2001:db8::7", "10.1.2.3", "fd00::7"];
        assert_eq!(within_reach(places(&far), false).unwrap(), places(&far));
        let mixed = [&near[..], &far].concat();
        assert_eq!(within_reach(places(&mixed), false).unwrap(), places(&far));
    }

    #[test]
    fn the_node_itself_and_a_peer_from_this_machine_may_go_anywhere() {
        let all = ["127.0.0.1", "fe80::1", "192.0.2.7"];
        assert_eq!(within_reach(places(&all), true).unwrap(), places(&all));
        // The site of an IPv6 address is its network.
        for site in ["127.0.0.1", "::1", "fe80::1"].map(|ip| net::site::site(ip.parse().unwrap())) {
            assert!(happy_eyeballs::is_near(site), "{site}");
        }
        for site in ["192.0.2.7", "2001:db8::7", "10.1.2.3"].map(|ip| net::site::site(ip.parse().unwrap())) {
            assert!(!happy_eyeballs::is_near(site), "{site}");
        }
    }
}

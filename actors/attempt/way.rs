//! From the addresses of a target to a connection to one of them, past the gate.

use std::net::{IpAddr, SocketAddr};

use tokio::{net::TcpStream, sync::oneshot};
use xmpp::stream::initiating::Purpose;

use super::{Allowance, Attempt};
use crate::{clock, connect, failure::Failure, gate, metrics::Phase};

/// A connection that stands.
pub(super) struct Way {
    pub(super) socket: TcpStream,
    /// Held until the connection has served its purpose, or not.
    pub(super) pass: Option<gate::Pass>,
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
    Failed(connect::Failure),
}

impl Attempt {
    /// Connects to one of the addresses. They are raced, but for those to which so many connect already: these come
    /// last, one by one. Gives those that failed, too.
    pub(super) async fn find_way(
        &self,
        addresses: &[SocketAddr],
        share: &Allowance,
    ) -> Result<(Option<Way>, Vec<(SocketAddr, connect::Failure)>), Failure> {
        let (began, waited) = (clock::now(), share.waited());
        let (mut way, mut missed) =
            connect::race(addresses, |address| self.open(address, false, share)).await;
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

    async fn open(&self, address: SocketAddr, waits: bool, share: &Allowance) -> Result<Way, Miss> {
        // What no way leads to costs no connection.
        if !connect::has_way_to(address) {
            return Err(Miss::Failed(connect::Failure::Unreachable));
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
        let socket = connect::open(address, within).await.map_err(Miss::Failed)?;
        Ok(Way { socket, pass })
    }

    /// Asks the gate to let us connect.
    async fn enter(&self, address: IpAddr, waits: bool) -> Result<Option<gate::Pass>, Miss> {
        let Some(gate) = &self.gate else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let purpose = match self.purpose {
            Purpose::Session => gate::Purpose::Session(self.pair.clone()),
            Purpose::Verify(_) => gate::Purpose::Verification,
        };
        if gate.tell(gate::Enter { address, purpose, waits, answer }).is_err() {
            return Err(Miss::Barred(Failure::Overloaded));
        }
        match answered.await {
            Ok(Ok(pass)) => Ok(Some(pass)),
            Ok(Err(gate::Full)) if waits => Err(Miss::Barred(Failure::Crowded(address))),
            Ok(Err(gate::Full)) => Err(Miss::Crowded),
            Err(_) => Err(Miss::Barred(Failure::Crashed)),
        }
    }
}

//! Asks the DNS for everybody, so that there is one cache and one limit.

use std::{net::IpAddr, sync::Arc};

use actix::{Actor, Context, Handler};
use tokio::sync::{Semaphore, oneshot};
use xmpp::Domain;

use crate::{
    dns::{Dns, Failure, Target},
    mailbox::{Meter, Queued},
};

/// Find the servers of a domain, best first.
#[derive(Debug)]
pub struct Resolve {
    /// The remote domain.
    pub domain: Domain,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Vec<Target>, Failure>>,
}

/// Find the addresses of a host.
#[derive(Debug)]
pub struct Locate {
    /// A name or an IP literal.
    pub host: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Vec<IpAddr>, Failure>>,
}

/// Ask these name servers from now on.
pub struct Adopt {
    /// With a cache of its own.
    pub dns: Dns,
}

/// The actor that owns the DNS and its cache.
pub struct Resolver {
    dns: Dns,
    turns: Arc<Semaphore>,
    meter: Arc<Meter>,
}

impl Resolver {
    /// A resolver over `dns`.
    pub fn new(dns: Dns, meter: Arc<Meter>) -> Self {
        Self { dns, turns: Arc::new(Semaphore::new(AT_ONCE)), meter }
    }
}

impl Actor for Resolver {
    type Context = Context<Self>;
}

impl Handler<Queued<Resolve>> for Resolver {
    type Result = ();

    fn handle(&mut self, resolve: Queued<Resolve>, _: &mut Context<Self>) {
        let Resolve { domain, answer } = resolve.open();
        let (dns, turns) = (self.dns.clone(), Arc::clone(&self.turns));
        actix_rt::spawn(async move {
            let _turn = turns.acquire().await;
            // Whoever asked may have given up; then nobody wants the answer.
            if !answer.is_closed() {
                let _ = answer.send(dns.service(&domain).await);
            }
        });
    }
}

impl Handler<Queued<Locate>> for Resolver {
    type Result = ();

    fn handle(&mut self, locate: Queued<Locate>, _: &mut Context<Self>) {
        let Locate { host, answer } = locate.open();
        let (dns, turns) = (self.dns.clone(), Arc::clone(&self.turns));
        actix_rt::spawn(async move {
            let _turn = turns.acquire().await;
            if !answer.is_closed() {
                let _ = answer.send(dns.addresses(&host).await);
            }
        });
    }
}

impl Handler<Queued<Adopt>> for Resolver {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.dns = adopt.open().dns;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// Questions under way at once. More would only queue at the name server, and each costs a socket.
const AT_ONCE: usize = 256;

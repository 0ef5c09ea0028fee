//! Tests of lookups against a scripted DNS server on loopback.

mod addresses;
mod failures;
mod service;

use trust_dns_resolver::proto::op::ResponseCode;

use testkit::dns::{
    Reply::{self, Code, Garbage, Late, NoData, NoName, Silence},
    Server, a, aaaa, alias, answer, cname, srv,
};

use super::*;

/// Short, since some tests wait for it; long enough for answers on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(2400);

fn dns(server: &Server) -> Dns {
    Dns::new(&Settings { nameservers: vec![server.address()], timeout: TIMEOUT }, &Network::System).unwrap()
}

fn domain() -> Domain {
    Domain::new("b.example").unwrap()
}

/// The targets of `b.example`, written as `priority weight host:port`, with `tls` behind those of direct TLS.
async fn targets(dns: &Dns) -> Result<Vec<String>, LookupError> {
    let targets = dns.service(&domain()).await?;
    Ok(targets
        .iter()
        .map(|target| {
            let kind = if target.direct_tls { " tls" } else { "" };
            format!("{} {} {target}{kind}", target.priority, target.weight)
        })
        .collect())
}

fn question(name: &str, kind: &'static str) -> Question {
    Question { name: name.to_owned(), kind }
}

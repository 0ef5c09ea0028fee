//! `nuncio demo`: two nodes in one process exchange messages. With `--cluster`, two nodes serve one domain.
//!
//! The nodes and the sockets between them are real. A certificate authority, a name server and a component
//! for each node are part of the demo.

mod broker;
mod cluster;
mod component;
mod member;
mod timeline;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use testkit::{Authority, Dns};
use xmpp::{
    Domain,
    xml::{Element, ns},
};

use crate::{config, output};
use actors::{
    Node,
    settings::{Identity, Settings, Trust},
};
use component::Component;
use timeline::{Timeline, print};

/// Arguments of `demo`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Shows two nodes of a cluster: one link for both, a component that moves between them, and a node that stops.
    /// Starts nats-server, which must be installed, on a free port of 127.0.0.1; NUNCIO_NATS sets another path
    #[arg(long)]
    cluster: bool,
}

/// Runs the demo. It succeeds if two messages arrive and the third is returned with an error.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.cluster {
        return cluster::run();
    }
    Timeline::install(&[]);
    let end = "\nBoth messages arrived, and the third was returned with an error that gives the reason.\n";
    conclude(play(), TIMEOUT, end)
}

/// Plays to the end, within a time limit, and prints how it ended.
fn conclude(play: impl Future<Output = Result<(), Box<dyn Error>>>, limit: Duration, end: &str) -> ExitCode {
    let outcome = actix_rt::System::new().block_on(async { tokio::time::timeout(limit, play).await });
    match outcome.unwrap_or_else(|_| Err(format!("timed out after {} s", limit.as_secs()).into())) {
        Ok(()) => output::print(end, ExitCode::SUCCESS),
        Err(error) => {
            print(&format!("\nThe demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), Box<dyn Error>> {
    print(&format!(
        "Two nodes, {MONTAGUE} and {CAPULET}, in one process; real sockets on 127.0.0.1 between them.\n"
    ));
    let authority = Authority::new("authority of the Nuncio demo")?;
    let dns = Dns::start((Ipv4Addr::LOCALHOST, 0).into())?;
    let (montague, mut romeo) = start(MONTAGUE, &authority, &dns).await?;
    let (capulet, mut juliet) = start(CAPULET, &authority, &dns).await?;

    print("\nRomeo writes to Juliet. There is no link yet, so the node opens one.\n");
    send(&mut romeo, ROMEO, JULIET, "But, soft! what light through yonder window breaks?").await?;
    receive(&mut juliet, ROMEO, JULIET).await?;

    print("\nJuliet answers. A link carries stanzas in one direction, so her node opens another one.\n");
    send(&mut juliet, JULIET, ROMEO, "O Romeo, Romeo! wherefore art thou Romeo?").await?;
    receive(&mut romeo, JULIET, ROMEO).await?;

    print("\nThe friar writes to Mantua, a domain that is not in the DNS.\n");
    send(&mut juliet, FRIAR, MANTUA, "I will write again to Mantua.").await?;
    receive_error(&mut juliet, MANTUA, FRIAR).await?;

    print("\nThe links are closed, as `nuncio close` does, and both nodes stop.\n");
    // Each node closes its link before it stops, so that no stanza in transit is uncertain.
    tokio::join!(
        montague.close_links(Domain::new(CAPULET)?, CLOSES_WITHIN),
        capulet.close_links(Domain::new(MONTAGUE)?, CLOSES_WITHIN)
    );
    tokio::join!(montague.drain(), capulet.drain(), romeo.wait_for_close(), juliet.wait_for_close());
    Ok(())
}

/// Starts a node for `domain`, adds it to the DNS, and connects its component.
async fn start(domain: &str, authority: &Authority, dns: &Dns) -> Result<(Node, Component), Box<dyn Error>> {
    let identity = authority.certificate(&[domain]).sign()?;
    let node = Node::start(settings(domain, identity, authority, dns.address(), "")?).await?;
    let addresses = node.addresses();
    let port =
        |kind| addresses.iter().find(|(known, _)| *known == kind).and_then(|(_, address)| address.tcp());
    let (servers, components) = (port("s2s").ok_or("no port")?, port("component").ok_or("no port")?);
    publish(dns, domain, 0, servers);
    let component = Component::connect(components, domain, SECRET).await?;
    log::info!(target: LOG, pair = domain, servers:%, components:%; "ready");
    Ok((node, component))
}

/// Adds a node that serves `domain` to the DNS.
fn publish(dns: &Dns, domain: &str, priority: u16, servers: SocketAddr) {
    let host = format!("xmpp.{domain}");
    dns.srv(&format!("_xmpp-server._tcp.{domain}"), priority, 0, servers.port(), &host);
    dns.a(&host, Ipv4Addr::LOCALHOST);
}

/// The settings of a node: a configuration as an operator writes it, with certificates that are not in files. `sections`
/// comes after the other sections.
fn settings(
    domain: &str,
    identity: testkit::Identity,
    authority: &Authority,
    nameserver: SocketAddr,
    sections: &str,
) -> Result<Settings, Box<dyn Error>> {
    let toml = format!(
        r#"
        log_mailboxes = "0s"
        workers = 1

        [listen]
        s2s = ["127.0.0.1:0"]
        component = ["127.0.0.1:0"]
        control = ""

        [[domain]]
        name = "{domain}"

        [[component]]
        name = "{domain}"
        secret = "{SECRET}"

        [dns]
        nameservers = ["{nameserver}"]

        {sections}
        "#
    );
    let config = config::parse(Path::new("demo"), &toml);
    let mut settings =
        config.map_err(|findings| findings.iter().map(ToString::to_string).collect::<String>())?.settings;
    let testkit::Identity { chain, key, .. } = identity;
    let identity = Some(Identity { chain, key });
    settings.components.iter_mut().for_each(|component| component.identity.clone_from(&identity));
    settings.domains.iter_mut().for_each(|domain| domain.identity.clone_from(&identity));
    settings.trust = vec![Trust::Authorities(vec![authority.own().clone()])];
    Ok(settings)
}

async fn send(component: &mut Component, from: &str, to: &str, text: &str) -> Result<(), Box<dyn Error>> {
    log::info!(target: LOG, pair:% = pair(from, to), text; "sent");
    Ok(component.send_message(from, to, text).await?)
}

/// Waits for the next message, which must be the one that was sent.
async fn receive(component: &mut Component, from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let message = component.stanza().await?;
    let addressed = message.attribute("from") == Some(from) && message.attribute("to") == Some(to);
    let body = message.child("body", ns::COMPONENT).map(Element::text).unwrap_or_default();
    if !addressed || message.attribute("type") != Some("chat") {
        return Err(format!("expected the message from {from} to {to}, got {message:?}").into());
    }
    log::info!(target: LOG, pair:% = pair(to, from), text = body.as_str(); "delivered");
    Ok(())
}

/// Waits for the error that answers a message from `to` to `from`.
async fn receive_error(component: &mut Component, from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let message = component.stanza().await?;
    let error = message.child("error", ns::COMPONENT).filter(|_| message.attribute("type") == Some("error"));
    let (Some(error), Some(_)) = (error, message.attribute("from").filter(|sender| *sender == from)) else {
        return Err(format!("expected an error from {from}, got {message:?}").into());
    };
    let is_text = |element: &&Element| element.is("text", ns::STANZA_ERRORS);
    let text = error.elements().find(is_text).map(Element::text).unwrap_or_default();
    let condition =
        error.elements().find(|element| !is_text(element)).map_or("", |element| element.name.as_str());
    log::info!(target: LOG, pair:% = pair(to, from), condition, text = text.as_str(); "bounced");
    if condition == "remote-server-not-found" {
        Ok(())
    } else {
        Err(format!("expected the error remote-server-not-found, got {condition}").into())
    }
}

/// The domains of two addresses in the form of a pair in the log.
fn pair(local: &str, remote: &str) -> String {
    let domain = |address: &str| address.split_once('@').map_or(address, |(_, domain)| domain).to_owned();
    format!("{} > {}", domain(local), domain(remote))
}

const MONTAGUE: &str = "montague.example";
const CAPULET: &str = "capulet.example";
const ROMEO: &str = "romeo@montague.example";
const JULIET: &str = "juliet@capulet.example";
const FRIAR: &str = "friar@capulet.example";
const MANTUA: &str = "romeo@mantua.example";

/// The secret of each component.
const SECRET: &str = "o, be some other name";

const LOG: &str = "nuncio::demo";

/// Time for the other node to answer a closing tag.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// Limit for the whole demo, which takes less than a second.
const TIMEOUT: Duration = Duration::from_secs(30);

//! `nuncio demo`: two nodes in one process, a message each way, and one to a domain that does not exist.
//!
//! Nothing is staged but the world around the nodes: a certificate authority, a name server, and a program on
//! each side that serves a domain. The nodes are real, and so are the sockets between them.

mod program;
mod screen;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

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
use program::Program;
use screen::{Screen, tell};

/// Plays it; fails unless both messages arrived and the third came back.
pub(crate) fn run() -> ExitCode {
    Screen::raise();
    let played = actix_rt::System::new().block_on(async { tokio::time::timeout(PATIENCE, play()).await });
    match played.unwrap_or_else(|_| Err(format!("nothing came for {} s", PATIENCE.as_secs()).into())) {
        Ok(()) => {
            let end = "\nBoth messages arrived, and the third came back with its reason.\n";
            output::print(end, ExitCode::SUCCESS)
        }
        Err(error) => {
            tell(&format!("\nThe demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), Box<dyn Error>> {
    tell(&format!(
        "Two nodes, {MONTAGUE} and {CAPULET}, in one process; real sockets on 127.0.0.1 between them.\n"
    ));
    let authority = Authority::new("authority of the Nuncio demo")?;
    let dns = Dns::start((Ipv4Addr::LOCALHOST, 0).into())?;
    let (montague, mut romeo) = house(MONTAGUE, &authority, &dns).await?;
    let (capulet, mut juliet) = house(CAPULET, &authority, &dns).await?;

    tell("\nRomeo writes to Juliet. There is no link yet.\n");
    send(&mut romeo, ROMEO, JULIET, "But, soft! what light through yonder window breaks?").await?;
    receive(&mut juliet, ROMEO, JULIET).await?;

    tell("\nJuliet answers. A link carries stanzas one way, so hers is made now.\n");
    send(&mut juliet, JULIET, ROMEO, "O Romeo, Romeo! wherefore art thou Romeo?").await?;
    receive(&mut romeo, JULIET, ROMEO).await?;

    tell("\nThe friar writes to Mantua, which is not in the DNS.\n");
    send(&mut juliet, FRIAR, MANTUA, "I will write again to Mantua.").await?;
    take_back(&mut juliet, MANTUA, FRIAR).await?;

    tell("\nThe curtain falls: both nodes flush their links and say goodbye.\n");
    // With their links closed, neither node leaves the other in doubt about stanzas in transit.
    tokio::join!(
        montague.close_links(Domain::new(CAPULET)?, CLOSES_WITHIN),
        capulet.close_links(Domain::new(MONTAGUE)?, CLOSES_WITHIN)
    );
    tokio::join!(montague.drain(), capulet.drain(), romeo.leave(), juliet.leave());
    Ok(())
}

/// Starts the node of `domain`, makes it known, and connects the program that serves it.
async fn house(domain: &str, authority: &Authority, dns: &Dns) -> Result<(Node, Program), Box<dyn Error>> {
    let node = Node::start(settings(domain, authority, dns.address())?).await?;
    let addresses = node.addresses();
    let port = |kind| addresses.iter().find(|(known, _)| *known == kind).map(|(_, address)| *address);
    let (servers, components) = (port("s2s").ok_or("no port")?, port("component").ok_or("no port")?);
    let host = format!("xmpp.{domain}");
    dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, servers.port(), &host);
    dns.a(&host, Ipv4Addr::LOCALHOST);
    let program = Program::connect(components, domain, SECRET).await?;
    log::info!(target: LOG, pair = domain, servers:%, components:%; "ready");
    Ok((node, program))
}

/// What an operator would write for it, but for the certificates, which are in no file.
fn settings(domain: &str, authority: &Authority, nameserver: SocketAddr) -> Result<Settings, Box<dyn Error>> {
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
        "#
    );
    let config = config::parse(Path::new("demo"), &toml);
    let mut settings =
        config.map_err(|findings| findings.iter().map(ToString::to_string).collect::<String>())?.settings;
    let testkit::Identity { chain, key, .. } = authority.certificate(&[domain]).sign()?;
    let identity = Some(Identity { chain, key });
    settings.components.iter_mut().for_each(|component| component.identity.clone_from(&identity));
    settings.domains.iter_mut().for_each(|domain| domain.identity.clone_from(&identity));
    settings.trust = vec![Trust::Authorities(vec![authority.own().clone()])];
    Ok(settings)
}

async fn send(program: &mut Program, from: &str, to: &str, text: &str) -> Result<(), Box<dyn Error>> {
    log::info!(target: LOG, pair:% = pair(from, to), text; "sent");
    Ok(program.say(from, to, text).await?)
}

/// Waits for a message, which has to be the one that was sent.
async fn receive(program: &mut Program, from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let message = program.stanza().await?;
    let addressed = message.attribute("from") == Some(from) && message.attribute("to") == Some(to);
    let body = message.child("body", ns::COMPONENT).map(Element::text).unwrap_or_default();
    if !addressed || message.attribute("type") != Some("chat") {
        return Err(format!("what came is not the message from {from} to {to}: {message:?}").into());
    }
    log::info!(target: LOG, pair:% = pair(to, from), text = body.as_str(); "delivered");
    Ok(())
}

/// Waits for the error that answers a message from `to` to `from`.
async fn take_back(program: &mut Program, from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let message = program.stanza().await?;
    let error = message.child("error", ns::COMPONENT).filter(|_| message.attribute("type") == Some("error"));
    let (Some(error), Some(_)) = (error, message.attribute("from").filter(|who| *who == from)) else {
        return Err(format!("what came is not an error from {from}: {message:?}").into());
    };
    let is_text = |element: &&Element| element.is("text", ns::STANZA_ERRORS);
    let text = error.elements().find(is_text).map(Element::text).unwrap_or_default();
    let condition =
        error.elements().find(|element| !is_text(element)).map_or("", |element| element.name.as_str());
    log::info!(target: LOG, pair:% = pair(to, from), condition, text = text.as_str(); "bounced");
    if condition == "remote-server-not-found" {
        Ok(())
    } else {
        Err(format!("the wrong error: {condition}").into())
    }
}

/// The domains of two addresses, as the nodes log a pair.
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

/// Between each node and its program; both live in this process.
const SECRET: &str = "o, be some other name";

const LOG: &str = "nuncio::demo";

/// How long the other node may take to answer a closing tag.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// All of it takes a moment; more than this and something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

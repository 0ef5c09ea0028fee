//! `nuncio demo --cluster`: two nodes serve one domain, connected by a nats-server, and a third one is another server.

use std::{error::Error, process::ExitCode, time::Duration};

use testkit::{Authority, Dns};
use xmpp::Domain;

use super::{
    CAPULET, JULIET, LOG, MONTAGUE, ROMEO, SECRET,
    broker::{Broker, USER, program},
    component::Component,
    conclude,
    member::Member,
    print, publish, receive, send, settings,
    timeline::{Label, Timeline},
};
use crate::output;
use actors::settings::ControlSocket;
use status::report::{ClusterReport, MemberState};

/// Runs the demo. It succeeds if all messages arrive, each on the way that the text says.
pub(super) fn run() -> ExitCode {
    if cfg!(not(feature = "cluster")) {
        output::print_error(format_args!("nuncio: {NOT_BUILT_IN}"));
        return ExitCode::FAILURE;
    }
    let program = match program() {
        Ok(program) => program,
        Err(missing) => {
            output::print_error(format_args!("nuncio: {missing}"));
            return ExitCode::FAILURE;
        }
    };
    let labels = [A, B, CAPULET_NODE].map(Label::new);
    Timeline::install(&labels);
    let play = async {
        print(&format!(
            "Two nodes, {A} and {B}, serve {MONTAGUE} together. {CAPULET} is another server. The message broker is\n{},",
            program.display()
        ));
        print("which runs until the demo ends. Behind the time is the node of each event.\n");
        let broker = Broker::start(&program).await?;
        log::info!(target: LOG, address:% = broker.address(); "message broker started");
        play(&broker, labels).await
    };
    conclude(play, TIMEOUT, END)
}

async fn play(broker: &Broker, [label_a, label_b, label_capulet]: [Label; 3]) -> Result<(), Box<dyn Error>> {
    let authority = Authority::new("authority of the Nuncio demo")?;
    let dns = Dns::start(([127, 0, 0, 1], 0).into())?;
    // As in a real cluster, both nodes have the same certificate.
    let identity = authority.certificate(&[MONTAGUE]).sign()?;
    let start = async |label, name| {
        let sections = cluster(broker, name);
        let mut settings = settings(MONTAGUE, identity.clone(), &authority, dns.address(), &sections)?;
        let path = broker.directory().join(format!("{name}.sock"));
        settings.listen.control = Some(ControlSocket { path, required: true });
        Member::start(label, settings).await
    };
    let a = start(label_a, A).await?;
    let b = start(label_b, B).await?;
    // Other servers connect to a first, and to b if a is not there.
    publish(&dns, MONTAGUE, 0, a.servers);
    publish(&dns, MONTAGUE, 1, b.servers);
    let identity = authority.certificate(&[CAPULET]).sign()?;
    let capulet = settings(CAPULET, identity, &authority, dns.address(), "")?;
    let capulet = Member::start(label_capulet, capulet).await?;
    publish(&dns, CAPULET, 0, capulet.servers);
    let mut juliet = Component::connect(capulet.components, CAPULET, SECRET).await?;
    print(
        "\nThe tables at the broker are new. For 6 s nothing is claimed: nodes that have links would write them down first.",
    );
    for node in [&a, &b] {
        waits(node, "knows the other node and has its lease", |cluster| {
            cluster.has_lease && cluster.nodes.iter().any(|node| node.state == MemberState::Alive)
        })
        .await?;
    }

    print(
        "\nRomeo's component connects to node a. He writes: a claims the pair of domains, and opens the link.\n",
    );
    let mut romeo = Component::connect(a.components, MONTAGUE, SECRET).await?;
    send(&mut romeo, ROMEO, JULIET, "But, soft! what light through yonder window breaks?").await?;
    receive(&mut juliet, ROMEO, JULIET).await?;

    print(
        "\nThe component moves to node b. He writes: the link is at a, so b sends the message through a.\n",
    );
    romeo.close().await;
    let mut romeo = Component::connect(b.components, MONTAGUE, SECRET).await?;
    send(&mut romeo, ROMEO, JULIET, "It is the east, and Juliet is the sun.").await?;
    receive(&mut juliet, ROMEO, JULIET).await?;
    shows_relayed(&b).await?;

    print(
        "\nJuliet answers. Her server connects to a, and the component is connected to b: a sends it there.\n",
    );
    send(&mut juliet, JULIET, ROMEO, "O Romeo, Romeo! wherefore art thou Romeo?").await?;
    receive(&mut romeo, JULIET, ROMEO).await?;

    print("\nNode a stops, as for an upgrade. It closes its links, and b notices.\n");
    a.stops().await;
    waits(&b, "has noticed that node a has stopped", |cluster| {
        cluster.nodes.iter().all(|node| node.state != MemberState::Alive)
    })
    .await?;

    print("\nRomeo writes again: now b claims the pair, and opens a link of its own.\n");
    send(&mut romeo, ROMEO, JULIET, "Call me but love, and I'll be new baptized.").await?;
    receive(&mut juliet, ROMEO, JULIET).await?;

    print("\nThe links are closed, and both nodes and the message broker stop.\n");
    tokio::join!(b.closes(Domain::new(CAPULET)?), capulet.closes(Domain::new(MONTAGUE)?));
    tokio::join!(b.stops(), capulet.stops(), romeo.wait_for_close(), juliet.wait_for_close());
    Ok(())
}

/// The sections that make a node a member of the cluster.
fn cluster(broker: &Broker, node: &str) -> String {
    let (address, password) = (broker.address(), broker.password_file());
    format!(
        r#"
        [s2s]
        dialback_secret = "{SECRET}, which both nodes have"

        [cluster]
        name = "verona"
        node = "{node}"
        servers = ["nats://{address}"]
        user = "{USER}"
        password_file = {password:?}
        "#
    )
}

/// Waits until the node reports that it is so.
async fn waits(
    node: &Member,
    what: &str,
    is_so: impl Fn(&ClusterReport) -> bool,
) -> Result<(), Box<dyn Error>> {
    let looks = async {
        while !is_so(&node.cluster().await?) {
            tokio::time::sleep(LOOKS).await;
        }
        Ok(())
    };
    let limit = |_| format!("not within {} s: a node {what}", WAIT.as_secs());
    tokio::time::timeout(WAIT, looks).await.map_err(limit)?
}

/// Waits until the other node has reported that it has written the message to its link.
async fn shows_relayed(node: &Member) -> Result<(), Box<dyn Error>> {
    let looks = async {
        loop {
            match node.relayed().await {
                0 => tokio::time::sleep(LOOKS).await,
                relayed => return relayed,
            }
        }
    };
    let limit = |_| format!("not within {} s: node a has written the message of node b", WAIT.as_secs());
    let relayed = tokio::time::timeout(WAIT, looks).await.map_err(limit)?;
    log::info!(target: LOG, pair:% = super::pair(ROMEO, JULIET), through_node = A, messages = relayed; "relayed");
    Ok(())
}

/// The nodes of the cluster.
const A: &str = "a";
const B: &str = "b";

/// The label of the other server.
const CAPULET_NODE: &str = "capulet";

const END: &str = "\nAll messages arrived: over the link of node a from both nodes, and over that of node b when a was gone.\n\
                   docs/cluster.md describes how to set up a cluster.\n";

const NOT_BUILT_IN: &str = "this program was built without the feature `cluster`: build it with `cargo build --features \
                            cluster` to see two nodes of a cluster";

/// For a node to join and to get its lease: two beats at most when the tables are new, 6 s.
const WAIT: Duration = Duration::from_secs(30);

/// Time between looks.
const LOOKS: Duration = Duration::from_millis(20);

/// Limit for the whole demo, which takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(90);

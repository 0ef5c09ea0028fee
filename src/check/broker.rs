//! Checks whether the message broker of the cluster serves this node, and whether the other nodes agree with it. Changes
//! nothing at the broker.

use tokio::runtime;

use crate::config::{
    finding::{Finding, Message, Severity},
    source::Source,
};
use actors::{
    ClusterError,
    cluster_check::{self, Access, Examined, Fault, Running, ShortPayload, Stage},
    settings::{Cluster, HostPort, Settings},
};

/// Adds a finding if this program cannot connect to a broker.
pub(super) fn check_program(source: &Source, settings: &Settings) {
    if settings.cluster.is_some() && cfg!(not(feature = "cluster")) {
        add(source, "cluster.name", Severity::Problem, ClusterError::NotBuiltIn.to_string().into());
    }
}

/// Connects to each server of the broker, and adds findings. `is_this_node` tells whether the node with this name in the
/// cluster is the one that runs with this configuration.
pub(super) fn check(source: &Source, settings: &Settings, is_this_node: impl Fn(&Cluster) -> bool) {
    let Some(cluster) = &settings.cluster else { return };
    // What is wrong in the file is not tried.
    if source
        .findings()
        .iter()
        .any(|finding: &Finding| finding.is_error() && finding.is_in_section("cluster"))
    {
        return;
    }
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else { return };
    let checked = match runtime.block_on(cluster_check::check(settings)) {
        Ok(checked) => checked,
        Err(error) => return add(source, "cluster.name", Severity::Problem, error.to_string().into()),
    };
    for (number, Examined { server, faults, short_payload, .. }) in checked.iter().enumerate() {
        for fault in faults {
            let (key, severity, message) = explain(fault, server, cluster);
            match key {
                SERVERS => add_at(source, number, severity, message),
                key => add(source, key, severity, message),
            }
        }
        if let Some(ShortPayload { limit, needed }) = short_payload {
            let text = format!(
                "{}: max_payload is {limit} bytes, and the stanzas that this node accepts need {needed}: longer ones do not \
                 reach other nodes",
                at(server)
            );
            let help = format!("set max_payload of nats-server to {needed} or more, or lower max_stanza");
            add_at(source, number, Severity::Flaw, Message::with_help(text, help));
        }
    }
    let mut running: Vec<&Running> = checked.iter().flat_map(|examined| &examined.running).collect();
    running.sort_by(|a, b| a.name.cmp(&b.name));
    running.dedup_by(|a, b| a.name == b.name);
    for node in running {
        compare(source, node, cluster, &is_this_node);
    }
}

/// Adds findings about another node.
fn compare(source: &Source, node: &Running, cluster: &Cluster, is_this_node: &impl Fn(&Cluster) -> bool) {
    let Running { name, has_other_secret, other_names, process } = node;
    if *name == cluster.node {
        if !is_this_node(cluster) {
            let process = process.as_ref().map_or_else(String::new, |process| format!(": {process}"));
            let text =
                format!("another node runs under the name {name} in the cluster {}{process}", cluster.name);
            let help = "give each node a name of its own. If it was this node, which has just been killed, check again when \
                        cluster.lease is over";
            add(source, "cluster.node", Severity::Warning, Message::with_help(text, help));
        }
        return;
    }
    if *has_other_secret {
        let text = format!("s2s.dialback_secret differs from that of the running node {name}");
        let help = "set the same value on all nodes: each one verifies the dialback keys of the others";
        add(source, "cluster.name", Severity::Warning, Message::with_help(text, help));
    }
    if let Some(difference) = other_names {
        let text =
            format!("the domains and components differ from those of the running node {name}: {difference}");
        let help = "set the same [[domain]] and [[component]] names on all nodes: a domain that only some serve is not \
                    reached from the others";
        add(source, "cluster.name", Severity::Warning, Message::with_help(text, help));
    }
}

/// The key that a fault is about, how bad it is, and what to do.
fn explain(fault: &Fault, server: &HostPort, cluster: &Cluster) -> (&'static str, Severity, Message) {
    let at = at(server);
    match fault {
        Fault::Unreachable(error) => {
            let text = format!("{at} cannot be reached: {error}");
            (SERVERS, Severity::Warning, Message::with_help(text, START))
        }
        Fault::NotNats => {
            let text = format!("{at} is not a nats-server: it speaks another protocol");
            (
                SERVERS,
                Severity::Flaw,
                Message::with_help(text, "set the address at which nats-server listens"),
            )
        }
        Fault::Silent(stage) => {
            let text = format!("{at} does not answer in time: {}", asked(*stage));
            (SERVERS, Severity::Warning, Message::with_help(text, remedy(*stage)))
        }
        Fault::Tls => {
            let text = format!("{at} demands TLS, and this version connects to the broker without TLS");
            let help = "run a nats-server on this machine, which listens on 127.0.0.1 without TLS and connects to the \
                        other servers with TLS";
            (SERVERS, Severity::Flaw, Message::with_help(text, help))
        }
        Fault::Login => login(&at, cluster),
        Fault::Refused(error) => {
            let text = format!("{at} ends the connection: {error}");
            (SERVERS, Severity::Flaw, Message::with_help(text, "the log of nats-server has the reason"))
        }
        Fault::TooOld(version) => {
            let text = format!("{at} has version {version} of nats-server, and a node needs 2.9 or newer");
            (SERVERS, Severity::Flaw, Message::with_help(text, "install a newer nats-server"))
        }
        Fault::NoJetStream => {
            let text =
                format!("{at} has no JetStream for this node: it cannot keep the tables of the cluster");
            let help = "add `jetstream { store_dir: \"/var/lib/nats/jetstream\" }` to the configuration of nats-server";
            (SERVERS, Severity::Flaw, Message::with_help(text, help))
        }
        Fault::JetStream(reason) => {
            let text = format!("{at} cannot serve the tables of the cluster: {reason}");
            (SERVERS, Severity::Warning, Message::with_help(text, remedy(Stage::Tables)))
        }
        Fault::Forbidden { access, pattern } => {
            let (user, key) = match &cluster.login {
                Some(login) => (format!("the user {}", login.user), "cluster.user"),
                None => ("a client without a user".to_owned(), SERVERS),
            };
            let (action, list) = match access {
                Access::Publish => ("publish to", "publish"),
                Access::Subscribe => ("subscribe to", "subscribe"),
            };
            let text = format!("{at}: {user} may not {action} {pattern}");
            let help = format!(
                "add it to `{list}` in the permissions of nats-server; config/cluster/nats.conf has all that a node needs"
            );
            (key, Severity::Flaw, Message::with_help(text, help))
        }
        Fault::TooFewServers(servers) => {
            let count = match servers {
                1 => "is not connected to other servers".to_owned(),
                servers => format!("knows {servers} servers of its cluster"),
            };
            let text = format!("is {}, and the nats-server at {at} {count}", cluster.replicas);
            let help = "start the other servers, check `routes` in their configurations, or set replicas = 1";
            ("cluster.replicas", Severity::Flaw, Message::with_help(text, help))
        }
        Fault::FewCopies { bucket, copies } => {
            let text = format!(
                "is {}, but the broker has {} of the table {}, which was made with another value",
                cluster.replicas,
                if *copies == 1 { "one copy".to_owned() } else { format!("{copies} copies") },
                bucket.name()
            );
            let help = format!(
                "`nats stream update KV_nuncio_{}_{} --replicas {}` changes it; so does stopping all nodes and removing the \
                 data of the broker",
                cluster.name,
                bucket.name(),
                cluster.replicas
            );
            ("cluster.replicas", Severity::Warning, Message::with_help(text, help))
        }
        Fault::Setting { bucket, setting, found, wanted } => {
            let table = format!("KV_nuncio_{}_{}", cluster.name, bucket.name());
            let setting = setting.as_str();
            let text =
                format!("the table {table} of the broker has {setting} = {found}, and nodes need {wanted}");
            let help = format!("delete it with `nats stream rm {table}`: the nodes write it again");
            ("cluster.name", Severity::Flaw, Message::with_help(text, help))
        }
        Fault::Record { key, reason } => {
            let text = format!("the record of the node {key} at the broker cannot be read: {reason}");
            ("cluster.name", Severity::Warning, text.into())
        }
    }
}

fn login(at: &str, cluster: &Cluster) -> (&'static str, Severity, Message) {
    match &cluster.login {
        Some(login) => {
            let text =
                format!("{at} refuses the user {} with the password in cluster.password_file", login.user);
            let help = "set the user and the password that the configuration of nats-server has";
            ("cluster.user", Severity::Flaw, Message::with_help(text, help))
        }
        None => {
            let text = format!("{at} demands a user, and cluster.user is not set");
            let help = "set cluster.user and cluster.password_file";
            (SERVERS, Severity::Flaw, Message::with_help(text, help))
        }
    }
}

fn asked(stage: Stage) -> &'static str {
    match stage {
        Stage::Connection => "the connection is not accepted",
        Stage::Greeting => "it accepts the connection and says nothing",
        Stage::Login => "it says nothing about the login",
        Stage::Permissions => "it says nothing about the permissions of the user",
        Stage::Tables => "JetStream is enabled, and does not answer",
    }
}

fn remedy(stage: Stage) -> &'static str {
    match stage {
        Stage::Tables => {
            "most of the servers of the broker must run and be connected: the log of nats-server tells whether \
             JetStream has a leader"
        }
        _ => START,
    }
}

fn at(HostPort { host, port }: &HostPort) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn add(source: &Source, key: &str, severity: Severity, message: Message) {
    match source.values(&[key]).pop() {
        Some(value) => source.add(severity, value.span, key, message),
        None => source.add_for_default(severity, key, message),
    }
}

/// Adds a finding about a server, at its place in the list.
fn add_at(source: &Source, number: usize, severity: Severity, message: Message) {
    match source.values(&[SERVERS]).into_iter().nth(number) {
        Some(value) => source.add(severity, value.span, SERVERS, message),
        None => source.add_for_default(severity, SERVERS, message),
    }
}

const SERVERS: &str = "cluster.servers";

const START: &str = "start nats-server there, or set another address; skip this check with --offline";

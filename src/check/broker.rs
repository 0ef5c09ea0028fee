//! Checks whether the message broker of the cluster serves this node, and whether the other nodes agree with it. Changes
//! nothing at the broker.

use tokio::runtime;

use crate::config::{
    finding::{Finding, Message, Severity},
    source::Source,
};
use actors::{
    ClusterError,
    cluster_check::{self, Bucket, Examined, Fault, Forbidden, Running, ShortPayload, Stage},
    settings::{Cluster, HostPort, Settings},
};

/// Adds a finding if this program cannot connect to a broker.
pub(super) fn check_program(source: &Source, settings: &Settings) {
    if settings.cluster.is_some() && cfg!(not(feature = "cluster")) {
        add(source, "cluster.name", Severity::Problem, ClusterError::NotBuiltIn.to_string().into());
    }
}

/// Connects to each server of the broker, and adds findings. `is_this_node` tells whether the node with this name in the
/// cluster is the one that runs with this configuration; the number is that of its process, if it runs on this machine.
pub(super) fn check(
    source: &Source,
    settings: &Settings,
    is_this_node: impl Fn(&Cluster, Option<u32>) -> bool,
) {
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
            let message = Message::of_name(
                format!("max_payload is {limit} bytes at "),
                at(server),
                format!(
                    ", and the stanzas that this node accepts need {needed}: longer ones do not reach other nodes"
                ),
            );
            let help = format!("set max_payload of nats-server to {needed} or more, or lower max_stanza");
            add_at(source, number, Severity::Flaw, message.and_help(help));
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
fn compare(
    source: &Source,
    node: &Running,
    cluster: &Cluster,
    is_this_node: &impl Fn(&Cluster, Option<u32>) -> bool,
) {
    let Running { name, has_other_secret, other_names, process, process_here } = node;
    if *name == cluster.node {
        if !is_this_node(cluster, *process_here) {
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
        let message = Message::of_name(
            "s2s.dialback_secret differs from that of these running nodes: ",
            name.as_str(),
            "",
        );
        let help = "set the same value on all nodes: each one verifies the dialback keys of the others";
        add(source, "cluster.name", Severity::Warning, message.and_help(help));
    }
    if let Some(difference) = other_names {
        let before = "the domains and components differ from those of these running nodes: ";
        let help = "set the same [[domain]] and [[component]] names on all nodes: a domain that only some serve is not \
                    reached from the others";
        add(
            source,
            "cluster.name",
            Severity::Warning,
            Message::of_name(before, name.as_str(), format!(": {difference}")).and_help(help),
        );
    }
}

/// The key that a fault is about, how bad it is, and what to do. The same fault of several servers gives messages that
/// differ in the name of the server only, so that they are shown as one.
fn explain(fault: &Fault, server: &HostPort, cluster: &Cluster) -> (&'static str, Severity, Message) {
    let about = |before: &str, after: &str| Message::of_name(before, at(server), after);
    match fault {
        Fault::Unreachable(error) => {
            let message = about("", &format!(" cannot be reached: {error}"));
            (SERVERS, Severity::Warning, message.and_help(START))
        }
        Fault::NotNats => {
            let message = about("no nats-server listens at ", ": another protocol is spoken there");
            let help = "set the address at which nats-server listens";
            (SERVERS, Severity::Flaw, message.and_help(help))
        }
        Fault::Silent(stage) => {
            let message = about("no answer in time from ", &format!(": {}", missing(*stage)));
            (SERVERS, Severity::Warning, message.and_help(remedy(*stage)))
        }
        Fault::Tls => {
            let message =
                about("TLS is demanded at ", ", and this version connects to the broker without TLS");
            let help = "run a nats-server on this machine, which listens on 127.0.0.1 without TLS and connects to the \
                        other servers with TLS";
            (SERVERS, Severity::Flaw, message.and_help(help))
        }
        Fault::Login => login(about, cluster),
        Fault::Refused(error) => {
            let message = about("the connection is ended by ", &format!(": {error}"));
            (SERVERS, Severity::Flaw, message.and_help("the log of nats-server has the reason"))
        }
        Fault::TooOld(version) => {
            let before = format!("version {version} of nats-server runs at ");
            let message = about(&before, ", and a node needs 2.9 or newer");
            (SERVERS, Severity::Flaw, message.and_help("install a newer nats-server"))
        }
        Fault::NoJetStream => {
            let message =
                about("no JetStream for this node at ", ": the tables of the cluster cannot be kept there");
            let help = "add `jetstream { store_dir: \"/var/lib/nats/jetstream\" }` to the configuration of nats-server";
            (SERVERS, Severity::Flaw, message.and_help(help))
        }
        Fault::JetStream(reason) => {
            let message = about("the tables of the cluster are not served at ", &format!(": {reason}"));
            (SERVERS, Severity::Warning, message.and_help(remedy(Stage::Tables)))
        }
        Fault::Forbidden(forbidden) => permissions(about, forbidden, cluster),
        Fault::TooFewServers(servers) => {
            let servers = if *servers == 1 { "one server".to_owned() } else { format!("{servers} servers") };
            let before = format!("is {}, but the broker has only {servers}, as seen at ", cluster.replicas);
            let help = "start the other servers of the broker; `routes` in their configuration connects them. For a broker of \
                        one server set replicas = 1";
            ("cluster.replicas", Severity::Flaw, about(&before, "").and_help(help))
        }
        Fault::FewCopies { bucket, copies } => {
            let copies = if *copies == 1 { "one copy".to_owned() } else { format!("{copies} copies") };
            let before = format!("is {}, but the broker keeps only {copies} of ", cluster.replicas);
            let message = Message::of_name(before, table(*bucket, cluster), "");
            let help = format!(
                "the tables were made with another value. For each of them run `nats stream update TABLE --replicas {}`; or \
                 stop all nodes, run `nats stream rm TABLE` for each, and start the nodes, which make them again",
                cluster.replicas
            );
            ("cluster.replicas", Severity::Warning, message.and_help(help))
        }
        Fault::Setting { bucket, setting, found, wanted } => {
            let table = table(*bucket, cluster);
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

/// The permissions that the user lacks, in one message.
fn permissions(
    about: impl Fn(&str, &str) -> Message,
    Forbidden { publish, subscribe, is_all }: &Forbidden,
    cluster: &Cluster,
) -> (&'static str, Severity, Message) {
    let (user, key) = match &cluster.login {
        Some(login) => (format!("the user {}", login.user), "cluster.user"),
        None => ("a client without a user".to_owned(), SERVERS),
    };
    if *is_all {
        let name = &cluster.name;
        let before = format!("{user} has no permission for any subject of the cluster \"{name}\" at ");
        let help = format!(
            "cluster.name is a part of each subject (nuncio.{name}.node.*, $KV.nuncio_{name}_nodes.* and {} more): do the \
             permissions of nats-server have another name? Write the same name there and here; config/cluster/nats.conf has \
             all subjects, for the name \"example\"",
            publish.len() + subscribe.len() - 2
        );
        return ("cluster.name", Severity::Flaw, about(&before, "").and_help(help));
    }
    let lists = [("publish", publish), ("subscribe", subscribe)];
    let lists = || lists.iter().filter(|(_, subjects)| !subjects.is_empty());
    let denied: Vec<String> =
        lists().map(|(action, subjects)| format!("may not {action} to {}", subjects.join(", "))).collect();
    let places: Vec<String> = lists().map(|(list, _)| format!("`{list}`")).collect();
    let help = format!(
        "add to {} in the permissions of nats-server what is missing; config/cluster/nats.conf has all that a node needs",
        places.join(" and ")
    );
    let after = format!(": {user} {}", denied.join("; it "));
    (key, Severity::Flaw, about("at ", &after).and_help(help))
}

fn login(about: impl Fn(&str, &str) -> Message, cluster: &Cluster) -> (&'static str, Severity, Message) {
    match &cluster.login {
        Some(login) => {
            let before =
                format!("the user {} with the password in cluster.password_file is refused by ", login.user);
            let help = "set the user and the password that the configuration of nats-server has";
            ("cluster.user", Severity::Flaw, about(&before, "").and_help(help))
        }
        None => {
            let message = about("a user is demanded by ", ", and cluster.user is not set");
            (SERVERS, Severity::Flaw, message.and_help("set cluster.user and cluster.password_file"))
        }
    }
}

/// What did not come.
fn missing(stage: Stage) -> &'static str {
    match stage {
        Stage::Connection => "the connection is not accepted",
        Stage::Greeting => "the connection is accepted, and no greeting follows",
        Stage::Login => "the login is not answered",
        Stage::Permissions => "requests that need permissions are not answered",
        Stage::Tables => "JetStream is enabled, and does not answer",
    }
}

fn remedy(stage: Stage) -> &'static str {
    match stage {
        Stage::Tables => {
            "most of the servers of the broker must run and be connected: the log of nats-server tells whether \
             JetStream has a leader"
        }
        Stage::Login | Stage::Permissions => {
            "nats-server hangs, as it does when its disk is full: free the disk, end the server with SIGKILL, and start it \
             again"
        }
        Stage::Connection | Stage::Greeting => START,
    }
}

/// The name of a table at the broker.
fn table(bucket: Bucket, cluster: &Cluster) -> String {
    format!("KV_nuncio_{}_{}", cluster.name, bucket.name())
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

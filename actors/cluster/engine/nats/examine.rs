//! Looks at a server of the broker as a node will use it, and changes nothing there.
//!
//! Whether the user has a permission shows when it is used. So each request that a node makes is made in a form that has no
//! effect: a record for another stream, a description that is no JSON, the deletion of a key that nobody has.

mod wire;

use super::{
    Settings,
    connection::PROBE,
    settings::{Difference, differences},
    subjects::{Need, Subjects, Task},
    tables,
};
use crate::{
    NodeName,
    engine::{
        Bucket,
        examination::{Access, Examination, Fault, Forbidden, Member, Stage},
    },
    record::NodeRecord,
};
use async_nats::{ServerAddr, jetstream::stream::Config};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use std::time::Duration;
use wire::{Greeting, Wire};

/// Examines one server, in 15 s at most.
pub async fn examine(settings: &Settings, server: &ServerAddr, own: &NodeName) -> Examination {
    let mut found = Examination::default();
    let subjects = Subjects { cluster: settings.cluster.clone() };
    let looking = look(settings, server, own, &subjects, &mut found);
    let ended = tokio::time::timeout(LIMIT, looking).await;
    if let Err(fault) = ended.unwrap_or(Err(Fault::Silent(Stage::Tables))) {
        found.faults.push(fault);
    }
    found
}

async fn look(
    settings: &Settings,
    server: &ServerAddr,
    own: &NodeName,
    subjects: &Subjects,
    found: &mut Examination,
) -> Result<(), Fault> {
    let (mut wire, greeting) = Wire::connect(server).await?;
    found.max_payload = Some(greeting.max_payload);
    if is_too_old(&greeting.version) {
        found.faults.push(Fault::TooOld(greeting.version.clone()));
    }
    if greeting.tls_required {
        return Err(Fault::Tls);
    }
    wire.log_in(&settings.login, &format!("nuncio check of {own}")).await?;
    // Nobody else has the same.
    let inbox = format!("{}.check-{}-{}", subjects.inbox(own), std::process::id(), nanoseconds());
    let trials = try_permissions(&mut wire, subjects, own, &inbox).await?;
    let forbidden = |task| trials.iter().any(|trial| trial.need.task == task && trial.is_forbidden);
    let of = |wanted| {
        let refused = trials.iter().filter(move |trial| trial.is_forbidden && trial.need.access == wanted);
        refused.map(|trial| trial.need.pattern.clone()).collect()
    };
    if trials.iter().any(|trial| trial.is_forbidden) {
        let (publish, subscribe) = (of(Access::Publish), of(Access::Subscribe));
        let is_all = trials.iter().all(|trial| trial.is_forbidden);
        found.faults.push(Fault::Forbidden(Forbidden { publish, subscribe, is_all }));
    }
    if forbidden(Task::Answers) {
        return Ok(());
    }
    let mut missing = false;
    for bucket in Bucket::ALL {
        let Some(trial) = trials.iter().find(|trial| trial.need.task == Task::Find(bucket)) else { continue };
        if trial.is_forbidden {
            continue;
        }
        let Some(table) = table(&wire.message(&trial.reply).await?.payload)? else {
            missing = true;
            continue;
        };
        let wanted = tables::config(subjects.stream(bucket), &subjects.keys(bucket), settings.replicas);
        for Difference { setting, found: value, wanted } in differences(&table, &wanted) {
            found.faults.push(Fault::Setting { bucket, setting, found: value, wanted });
        }
        if table.num_replicas < settings.replicas {
            found.faults.push(Fault::FewCopies { bucket, copies: table.num_replicas });
        } else if bucket == Bucket::Nodes && !forbidden(Task::Read(bucket)) {
            read_members(&mut wire, subjects, &inbox, found).await?;
        }
    }
    if let Some(servers) = servers(&greeting).filter(|servers| missing && *servers < settings.replicas) {
        found.faults.push(Fault::TooFewServers(servers));
    }
    try_members(&mut wire, subjects, &inbox, found).await
}

/// A permission, and whether it is missing.
struct Trial {
    need: Need,
    /// Where the answer arrives.
    reply: String,
    is_forbidden: bool,
}

/// Uses each permission once.
async fn try_permissions(
    wire: &mut Wire,
    subjects: &Subjects,
    own: &NodeName,
    inbox: &str,
) -> Result<Vec<Trial>, Fault> {
    let mut trials = Vec::new();
    for (number, need) in subjects.needs().into_iter().enumerate() {
        let reply = format!("{inbox}.{number}");
        let subject = match need.task {
            Task::Frames if need.access == Access::Publish => {
                let subject = subjects.node(own.as_str());
                // A node ignores it.
                wire.publish(&subject, &reply, Some((PROBE, "1")), "");
                subject
            }
            Task::Frames => subscribe(wire, subjects.node(own.as_str()), number),
            Task::Answers => subscribe(wire, format!("{inbox}.*"), number),
            Task::Write(bucket) => {
                let subject = format!("{}{NO_KEY}", subjects.keys(bucket));
                wire.publish(&subject, &reply, Some((EXPECTED_STREAM, "none")), "");
                subject
            }
            Task::Read(bucket) => {
                let request = format!("{{\"last_by_subj\":\"{}{NO_KEY}\"}}", subjects.keys(bucket));
                publish(wire, need.pattern.clone(), &reply, &request)
            }
            Task::Purge(bucket) => {
                let request = format!("{{\"filter\":\"{}{NO_KEY}\",\"seq\":1}}", subjects.keys(bucket));
                publish(wire, need.pattern.clone(), &reply, &request)
            }
            Task::Find(_) => publish(wire, need.pattern.clone(), &reply, ""),
            Task::Create(_) | Task::Watch(_) => publish(wire, need.pattern.clone(), &reply, NO_JSON),
            Task::FlowControl(_) => publish(wire, need.pattern.replace('>', NO_KEY), &reply, ""),
        };
        trials.push((Trial { need, reply, is_forbidden: false }, subject));
    }
    wire.settle(Stage::Permissions).await?;
    let errors = wire.take_errors();
    let tried = trials.into_iter().map(|(trial, subject)| {
        let is_forbidden = errors.iter().any(|error| refuses(error, trial.need.access, &subject));
        Trial { is_forbidden, ..trial }
    });
    Ok(tried.collect())
}

fn subscribe(wire: &mut Wire, subject: String, number: usize) -> String {
    wire.subscribe(&subject, number + 1);
    subject
}

fn publish(wire: &mut Wire, subject: String, reply: &str, payload: &str) -> String {
    wire.publish(&subject, reply, None, payload);
    subject
}

/// Whether the user may send frames to the nodes that have a record.
async fn try_members(
    wire: &mut Wire,
    subjects: &Subjects,
    inbox: &str,
    found: &mut Examination,
) -> Result<(), Fault> {
    let names: Vec<String> = found.members.iter().map(|member| subjects.node(member.name.as_str())).collect();
    for subject in &names {
        wire.publish(subject, &format!("{inbox}.member"), Some((PROBE, "1")), "");
    }
    wire.settle(Stage::Permissions).await?;
    let errors = wire.take_errors();
    let refused = |subject: &&String| errors.iter().any(|error| refuses(error, Access::Publish, subject));
    let mut refused: Vec<String> = names.iter().filter(refused).cloned().collect();
    let lacks = found.faults.iter_mut().find_map(|fault| match fault {
        Fault::Forbidden(forbidden) => Some(forbidden),
        _ => None,
    });
    match lacks {
        Some(lacks) if lacks.publish.contains(&subjects.node("*")) => {}
        Some(lacks) => lacks.publish.append(&mut refused),
        None if refused.is_empty() => {}
        None => {
            let forbidden = Forbidden { publish: refused, ..Forbidden::default() };
            found.faults.push(Fault::Forbidden(forbidden));
        }
    }
    Ok(())
}

/// Whether an error of the server says that the user lacks a permission:
/// `Permissions Violation for Publish to "SUBJECT"`, `… Subscription to "SUBJECT"`.
fn refuses(error: &str, access: Access, subject: &str) -> bool {
    let action = match access {
        Access::Publish => "for Publish",
        Access::Subscribe => "for Subscription",
    };
    error.starts_with("Permissions Violation")
        && error.contains(action)
        && error.contains(&format!("\"{subject}\""))
}

/// The settings of a table, from the answer to a question for it; `None`: there is no such table.
fn table(answer: &[u8]) -> Result<Option<Config>, Fault> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<ApiError>,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct ApiError {
        err_code: u32,
        #[serde(default)]
        description: String,
    }
    if answer.is_empty() {
        // Nobody answers such questions.
        return Err(Fault::NoJetStream);
    }
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| Fault::NotNats)?;
    match (answer.error, answer.config) {
        (Some(error), _) if error.err_code == NOT_FOUND => Ok(None),
        (Some(error), _) if NOT_ENABLED.contains(&error.err_code) => Err(Fault::NoJetStream),
        (Some(error), _) => Err(Fault::JetStream(error.description)),
        (None, Some(config)) => Ok(Some(config)),
        (None, None) => Err(Fault::NotNats),
    }
}

/// Reads the records of the nodes.
async fn read_members(
    wire: &mut Wire,
    subjects: &Subjects,
    inbox: &str,
    found: &mut Examination,
) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Answer {
        message: Option<Stored>,
    }
    #[derive(Deserialize)]
    struct Stored {
        subject: String,
        seq: u64,
        #[serde(default)]
        data: String,
        time: String,
    }
    let (keys, stream) = (subjects.keys(Bucket::Nodes), subjects.stream(Bucket::Nodes));
    let mut after = 0;
    loop {
        let request = format!("{{\"seq\":{},\"next_by_subj\":\"{keys}>\"}}", after + 1);
        let reply = format!("{inbox}.after-{after}");
        wire.publish(&format!("$JS.API.STREAM.MSG.GET.{stream}"), &reply, None, &request);
        wire.settle(Stage::Tables).await?;
        let answer = wire.message(&reply).await?;
        let answer: Answer = serde_json::from_slice(&answer.payload).map_err(|_| Fault::NotNats)?;
        let Some(Stored { subject, seq, data, time }) = answer.message else { return Ok(()) };
        after = seq;
        // The record of a node that has stopped in order is empty.
        if data.is_empty() {
            continue;
        }
        let key = subject.strip_prefix(&keys).unwrap_or(&subject).to_owned();
        let member = member(&key, &data, &time);
        match member {
            Ok(member) => found.members.push(member),
            Err(reason) => found.faults.push(Fault::Record { key, reason }),
        }
    }
}

fn member(key: &str, data: &str, time: &str) -> Result<Member, String> {
    let name = NodeName::new(key).map_err(|error| error.to_string())?;
    let value = BASE64_STANDARD.decode(data).map_err(|error| error.to_string())?;
    let record = NodeRecord::decode(&value).map_err(|error| error.to_string())?;
    let written = humantime::parse_rfc3339(time).map_err(|error| error.to_string())?;
    // A clock that differs makes it look younger or older.
    let age = clock::system().duration_since(written).unwrap_or_default();
    Ok(Member { name, record, age })
}

/// The servers of the broker, as far as a server says; `None`: it does not.
fn servers(greeting: &Greeting) -> Option<usize> {
    let Greeting { cluster, connect_urls, .. } = greeting;
    match (cluster, connect_urls.as_slice()) {
        (None, _) => Some(1),
        (Some(_), []) => None,
        // Several machines may have the same.
        (Some(_), [one]) if one.starts_with("127.") || one.starts_with("[::1]") => None,
        (Some(_), all) => Some(all.len()),
    }
}

/// Whether a version is older than [`OLDEST`].
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) < OLDEST
}

fn nanoseconds() -> u128 {
    clock::system().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// The first version with a read of the next record after a revision.
const OLDEST: (u32, u32) = (2, 9);

/// No node and no pair has this key.
const NO_KEY: &str = "_check";

/// Has a stream refuse a message, if its name is another one.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// A request that cannot be carried out.
const NO_JSON: &str = "-";

/// The code of JetStream for a stream that does not exist.
const NOT_FOUND: u32 = 10059;

/// Those for an account and for a server without JetStream.
const NOT_ENABLED: [u32; 2] = [10039, 10076];

/// The operator waits for it.
const LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for old in ["2.8.4", "1.4.1", "2.2.0-beta"] {
            assert!(is_too_old(old), "{old}");
        }
        for new in ["2.9.0", "2.9.10", "2.10.26", "2.15.1", "3.0.0", "2.9.0-beta.1", "unknown"] {
            assert!(!is_too_old(new), "{new}");
        }
    }

    #[test]
    fn an_error_refuses_only_the_subject_that_it_names() {
        let error = "Permissions Violation for Publish to \"nuncio.eu.node.a\"";
        assert!(refuses(error, Access::Publish, "nuncio.eu.node.a"));
        assert!(!refuses(error, Access::Subscribe, "nuncio.eu.node.a"));
        assert!(!refuses(error, Access::Publish, "nuncio.eu.node"));
        assert!(!refuses("Slow Consumer", Access::Publish, "nuncio.eu.node.a"));
    }
}

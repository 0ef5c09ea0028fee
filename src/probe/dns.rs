//! The steps about the DNS: queries, problems of records, and the order of the targets.

use std::net::IpAddr;

use serde_json::json;

use super::{
    cause,
    step::{Kind, Location, Step},
};
use net::dns::{Exchange, Record, Reply, Target};

/// The step of a query with its answer.
pub(crate) fn query(asked: &Exchange, location: &Location) -> Step {
    let question = &asked.question;
    let (answer, text) = match &asked.reply {
        Reply::Records(records) => {
            let lines: Vec<String> = records.iter().map(|record| shown(record, &question.name)).collect();
            ("records", lines.join("\n"))
        }
        Reply::NoData => ("no-data", "no such record".to_owned()),
        Reply::NoName => ("no-name", "no such name (NXDOMAIN)".to_owned()),
        Reply::Failed(failure) => ("failed", failure.to_string()),
    };
    let records: Vec<_> = match &asked.reply {
        Reply::Records(records) => records.iter().map(as_json).collect(),
        _ => Vec::new(),
    };
    let mut step = Step::ok(Kind::Dns, location, &format!("{question}\n{text}"))
        .fact("question", question.to_string())
        .fact("answer", answer)
        .fact("records", records);
    step.nothing_found = matches!(asked.reply, Reply::NoData | Reply::NoName);
    step.trouble = matches!(asked.reply, Reply::Failed(_));
    step
}

/// The note about an alias that the standards do not allow, and the name it is about.
pub(crate) fn alias(asked: &Exchange, location: &Location, from_srv: bool) -> Option<(String, Step)> {
    let Reply::Records(records) = &asked.reply else { return None };
    let alias = records.iter().find(|record| record.kind == "CNAME")?;
    let name = &asked.question.name;
    let text = format!("{} is an alias of {}", alias.name, alias.data.trim_end_matches('.'));
    let cause = match asked.question.kind {
        "SRV" => &cause::RECORD_BEHIND_ALIAS,
        "CNAME" if name.starts_with('_') => &cause::RECORD_BEHIND_ALIAS,
        "A" | "AAAA" if from_srv => &cause::TARGET_IS_ALIAS,
        _ => return None,
    };
    let cause = if location.own { &cause::OWN_IS_ALIAS } else { cause };
    Some((name.clone(), Step::noted(Kind::Dns, location, cause, text)))
}

/// The note about an SRV record whose target is an address, or whose port is 0.
pub(crate) fn wrong_target(target: &Target, location: &Location) -> Option<Step> {
    if target.from_srv && target.port == 0 {
        let text = format!("an SRV record contains port 0 of {}, on which no server can listen", target.host);
        let cause = if location.own { &cause::OWN_PORT_IS_ZERO } else { &cause::PORT_IS_ZERO };
        return Some(Step::noted(Kind::Dns, location, cause, text));
    }
    let address: IpAddr = target.host.parse().ok()?;
    let text = format!("an SRV record contains the address {address} instead of a host name");
    let cause = if location.own { &cause::OWN_TARGET_IS_ADDRESS } else { &cause::TARGET_IS_ADDRESS };
    Some(Step::noted(Kind::Dns, location, cause, text))
}

/// The step with the order of the targets.
pub(crate) fn order(targets: &[Target], configured: bool, location: &Location) -> Step {
    let mut lines = vec![if configured {
        "the configuration contains the address, so the DNS is not queried".to_owned()
    } else if targets.iter().any(|target| target.from_srv) {
        "targets in the order of this attempt, by priority and weight (RFC 2782)".to_owned()
    } else {
        "there is no SRV record, so the target is the domain itself (RFC 6120 section 3.2.2)".to_owned()
    }];
    lines.extend(targets.iter().enumerate().map(|(nth, target)| {
        let kind = if target.direct_tls { "direct TLS" } else { "STARTTLS" };
        let rank = if target.from_srv {
            format!(", priority {}, weight {}", target.priority, target.weight)
        } else {
            String::new()
        };
        format!("{}. {target}, {kind}{rank}", nth + 1)
    }));
    let facts: Vec<_> = targets.iter().map(target_as_json).collect();
    Step::ok(Kind::Order, location, &lines.join("\n")).fact("targets", facts)
}

/// A record: `SRV 0 5 5269 xmpp.b.example.  (TTL 3600 s)`, after its name if that is not `name`.
fn shown(record: &Record, name: &str) -> String {
    let owner = if record.name == name { String::new() } else { format!("{} ", record.name) };
    format!("{owner}{} {}  (TTL {} s)", record.kind, record.data, record.ttl)
}

fn as_json(record: &Record) -> serde_json::Value {
    json!({ "name": record.name, "type": record.kind, "data": record.data, "ttl": record.ttl })
}

fn target_as_json(target: &Target) -> serde_json::Value {
    json!({
        "host": target.host,
        "port": target.port,
        "direct_tls": target.direct_tls,
        "priority": target.priority,
        "weight": target.weight,
    })
}

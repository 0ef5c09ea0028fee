//! What was asked of the DNS, and in which order the targets will be tried.

use std::net::IpAddr;

use serde_json::json;

use super::{
    cause,
    step::{Place, Step},
};
use net::dns::{Asked, Record, Reply, Target};

/// A question with its answer.
pub(crate) fn asked(asked: &Asked, place: &Place) -> Step {
    let question = &asked.question;
    let (answer, words) = match &asked.reply {
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
    let mut step = Step::good("dns", place, format!("{question}\n{words}"))
        .fact("question", question.to_string())
        .fact("answer", answer)
        .fact("records", records);
    step.trouble = matches!(asked.reply, Reply::Failed(_));
    step
}

/// What is odd about an answer: an alias where there should be none. With it, what it is about.
pub(crate) fn odd(asked: &Asked, place: &Place, from_srv: bool) -> Option<(String, Step)> {
    let Reply::Records(records) = &asked.reply else { return None };
    let alias = records.iter().find(|record| record.kind == "CNAME")?;
    let name = &asked.question.name;
    let happened = format!("{} is an alias of {}", alias.name, alias.data.trim_end_matches('.'));
    let cause = match asked.question.kind {
        "SRV" => &cause::RECORD_BEHIND_ALIAS,
        "CNAME" if name.starts_with('_') => &cause::RECORD_BEHIND_ALIAS,
        "A" | "AAAA" if from_srv => &cause::TARGET_IS_ALIAS,
        _ => return None,
    };
    let cause = if place.own { &cause::OWN_IS_ALIAS } else { cause };
    Some((name.clone(), Step::odd("dns", place, cause, happened)))
}

/// What is odd about a target of an SRV record: that it is an address, or at a port that nobody has.
pub(crate) fn odd_target(target: &Target, place: &Place) -> Option<Step> {
    if target.from_srv && target.port == 0 {
        let happened = format!("an SRV record says port 0 of {}, where nobody can listen", target.host);
        let cause = if place.own { &cause::OWN_PORT_IS_ZERO } else { &cause::PORT_IS_ZERO };
        return Some(Step::odd("dns", place, cause, happened));
    }
    let address: IpAddr = target.host.parse().ok()?;
    let happened = format!("an SRV record has the address {address} where a host's name belongs");
    let cause = if place.own { &cause::OWN_TARGET_IS_ADDRESS } else { &cause::TARGET_IS_ADDRESS };
    Some(Step::odd("dns", place, cause, happened))
}

/// The order in which targets will be tried.
pub(crate) fn order(targets: &[Target], configured: bool, place: &Place) -> Step {
    let mut lines = vec![if configured {
        "the configuration has the address, so the DNS is not asked".to_owned()
    } else if targets.iter().any(|target| target.from_srv) {
        "will be tried in this order, drawn by priority and weight (RFC 2782)".to_owned()
    } else {
        "there is no SRV record, so the domain itself is tried (RFC 6120 section 3.2.2)".to_owned()
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
    Step::good("order", place, lines.join("\n")).fact("targets", facts)
}

/// `0 5 5269 xmpp.b.example.  (TTL 3600 s)`, with name and type where they are not those that were asked for.
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

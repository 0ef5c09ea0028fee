//! The report for machines: JSON Lines, one object for each step as it is taken, and the verdict last.

use serde_json::{Map, Value, json};
use xmpp::{Domain, DomainPair};

use super::{
    cause,
    report::Way,
    step::{Finding, Step},
};
use status::escape;

/// One step.
pub(crate) fn step(pair: &DomainPair, step: &Step) -> String {
    let place = &step.place;
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| {
        line.insert(key.to_owned(), value);
    };
    put("step", step.name.into());
    put("part", part(place.own).into());
    put("result", step.result().into());
    if let Some(target) = &place.target {
        put("target", target.as_str().into());
        put("direct_tls", place.direct_tls.into());
    }
    if let Some(address) = place.address {
        put("address", address.to_string().into());
    }
    if place.dialback_alone {
        put("dialback_alone", true.into());
    }
    put("text", step.words.as_str().into());
    if let Some(finding) = &step.finding {
        put("finding", self::finding(pair, finding));
    }
    line.extend(step.facts.clone());
    written(&Value::Object(line))
}

/// The last line; `from` is missing where the configuration did not tell.
pub(crate) fn verdict(
    pair: &DomainPair,
    from: Option<&Domain>,
    way: Option<&Way>,
    grave: &[&Finding],
    odd: &[&Finding],
    untested: &[String],
) -> String {
    let all = |findings: &[&Finding]| findings.iter().map(|found| finding(pair, found)).collect::<Vec<_>>();
    let verdict = json!({
        "step": "verdict",
        "result": if way.is_some() { "ok" } else { "failed" },
        "from": from.map(Domain::as_str),
        "remote": pair.remote.as_str(),
        "mechanism": way.map(|way| way.mechanism.to_string()),
        "at": way.map(|way| way.at.as_str()),
        "failures": all(grave),
        "warnings": all(odd),
        "untested": untested,
    });
    written(&verdict)
}

/// A line of its own; text of the remote neither ends it nor hides in it.
fn written(value: &Value) -> String {
    format!("{}\n", escape::json(&value.to_string()))
}

fn part(own: bool) -> &'static str {
    if own { "own" } else { "remote" }
}

fn finding(pair: &DomainPair, finding: &Finding) -> Value {
    json!({
        "cause": finding.cause.id,
        "part": part(finding.own),
        "side": cause::side_id(finding.cause.side),
        "rule": finding.cause.rule,
        "happened": finding.happened,
        "advice": finding.cause.advice(pair),
    })
}

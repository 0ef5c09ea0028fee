//! The report for programs: JSON Lines, one object for each step and one for the verdict, which is last.

use serde_json::{Map, Value, json};
use status::escape;
use xmpp::Domain;

use super::{
    cause,
    step::{Finding, Step},
    subject::Subject,
    verdict::Verdict,
};

/// The line of a step.
pub(crate) fn step(subject: &Subject, step: &Step) -> String {
    let location = &step.location;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    put("step", step.kind.as_str().into());
    put("part", part(location.own).into());
    put("result", step.result().into());
    if let Some(target) = &location.target {
        put("target", target.as_str().into());
        put("direct_tls", location.direct_tls.into());
    }
    if let Some(address) = location.address {
        put("address", address.to_string().into());
    }
    if location.dialback_alone {
        put("dialback_alone", true.into());
    }
    put("text", step.lines().join("\n").into());
    if let Some(finding) = &step.finding {
        put("finding", self::finding(subject, finding));
    }
    object.extend(step.facts.clone());
    line(&Value::Object(object))
}

/// The line of the verdict. `from` is the local domain, if the configuration is known.
pub(crate) fn verdict(subject: &Subject, from: Option<&Domain>, verdict: &Verdict<'_>) -> String {
    let pair = &subject.pair;
    let all =
        |findings: &[&Finding]| findings.iter().map(|found| finding(subject, found)).collect::<Vec<_>>();
    let path = verdict.path;
    line(&json!({
        "step": "verdict",
        "result": verdict.result(),
        "from": from.map(Domain::as_str),
        "remote": pair.remote.as_str(),
        "mechanism": path.map(|path| path.mechanism.to_string()),
        "at": path.map(|path| path.at.as_str()),
        "acks": path.map(|path| path.acks),
        "after_loss": path.map(|path| path.consequence),
        "failures": all(&verdict.failures),
        "warnings": all(&verdict.notes),
        "untested": verdict.untested.iter().map(|untested| untested.sentence(pair)).collect::<Vec<_>>(),
    }))
}

/// A value on one line. Hidden characters, which a peer may have sent, are escaped.
fn line(value: &Value) -> String {
    format!("{}\n", escape::json(&value.to_string()))
}

fn part(own: bool) -> &'static str {
    if own { "own" } else { "remote" }
}

fn finding(subject: &Subject, finding: &Finding) -> Value {
    json!({
        "cause": finding.cause.id,
        "part": part(finding.own),
        "side": cause::side_id(finding.cause.side),
        "rule": finding.cause.rule,
        "happened": finding.text,
        "advice": subject.advice(finding),
    })
}

//! Writes the results: all values as JSON, the table as Markdown, the chart as SVG.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use std::{fs, io};

use crate::arguments::Arguments;
use crate::results::{Figure, Results};
use crate::servers::Kind;
use crate::table::{self, ROWS};
use crate::{figure, machine};

/// Date, machine and versions of a run.
pub(crate) struct Circumstances {
    date: String,
    machine: String,
    /// Load average at the start.
    load: f64,
    rounds: usize,
    quick: bool,
    versions: Vec<String>,
}

impl Circumstances {
    /// Collects the circumstances at the start of a run.
    pub(crate) fn note(arguments: &Arguments) -> Self {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let ours = format!("Nuncio {} ({})", env!("CARGO_PKG_VERSION"), revision());
        let debian = |package: &str| {
            let version = output_of("dpkg-query", &["--showformat", "${Version}", "--show", package]);
            format!("{package} {version}")
        };
        Self {
            date: now.get(..10).unwrap_or_default().to_owned(),
            machine: machine::description(),
            load: machine::load_average(),
            rounds: arguments.rounds,
            quick: arguments.quick,
            versions: vec![ours, debian("ejabberd"), debian("prosody")],
        }
    }

    /// Describes the run on one line.
    pub(crate) fn describe(&self) -> String {
        let Self { date, machine, load, rounds, quick, versions } = self;
        let quick = if *quick { "; a quick run with 200 cold domains, not to be quoted" } else { "" };
        let busy = if *load > 1.0 { " (others were at work: rates and latencies say little)" } else { "" };
        let versions = versions.join(", ");
        format!(
            "{date}; {versions}; medians of {rounds} rounds; {machine}; load average {load} at the start{busy}{quick}; \
             Nuncio with its shipped limits: only names, addresses, certificates, the name server and the log differ from \
             its shipped configuration; Prosody and ejabberd without their rate limits"
        )
    }
}

/// Writes the three files. Returns a sentence with their paths.
///
/// # Errors
///
/// Returns the error of the first file that cannot be written.
pub(crate) fn store(results: &Results, circumstances: &Circumstances) -> io::Result<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/results");
    fs::create_dir_all(&directory)?;
    let date = &circumstances.date;
    let described = circumstances.describe();
    fs::write(directory.join(format!("{date}.json")), json(results, circumstances))?;
    let faults: String = results.faults.iter().map(|fault| format!("\nFAULT {fault}\n")).collect();
    let report = format!("# {described}\n\n{}{faults}", table::render(results));
    fs::write(directory.join(format!("{date}.md")), report)?;
    fs::write(directory.join("latest.svg"), figure::draw(results, &described))?;
    Ok(format!("stored as {}/{date}.json, {date}.md and latest.svg", directory.display()))
}

fn json(results: &Results, circumstances: &Circumstances) -> String {
    let Circumstances { date, machine, load, rounds, quick, versions } = circumstances;
    let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "{{\n  \"date\": {}, \"machine\": {}, \"load\": {load}, \"rounds\": {rounds}, \"quick\": {quick},\n  \"versions\": [{}],\n  \
         \"faults\": [{}],\n  \"figures\": {{",
        quoted(date),
        quoted(machine),
        list(versions),
        list(&results.faults)
    );
    let rows = ROWS.iter().map(|row| (row.figure, row.key, row.unit));
    let others = [
        (Figure::HandshakeCost, "handshake_cpu", "ms"),
        (Figure::GeneratorCost, "generator_cpu", "s"),
        (Figure::GeneratorRate, "generator_alone_rate", "/s"),
    ];
    let mut separator = "";
    for (figure, key, unit) in rows.chain(others) {
        let _ = write!(text, "{separator}\n    {}: {{\"unit\": {}", quoted(key), quoted(unit));
        for kind in Kind::SERVERS.into_iter().chain([Kind::Bare]) {
            let values: Vec<_> =
                results.values(figure, kind).iter().map(|value| format!("{value:.6}")).collect();
            if !values.is_empty() {
                let _ = write!(text, ", {}: [{}]", quoted(kind.name()), values.join(", "));
            }
        }
        text.push('}');
        separator = ",";
    }
    text + "\n  }\n}\n"
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' | '\\' => format!("\\{character}"),
        '\u{0}'..='\u{1f}' => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// The git revision of the measured source.
fn revision() -> String {
    output_of("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
}

/// Standard output of a command; empty if the command cannot be started.
fn output_of(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

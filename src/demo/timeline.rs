//! Prints the log records of the nodes as a timeline: time, domains, event and details.

use std::{
    io::{self, Write as _},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use actix_rt::System;

use log::{
    LevelFilter, Metadata, Record,
    kv::{self, Key, Value, VisitSource},
};

use crate::logging::is_absent;
use crate::text::colours::{CYAN, Colours, DIM, GREEN, YELLOW};

/// A logger that prints to standard output.
pub(crate) struct Timeline {
    start: Instant,
    colours: Colours,
    /// The nodes whose events are told apart; empty: all events are of the demo as a whole.
    labels: Vec<Label>,
}

/// The name of a node in front of its events.
#[derive(Clone)]
pub(crate) struct Label {
    name: &'static str,
    /// The number of the system in which its actors run.
    system: Arc<OnceLock<usize>>,
}

impl Label {
    /// A label that no system has yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, system: Arc::default() }
    }

    /// Gives the label to the system of this thread.
    pub(crate) fn name_this_system(&self) {
        if let Some(system) = System::try_current() {
            // Each label is given once.
            let _ = self.system.set(system.id());
        }
    }
}

impl Timeline {
    /// Makes a timeline that starts now the logger of the process. With labels, each event has that of its node.
    pub(crate) fn install(labels: &[Label]) {
        let timeline = Self { start: clock::now(), colours: Colours::of_stdout(), labels: labels.to_vec() };
        // It fails only if a logger is set already, and the demo sets no other.
        if log::set_boxed_logger(Box::new(timeline)).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    }

    /// The label of the node that runs on this thread, in its column.
    fn label(&self) -> String {
        if self.labels.is_empty() {
            return String::new();
        }
        let system = System::try_current().map(|system| system.id());
        let known =
            self.labels.iter().find(|label| system.is_some() && label.system.get() == system.as_ref());
        format!("{:<LABEL_WIDTH$}  ", known.map_or("", |label| label.name))
    }
}

/// Prints a line of text between the events.
pub(crate) fn print(text: &str) {
    // The demo continues if standard output is closed.
    let _ = writeln!(io::stdout(), "{text}");
}

impl log::Log for Timeline {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
            || metadata.level() <= LevelFilter::Info && TARGETS.contains(&metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            print(&line(clock::since(self.start), &self.label(), record, self.colours));
        }
    }

    fn flush(&self) {}
}

/// One event: `  12 ms  montague → capulet  connected  address 127.0.0.1:40123`, with the label behind the time.
fn line(time: Duration, label: &str, record: &Record<'_>, colours: Colours) -> String {
    let mut pairs = Pairs::default();
    // The visitor only collects pairs, which does not fail.
    let _ = record.key_values().visit(&mut pairs);
    let event = record.args().to_string();
    let inbound = record.target() == "nuncio::incoming" || ["delivered", "bounced"].contains(&event.as_str());
    let arrow = if inbound { '←' } else { '→' };
    let domains = match pairs.domains.split_once(" > ") {
        Some((local, remote)) => format!("{} {arrow} {}", short(local), short(remote)),
        None => short(&pairs.domains).to_owned(),
    };
    let time = colours.paint(DIM, &format!("{:>5} ms", time.as_millis()));
    let details = pairs.others.join("  ");
    let details = if details.is_empty() { details } else { colours.paint(DIM, &details) };
    let event = colours.paint(colour(record, &event), &format!("{event:<EVENT_WIDTH$}"));
    format!("{time}  {label}{domains:<DOMAINS_WIDTH$}  {event}  {details}").trim_end().to_owned()
}

/// The key-value pairs of a record, as text.
#[derive(Default)]
struct Pairs {
    /// `local > remote`, or only the local domain.
    domains: String,
    others: Vec<String>,
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if is_absent(&value) {
            return Ok(());
        }
        let value = value.to_string();
        match (key.as_str(), value.as_str()) {
            // An incoming stream has no pair before it is authenticated; then the requested domain tells the
            // node.
            ("pair" | "sni" | "to", _) => self.domains = value,
            ("text", _) => self.others.push(format!("“{value}”")),
            // Tells the runs of a node apart.
            ("run", _) | (_, "false") => {}
            (key, "true") => self.others.push(key.replace('_', " ")),
            (key, _) => self.others.push(format!("{} {value}", key.replace('_', " "))),
        }
        Ok(())
    }
}

/// The name before `.example`.
fn short(domain: &str) -> &str {
    domain.strip_suffix(".example").unwrap_or(domain)
}

fn colour(record: &Record<'_>, event: &str) -> &'static str {
    match event {
        "delivered" => GREEN,
        "bounced" => YELLOW,
        _ if record.level() <= LevelFilter::Warn => YELLOW,
        _ => CYAN,
    }
}

/// The log targets that are shown: those about stanzas, links and other nodes, and that of the demo.
const TARGETS: [&str; 5] =
    ["nuncio::promise", "nuncio::outgoing", "nuncio::incoming", "nuncio::cluster", "nuncio::demo"];

/// Width of the longest label, `capulet`.
const LABEL_WIDTH: usize = 7;

/// Width of `montague → capulet`.
const DOMAINS_WIDTH: usize = 18;

/// Width of the longest event, `authenticated`.
const EVENT_WIDTH: usize = 13;

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn shown(target: &str, event: &str, pairs: &[(&str, &str)], colours: Colours) -> String {
        let pairs = &pairs;
        let args = format_args!("{event}");
        let record = Record::builder().level(Level::Info).target(target).args(args).key_values(pairs).build();
        line(Duration::from_millis(12), "", &record, colours)
    }

    #[test]
    fn events_are_aligned_in_columns() {
        let pair = ("pair", "montague.example > capulet.example");
        assert_eq!(
            shown(
                "nuncio::outgoing",
                "connected",
                &[pair, ("address", "127.0.0.1:1"), ("direct_tls", "true")],
                Colours::Off
            ),
            "   12 ms  montague → capulet  connected      address 127.0.0.1:1  direct tls"
        );
        assert_eq!(
            shown(
                "nuncio::incoming",
                "authenticated",
                &[("pair", "capulet.example > montague.example")],
                Colours::Off
            ),
            "   12 ms  capulet ← montague  authenticated"
        );
        assert_eq!(
            shown(
                "nuncio::demo",
                "delivered",
                &[("pair", "capulet.example > montague.example"), ("text", "O")],
                Colours::Off
            ),
            "   12 ms  capulet ← montague  delivered      “O”"
        );
        assert_eq!(shown("nuncio::node", "ready", &[], Colours::Off), "   12 ms                      ready");
    }

    #[test]
    fn events_have_colours_only_if_colours_are_on() {
        assert!(!shown("nuncio::demo", "delivered", &[], Colours::Off).contains('\x1b'));
        assert!(shown("nuncio::demo", "delivered", &[], Colours::On).contains(GREEN));
    }
}

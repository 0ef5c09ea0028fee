//! Prints the log records of the nodes as a timeline: time, domains, event and details.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

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
}

impl Timeline {
    /// Makes a timeline that starts now the logger of the process.
    pub(crate) fn install() {
        let timeline = Self { start: clock::now(), colours: Colours::of_stdout() };
        // It fails only if a logger is set already, and the demo sets no other.
        if log::set_boxed_logger(Box::new(timeline)).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
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
            print(&line(clock::since(self.start), record, self.colours));
        }
    }

    fn flush(&self) {}
}

/// One event: `  12 ms  montague → capulet  connected  address 127.0.0.1:40123`.
fn line(time: Duration, record: &Record<'_>, colours: Colours) -> String {
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
    format!("{time}  {domains:<DOMAINS_WIDTH$}  {event}  {details}").trim_end().to_owned()
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
            (_, "false") => {}
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

/// The log targets that are shown: those about stanzas and links, and that of the demo.
const TARGETS: [&str; 4] = ["nuncio::promise", "nuncio::outgoing", "nuncio::incoming", "nuncio::demo"];

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
        line(Duration::from_millis(12), &record, colours)
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

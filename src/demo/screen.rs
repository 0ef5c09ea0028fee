//! Shows the nodes' own log lines as a play: when, who, what, and the particulars.

use std::{
    env,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use log::{
    LevelFilter, Metadata, Record,
    kv::{self, Key, Value, VisitSource},
};

/// A log that a person watches.
pub(crate) struct Screen {
    start: Instant,
    colours: bool,
}

impl Screen {
    /// Makes this the log of the process. From now on time is counted.
    pub(crate) fn raise() {
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        let screen = Self { start: clock::now(), colours };
        // There is no log yet: nobody but `main` sets one.
        if log::set_boxed_logger(Box::new(screen)).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    }
}

/// Shows a line of text between the steps.
pub(crate) fn tell(text: &str) {
    // When nobody watches any more, the play goes on all the same.
    let _ = writeln!(io::stdout(), "{text}");
}

impl log::Log for Screen {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
            || metadata.level() <= LevelFilter::Info && SCENES.contains(&metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            tell(&line(clock::since(self.start), record, self.colours));
        }
    }

    fn flush(&self) {}
}

/// One step: `  12 ms  montague → capulet  connected  address 127.0.0.1:40123`.
fn line(time: Duration, record: &Record<'_>, colours: bool) -> String {
    let mut pairs = Pairs::default();
    // It only collects, which cannot fail.
    let _ = record.key_values().visit(&mut pairs);
    let step = record.args().to_string();
    let comes = record.target() == "nuncio::incoming" || ["delivered", "bounced"].contains(&step.as_str());
    let arrow = if comes { '←' } else { '→' };
    let who = match pairs.who.split_once(" > ") {
        Some((local, remote)) => format!("{} {arrow} {}", short(local), short(remote)),
        None => short(&pairs.who).to_owned(),
    };
    let particulars = pairs.others.join("  ");
    let (colour, dim, plain) = if colours { (colour(record, &step), DIM, PLAIN) } else { ("", "", "") };
    let millis = time.as_millis();
    format!(
        "{dim}{millis:>5} ms{plain}  {who:<WHO$}  {colour}{step:<STEP$}{plain}  {dim}{particulars}{plain}"
    )
    .trim_end()
    .to_owned()
}

/// The pairs of a record, put into words.
#[derive(Default)]
struct Pairs {
    /// `local > remote`, or only the local domain.
    who: String,
    others: Vec<String>,
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        match (key.as_str(), value.as_str()) {
            // Before an incoming stream has proved a pair, what its peer asked for says which node this is.
            ("pair" | "sni" | "to", _) => self.who = value,
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

fn colour(record: &Record<'_>, step: &str) -> &'static str {
    match step {
        "delivered" => GREEN,
        "bounced" => YELLOW,
        _ if record.level() <= LevelFilter::Warn => YELLOW,
        _ => CYAN,
    }
}

/// The parts of a node that say what becomes of stanzas and links, and the demo itself.
const SCENES: [&str; 4] = ["nuncio::promise", "nuncio::outgoing", "nuncio::incoming", "nuncio::demo"];

/// Characters of `montague → capulet`.
const WHO: usize = 18;

/// Characters of the longest step, `authenticated`.
const STEP: usize = 13;

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn shown(target: &str, step: &str, pairs: &[(&str, &str)], colours: bool) -> String {
        let pairs = &pairs;
        let args = format_args!("{step}");
        let record = Record::builder().level(Level::Info).target(target).args(args).key_values(pairs).build();
        line(Duration::from_millis(12), &record, colours)
    }

    #[test]
    fn steps_stand_in_columns() {
        let pair = ("pair", "montague.example > capulet.example");
        assert_eq!(
            shown(
                "nuncio::outgoing",
                "connected",
                &[pair, ("address", "127.0.0.1:1"), ("direct_tls", "true")],
                false
            ),
            "   12 ms  montague → capulet  connected      address 127.0.0.1:1  direct tls"
        );
        assert_eq!(
            shown(
                "nuncio::incoming",
                "authenticated",
                &[("pair", "capulet.example > montague.example")],
                false
            ),
            "   12 ms  capulet ← montague  authenticated"
        );
        assert_eq!(
            shown(
                "nuncio::demo",
                "delivered",
                &[("pair", "capulet.example > montague.example"), ("text", "O")],
                false
            ),
            "   12 ms  capulet ← montague  delivered      “O”"
        );
        assert_eq!(shown("nuncio::node", "ready", &[], false), "   12 ms                      ready");
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(!shown("nuncio::demo", "delivered", &[], false).contains('\x1b'));
        assert!(shown("nuncio::demo", "delivered", &[], true).contains(GREEN));
    }
}

//! Writes the log to standard error: one line per event, the message first, then `key=value` pairs.
//!
//! Log records contain text of peers. Line ends and hidden characters are escaped, so that a peer cannot add
//! lines or escape sequences to the log.

use std::{
    env,
    fmt::{self, Write as _},
    io::{self, Write as _},
    sync::{PoisonError, RwLock},
};

use env_logger::{Builder, fmt::Formatter};
use log::{
    LevelFilter, Log, Metadata, Record,
    kv::{self, Key, Value, VisitSource, VisitValue},
};
use status::escape::{Escaping, is_hidden};

use crate::{config::log_filter, priority};

/// Starts logging to standard error with the filter `configured`, which a valid `RUST_LOG` overrides.
pub(crate) fn start(configured: &str) {
    set_filter(configured);
    // It fails only if a logger is set already, which then stays.
    let _ = log::set_logger(&LOGGER);
    if let Err(reason) = variable() {
        log::error!(target: LOG, reason = reason.as_str(); "RUST_LOG is invalid: the log level is that of the configuration");
    }
}

/// Replaces the filter, unless `RUST_LOG` is set and valid.
pub(crate) fn set_filter(configured: &str) {
    let filter = variable().ok().flatten().unwrap_or_else(|| limit_to_nuncio(configured));
    let logger = Builder::new().parse_filters(&filter).format(line).build();
    log::set_max_level(logger.filter());
    *LOGGER.0.write().unwrap_or_else(PoisonError::into_inner) = Some(logger);
}

/// The filter in `RUST_LOG`; `None` if it is not set.
///
/// # Errors
/// The reason why it is invalid. `env_logger` would read a misspelt level as a target, and log nothing.
fn variable() -> Result<Option<String>, String> {
    match env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => log_filter(&filter).map(Some),
        _ => Ok(None),
    }
}

/// A logger whose filter can be changed while the node runs.
struct Replaceable(RwLock<Option<env_logger::Logger>>);

impl Replaceable {
    fn with<T>(&self, action: impl FnOnce(&env_logger::Logger) -> T) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(action)
    }
}

impl Log for Replaceable {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.with(|logger| logger.enabled(metadata)).unwrap_or(false)
    }

    fn log(&self, record: &Record<'_>) {
        self.with(|logger| logger.log(record));
    }

    fn flush(&self) {
        self.with(Log::flush);
    }
}

const LOG: &str = "nuncio::node";

static LOGGER: Replaceable = Replaceable(RwLock::new(None));

/// Limits levels without a target to the targets of Nuncio. Dependencies log at most warnings.
fn limit_to_nuncio(filter: &str) -> String {
    let (directives, pattern) = match filter.split_once('/') {
        Some((directives, pattern)) => (directives, format!("/{pattern}")),
        None => (filter, String::new()),
    };
    let mut words = Vec::new();
    for directive in directives.split(',').map(str::trim) {
        match directive.parse::<LevelFilter>() {
            Ok(level) => words.push(format!("{},nuncio={level}", level.min(LevelFilter::Warn))),
            Err(_) => words.push(directive.to_owned()),
        }
    }
    words.join(",") + &pattern
}

/// Writes `time level target message key=value …`, in the journal of systemd with a priority.
fn line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level, target) = (out.timestamp_millis(), record.level(), record.target());
    let style = out.default_level_style(level);
    let priority = priority::prefix(level);
    writeln!(out, "{priority}{time} {style}{level:<5}{style:#} {target} {}", Event(record))
}

/// The part of a line after the target: the message, then the pairs.
struct Event<'a>(&'a Record<'a>);

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(&mut *f), "{}", self.0.args())?;
        self.0.key_values().visit(&mut Pairs(f)).map_err(|_| fmt::Error)
    }
}

/// Whether the value is `None`. Its pair is left out of the line.
pub(crate) fn is_absent(value: &Value<'_>) -> bool {
    struct IsNull(bool);
    impl<'v> VisitValue<'v> for IsNull {
        fn visit_any(&mut self, _: Value<'_>) -> Result<(), kv::Error> {
            Ok(())
        }
        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.0 = true;
            Ok(())
        }
    }
    let mut visitor = IsNull(false);
    // The visitor does not fail.
    let _ = value.visit(&mut visitor);
    visitor.0
}

/// Writes ` key=value` for each pair. A value that is not a single plain word is quoted.
struct Pairs<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl<'kvs> VisitSource<'kvs> for Pairs<'_, '_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if is_absent(&value) {
            return Ok(());
        }
        let value = value.to_string();
        let plain =
            !value.is_empty() && !value.contains(|c: char| c == '"' || c.is_whitespace() || is_hidden(c));
        if plain {
            write!(self.0, " {key}={value}")?;
        } else {
            write!(self.0, " {key}=\"")?;
            write!(Escaping(&mut *self.0), "{}", value.replace('\\', "\\\\").replace('"', "\\\""))?;
            self.0.write_char('"')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::{Level, kv::Source};

    use super::*;

    fn event(message: &str, pairs: &dyn Source) -> String {
        let args = format_args!("{message}");
        Event(&Record::builder().level(Level::Info).args(args).key_values(&pairs).build()).to_string()
    }

    #[test]
    fn pairs_follow_the_message_in_the_given_order() {
        let pairs =
            [("actor", "outgoing"), ("instances", "212"), ("deepest", "b.example:31"), ("rate", "1823/s")];
        assert_eq!(
            event("mailbox", &pairs.as_slice()),
            "mailbox actor=outgoing instances=212 deepest=b.example:31 rate=1823/s"
        );
    }

    #[test]
    fn a_pair_without_value_is_left_out() {
        let pairs = [("waiting", Some(0)), ("next_attempt_after", None), ("waited", Some(3))];
        assert_eq!(event("no link", &pairs.as_slice()), "no link waiting=0 waited=3");
    }

    #[test]
    fn a_value_of_several_words_is_quoted() {
        let pairs = [("pair", "a.example > b.example"), ("why", "it said \"no\""), ("id", "")];
        assert_eq!(
            event("closed", &pairs.as_slice()),
            r#"closed pair="a.example > b.example" why="it said \"no\"" id="""#
        );
    }

    #[test]
    fn a_peer_cannot_add_lines_or_escape_sequences() {
        let pairs = [
            ("text", "bye\n2026-11-22 ERROR"),
            ("colour", "\u{1b}[31m"),
            ("turned", "a\u{202e}b"),
            ("line", "a\u{2028}b"),
            ("unseen", "a\u{200b}\u{fe0f}b"),
        ];
        assert_eq!(
            event("closed\r\nnode ready", &pairs.as_slice()),
            r#"closed\r\nnode ready text="bye\n2026-11-22 ERROR" colour="\u{1b}[31m" turned="a\u{202e}b" line="a\u{2028}b" unseen="a\u{200b}\u{fe0f}b""#
        );
    }

    #[test]
    fn a_level_without_target_applies_to_nuncio_and_dependencies_log_warnings_only() {
        assert_eq!(limit_to_nuncio("info"), "WARN,nuncio=INFO");
        assert_eq!(limit_to_nuncio("error"), "ERROR,nuncio=ERROR");
        assert_eq!(
            limit_to_nuncio("debug,hickory_resolver=debug"),
            "WARN,nuncio=DEBUG,hickory_resolver=debug"
        );
        assert_eq!(limit_to_nuncio("nuncio::dns=trace/b.example"), "nuncio::dns=trace/b.example");
    }
}

//! `nuncio top`: what the running node does now, live in a terminal, or once as text or JSON.
//!
//! It reads the control socket again and again, with requests of a bounded size. Rates are differences between two readings.

mod live;
mod now;
mod parts;
mod reading;
mod view;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::json;
use status::escape;

use self::{
    now::{Now, Sort},
    reading::Reading,
};
use crate::{
    control::{Layout, Node, limit},
    output,
};

/// Arguments of `top`.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    layout: Layout,
    /// The time between two readings, from 0.5 s to 1 h; rates are those of this time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    every: Duration,
    /// Reads at most this many links and queues: the links that had a stanza last, and the longest queues
    #[arg(long, value_name = "N", default_value_t = LIMIT, value_parser = limit)]
    limit: usize,
    /// Prints two readings' difference once, as text, also in a terminal
    #[arg(long)]
    once: bool,
}

/// Shows what the node does.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let is_live = io::stdout().is_terminal() && !arguments.once && !arguments.node.json;
    let shown = if is_live { live::show(arguments) } else { once(arguments) };
    match shown {
        Ok(text) => output::print(text, ExitCode::SUCCESS),
        Err(why) => {
            let written = match arguments.node.json {
                true => output::write(format!("{}\n", escape::json(&json!({ "error": why }).to_string()))),
                false => Ok(()),
            };
            output::print_error(format_args!("nuncio: {why}"));
            output::exit_status(written, ExitCode::FAILURE)
        }
    }
}

/// The difference between two readings, as text or JSON.
fn once(arguments: &Arguments) -> Result<String, String> {
    let socket = arguments.node.socket()?;
    let first = Reading::take(&socket, arguments.limit)?;
    thread::sleep(arguments.every);
    let second = Reading::take(&socket, arguments.limit)?;
    let mut now = Now::between(Some(&first), &second);
    now.sort(Sort::Busiest);
    if arguments.node.json {
        let document =
            serde_json::to_string(&now).map_err(|error| format!("cannot write the document: {error}"))?;
        return Ok(format!("{}\n", escape::json(&document)));
    }
    Ok(view::text(&now, arguments.layout.width()))
}

/// Parses the time between two readings: `2s`, `500ms`, or a number of seconds.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds =
        |text: &str| text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let parsed = seconds(text).or_else(|| humantime::parse_duration(text).ok());
    parsed
        .filter(|interval| (SHORTEST..=LONGEST).contains(interval))
        .ok_or_else(|| "expected a time from 0.5 s to 1 h, for example 2s".to_owned())
}

/// The shortest time between two readings: the node has other work.
const SHORTEST: Duration = Duration::from_millis(500);

/// The longest time between two readings.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Links and queues that are read if there is no limit: more than a screen shows, and about 200 KB of JSON.
const LIMIT: usize = 200;

const HELP: &str = "\
Keys: q ends the view. 1 to 5 show one part, 0 all of them, Tab the next one; the arrows and the page keys move in it. \
s changes the order: traffic, waiting, name. Space reads now.

If the node stops or does not answer, the view says so, keeps the last figures, and tries again.

Columns of the mailboxes: PEAK is the most messages that waited in one mailbox since the last mailbox line of the log, \
P50 and P99 the times from sending to handling between the last two readings.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_time_or_a_number_of_seconds() {
        assert_eq!(interval("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "0", "100ms", "2h", "-1", "NaN", "inf", "soon"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}

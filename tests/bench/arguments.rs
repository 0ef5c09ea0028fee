//! What to run, as the command line says.

use std::str::FromStr;
use std::time::Duration;

use crate::servers::Kind;

/// The choices.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// How often everything is done; ratios are of medians.
    pub(crate) rounds: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) works: Vec<Work>,
    /// Ten thousand links at once instead of everything else.
    pub(crate) scale: bool,
    /// 1,000 and 5,000 domains of one address instead of everything else.
    pub(crate) hoster: bool,
    /// How many domains that are.
    pub(crate) domains: Vec<usize>,
    /// The round trips between the two servers for which that is measured.
    pub(crate) round_trips: Vec<Duration>,
    /// Shorter everything: to see that it works, not to be quoted.
    pub(crate) quick: bool,
    /// Whether the results and the README's figure are written: by default those of a whole run.
    pub(crate) store: bool,
}

/// Something that servers are made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing.
    Rest,
    /// Messages over one warm link.
    Flood,
    /// Messages over 50 links at once.
    Pairs,
    /// What a chat server sends, over one warm link.
    Mix,
    /// 100 and 1,000 messages a second.
    Latency,
    /// The first message to a domain.
    Cold,
    /// A message to each of 1,000 domains.
    Thousand,
    /// TLS handshakes, without any server.
    Handshake,
}

impl Work {
    const ALL: [(&'static str, Self); 8] = [
        ("rest", Self::Rest),
        ("flood", Self::Flood),
        ("pairs", Self::Pairs),
        ("mix", Self::Mix),
        ("latency", Self::Latency),
        ("cold", Self::Cold),
        ("thousand", Self::Thousand),
        ("handshake", Self::Handshake),
    ];
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// What it does not understand, and how to say it.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let mut read = Self {
            rounds: 5,
            kinds: Kind::SERVERS.to_vec(),
            works: Work::ALL.map(|(_, work)| work).to_vec(),
            scale: false,
            hoster: false,
            domains: vec![1000, 5000],
            round_trips: vec![Duration::ZERO],
            quick: false,
            store: true,
        };
        let mut store = false;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--rounds" => read.rounds = number(value()?)?,
                "--only" => read.works = list(value()?, |name| named(name, &Work::ALL))?,
                "--kinds" => {
                    let kinds = Kind::SERVERS.map(|kind| (kind.name(), kind));
                    read.kinds = list(value()?, |name| named(name, &kinds))?;
                }
                "--quick" => {
                    (read.quick, read.store, read.rounds) = (true, false, 1);
                    read.domains = vec![200, 700];
                }
                "--scale" => read.scale = true,
                "--hoster" => read.hoster = true,
                "--domains" => read.domains = list(value()?, number)?,
                "--round-trips" => {
                    read.round_trips =
                        list(value()?, number)?.into_iter().map(Duration::from_millis).collect();
                }
                "--store" => store = true,
                // Cargo says so to every benchmark.
                "--bench" => {}
                _ => return Err(format!("unknown: {argument}\n{USAGE}")),
            }
        }
        // Parts of the table are not what the README quotes.
        read.store &= read.works.len() == Work::ALL.len() && read.kinds.len() == Kind::SERVERS.len();
        read.store |= store;
        Ok(read)
    }

    /// Whether that work is wanted.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.works.contains(&work)
    }

    /// One time for a run to be quoted, another for a quick one.
    pub(crate) fn time(&self, full: f64, quick: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { quick } else { full })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number\n{USAGE}"))
}

fn list<T>(text: &str, each: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(each).collect()
}

fn named<T: Copy>(name: &str, all: &[(&str, T)]) -> Result<T, String> {
    all.iter().find(|(known, _)| *known == name).map(|(_, it)| *it).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|(known, _)| *known).collect();
        format!("{name} is none of {}\n{USAGE}", known.join(", "))
    })
}

const USAGE: &str = "cargo bench --bench federation -- [--quick] [--scale] [--hoster [--domains 1000,5000] [--round-trips 0,50]] [--rounds N] [--store] \
    [--only rest,flood,pairs,mix,latency,cold,thousand,handshake] [--kinds nuncio,ejabberd,prosody]";

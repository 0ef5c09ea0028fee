//! Command line of the federation benchmark.

use std::str::FromStr;
use std::time::Duration;

use crate::servers::Kind;

/// Parsed command line.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// Number of repetitions of every measurement; ratios are computed from medians.
    pub(crate) rounds: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) works: Vec<Work>,
    /// Run only the test with 10,000 simultaneous links.
    pub(crate) scale: bool,
    /// Run only the test with many domains behind one address (1,000 and 5,000 by default).
    pub(crate) hoster: bool,
    /// Compare only with and without acknowledgements.
    pub(crate) acks: bool,
    /// Run only the comparison with and without the journal.
    pub(crate) journal: bool,
    /// Of that comparison, run only the measurements of the memory of what waits.
    pub(crate) memory: bool,
    /// Run only the comparison of a healthy destination beside bad ones.
    pub(crate) bad: bool,
    /// Run only the measurements of two nodes of a cluster.
    pub(crate) cluster: bool,
    /// Run only the test of a link that is reset many times.
    pub(crate) resets: bool,
    /// Numbers of domains for the test with many domains behind one address.
    pub(crate) domains: Vec<usize>,
    /// Round-trip times between the two servers for the same test.
    pub(crate) round_trips: Vec<Duration>,
    /// Use short measurements, which check that the benchmark works; do not quote their results.
    pub(crate) quick: bool,
    /// Whether to write the results and the figure of the README; by default only after a complete run.
    pub(crate) store: bool,
}

/// A workload of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Idle servers.
    Rest,
    /// Messages over one warm link.
    Flood,
    /// Messages over 50 links at once.
    Pairs,
    /// Typical traffic of a chat server over one warm link.
    Mix,
    /// 100 and 1,000 messages per second.
    Latency,
    /// The first message to a domain, which sets up a link.
    Cold,
    /// One message to each of 1,000 domains.
    Thousand,
    /// TLS handshakes without a server.
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
    /// Parses the command line.
    ///
    /// # Errors
    ///
    /// Returns a message with the rejected argument and the usage.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let mut read = Self {
            rounds: 5,
            kinds: Kind::SERVERS.to_vec(),
            works: Work::ALL.map(|(_, work)| work).to_vec(),
            scale: false,
            hoster: false,
            acks: false,
            journal: false,
            memory: false,
            bad: false,
            cluster: false,
            resets: false,
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
                "--acks" => read.acks = true,
                "--journal" => read.journal = true,
                "--memory" => read.memory = true,
                "--bad" => read.bad = true,
                "--cluster" => read.cluster = true,
                "--resets" => read.resets = true,
                "--domains" => read.domains = list(value()?, number)?,
                "--round-trips" => {
                    read.round_trips =
                        list(value()?, number)?.into_iter().map(Duration::from_millis).collect();
                }
                "--store" => store = true,
                // Cargo passes this argument to every benchmark.
                "--bench" => {}
                _ => return Err(format!("unknown argument: {argument}\n{USAGE}")),
            }
        }
        // The README quotes complete results only.
        read.store &= read.works.len() == Work::ALL.len() && read.kinds.len() == Kind::SERVERS.len();
        read.store |= store;
        Ok(read)
    }

    /// Whether the workload is selected.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.works.contains(&work)
    }

    /// Duration in seconds: `full` for a normal run, `quick` for a quick run.
    pub(crate) fn time(&self, full: f64, quick: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { quick } else { full })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number\n{USAGE}"))
}

fn list<T>(text: &str, each: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(each).collect()
}

fn named<T: Copy>(name: &str, all: &[(&str, T)]) -> Result<T, String> {
    all.iter().find(|(known, _)| *known == name).map(|(_, it)| *it).ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|(known, _)| *known).collect();
        format!("{name} is not one of: {}\n{USAGE}", known.join(", "))
    })
}

const USAGE: &str = "cargo bench --bench federation -- [--quick] [--scale] [--acks] [--journal] [--memory] [--bad] [--cluster] [--resets] [--hoster [--domains 1000,5000] [--round-trips 0,50]] [--rounds N] [--store] \
    [--only rest,flood,pairs,mix,latency,cold,thousand,handshake] [--kinds nuncio,ejabberd,prosody]";

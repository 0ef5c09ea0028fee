//! Load generator for latency: sends stanzas at a fixed rate and measures the delay of each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::script::{Numbers, Script};

/// A pair of components: the first sends to the second.
pub(crate) struct Clocked {
    from: TcpStream,
    to: TcpStream,
    numbers: Numbers,
    next: u64,
}

impl Clocked {
    /// Takes ownership of a connected pair.
    pub(crate) fn new(from: TcpStream, to: TcpStream) -> Self {
        Self { from, to, numbers: Numbers::new(READ), next: 0 }
    }

    /// Sends `count` stanzas, one per interval `every`, without waiting for earlier ones. Returns the latency
    /// of each in seconds, in order.
    ///
    /// # Errors
    ///
    /// Returns a message if a stanza is missing or out of order, or if a connection fails.
    pub(crate) fn run(&mut self, script: &Script, count: usize, every: Duration) -> Result<Vec<f64>, String> {
        let Self { from, to, numbers, next } = self;
        let first = *next;
        *next += count as u64;
        let sent: Vec<OnceLock<Instant>> = (0..count).map(|_| OnceLock::new()).collect();
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(from, script, first, &sent, every));
            let took = receive(to, numbers, first, &sent).map_err(|error| error.to_string());
            sender.join().expect("the sender").map_err(|error| error.to_string())?;
            took
        })
    }
}

fn send(
    from: &mut TcpStream,
    script: &Script,
    first: u64,
    sent: &[OnceLock<Instant>],
    every: Duration,
) -> io::Result<()> {
    let begin = Instant::now();
    let mut stanza = Vec::new();
    for (at, number) in (0..).zip(first..first + sent.len() as u64) {
        stanza.clear();
        script.write(number, &mut stanza);
        thread::sleep((begin + every * at).saturating_duration_since(Instant::now()));
        // The clock starts here, so that a late wake-up of the generator does not count as latency.
        let _ = sent[at as usize].set(Instant::now());
        from.write_all(&stanza)?;
    }
    Ok(())
}

fn receive(
    to: &mut TcpStream,
    numbers: &mut Numbers,
    first: u64,
    sent: &[OnceLock<Instant>],
) -> io::Result<Vec<f64>> {
    let mut took = vec![None; sent.len()];
    let (mut arrived, mut fault) = (0, None);
    while arrived < sent.len() {
        let length = to.read(numbers.room())?;
        let now = Instant::now();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        numbers.read(length, |number| {
            let expected = first + arrived as u64;
            arrived += 1;
            if number != expected && fault.is_none() {
                fault = Some(format!("stanza {number} arrived instead of {expected}"));
            }
            let at = usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX);
            let sent = sent.get(at).and_then(OnceLock::get);
            if let (Some(took), Some(sent)) = (took.get_mut(at), sent) {
                *took = Some((now - *sent).as_secs_f64());
            }
        });
    }
    fault.map_or_else(|| Ok(took.into_iter().flatten().collect()), |fault| Err(io::Error::other(fault)))
}

const READ: usize = 64 * 1024;

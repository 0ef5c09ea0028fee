//! Shows the table in a terminal, and redraws it while the log grows.

use std::{
    io::{self, IsTerminal as _, Read as _},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use crossterm::terminal;

use super::{
    follow::{Follower, Read},
    log::{CHUNK, Error, Log},
    split::LineSplitter,
    stats::{ActorKind, Stats},
    table::{self, Bars, Period, Row, Style},
};
use crate::screen::{self, AlternateScreen, Terminal, keyboard::Key};

/// Shows the mailboxes until the operator quits or the log ends. Keys are read from `from`. Returns the statistics until then.
///
/// # Errors
/// The log cannot be read, or the terminal was closed.
pub(super) fn show(log: &Log, from: Terminal) -> Result<Stats, Error> {
    let follower = match log {
        Log::File(file) => Some(Follower::open(file.clone())?),
        Log::Stdin => None,
    };
    let (sender, input) = sync_channel(MAX_CHUNKS);
    // The thread waits for input until the process exits.
    thread::spawn(move || match follower {
        Some(follower) => read_file(follower, &sender),
        None => read_stdin(&sender),
    });
    let terminal = |error| match io::stdout().is_terminal() {
        true => Error::Unreadable("the terminal".to_owned(), error),
        false => Error::TerminalClosed,
    };
    let stop = screen::stop_signals().map_err(terminal)?;
    let (mut screen, keys) = AlternateScreen::enter(from).map_err(terminal)?;
    let mut stats = Stats::default();
    let ended = run(log, &mut stats, &Events { input, stop, keys }, &mut screen);
    drop(screen);
    match ended.map_err(terminal)? {
        End::Quit | End::OfLog => Ok(stats),
        End::LogUnreadable(error) => Err(Error::Unreadable(log.to_string(), error)),
        End::TerminalClosed => Err(Error::TerminalClosed),
    }
}

/// Input from the log.
enum Input {
    Bytes(Vec<u8>),
    /// The next bytes are from the beginning of a file.
    Restarted,
    /// The log cannot be read.
    Failed(io::Error),
}

/// Events that change the view or end it.
struct Events {
    input: Receiver<Input>,
    stop: Receiver<()>,
    keys: Receiver<Key>,
}

/// The reason for which the view ended.
enum End {
    /// A key or a signal.
    Quit,
    /// The log ended and will not grow.
    OfLog,
    LogUnreadable(io::Error),
    TerminalClosed,
}

/// Reads and draws until there is a reason to end the view.
fn run(log: &Log, stats: &mut Stats, events: &Events, screen: &mut AlternateScreen) -> io::Result<End> {
    let mut lines = LineSplitter::default();
    let title = format!("nuncio mailboxes  {log}");
    let bars = Bars::from_env();
    loop {
        // The number of chunks is limited, so that keys and drawing work while a large log is read.
        let mut more = false;
        for _ in 0..MAX_CHUNKS {
            match events.input.try_recv() {
                Ok(Input::Bytes(bytes)) => lines.feed(&bytes, |line| stats.add_line(line)),
                Ok(Input::Restarted) => lines.restart(),
                Ok(Input::Failed(error)) => return Ok(End::LogUnreadable(error)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    lines.finish(|line| stats.add_line(line));
                    return Ok(End::OfLog);
                }
            }
            more = true;
        }
        // A kind without new lines is idle.
        stats.pass_time_if_live(clock::system());
        let (width, height) = terminal::size()?;
        screen.draw(&view(stats, &title, (width.into(), height.into()), bars))?;
        if events.stop.try_recv().is_ok() {
            return Ok(End::Quit);
        }
        let pause = if more { Duration::ZERO } else { REDRAW };
        match events.keys.recv_timeout(pause) {
            Ok(Key::Quit) => return Ok(End::Quit),
            // The thread of the keyboard sends an event before it ends.
            Ok(Key::Closed) | Err(RecvTimeoutError::Disconnected) => return Ok(End::TerminalClosed),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The rows of a screen with this width and height.
fn view(stats: &Stats, title: &str, (width, height): (usize, usize), bars: Bars) -> Vec<Row> {
    let title = match stats.latest() {
        Some(time) => format!("{title}  {}", table::timestamp(time)),
        None => format!("{title}  {} lines", stats.lines()),
    };
    let mut rows = vec![Row::new(title, Style::Dim)];
    if stats.is_empty() {
        rows.push(Row::new("no mailbox lines so far", Style::Plain));
    } else {
        rows.extend(table::kinds(&fullest_kinds(stats, height), width, Period::Latest, bars));
        let hidden = stats.kinds().len().saturating_sub(rows.len() - 2);
        if hidden > 0 {
            rows.push(Row::new(format!("… {hidden} more"), Style::Dim));
        }
        let room = height.saturating_sub(rows.len() + ROWS_AROUND_INCIDENTS);
        let (mut incidents, _) = stats.incidents();
        if room > 0 && !incidents.is_empty() {
            incidents.reverse();
            incidents.truncate(room);
            rows.push(Row::new("", Style::Plain));
            rows.push(Row::new("Times when a mailbox was full, the latest first:", Style::Dim));
            rows.extend(table::incidents(&incidents, Some(width)));
        }
    }
    if rows.len() + 2 <= height {
        rows.resize(height - 1, Row::new("", Style::Plain));
        rows.push(Row::new("q quits", Style::Dim));
    }
    screen::cut(rows, (width, height))
}

/// The kinds of actors that fit on the screen: all of them, or else the fullest, which come first.
fn fullest_kinds(stats: &Stats, height: usize) -> Vec<&ActorKind> {
    let mut kinds: Vec<&ActorKind> = stats.kinds().iter().collect();
    if kinds.len() + HEADER_ROWS > height {
        kinds.sort_by(|one, other| other.last.share().total_cmp(&one.last.share()));
        kinds.truncate(height.saturating_sub(HEADER_ROWS + 1).max(1));
    }
    kinds
}

/// Reads a file while it grows, or a named pipe to its end.
fn read_file(mut follower: Follower, input: &SyncSender<Input>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let sent = match follower.read(&mut buffer) {
            Ok(Read::Bytes(length)) => input.send(Input::Bytes(buffer[..length].to_vec())),
            Ok(Read::Restarted) => input.send(Input::Restarted),
            Ok(Read::Nothing) => {
                thread::sleep(POLL);
                continue;
            }
            Ok(Read::End) => return,
            Err(error) => {
                let _ = input.send(Input::Failed(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Reads standard input to its end.
fn read_stdin(input: &SyncSender<Input>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let sent = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => input.send(Input::Bytes(buffer[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => {
                let _ = input.send(Input::Failed(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Interval between two drawings. A node writes mailbox lines at most once per second.
const REDRAW: Duration = Duration::from_millis(200);

/// Interval between two reads at the end of a file.
const POLL: Duration = Duration::from_millis(100);

/// Maximum number of chunks that wait to be shown.
const MAX_CHUNKS: usize = 16;

/// Rows of the title and of the header of the table.
const HEADER_ROWS: usize = 2;

/// Rows of an empty line, a title and a header above the incidents, and the last row of the screen.
const ROWS_AROUND_INCIDENTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let mut stats = Stats::default();
        include_str!("yesterday.log").lines().for_each(|line| stats.add_line(line.as_bytes()));
        stats
    }

    #[test]
    fn rows_fit_a_screen_of_any_size() {
        let stats = stats();
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 5), (40, 10), (80, 24), (500, 100)] {
            for stats in [&stats, &Stats::default()] {
                let rows = view(stats, "nuncio mailboxes  nuncio.log", (width, height), Bars::UNICODE);
                assert!(rows.len() <= height, "{} rows at {width}x{height}", rows.len());
                assert!(rows.iter().all(|row| row.text.chars().count() <= width), "{width}x{height}");
            }
        }
    }

    #[test]
    fn a_narrow_screen_keeps_the_most_important_columns() {
        let rows = view(&stats(), "", (40, 24), Bars::UNICODE);
        let head = &rows[1].text;
        for kept in ["ACTOR", "PEAK", "CAPACITY", "REFUSED"] {
            assert!(head.contains(kept), "no {kept} in {head}");
        }
        assert!(!head.contains("RESTARTS"), "{head}");
    }

    #[test]
    fn a_short_screen_shows_the_fullest() {
        let mut stats = stats();
        stats.add_line(b"mailbox actor=promise peak=1 capacity=4096");
        let rows = view(&stats, "", (80, 4), Bars::UNICODE);
        assert!(rows[2].text.starts_with("outgoing"), "{rows:?}");
        assert!(rows[3].text.contains("more"), "{rows:?}");
    }
}

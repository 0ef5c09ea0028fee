//! The table in a terminal, drawn anew while the log grows.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    process,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use crossterm::{
    cursor, queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{self, Clear, ClearType},
};

use super::{
    CHUNK, Log, Trouble,
    board::{Board, Kind},
    follow::{Came, Follow},
    keyboard::{self, Typed},
    lines::Lines,
    table::{self, Marks, Row, Span, Tone},
};

/// Shows the mailboxes until the operator quits, the log ends, or the terminal is closed; answers what was read until then.
pub(super) fn show(log: &Log) -> Result<Board, Trouble> {
    let follow = log.file.clone().map(Follow::open).transpose()?;
    let (news, heard) = sync_channel(CHUNKS);
    // It waits for input and ends with the process.
    thread::spawn(move || match follow {
        Some(follow) => tail(follow, &news),
        None => pass(&news),
    });
    let terminal = |error| match io::stdout().is_terminal() {
        true => Trouble::Unreadable("the terminal".to_owned(), error),
        false => Trouble::TerminalGone,
    };
    let stop = stop_signals().map_err(terminal)?;
    let mut screen = Screen::enter().map_err(terminal)?;
    let typed = keyboard::listen().map_err(terminal)?;
    let mut board = Board::default();
    let ended = watch(log, &mut board, &Sources { heard, stop, typed }, &mut screen);
    drop(screen);
    match ended.map_err(terminal)? {
        End::Quit | End::OfLog => Ok(board),
        End::LogBroken(error) => Err(Trouble::Unreadable(log.to_string(), error)),
        End::TerminalGone => Err(Trouble::TerminalGone),
    }
}

/// What the reader found.
enum News {
    Bytes(Vec<u8>),
    /// The file begins anew.
    Anew,
    /// The log cannot be read any further.
    Broken(io::Error),
}

/// Everything that can change the view or end it.
struct Sources {
    heard: Receiver<News>,
    stop: Receiver<()>,
    typed: Receiver<Typed>,
}

/// Why the view ended.
enum End {
    /// A key or a signal.
    Quit,
    /// The log ended, and will not grow.
    OfLog,
    LogBroken(io::Error),
    TerminalGone,
}

/// Draws until there is a reason to stop.
fn watch(log: &Log, board: &mut Board, sources: &Sources, screen: &mut Screen) -> io::Result<End> {
    let mut lines = Lines::default();
    let title = format!("nuncio mailboxes  {log}");
    let marks = Marks::of_environment();
    loop {
        // No more at a time than keeps the screen and the keys alive while a large log is read.
        let mut more = false;
        for _ in 0..CHUNKS {
            match sources.heard.try_recv() {
                Ok(News::Bytes(bytes)) => lines.feed(&bytes, |line| board.see(line)),
                Ok(News::Anew) => lines.restart(),
                Ok(News::Broken(error)) => return Ok(End::LogBroken(error)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    lines.end(|line| board.see(line));
                    return Ok(End::OfLog);
                }
            }
            more = true;
        }
        let (width, height) = terminal::size()?;
        screen.draw(&view(board, &title, (width.into(), height.into()), marks))?;
        if sources.stop.try_recv().is_ok() {
            return Ok(End::Quit);
        }
        let pause = if more { Duration::ZERO } else { FRAME };
        match sources.typed.recv_timeout(pause) {
            Ok(Typed::Quit) => return Ok(End::Quit),
            // The thread ends without a word only if nobody listens.
            Ok(Typed::Gone) | Err(RecvTimeoutError::Disconnected) => return Ok(End::TerminalGone),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What stands on a screen of that width and height.
fn view(board: &Board, title: &str, (width, height): (usize, usize), marks: Marks) -> Vec<Row> {
    let told = match board.latest() {
        Some(time) => format!("{title}  {}", table::moment(time)),
        None => format!("{title}  {} lines", board.lines()),
    };
    let mut rows = vec![Row::new(told, Tone::LogLimiter)];
    if board.is_empty() {
        rows.push(Row::new("no mailbox lines so far", Tone::Plain));
    } else {
        rows.extend(table::of(&most_wanted(board, height), width, Span::Latest, marks));
        let hidden = board.kinds().len().saturating_sub(rows.len() - 2);
        if hidden > 0 {
            rows.push(Row::new(format!("… {hidden} more"), Tone::LogLimiter));
        }
        let room = height.saturating_sub(rows.len() + FRAME_OF_INCIDENTS);
        let (mut incidents, _) = board.incidents();
        if room > 0 && !incidents.is_empty() {
            incidents.reverse();
            incidents.truncate(room);
            rows.push(Row::new("", Tone::Plain));
            rows.push(Row::new("Where a mailbox was full, the latest first:", Tone::LogLimiter));
            rows.extend(table::incidents(&incidents));
        }
    }
    if rows.len() + 2 <= height {
        rows.resize(height - 1, Row::new("", Tone::Plain));
        rows.push(Row::new("q quits", Tone::LogLimiter));
    }
    rows.truncate(height);
    rows.iter_mut().for_each(|row| row.text = row.text.chars().take(width).collect());
    rows
}

/// The actors for which there is room: all of them, or else the fullest first.
fn most_wanted(board: &Board, height: usize) -> Vec<&Kind> {
    let mut kinds: Vec<&Kind> = board.kinds().iter().collect();
    if kinds.len() + HEADS > height {
        kinds.sort_by(|one, other| other.last.share().total_cmp(&one.last.share()));
        kinds.truncate(height.saturating_sub(HEADS + 1).max(1));
    }
    kinds
}

/// Follows a file until the view ends; anything else, such as a named pipe, until its end.
fn tail(mut follow: Follow, news: &SyncSender<News>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let sent = match follow.read(&mut buffer) {
            Ok(Came::Bytes(length)) => news.send(News::Bytes(buffer[..length].to_vec())),
            Ok(Came::Anew) => news.send(News::Anew),
            Ok(Came::Nothing) => {
                thread::sleep(LOOK);
                continue;
            }
            Ok(Came::End) => return,
            Err(error) => {
                let _ = news.send(News::Broken(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Passes standard input on until its end.
fn pass(news: &SyncSender<News>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let sent = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => news.send(News::Bytes(buffer[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => {
                let _ = news.send(News::Broken(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Hears of the signals that end a program, so that the terminal is put back before.
fn stop_signals() -> io::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (told, stop) = sync_channel(1);
    let (ready, is_ready) = sync_channel(1);
    thread::spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
            let _ = ready.send(());
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let _ = told.send(());
        });
        // The main thread may be blocked in a write to a terminal that takes nothing.
        thread::sleep(TO_LEAVE);
        process::exit(0);
    });
    is_ready.recv().map_err(|_| io::Error::other("signals cannot be waited for"))?;
    Ok(stop)
}

/// The terminal while it is ours; it is put back when this is dropped, however that comes about.
struct Screen(io::Stdout);

impl Screen {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let mut screen = Self(io::stdout());
        queue!(screen.0, terminal::EnterAlternateScreen, cursor::Hide, terminal::DisableLineWrap)?;
        screen.0.flush()?;
        Ok(screen)
    }

    /// Writes over what stands there, without a blank screen between.
    fn draw(&mut self, rows: &[Row]) -> io::Result<()> {
        let out = &mut self.0;
        queue!(out, terminal::BeginSynchronizedUpdate)?;
        for (row, number) in rows.iter().zip(0_u16..) {
            queue!(out, cursor::MoveTo(0, number))?;
            match row.tone {
                Tone::Head => queue!(out, SetAttribute(Attribute::Bold))?,
                Tone::LogLimiter => queue!(out, SetAttribute(Attribute::Dim))?,
                Tone::Warm => queue!(out, SetForegroundColor(Color::Yellow))?,
                Tone::Hot => queue!(out, SetForegroundColor(Color::Red))?,
                Tone::Plain => {}
            }
            queue!(out, Print(&row.text), ResetColor, SetAttribute(Attribute::Reset))?;
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, terminal::EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let out = &mut self.0;
        let _ = queue!(out, terminal::EnableLineWrap, cursor::Show, terminal::LeaveAlternateScreen);
        let _ = out.flush();
        let _ = terminal::disable_raw_mode();
    }
}

/// How long putting the terminal back may take.
const TO_LEAVE: Duration = Duration::from_secs(1);

/// How often the screen is drawn while nothing is pressed. The node writes a line every second at most.
const FRAME: Duration = Duration::from_millis(200);

/// How often the end of a file is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How many reads may wait to be shown.
const CHUNKS: usize = 16;

/// The title and the head of the table.
const HEADS: usize = 2;

/// A blank line, a title and a head above the incidents, and the last line of the screen.
const FRAME_OF_INCIDENTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let mut board = Board::default();
        include_str!("yesterday.log").lines().for_each(|line| board.see(line.as_bytes()));
        board
    }

    #[test]
    fn a_screen_of_any_size_is_never_exceeded() {
        let board = board();
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 5), (40, 10), (80, 24), (500, 100)] {
            for board in [&board, &Board::default()] {
                let rows = view(board, "nuncio mailboxes  nuncio.log", (width, height), Marks::BLOCKS);
                assert!(rows.len() <= height, "{} rows at {width}x{height}", rows.len());
                assert!(rows.iter().all(|row| row.text.chars().count() <= width), "{width}x{height}");
            }
        }
    }

    #[test]
    fn a_narrow_screen_keeps_what_matters_most() {
        let rows = view(&board(), "", (40, 24), Marks::BLOCKS);
        let head = &rows[1].text;
        for kept in ["ACTOR", "PEAK", "CAPACITY", "REFUSED"] {
            assert!(head.contains(kept), "no {kept} in {head}");
        }
        assert!(!head.contains("RESTARTS"), "{head}");
    }

    #[test]
    fn a_short_screen_shows_the_fullest() {
        let mut board = board();
        board.see(b"mailbox actor=promise peak=1 capacity=4096");
        let rows = view(&board, "", (80, 4), Marks::BLOCKS);
        assert!(rows[2].text.starts_with("outgoing"), "{rows:?}");
        assert!(rows[3].text.contains("more"), "{rows:?}");
    }
}

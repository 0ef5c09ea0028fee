//! The screen of the commands that show something live: `mailboxes` and `top`. Whatever ends them restores the
//! terminal.

pub(crate) mod keyboard;

use std::{
    fs::File,
    io::{self, Write as _},
    panic, process,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};

use crossterm::{
    cursor, queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{self, Clear, ClearType},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use self::keyboard::Key;
use crate::text::width::{beginning, width};

/// A line of text with its style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// The header of a table.
    Header,
    Plain,
    /// Something that needs attention soon: a mailbox that is at least half full.
    Warning,
    /// Something that needs attention now: a full mailbox.
    Alarm,
    /// An explanation.
    Dim,
}

impl Row {
    /// A line of text with a style.
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// Cuts rows to a screen of this width and height, in columns and rows.
pub(crate) fn cut(mut rows: Vec<Row>, (width, height): (usize, usize)) -> Vec<Row> {
    rows.truncate(height);
    rows.iter_mut().for_each(|row| {
        let kept = beginning(&row.text, width).len();
        row.text.truncate(kept);
    });
    rows
}

/// A terminal from which keys can be read, with its settings.
#[derive(Debug)]
pub(crate) struct Terminal {
    keys: File,
    settings: Termios,
}

impl Terminal {
    /// The terminal of this process, whatever its standard input is.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find() -> io::Result<Self> {
        let keys = keyboard::terminal()?;
        let settings = tcgetattr(&keys)?;
        Ok(Self { keys, settings })
    }
}

/// The alternate screen of the terminal, in raw mode. Dropping it restores the terminal; a panic in any thread
/// restores it too, before its message is written.
pub(crate) struct AlternateScreen(io::Stdout);

impl AlternateScreen {
    /// Takes the terminal of standard output, and reads keys from it.
    ///
    /// # Errors
    /// Standard output is not a terminal, or cannot be written.
    pub(crate) fn enter(terminal: Terminal) -> io::Result<(Self, Receiver<Key>)> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        let Terminal { keys, settings } = terminal;
        let mut raw = settings.clone();
        raw.make_raw();
        let again = keys.try_clone()?;
        tcsetattr(&keys, OptionalActions::Now, &raw)?;
        // A second screen of this process has the same terminal.
        let _ = BEFORE.set(Terminal { keys: again, settings });
        TAKEN.store(true, Ordering::SeqCst);
        let mut screen = Self(io::stdout());
        queue!(screen.0, terminal::EnterAlternateScreen, cursor::Hide, terminal::DisableLineWrap)?;
        screen.0.flush()?;
        Ok((screen, keyboard::listen(keys)))
    }

    /// Draws over the previous rows, without flicker.
    ///
    /// # Errors
    /// The terminal cannot be written, or a panic in another thread has restored it.
    pub(crate) fn draw(&mut self, rows: &[Row]) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(io::Error::other("a part of this program failed"));
        }
        let columns = usize::from(terminal::size()?.0);
        let out = &mut self.0;
        queue!(out, terminal::BeginSynchronizedUpdate)?;
        for (row, number) in rows.iter().zip(0_u16..) {
            queue!(out, cursor::MoveTo(0, number))?;
            match row.style {
                Style::Header => queue!(out, SetAttribute(Attribute::Bold))?,
                Style::Dim => queue!(out, SetAttribute(Attribute::Dim))?,
                Style::Warning => queue!(out, SetForegroundColor(Color::Yellow))?,
                Style::Alarm => queue!(out, SetForegroundColor(Color::Red))?,
                Style::Plain => {}
            }
            queue!(out, Print(&row.text), ResetColor, SetAttribute(Attribute::Reset))?;
            // Behind a full row the cursor is still on its last character.
            if width(&row.text) < columns {
                queue!(out, Clear(ClearType::UntilNewLine))?;
            }
        }
        queue!(out, terminal::EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, once.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = queue!(out, terminal::EnableLineWrap, cursor::Show, terminal::LeaveAlternateScreen);
        let _ = out.flush();
        let before = BEFORE.get();
        let _ = before.map(|before| tcsetattr(&before.keys, OptionalActions::Now, &before.settings));
    }
}

/// Whether the terminal shows the alternate screen. The hook of panics needs to know it too.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal as it was before the alternate screen.
static BEFORE: OnceLock<Terminal> = OnceLock::new();

/// Receives the signals that end the process, so that the terminal can be restored before.
///
/// # Errors
/// The handlers of the signals cannot be installed.
pub(crate) fn stop_signals() -> io::Result<Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (sender, stop) = sync_channel(1);
    let (ready, installed) = sync_channel(1);
    thread::spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        runtime.block_on(async {
            let kinds =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup), Ok(mut quit)] = kinds.map(signal)
            else {
                return;
            };
            let _ = ready.send(());
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = quit.recv() => {}
            }
            let _ = sender.send(());
        });
        // The main thread may be blocked in a write to the terminal.
        thread::sleep(RESTORE);
        process::exit(0);
    });
    installed.recv().map_err(|_| io::Error::other("cannot install signal handlers"))?;
    Ok(stop)
}

/// Time to restore the terminal after a signal.
const RESTORE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_to_columns_and_not_to_characters() {
        let rows = vec![
            Row::new("例え例え", Style::Plain),
            Row::new("abc", Style::Dim),
            Row::new("x", Style::Plain),
        ];
        let cut = cut(rows, (3, 2));
        assert_eq!(cut, [Row::new("例", Style::Plain), Row::new("abc", Style::Dim)]);
        assert!(cut.iter().all(|row| width(&row.text) <= 3));
    }
}

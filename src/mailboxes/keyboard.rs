//! Reads keys from the terminal, and detects that the terminal was closed.
//!
//! The reader of crossterm is not used: it treats the end of the terminal and a failed read as "no key yet",
//! and then reads again in a busy loop.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// An event of the terminal that ends the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A key that ends the view.
    Quit,
    /// The terminal was closed, or cannot be read.
    Closed,
}

/// Starts a thread that reads the terminal. It must be in raw mode, in which a read of 0 bytes means its end.
///
/// # Errors
/// The process has no terminal to read from.
pub(super) fn listen() -> io::Result<Receiver<Key>> {
    // If standard input is the log, keys are read from the controlling terminal.
    let terminal: Box<dyn Read + Send> = match io::stdin().is_terminal() {
        true => Box::new(io::stdin()),
        false => Box::new(File::open("/dev/tty")?),
    };
    let (sender, receiver) = sync_channel(CAPACITY);
    thread::spawn(move || read(terminal, &sender));
    Ok(receiver)
}

/// Reads until a key ends the view, or the terminal is closed.
fn read(mut terminal: impl Read, keys: &SyncSender<Key>) {
    let mut bytes = [0; 256];
    loop {
        let key = match terminal.read(&mut bytes) {
            Ok(0) => Key::Closed,
            Ok(length) if quits(&bytes[..length]) => Key::Quit,
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Another process has set the terminal to non-blocking mode.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(PAUSE);
                continue;
            }
            // EIO: the terminal was closed, or this process is not in its foreground group.
            Err(_) => Key::Closed,
        };
        let _ = keys.send(key);
        return;
    }
}

/// Whether one of the keys is q, Escape, Control-C or Control-D. Escape sequences of other keys are skipped.
fn quits(mut keys: &[u8]) -> bool {
    loop {
        keys = match keys {
            [] => return false,
            [b'q' | CONTROL_C | CONTROL_D, ..] | [ESCAPE] => return true,
            // CSI: parameters, then one final byte (ECMA-48 section 5.4).
            [ESCAPE, b'[', rest @ ..] => {
                let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
                end.map_or(&[], |end| &rest[end + 1..])
            }
            // SS3 and one byte: function keys.
            [ESCAPE, b'O', rest @ ..] => rest.get(1..).unwrap_or_default(),
            // Alt and a key.
            [ESCAPE, _, rest @ ..] | [_, rest @ ..] => rest,
        };
    }
}

const CONTROL_C: u8 = 3;
const CONTROL_D: u8 = 4;
const ESCAPE: u8 = 0x1b;

/// One event ends the view, so only one is sent.
const CAPACITY: usize = 1;

/// Interval between reads of a non-blocking terminal.
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A terminal with these results of its reads.
    struct Script(VecDeque<Result<&'static [u8], ErrorKind>>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.pop_front().expect("the terminal was read after its end")?;
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    fn keys(reads: &[Result<&'static [u8], ErrorKind>]) -> Vec<Key> {
        let (sender, receiver) = sync_channel(CAPACITY);
        read(Script(reads.iter().copied().collect()), &sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn the_end_of_the_terminal_and_a_failed_read_close_it() {
        assert_eq!(keys(&[Ok(b"x"), Ok(b"")]), [Key::Closed]);
        // EIO has no kind in the standard library.
        for kind in [ErrorKind::Other, ErrorKind::PermissionDenied, ErrorKind::NotFound] {
            assert_eq!(keys(&[Ok(b"x"), Err(kind)]), [Key::Closed], "{kind:?}");
        }
    }

    #[test]
    fn an_interrupted_or_empty_read_is_repeated() {
        let reads = [Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(&b"q"[..])];
        assert_eq!(keys(&reads), [Key::Quit]);
    }

    #[test]
    fn only_certain_keys_end_the_view() {
        for keys in [&b"q"[..], b"\x1b", b"\x03", b"\x04", b"xxq", b"\x1b[A\x1b", b"\x1bOPq", b"\x1b[1;5Bq"] {
            assert!(quits(keys), "{keys:?}");
        }
        for keys in [
            &b""[..],
            b"x",
            b"Q",
            b"\x1b[A",
            b"\x1bOP",
            b"\x1bO",
            b"\x1b[",
            b"\x1bq",
            b"\x1b[1;5q",
            b"\xc3\xa4",
        ] {
            assert!(!quits(keys), "{keys:?}");
        }
    }
}

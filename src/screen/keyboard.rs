//! Reads keys from the terminal, and detects that the terminal was closed.
//!
//! The reader of crossterm is not used: it treats the end of the terminal and a failed read as "no key yet",
//! and then reads again in a busy loop.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Read},
    os::fd::AsFd as _,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use rustix::fs::{self, OFlags};

/// An event of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A key that ends the view: q, Escape, Control-C or Control-D.
    Quit,
    /// The terminal was closed, or cannot be read.
    Closed,
    /// A key with a character of ASCII.
    Char(char),
    Tab,
    Up,
    Down,
    PageUp,
    PageDown,
}

/// Starts a thread that reads the terminal. It must be in raw mode, in which a read of 0 bytes means its end.
pub(super) fn listen(terminal: File) -> Receiver<Key> {
    let (sender, receiver) = sync_channel(CAPACITY);
    thread::spawn(move || read(terminal, &sender));
    receiver
}

/// The terminal to read keys from: standard input, unless it is the log or the like; else the controlling terminal; else,
/// for a process that has none, the terminal of standard output.
///
/// # Errors
/// None of them can be read.
pub(super) fn terminal() -> io::Result<File> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return stdin.as_fd().try_clone_to_owned().map(File::from);
    }
    File::open("/dev/tty").or_else(|error| of_stdout().ok_or(error))
}

/// The terminal of standard output, if that is one and is open for reading too, as it is unless a shell redirected it.
fn of_stdout() -> Option<File> {
    let stdout = io::stdout();
    let is_readable = fs::fcntl_getfl(&stdout).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    let owned = || stdout.as_fd().try_clone_to_owned().ok().map(File::from);
    (stdout.is_terminal() && is_readable).then(owned)?
}

/// Reads until a key ends the view, or the terminal is closed.
fn read(mut terminal: impl Read, keys: &SyncSender<Key>) {
    let mut bytes = [0; 256];
    loop {
        let pressed = match terminal.read(&mut bytes) {
            Ok(0) => vec![Key::Closed],
            Ok(length) => parsed(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Another process has set the terminal to non-blocking mode.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(PAUSE);
                continue;
            }
            // EIO: the terminal was closed, or this process is not in its foreground group.
            Err(_) => vec![Key::Closed],
        };
        for key in pressed {
            if matches!(key, Key::Quit | Key::Closed) {
                let _ = keys.send(key);
                return;
            }
            // A view that is busy needs no more keys than wait already.
            let _ = keys.try_send(key);
        }
    }
}

/// The keys in these bytes, up to one that ends the view. Escape sequences of other keys are skipped.
fn parsed(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    loop {
        let key;
        (key, bytes) = match bytes {
            [] => return keys,
            [b'q' | CONTROL_C | CONTROL_D, ..] | [ESCAPE] => {
                keys.push(Key::Quit);
                return keys;
            }
            // CSI: parameters, then one final byte (ECMA-48 section 5.4).
            [ESCAPE, b'[', rest @ ..] => {
                let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
                end.map_or((None, &[][..]), |end| (named(&rest[..end], rest[end]), &rest[end + 1..]))
            }
            // SS3 and one byte: function keys, and arrows in application mode.
            [ESCAPE, b'O', rest @ ..] => {
                let key = rest.first().and_then(|byte| named(b"", *byte));
                (key, rest.get(1..).unwrap_or_default())
            }
            // Alt and a key.
            [ESCAPE, _, rest @ ..] => (None, rest),
            [b'\t', rest @ ..] => (Some(Key::Tab), rest),
            [byte @ b' '..=b'~', rest @ ..] => (Some(Key::Char(char::from(*byte))), rest),
            [_, rest @ ..] => (None, rest),
        };
        keys.extend(key);
    }
}

/// The key of a control sequence (xterm, "PC-Style Function Keys").
fn named(parameters: &[u8], last: u8) -> Option<Key> {
    match (parameters, last) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        ([b'5', ..], b'~') => Some(Key::PageUp),
        ([b'6', ..], b'~') => Some(Key::PageDown),
        _ => None,
    }
}

const CONTROL_C: u8 = 3;
const CONTROL_D: u8 = 4;
const ESCAPE: u8 = 0x1b;

/// Keys that wait for the view. It reads them several times a second.
const CAPACITY: usize = 16;

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
        assert_eq!(keys(&[Ok(b"x"), Ok(b"")]), [Key::Char('x'), Key::Closed]);
        // EIO has no kind in the standard library.
        for kind in [ErrorKind::Other, ErrorKind::PermissionDenied, ErrorKind::NotFound] {
            assert_eq!(keys(&[Ok(b"\x01"), Err(kind)]), [Key::Closed], "{kind:?}");
        }
    }

    #[test]
    fn an_interrupted_or_empty_read_is_repeated() {
        let reads = [Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(&b"q"[..])];
        assert_eq!(keys(&reads), [Key::Quit]);
    }

    #[test]
    fn many_keys_at_once_do_not_block_and_the_end_is_not_lost() {
        let (sender, receiver) = sync_channel(CAPACITY);
        let reader = thread::spawn(move || {
            read(Script([Ok(&[b'x'; 200][..]), Ok(&[b'x'; 200][..]), Ok(&b"q"[..])].into()), &sender);
        });
        assert_eq!(receiver.iter().last(), Some(Key::Quit));
        assert!(reader.join().is_ok());
    }

    #[test]
    fn only_certain_keys_end_the_view() {
        let quits = |keys: &[u8]| parsed(keys).contains(&Key::Quit);
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

    #[test]
    fn arrows_pages_and_characters_are_told_apart() {
        let bytes = b"1\t\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[1;5As";
        let expected = [
            Key::Char('1'),
            Key::Tab,
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Up,
            Key::Char('s'),
        ];
        assert_eq!(parsed(bytes), expected);
    }
}

//! Reads the keys of the terminal, and notices when the terminal is gone.
//!
//! crossterm's own reader is not used: it takes the end of a terminal and a failed read for "no key yet", and then reads
//! again and again without a pause.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// What the operator did to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A key that ends the view.
    Quit,
    /// The terminal was closed, or can no longer be read.
    Gone,
}

/// Starts to read the terminal; it has to be in raw mode, so that a read returns 0 bytes only at its end.
///
/// # Errors
/// The process has no terminal to read from.
pub(super) fn listen() -> io::Result<Receiver<Typed>> {
    // Standard input may be the log.
    let terminal: Box<dyn Read + Send> = match io::stdin().is_terminal() {
        true => Box::new(io::stdin()),
        false => Box::new(File::open("/dev/tty")?),
    };
    let (typed, heard) = sync_channel(UNREAD);
    thread::spawn(move || read(terminal, &typed));
    Ok(heard)
}

/// Reads until a key ends the view, the terminal is gone, or nobody listens.
fn read(mut terminal: impl Read, typed: &SyncSender<Typed>) {
    let mut bytes = [0; 256];
    loop {
        let what = match terminal.read(&mut bytes) {
            Ok(0) => Typed::Gone,
            Ok(length) if quits(&bytes[..length]) => Typed::Quit,
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Another process made the terminal non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(PAUSE);
                continue;
            }
            // EIO: the terminal hung up, or this process may not read it any more.
            Err(_) => Typed::Gone,
        };
        let _ = typed.send(what);
        return;
    }
}

/// Whether one of the keys is q, Escape, Control-C or Control-D. Other keys that send an escape sequence are skipped.
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

/// One event ends the view, so no more are ever sent.
const UNREAD: usize = 1;

/// How often a non-blocking terminal is looked at.
const PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A terminal of which each read has the next of these outcomes.
    struct Script(VecDeque<Result<&'static [u8], ErrorKind>>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.pop_front().expect("the terminal was read after its end")?;
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    fn typed(reads: &[Result<&'static [u8], ErrorKind>]) -> Vec<Typed> {
        let (sender, receiver) = sync_channel(UNREAD);
        read(Script(reads.iter().copied().collect()), &sender);
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn the_end_of_the_terminal_and_every_failed_read_mean_that_it_is_gone() {
        assert_eq!(typed(&[Ok(b"x"), Ok(b"")]), [Typed::Gone]);
        // EIO has no kind of its own.
        for kind in [ErrorKind::Other, ErrorKind::PermissionDenied, ErrorKind::NotFound] {
            assert_eq!(typed(&[Ok(b"x"), Err(kind)]), [Typed::Gone], "{kind:?}");
        }
    }

    #[test]
    fn a_read_that_was_interrupted_or_found_nothing_is_repeated() {
        let reads = [Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(&b"q"[..])];
        assert_eq!(typed(&reads), [Typed::Quit]);
    }

    #[test]
    fn only_the_keys_that_end_the_view_end_it() {
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

//! Counts the error answers that a component gets.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;

/// Reads and counts until the run is over. The socket has a read timeout.
pub(crate) fn count(from: &mut TcpStream, is_over: &AtomicBool) -> usize {
    let (finder, mut buffer, mut kept, mut count) = (Finder::new(ANSWER), vec![0; 64 * 1024], 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let Ok(length @ 1..) = from.read(&mut buffer[kept..]) else { continue };
        let end = kept + length;
        count += finder.find_iter(&buffer[..end]).count();
        // An end tag may be in two reads.
        let keep = end.saturating_sub(ANSWER.len() - 1);
        buffer.copy_within(keep..end, 0);
        kept = end - keep;
    }
    count
}

/// The end tag of an error answer.
const ANSWER: &str = "</error>";

//! Splits bytes into lines. Long lines are cut, so that memory is bounded.

/// Splits a log that arrives in chunks.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Adds the next bytes, and calls `each` for every line that is complete, without its line end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                each(&line[..line.len().min(MAX_LINE)]);
            } else {
                self.keep(line);
                each(&self.partial);
                self.partial.clear();
            }
        }
        self.keep(rest);
    }

    /// Ends the log, and calls `each` for a last line without line end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            each(&self.partial);
            self.partial.clear();
        }
    }

    /// Drops the incomplete line, since the next bytes are from another file.
    pub(super) fn restart(&mut self) {
        self.partial.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Bytes of a line that are kept. A mailbox line has about 250 bytes, and a log daemon adds time and host.
const MAX_LINE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut all) = (LineSplitter::default(), Vec::new());
        let mut keep = |line: &[u8]| all.push(String::from_utf8_lossy(line).into_owned());
        for chunk in chunks {
            lines.feed(chunk, &mut keep);
        }
        lines.finish(&mut keep);
        all
    }

    #[test]
    fn a_line_is_complete_however_it_is_split_into_chunks() {
        let text = b"one\n\nthree\nfour";
        for split in 0..text.len() {
            let (before, after) = text.split_at(split);
            assert_eq!(cut(&[before, after]), ["one", "", "three", "four"], "split at {split}");
        }
    }

    #[test]
    fn an_endless_line_does_not_take_more_memory_than_the_longest() {
        let mut lines = LineSplitter::default();
        for _ in 0..1000 {
            lines.feed(&[b'x'; 1024], |_| unreachable!());
        }
        assert!(lines.partial.capacity() <= 2 * MAX_LINE);
        let mut seen = Vec::new();
        lines.feed(b"\nnext\n", |line| seen.push(line.len()));
        assert_eq!(seen, [MAX_LINE, 4]);
    }
}

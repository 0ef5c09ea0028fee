//! Cuts bytes as they come into lines, and holds no more of one than a mailbox line can be long.

/// A log on its way in.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end did not come yet.
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes; `each` gets every line that is whole now, without its end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                each(&line[..line.len().min(LONGEST)]);
            } else {
                self.keep(line);
                each(&self.partial);
                self.partial.clear();
            }
        }
        self.keep(rest);
    }

    /// Says that nothing follows: what came of the last line is the line.
    pub(super) fn end(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            each(&self.partial);
            self.partial.clear();
        }
    }

    /// Forgets the line that has not come to its end: what follows is another file.
    pub(super) fn restart(&mut self) {
        self.partial.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// What is further right of a line is not looked at. Ours have some 250 bytes; others put time and host before them.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        let mut keep = |line: &[u8]| all.push(String::from_utf8_lossy(line).into_owned());
        for chunk in chunks {
            lines.feed(chunk, &mut keep);
        }
        lines.end(&mut keep);
        all
    }

    #[test]
    fn a_line_comes_out_whole_however_it_came_in() {
        let text = b"one\n\nthree\nfour";
        for split in 0..text.len() {
            let (before, after) = text.split_at(split);
            assert_eq!(cut(&[before, after]), ["one", "", "three", "four"], "split at {split}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_the_longest() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            lines.feed(&[b'x'; 1024], |_| unreachable!());
        }
        assert!(lines.partial.capacity() <= 2 * LONGEST);
        let mut seen = Vec::new();
        lines.feed(b"\nnext\n", |line| seen.push(line.len()));
        assert_eq!(seen, [LONGEST, 4]);
    }
}

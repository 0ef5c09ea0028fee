//! Follows a growing log like `tail -F`: also if it is truncated or replaced by a new file.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use super::log::{self, Error};

/// A file that is read while it grows.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    file: File,
    read: u64,
}

/// The result of one read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// This number of bytes.
    Bytes(usize),
    /// No bytes now.
    Nothing,
    /// No bytes, now and later: the writer of a pipe has closed it.
    End,
    /// The file was truncated or replaced; the next bytes are from its beginning.
    Restarted,
}

impl Follower {
    /// Opens a file to be read from its beginning.
    ///
    /// # Errors
    /// Those of [`log::open`].
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let file = log::open(&path)?;
        Ok(Self { path, file, read: 0 })
    }

    /// Reads the bytes that are available.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        match self.file.read(buffer) {
            Ok(0) => {}
            Ok(length) => {
                self.read += length as u64;
                return Ok(Read::Bytes(length));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Read::Nothing),
            Err(error) => return Err(error),
        }
        let own = self.file.metadata()?;
        if !own.is_file() {
            return Ok(Read::End);
        }
        if own.len() < self.read {
            self.file.rewind()?;
            self.read = 0;
            return Ok(Read::Restarted);
        }
        // During a rotation the file may not exist for a while.
        let Ok(current) = fs::metadata(&self.path) else { return Ok(Read::Nothing) };
        if (current.dev(), current.ino()) == (own.dev(), own.ino()) {
            return Ok(Read::Nothing);
        }
        let Ok(file) = File::open(&self.path) else { return Ok(Read::Nothing) };
        *self = Self { path: std::mem::take(&mut self.path), file, read: 0 };
        Ok(Read::Restarted)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::fd::{AsRawFd as _, OwnedFd},
    };

    use super::*;

    /// Reads until there are no more bytes. `|` stands for a restart, `.` for the end.
    fn all(follow: &mut Follower) -> String {
        let (mut buffer, mut text) = ([0; 16], String::new());
        loop {
            match follow.read(&mut buffer).unwrap() {
                Read::Bytes(length) => text += std::str::from_utf8(&buffer[..length]).unwrap(),
                Read::Restarted => text += "|",
                Read::Nothing => return text,
                Read::End => return text + ".",
            }
        }
    }

    #[test]
    fn a_pipe_ends_when_its_writer_closes_it() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let mut follow = Follower { path, file: File::from(OwnedFd::from(reader)), read: 0 };
        assert_eq!(all(&mut follow), "one\ntwo.");
        assert_eq!(all(&mut follow), ".", "and stays at its end");
    }

    #[test]
    fn a_log_is_followed_through_growth_truncation_and_rotation() {
        let directory = std::env::temp_dir().join(format!("nuncio-follow-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("nuncio.log");
        let mut log = File::create(&path).unwrap();
        let mut follow = Follower::open(path.clone()).unwrap();
        assert_eq!(all(&mut follow), "");
        log.write_all(b"one two three four five six\n").unwrap();
        assert_eq!(all(&mut follow), "one two three four five six\n");
        assert_eq!(all(&mut follow), "");

        fs::write(&path, "cut\n").unwrap();
        assert_eq!(all(&mut follow), "|cut\n");

        let mut old = File::options().append(true).open(&path).unwrap();
        fs::rename(&path, directory.join("nuncio.log.1")).unwrap();
        old.write_all(b"last\n").unwrap();
        assert_eq!(all(&mut follow), "last\n", "the old file has more, and no new one is there");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(all(&mut follow), "|new\n");
        fs::remove_dir_all(&directory).unwrap();
    }
}

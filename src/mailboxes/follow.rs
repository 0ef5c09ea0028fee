//! A log that grows, as `tail -F` follows it: through truncation, and through a new file in its place.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use super::Trouble;

/// A file that is read as it grows.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    file: File,
    read: u64,
}

/// What came of one look at the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing, and nothing will come: it is a pipe or a device, and whoever wrote to it is gone.
    End,
    /// What follows has nothing to do with what came before: the file was cut, or is another one.
    Anew,
}

impl Follow {
    /// Begins at the start of the file.
    pub(super) fn open(path: PathBuf) -> Result<Self, Trouble> {
        let file = super::open(&path)?;
        Ok(Self { path, file, read: 0 })
    }

    /// Reads what there is.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Came> {
        match self.file.read(buffer) {
            Ok(0) => {}
            Ok(length) => {
                self.read += length as u64;
                return Ok(Came::Bytes(length));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Came::Nothing),
            Err(error) => return Err(error),
        }
        let own = self.file.metadata()?;
        if !own.is_file() {
            return Ok(Came::End);
        }
        if own.len() < self.read {
            self.file.rewind()?;
            self.read = 0;
            return Ok(Came::Anew);
        }
        // Between the old file being moved away and the new one there may be none for a while.
        let Ok(there) = fs::metadata(&self.path) else { return Ok(Came::Nothing) };
        if (there.dev(), there.ino()) == (own.dev(), own.ino()) {
            return Ok(Came::Nothing);
        }
        let Ok(file) = File::open(&self.path) else { return Ok(Came::Nothing) };
        *self = Self { path: std::mem::take(&mut self.path), file, read: 0 };
        Ok(Came::Anew)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        os::fd::{AsRawFd as _, OwnedFd},
    };

    use super::*;

    /// Reads until nothing comes, and says what came.
    fn all(follow: &mut Follow) -> String {
        let (mut buffer, mut text) = ([0; 16], String::new());
        loop {
            match follow.read(&mut buffer).unwrap() {
                Came::Bytes(length) => text += std::str::from_utf8(&buffer[..length]).unwrap(),
                Came::Anew => text += "|",
                Came::Nothing => return text,
                Came::End => return text + ".",
            }
        }
    }

    #[test]
    fn a_pipe_ends_with_its_writer() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let mut follow = Follow { path, file: File::from(OwnedFd::from(reader)), read: 0 };
        assert_eq!(all(&mut follow), "one\ntwo.");
        assert_eq!(all(&mut follow), ".", "and stays at its end");
    }

    #[test]
    fn a_log_is_followed_through_growth_truncation_and_rotation() {
        let directory = std::env::temp_dir().join(format!("nuncio-follow-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("nuncio.log");
        let mut log = File::create(&path).unwrap();
        let mut follow = Follow::open(path.clone()).unwrap();
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

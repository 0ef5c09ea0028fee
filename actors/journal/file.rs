//! The file of a store in the file system: who may read it, who has opened it, and where a damaged one goes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use crate::store::{Error, Place};
use status::report::Time;

/// Opens a file that only its owner can read; makes it, and its directory, if they do not exist. A file that is not a journal
/// is left as it is.
pub(crate) fn open_private(path: &Path) -> Result<File, Error> {
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && !directory.exists()
    {
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    if is_foreign(&file)? {
        return Err(Error::Foreign);
    }
    if file.metadata()?.permissions().mode() & 0o777 != MODE {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// Whether the file has something else in it: a wrong path must not move other files away. A damaged journal has most of the
/// magic number, or zeros in its place.
fn is_foreign(file: &File) -> io::Result<bool> {
    let mut head = [0; REDB.len()];
    let length = file.read_at(&mut head, 0)?;
    let wrong = head.iter().zip(REDB).filter(|(found, wanted)| found != wanted).count();
    Ok(length > 0 && wrong > REDB.len() / 2 && head != [0; REDB.len()])
}

/// The format of a file that a newer redb has written. redb reports such a file as damaged.
pub(crate) fn newer_format(file: &File) -> io::Result<Option<u64>> {
    let mut head = [0; 193];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    // The header of redb: the magic number, and one version in each of the two slots for commits.
    let (magic, versions) = (head.get(..REDB.len()), [head.get(64), head.get(192)]);
    let newest = versions.into_iter().flatten().max().copied().unwrap_or_default();
    Ok((magic == Some(REDB) && (REDB_FORMAT + 1..=REDB_FORMAT + 8).contains(&newest)).then(|| newest.into()))
}

/// What tells one file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether the file that was opened at `path` is still there.
pub(crate) fn place(path: &Path, opened: Identity, file: &File) -> Place {
    match fs::metadata(path) {
        Ok(found) if Identity::of(&found) != opened => return Place::Elsewhere,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Place::Elsewhere;
        }
        // The directory cannot be read at the moment.
        Ok(_) | Err(_) => {}
    }
    let mut head = [0; REDB.len()];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Place::Overwritten,
        Ok(()) if head != REDB => Place::Overwritten,
        // A disk that fails shows at the next commit.
        Ok(()) | Err(_) => Place::Here,
    }
}

/// Renames a file for this reason, which becomes a part of its name. Gives its new name.
pub(crate) fn set_aside(path: &Path, reason: &str) -> io::Result<PathBuf> {
    let time = Time::now().to_string().replace(':', "-");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = (1..100).map(|number| format!(".{number}"));
    for suffix in std::iter::once(String::new()).chain(numbers) {
        let new = path.with_file_name(format!("{name}.{reason}-{time}{suffix}"));
        if new.symlink_metadata().is_err() {
            fs::rename(path, &new)?;
            return Ok(new);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The process that has a lock on the file; `None` if the system does not tell.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let file = fs::metadata(path).ok()?;
    let (major, minor) = device(file.dev());
    let place = format!("{major:02x}:{minor:02x}:{}", file.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
    let holder = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let place_at = words.iter().position(|word| *word == place)?;
        words.get(place_at.checked_sub(1)?)?.parse().ok()
    });
    // 0 and -1: a process of another namespace.
    holder.filter(|process| *process > 0)
}

/// The numbers of a device, as Linux encodes them.
fn device(device: u64) -> (u64, u64) {
    ((device >> 8 & 0xfff) | (device >> 32 & !0xfff), (device & 0xff) | (device >> 12 & !0xff & 0xffff_ffff))
}

/// The permissions of the file: stanzas are private.
const MODE: u32 = 0o600;

/// The magic number of redb.
const REDB: &[u8] = &[b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];

/// The newest file format that redb 2.6 reads.
const REDB_FORMAT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Directory;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_read_the_file_and_a_new_directory() {
        let directory = Directory::new();
        let path = directory.file("new").join("waiting");
        open_private(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open_private(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn damaged_files_do_not_replace_each_other() {
        let directory = Directory::new();
        let path = directory.file("waiting");
        let names: Vec<PathBuf> = (0..3)
            .map(|number| {
                fs::write(&path, number.to_string()).unwrap();
                set_aside(&path, "damaged").unwrap()
            })
            .collect();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(fs::read_to_string(name).unwrap(), number.to_string());
            assert!(name.display().to_string().contains("/waiting.damaged-2"), "{}", name.display());
        }
        assert!(!path.exists());
    }
}

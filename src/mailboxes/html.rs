//! `nuncio mailboxes --html`: writes one page with charts and tables of a log. It loads nothing when it is opened.

mod collect;
mod data;
mod names;
mod page;
mod periods;
mod points;
mod runs;
mod series;
mod tables;
mod text;

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use self::collect::Collected;
use super::log::{self, Log};

/// Writes the page of `log` to `file`. Returns what was written, as a sentence.
///
/// # Errors
/// The log cannot be read or has no mailbox lines, or the file cannot be written.
pub(super) fn write(log: &Log, file: &Path) -> Result<String, Error> {
    // Before the log is read: that may take long.
    let file = writable(file)?;
    let mut collected = Collected::default();
    log::each_line(log, |line| collected.add_line(line)).map_err(Error::Log)?;
    if collected.stats.is_empty() {
        return Err(Error::Log(log::Error::NoMailboxLines(log.to_string())));
    }
    if collected.span.is_none() {
        return Err(Error::NoTimes(log.to_string()));
    }
    let page = page::html(&mut collected, &log.to_string());
    replace(&file, page.as_bytes()).map_err(|error| Error::Unwritable(file.clone(), error))?;
    let megabytes = page.len() as f64 / 1e6;
    Ok(format!("{}: {megabytes:.1} MB, {} mailbox lines\n", file.display(), collected.lines))
}

/// The file itself, if `file` is a link to it.
///
/// # Errors
/// It exists and is not a page of this command: a log that is given in its place by mistake is not overwritten.
fn writable(file: &Path) -> Result<PathBuf, Error> {
    let unwritable = |error| Error::Unwritable(file.to_owned(), error);
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(file.to_owned()),
        Err(error) => return Err(unwritable(error)),
    };
    if !metadata.is_file() {
        return Err(Error::NotAPage(file.to_owned()));
    }
    let mut beginning = Vec::new();
    let opened = File::open(file).map_err(unwritable)?;
    opened.take(page::BEGINNING.len() as u64).read_to_end(&mut beginning).map_err(unwritable)?;
    if !beginning.is_empty() && beginning != page::BEGINNING.as_bytes() {
        return Err(Error::NotAPage(file.to_owned()));
    }
    fs::canonicalize(file).map_err(unwritable)
}

/// Replaces the file in one step: a browser never reads half a page.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = file.with_file_name(name);
    let written = File::create_new(&new).and_then(|mut out| {
        out.write_all(content)?;
        out.sync_all()?;
        fs::rename(&new, file)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Error {
    /// The log cannot be read, or has nothing to show.
    Log(log::Error),
    /// No mailbox line contains its time.
    NoTimes(String),
    Unwritable(PathBuf, io::Error),
    /// The file exists and is something else.
    NotAPage(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::NoTimes(log) => write!(
                f,
                "the mailbox lines in {log} have no times: give the lines as the node writes them \
                 (2026-11-22T16:48:25.123Z INFO nuncio::mailbox …)"
            ),
            Self::Unwritable(file, error) => write!(f, "cannot write {}: {error}", file.display()),
            Self::NotAPage(file) => write!(
                f,
                "{} exists and is not a page of nuncio mailboxes: it is not overwritten. Give the page first and then the \
                 log: nuncio mailboxes --html PAGE.html LOG",
                file.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_is_overwritten() {
        let directory = std::env::temp_dir().join(format!("nuncio-page-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (log, page) = (directory.join("nuncio.log"), directory.join("page.html"));
        fs::write(&log, include_str!("yesterday.log")).unwrap();
        let write = |file: &Path| write(&Log::File(log.clone()), file).map_err(|error| error.to_string());
        let told = write(&page).unwrap();
        assert!(told.contains("page.html") && told.ends_with(", 25 mailbox lines\n"), "{told}");
        let first = fs::read(&page).unwrap();
        write(&page).unwrap();
        assert_eq!(fs::read(&page).unwrap(), first);
        let link = directory.join("link.html");
        std::os::unix::fs::symlink(&page, &link).unwrap();
        write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for other in [&log, &directory] {
            assert!(write(other).unwrap_err().contains("not overwritten"), "{}", other.display());
        }
        assert_eq!(fs::read_to_string(&log).unwrap(), include_str!("yesterday.log"));
        assert!(write(&directory.join("none/page.html")).unwrap_err().contains("cannot write"));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 3, "no other file is left");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn lines_without_times_make_no_page() {
        let directory = std::env::temp_dir().join(format!("nuncio-times-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let log = directory.join("nuncio.log");
        fs::write(&log, "mailbox actor=router depth=1 peak=1 capacity=1\n").unwrap();
        let failed = write(&Log::File(log), &directory.join("page.html")).unwrap_err();
        assert!(failed.to_string().contains("have no times"), "{failed}");
        fs::remove_dir_all(&directory).unwrap();
    }
}

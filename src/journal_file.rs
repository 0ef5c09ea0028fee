//! `nuncio journal`: shows what is in the file of a journal, also in a damaged one.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use journal::{
    cipher::Cipher,
    disk::Disk,
    record::{Damage, Record},
    scan::scan,
    store::{Error, Open as _},
};
use status::report::Time;
use xmpp::{Stanza, stanza::Kind};

use crate::{
    output,
    text::{
        size::counted,
        table::{Cell, Column, Table},
        wrap::{self, columns},
    },
};

/// Arguments of `journal`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The file: that of journal.path, or a damaged one that the node has set aside
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file with the key, if the stanzas are encrypted
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Looks for stanzas in the bytes of the file, without opening it as the node does. Finds stanzas that were delivered
    /// and whose place was not used again, too. A file that cannot be opened is always read in this way
    #[arg(long)]
    scan: bool,
    /// Prints the stanzas too, which are private
    #[arg(long)]
    content: bool,
    /// Shows all columns, each stanza on one line, however wide the terminal is
    #[arg(long)]
    wide: bool,
}

/// Prints the stanzas in the file.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match show(arguments) {
        Ok((text, status)) => output::print(text, status),
        Err(error) => {
            output::print_error(format_args!("nuncio: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments) -> Result<(String, ExitCode), String> {
    let path = &arguments.file;
    let cipher = match &arguments.key_file {
        Some(file) => Some(Cipher::read(file).map_err(|error| format!("{}: {error}", file.display()))?),
        None => None,
    };
    if !path.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let (found, note, status) = if arguments.scan {
        (Found::scan(path, cipher.as_ref())?, SCANNED.to_owned(), ExitCode::SUCCESS)
    } else {
        match Found::open(path, cipher.as_ref()) {
            Ok(found) => (found, String::new(), ExitCode::SUCCESS),
            Err(error) => {
                let note = format!("{}: {error}{}\n{SCANNED}", path.display(), help(&error));
                (Found::scan(path, cipher.as_ref())?, note, ExitCode::FAILURE)
            }
        }
    };
    let width = if arguments.wide { None } else { columns() };
    Ok((found.text(&note, arguments.content, width), status))
}

/// What to do about an error.
fn help(error: &Error) -> &'static str {
    match error {
        Error::InUse(_) => ": `nuncio queues` shows what waits in a running node",
        Error::OtherKey | Error::NoKey => ": --key-file names the file with the key",
        Error::Newer { .. } | Error::Foreign | Error::Damaged(_) | Error::Io(_) => "",
    }
}

/// The records of a file.
#[derive(Default)]
struct Found {
    /// By key. `None`: encrypted with another key.
    records: BTreeMap<u64, Option<Record>>,
    /// Records that cannot be read.
    damaged: u64,
}

impl Found {
    /// Reads the records as the node does at its start.
    fn open(path: &Path, cipher: Option<&Cipher>) -> Result<Self, Error> {
        let mut store = Disk::new(path.to_owned(), cipher).open()?;
        let (mut found, mut from) = (Self::default(), 0);
        loop {
            let part = store.read(from, PART)?;
            let Some((last, _)) = part.last() else { return Ok(found) };
            from = last.saturating_add(1);
            for (key, bytes) in &part {
                match Record::decode(*key, bytes, cipher) {
                    Ok(record) => drop(found.records.insert(*key, Some(record))),
                    Err(Damage::Sealed) => {
                        return Err(if cipher.is_some() { Error::OtherKey } else { Error::NoKey });
                    }
                    Err(_) => found.damaged += 1,
                }
            }
        }
    }

    /// Looks for records in the bytes of the file.
    fn scan(path: &Path, cipher: Option<&Cipher>) -> Result<Self, String> {
        let mut found = Self::default();
        let file = File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        scan(file, cipher, |key, record| drop(found.records.insert(key, record)))
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(found)
    }

    fn text(&self, note: &str, content: bool, width: Option<usize>) -> String {
        let mut text = String::new();
        if !note.is_empty() {
            for line in note.lines() {
                text.push_str(&wrap::line(line, width));
                text.push('\n');
            }
        }
        let mut table = Table::new([
            Column::new("key"),
            Column::new("accepted").rank(2),
            Column::new("kind").rank(3),
            Column::new("from").rank(1).middle(ADDRESS),
            Column::new("to").middle(ADDRESS),
            Column::new("bytes").rank(4),
            Column::new("remark").rank(5).words(16),
        ])
        .one_line_each();
        for (key, record) in &self.records {
            table.row(row(*key, record.as_ref()));
        }
        if !self.records.is_empty() {
            let fitted = table.fitted(width);
            let note = fitted.note().map(|note| wrap::line(&note, width));
            text.extend(fitted.lines.iter().chain(&note).flat_map(|line| [line.as_str(), "\n"]));
        }
        if content {
            for (key, record) in &self.records {
                let Some(record) = record else { continue };
                // Another's text: nothing in it may control the terminal.
                let stanza = String::from_utf8_lossy(&record.stanza);
                text.push_str(&format!("{key}: {}\n", status::escape::escaped(&stanza)));
            }
        }
        text.push_str(&counted(self.records.len() as u64, "stanza"));
        if self.damaged > 0 {
            text.push_str(&format!(", {} damaged", self.damaged));
        }
        text.push('\n');
        text
    }
}

fn row(key: u64, record: Option<&Record>) -> [Cell; 7] {
    let Some(record) = record else {
        let [none, a, b, c, d] = std::array::from_fn(|_| Cell::from("-"));
        return [key.to_string().into(), none, a, b, c, d, "encrypted".into()];
    };
    let addresses = Stanza::restore(record.stanza.clone());
    let (from, to) = addresses.map_or_else(
        |_| ("-".to_owned(), "-".to_owned()),
        |stanza| (stanza.from().into_owned(), stanza.to().into_owned()),
    );
    let flags = record.flags;
    let remarks = [
        (flags.may_have_arrived, "may have arrived"),
        (flags.for_component, "for a component"),
        (flags.overflow, "not restored at a start"),
    ];
    let remarks: Vec<&str> = remarks.into_iter().filter(|(set, _)| *set).map(|(_, text)| text).collect();
    let accepted = Time(record.accepted).to_string();
    // Without year and milliseconds.
    let short =
        accepted.get("2026-".len().."2026-11-01T08:30:00".len()).unwrap_or(&accepted).replace('T', " ");
    [
        key.to_string().into(),
        Cell::with_short(accepted, short),
        Kind::as_str(record.kind).into(),
        from.into(),
        to.into(),
        record.stanza.len().to_string().into(),
        remarks.join(", ").into(),
    ]
}

const SCANNED: &str =
    "these are all stanzas whose bytes are in the file; some of them may have been delivered already";

/// The least width of an address, in columns of the terminal.
const ADDRESS: usize = 22;

/// Records that are read at once.
const PART: usize = 10_000;

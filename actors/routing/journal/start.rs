//! Opens the journal at the start, and gives the stanzas that were in it.

use std::{fmt, path::Path, sync::Arc, time::Instant};

use actix::ArbiterHandle;
use journal::{
    Journal as Log, SetAside,
    cipher::{Cipher, KeyError},
    disk::Disk,
    record::Record,
    store,
};

use super::{Journal, LOG};
use crate::{
    flow::journal::{Entry, Slot, Writer},
    settings,
};
use mailbox::{Inbox, Mailbox, Meter};
use status::{
    display::millis,
    report::{Seconds, Time},
};

/// The open journal.
pub(crate) struct Opened {
    pub(crate) mailbox: Mailbox<Journal>,
    pub(crate) writer: Writer,
    /// The stanzas that were in the file, in order.
    pub(crate) records: Vec<(Record, Entry)>,
}

/// Why the journal cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The key cannot be read.
    Key(KeyError),
    /// The file cannot be used.
    Store(store::Error),
}

/// Opens the file, and starts the actor on `arbiter`. Blocks until everything is read: nothing else runs yet.
pub(crate) fn open(
    settings: &settings::Journal,
    meter: &Arc<Meter>,
    arbiter: &ArbiterHandle,
) -> Result<Opened, OpenError> {
    let cipher = settings.key_file.as_deref().map(Cipher::read).transpose().map_err(OpenError::Key)?;
    let disk = Disk::new(settings.path.clone(), cipher.as_ref());
    let began = clock::now();
    let (log, restored) =
        Log::<Arc<Slot>>::open(Box::new(disk), cipher, settings.max_bytes, began).map_err(OpenError::Store)?;
    log_opened(&settings.path, &restored, began);
    let (mailbox, inbox): (_, Inbox<Journal>) = mailbox::open(meter, "journal");
    let writer = Writer::new(restored.next, mailbox.outlet(), mailbox.outlet());
    let is_stored = log.works();
    let records = restored.records.into_iter();
    let records = records.map(|(key, record)| (record, writer.entry_of(key, is_stored))).collect();
    let (own, for_actor) = (mailbox.clone(), writer.clone());
    inbox.start_on(arbiter, move || Journal::new(log, for_actor, own));
    Ok(Opened { mailbox, writer, records })
}

fn log_opened(path: &Path, restored: &journal::Restored, began: Instant) {
    let path = path.display();
    if let Some(set_aside) = &restored.set_aside {
        log_set_aside(set_aside, restored.records.len());
    }
    if restored.damaged > 0 {
        log::error!(
            target: LOG, path:% = path, records = restored.damaged;
            "records of the journal are damaged and were removed: their stanzas are lost"
        );
    }
    if let Some(error) = &restored.error {
        log::error!(target: LOG, path:% = path, error:% = error; "journal failing: what waits is in memory only");
        return;
    }
    let oldest = restored.records.iter().map(|(_, record)| Time(record.accepted)).min();
    let oldest = oldest.map(|oldest| Seconds(oldest.before(Time::now())).to_string());
    log::info!(
        target: LOG, path:% = path, records = restored.records.len(), oldest = oldest.as_deref(),
        took:% = millis(began);
        "journal opened"
    );
}

pub(super) fn log_set_aside(set_aside: &SetAside, saved: usize) {
    log::error!(
        target: LOG, error:% = set_aside.error, moved_to = set_aside.name.as_str(), saved = saved;
        "the journal was damaged: a new one is begun"
    );
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the key file cannot be used: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

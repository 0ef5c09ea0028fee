//! Opens the journal at the start, and gives the stanzas that were in it.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::ArbiterHandle;
use journal::{
    Journal as Log, SetAside,
    cipher::{Cipher, KeyError},
    disk::Disk,
    record::Record,
    store,
};
use xmpp::{Served, Stanza};

use super::{Journal, LOG};
use crate::{
    flow::{
        account,
        batch::{self, Batch, Kept, Sends},
        journal::{Pending, Place, Receipt, RecordHandle, Writer},
    },
    settings,
};
use mailbox::{Inbox, Mailbox, Meter};
use status::{
    display::millis,
    report::{Seconds, Time},
};

/// The open journal.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) mailbox: Mailbox<Journal>,
    pub(crate) writer: Writer,
    /// What was in the file, in order.
    records: Vec<(Record, RecordHandle)>,
}

/// How long restored stanzas wait.
#[derive(Clone, Debug)]
pub(crate) struct Restoring {
    /// The time at least.
    pub(crate) grace: Duration,
    /// The time of a message for a link, from when it was accepted.
    pub(crate) message: Duration,
    /// The rules for the components.
    pub(crate) absences: Served<settings::Absence>,
}

/// The stanzas that were in the file, in order.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Those that waited for a link.
    pub(crate) for_links: Vec<Batch>,
    /// Those that waited for a component.
    pub(crate) for_components: Vec<Batch>,
}

impl Opened {
    /// The stanzas that were in the file, in order. The time for which the node was down counts.
    pub(crate) fn take_batches(&mut self, restoring: &Restoring) -> Restored {
        let (now, today) = (clock::now(), Time::now());
        let (mut for_links, mut for_components, mut without_stanza) = (Vec::new(), Vec::new(), 0);
        for (record, handle) in std::mem::take(&mut self.records) {
            let waiting = if record.flags.for_component { &mut for_components } else { &mut for_links };
            match restoring.restore(record, handle, now, today) {
                Some(kept) => waiting.push(kept),
                None => without_stanza += 1,
            }
        }
        if without_stanza > 0 {
            log::error!(
                target: LOG, records = without_stanza;
                "records of the journal do not contain a stanza and were removed"
            );
        }
        let [for_links, for_components] =
            [for_links, for_components].map(|kept| batch::batches(kept, &mut account::Entry::none()));
        Restored { for_links, for_components }
    }
}

impl Restoring {
    fn restore(&self, record: Record, handle: RecordHandle, now: Instant, today: Time) -> Option<Kept> {
        let mut stanza = Stanza::restore(record.stanza).ok()?;
        let accepted = Time(record.accepted);
        // A clock that was set back counts as no time.
        let since = now.checked_sub(accepted.before(today)).unwrap_or(now);
        let time = self.time_of(&stanza, record.flags.for_component);
        let earliest = (now + self.grace).checked_sub(time).unwrap_or(now);
        let mut sends = Sends::default();
        if record.flags.may_have_arrived {
            (sends.times, sends.may_have_arrived) = (1, true);
            let by = stanza.from_domain().clone();
            stanza = stanza.delayed(&by, &accepted.to_string());
        }
        Some(Kept {
            stanza,
            taken: false,
            since: since.max(earliest).min(now),
            sends,
            place: Place::Written(handle),
            receipt: Receipt::default(),
        })
    }

    /// The time for which the stanza waits.
    fn time_of(&self, stanza: &Stanza, for_component: bool) -> Duration {
        match self.absences.get(stanza.to_domain()) {
            Some(rules) if for_component => rules.time_of(stanza),
            // A name that is gone is answered at once.
            _ => self.message,
        }
    }
}

/// Why the journal cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The key cannot be read.
    Key(KeyError),
    /// The file cannot be used.
    Store(store::Error),
}

/// Opens the file. Blocks until everything is read: nothing else runs yet.
pub(crate) fn open(settings: &settings::Journal) -> Result<Opening, OpenError> {
    let cipher = settings.key_file.as_deref().map(Cipher::read).transpose().map_err(OpenError::Key)?;
    let disk = Disk::new(settings.path.clone(), cipher.as_ref());
    let began = clock::now();
    let (log, restored) =
        Log::open(Box::new(disk), cipher, settings.max_bytes, began).map_err(OpenError::Store)?;
    log_opened(&settings.path, &restored, began);
    Ok(Opening { log, restored })
}

/// The open file, before the actor runs.
#[derive(Debug)]
pub(crate) struct Opening {
    log: Log<Pending>,
    restored: journal::Restored,
}

impl Opening {
    /// Starts the actor on `arbiter`.
    pub(crate) fn start(self, meter: &Arc<Meter>, arbiter: &ArbiterHandle) -> Opened {
        let Self { log, restored } = self;
        let (mailbox, inbox): (_, Inbox<Journal>) = mailbox::open(meter, "journal");
        let writer = Writer::new(restored.next, mailbox.outlet(), mailbox.outlet());
        let is_stored = log.works();
        let records = restored.records.into_iter();
        let records = records.map(|(key, record)| (record, writer.handle_of(key, is_stored))).collect();
        let (own, for_actor) = (mailbox.clone(), writer.clone());
        inbox.start_on(arbiter, move || Journal::new(log, for_actor, own));
        Opened { mailbox, writer, records }
    }
}

fn log_opened(path: &Path, restored: &journal::Restored, began: Instant) {
    let path = path.display();
    if let Some(set_aside) = &restored.set_aside {
        log_set_aside(set_aside);
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

pub(super) fn log_set_aside(set_aside: &SetAside) {
    log::error!(
        target: LOG, error:% = set_aside.error, moved_to = set_aside.name.as_str(), saved = set_aside.saved;
        "the journal was damaged: a new one is begun with the records that could be read. `nuncio journal --scan --content` \
         prints all that are in the bytes of the damaged file, also those of delivered messages"
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

//! The tables as streams of NATS, in the form of its key-value buckets, so that its own tools show them.

use super::{
    Settings,
    subjects::{Subjects, purges},
};
use crate::engine::{Answer, Bucket, EngineError, Entry, Op};
use async_nats::{
    HeaderMap,
    jetstream::{
        Context, ErrorCode,
        context::{
            CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind,
            RequestError, RequestErrorKind,
        },
        message::{PublishMessage, StreamMessage},
        stream::{Config, DiscardPolicy, LastRawMessageErrorKind, PurgeErrorKind, StorageType, Stream},
    },
};
use bytes::Bytes;
use std::error::Error;

/// The three tables.
pub(super) struct Tables {
    context: Context,
    tables: [Table; 3],
}

pub(super) struct Table {
    pub(super) stream: Stream,
    /// Begins the subject of each key.
    pub(super) prefix: String,
    /// The client may delete records without a trace. Else a deletion is a record too, which the watches report.
    purges: bool,
}

/// Why a request has no answer.
pub(super) enum Failure {
    Engine(EngineError),
    /// The table does not exist.
    NoTable,
}

impl Tables {
    /// Finds the tables, and creates those that are missing. Also returns when each was created, and whether one is new.
    pub(super) async fn open(
        context: Context,
        settings: &Settings,
    ) -> Result<(Self, [u64; 3], bool), String> {
        let mut created = false;
        let mut tables = Vec::new();
        for bucket in Bucket::ALL {
            tables.push(Table::open(&context, settings, bucket, &mut created).await?);
        }
        let tables: [Table; 3] = tables.try_into().map_err(|_| "a table is missing".to_owned())?;
        let generation = tables.each_ref().map(|table| {
            // Nanoseconds since 1970 fit until the year 2554.
            u64::try_from(table.stream.cached_info().created.unix_timestamp_nanos()).unwrap_or_default()
        });
        Ok((Self { context, tables }, generation, created))
    }

    /// A new subject for what a watch reports.
    pub(super) fn inbox(&self) -> String {
        self.context.client().new_inbox()
    }

    pub(super) fn table(&self, bucket: Bucket) -> &Table {
        &self.tables[bucket as usize]
    }

    /// Executes one request.
    pub(super) async fn execute(&self, bucket: Bucket, op: Op) -> Result<Answer, Failure> {
        let table = self.table(bucket);
        match op {
            Op::Read { key } => Ok(Answer::Entry(table.last(&key).await?.and_then(Record::entry))),
            Op::List => self.list(table).await,
            Op::Next { after } => Ok(Answer::Next(table.next(after).await?)),
            Op::Create { key, value } => match self.write(table, &key, 0, value.clone(), None).await? {
                Answer::Conflict => match table.last(&key).await? {
                    // Only a deletion is there: it is replaced.
                    Some(Record { revision, value: None }) => {
                        self.write(table, &key, revision, value, None).await
                    }
                    _ => Ok(Answer::Conflict),
                },
                answer => Ok(answer),
            },
            Op::Update { key, value, revision } => self.write(table, &key, revision, value, None).await,
            Op::Delete { key, revision } if table.purges => table.purge(&key, revision).await,
            Op::Delete { key, revision } => {
                match self.write(table, &key, revision, Bytes::new(), Some(DELETION)).await? {
                    Answer::Written { .. } => Ok(Answer::Deleted),
                    answer => Ok(answer),
                }
            }
        }
    }

    async fn list(&self, table: &Table) -> Result<Answer, Failure> {
        let mut entries: Vec<(String, Entry)> = Vec::new();
        let mut after = 0;
        while let Some((key, entry)) = table.next(after).await? {
            after = entry.revision;
            // A record that changed meanwhile comes again, with a later revision.
            entries.retain(|(other, _)| *other != key);
            entries.push((key, entry));
            if entries.len() > LIST {
                return Err(Failure::Engine(EngineError::Refused(format!(
                    "the table has more than {LIST} records"
                ))));
            }
        }
        Ok(Answer::Entries(entries))
    }

    /// Writes a record if the key has this revision.
    async fn write(
        &self,
        table: &Table,
        key: &str,
        expected: u64,
        value: Bytes,
        operation: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(operation) = operation {
            headers.insert(OPERATION, operation);
        }
        let message =
            PublishMessage::build().payload(value).headers(headers).expected_last_subject_sequence(expected);
        let written = match self.context.send_publish(format!("{}{key}", table.prefix), message).await {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match written {
            Ok(ack) => Ok(Answer::Written { revision: ack.sequence }),
            Err(error) => match error.kind() {
                PublishErrorKind::WrongLastSequence => Ok(Answer::Conflict),
                PublishErrorKind::Other if is_undecided(&error) => Ok(Answer::Conflict),
                PublishErrorKind::StreamNotFound => Err(Failure::NoTable),
                PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Err(UNREACHABLE),
                _ => Err(refused(&error)),
            },
        }
    }
}

impl Table {
    async fn open(
        context: &Context,
        settings: &Settings,
        bucket: Bucket,
        created: &mut bool,
    ) -> Result<Self, String> {
        let subjects = Subjects { cluster: settings.cluster.clone() };
        let (name, prefix) = (subjects.stream(bucket), subjects.keys(bucket));
        let stream = match context.get_stream(&name).await {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    let config = config(name, &prefix, settings.replicas);
                    // The library's own creation of buckets needs an answer that servers before 2.10 give in another form.
                    let stream = context
                        .create_stream(config)
                        .await
                        .map_err(|error| explain_create(&error, bucket))?;
                    *created = true;
                    stream
                }
                GetStreamErrorKind::JetStream(error) => return Err(error.to_string()),
                _ => return Err(explain_get(&error)),
            },
        };
        Ok(Self { stream, prefix, purges: purges(bucket) })
    }

    /// The last record of a key, also a deletion.
    async fn last(&self, key: &str) -> Result<Option<Record>, Failure> {
        let read = self.stream.get_last_raw_message_by_subject(&format!("{}{key}", self.prefix)).await;
        found(read).map(|message| {
            message.map(|message| Record::new(message.sequence, message.payload, &message.headers))
        })
    }

    /// The first record after a revision.
    async fn next(&self, mut after: u64) -> Result<Option<(String, Entry)>, Failure> {
        loop {
            let read =
                self.stream.get_first_raw_message_by_subject(format!("{}>", self.prefix), after + 1).await;
            let Some(message) = found(read)? else { return Ok(None) };
            after = message.sequence;
            let key = message.subject.strip_prefix(self.prefix.as_str()).map(str::to_owned);
            let record = Record::new(message.sequence, message.payload, &message.headers);
            if let (Some(key), Some(entry)) = (key, record.entry()) {
                return Ok(Some((key, entry)));
            }
        }
    }

    /// Removes the record of a key up to a revision. A later one stays.
    async fn purge(&self, key: &str, revision: u64) -> Result<Answer, Failure> {
        let purged = self.stream.purge().filter(format!("{}{key}", self.prefix)).sequence(revision + 1).await;
        match purged {
            Ok(answer) if answer.purged > 0 => Ok(Answer::Deleted),
            Ok(_) => Ok(Answer::Conflict),
            Err(error) => match error.kind() {
                PurgeErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Err(Failure::NoTable)
                }
                PurgeErrorKind::JetStream(error) => Err(refused(&error)),
                PurgeErrorKind::Request | PurgeErrorKind::TimedOut => Err(UNREACHABLE),
            },
        }
    }
}

/// A message of a table: a value, or a deletion.
pub(super) struct Record {
    pub(super) revision: u64,
    pub(super) value: Option<Bytes>,
}

impl Record {
    pub(super) fn new(revision: u64, payload: Bytes, headers: &HeaderMap) -> Self {
        let is_value = headers.get(OPERATION).is_none_or(|operation| operation.as_str() == "PUT");
        Self { revision, value: is_value.then_some(payload) }
    }

    fn entry(self) -> Option<Entry> {
        self.value.map(|value| Entry { revision: self.revision, value })
    }
}

/// The settings of a table.
pub(super) fn config(name: String, prefix: &str, replicas: usize) -> Config {
    Config {
        name,
        subjects: vec![format!("{prefix}>")],
        max_messages_per_subject: 1,
        max_message_size: MAX_RECORD,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        storage: StorageType::File,
        num_replicas: replicas,
        // Reads go to the server that leads, since another one may have older data.
        allow_direct: false,
        ..Config::default()
    }
}

fn found(
    read: Result<StreamMessage, async_nats::jetstream::stream::LastRawMessageError>,
) -> Result<Option<StreamMessage>, Failure> {
    match read {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Err(Failure::NoTable)
            }
            LastRawMessageErrorKind::JetStream(error) => Err(refused(&error)),
            LastRawMessageErrorKind::InvalidSubject | LastRawMessageErrorKind::Other => Err(UNREACHABLE),
        },
    }
}

/// Whether the broker refused a write since its servers have not decided about another write to the same key. Version 2.15
/// does so; 2.9 lets it wait.
fn is_undecided(error: &PublishError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    source.is_some_and(|error| error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

fn refused(error: &impl std::fmt::Display) -> Failure {
    Failure::Engine(EngineError::Refused(error.to_string()))
}

/// Why the server does not say whether a table exists.
fn explain_get(error: &GetStreamError) -> String {
    let request = error.source().and_then(|source| source.downcast_ref::<RequestError>());
    match request.map(RequestError::kind) {
        Some(RequestErrorKind::NoResponders) => {
            "JetStream is not enabled; add `jetstream` to the configuration of nats-server".to_owned()
        }
        Some(RequestErrorKind::TimedOut) => NO_ANSWER.to_owned(),
        _ => error.to_string(),
    }
}

fn explain_create(error: &async_nats::jetstream::context::CreateStreamError, bucket: Bucket) -> String {
    let why = match error.kind() {
        CreateStreamErrorKind::JetStream(error) => error.to_string(),
        CreateStreamErrorKind::TimedOut => {
            format!("{NO_ANSWER}; cluster.replicas = 3 needs three servers")
        }
        _ => error.to_string(),
    };
    format!("the table of {} cannot be created: {why}", bucket.name())
}

const NO_ANSWER: &str = "JetStream does not answer: most of the servers of the broker must be connected, and their disks must have room";

const UNREACHABLE: Failure = Failure::Engine(EngineError::Unreachable);

/// Names the kind of a record in a bucket of NATS.
pub(super) const OPERATION: &str = "KV-Operation";

/// A record that stands for a deletion.
const DELETION: &str = "DEL";

/// As [`crate::record`] accepts at most, with headers.
const MAX_RECORD: i32 = 16 * 1024;

/// Nodes or components of a cluster.
const LIST: usize = 20_000;

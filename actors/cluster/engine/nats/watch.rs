//! Reports the changes of a table.

use super::{
    Dropped,
    tables::{Record, Tables},
};
use crate::engine::{Bucket, Event};
use async_nats::{
    HeaderMap,
    jetstream::consumer::{DeliverPolicy, push},
};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;

/// Reports all records, and then each change. Ends with the connection only: a watch that breaks begins again.
pub(super) async fn watch(
    tables: &Tables,
    bucket: Bucket,
    events: &mpsc::Sender<Event>,
) -> Result<String, Dropped> {
    loop {
        // An error here shows in requests too. The arbiter reads the whole table from time to time.
        if let Some(mut messages) = begin(tables, bucket).await {
            while let Some(Ok(message)) = messages.next().await {
                let Ok(info) = message.info() else { break };
                let revision = info.stream_sequence;
                let Some(key) = message.subject.strip_prefix(tables.table(bucket).prefix.as_str()) else {
                    continue;
                };
                let key = key.to_owned();
                let none = HeaderMap::new();
                let headers = message.headers.as_ref().unwrap_or(&none);
                let Record { revision, value } = Record::new(revision, message.payload.clone(), headers);
                events.send(Event::Changed { bucket, key, revision, value }).await.map_err(|_| Dropped)?;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn begin(tables: &Tables, bucket: Bucket) -> Option<push::Ordered> {
    let table = tables.table(bucket);
    let config = push::OrderedConfig {
        deliver_subject: tables.inbox(),
        filter_subject: format!("{}>", table.prefix),
        deliver_policy: DeliverPolicy::LastPerSubject,
        ..push::OrderedConfig::default()
    };
    table.stream.create_consumer(config).await.ok()?.messages().await.ok()
}

/// Before a watch that broke begins again.
const PAUSE: Duration = Duration::from_secs(1);

//! The subjects and streams of a cluster at the broker, and the permissions that a node needs.

use crate::{
    NodeName,
    engine::{Bucket, examination::Access},
};

/// The subjects of a cluster.
#[derive(Clone)]
pub(super) struct Subjects {
    pub(super) cluster: NodeName,
}

/// One permission of the broker that a node needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) access: Access,
    /// As the configuration of the broker has it, with `*` and `>`.
    pub(super) pattern: String,
    pub(super) task: Task,
}

/// For what a node needs a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Frames to nodes, or those to this node.
    Frames,
    /// Answers and changes.
    Answers,
    Write(Bucket),
    Find(Bucket),
    Create(Bucket),
    Read(Bucket),
    /// Deletes records without a trace.
    Purge(Bucket),
    Watch(Bucket),
    /// Goes on with a watch that waits for this node.
    FlowControl(Bucket),
}

impl Subjects {
    /// Frames to a node.
    pub(super) fn node(&self, node: &str) -> String {
        format!("nuncio.{}.node.{node}", self.cluster)
    }

    /// Begins the subjects of answers to a node. The library adds a random part.
    pub(super) fn inbox(&self, node: &NodeName) -> String {
        format!("nuncio.{}.inbox.{node}", self.cluster)
    }

    /// The stream of a table.
    pub(super) fn stream(&self, bucket: Bucket) -> String {
        format!("KV_nuncio_{}_{}", self.cluster, bucket.name())
    }

    /// Begins the subject of each key of a table.
    pub(super) fn keys(&self, bucket: Bucket) -> String {
        format!("$KV.nuncio_{}_{}.", self.cluster, bucket.name())
    }

    /// What a node must be permitted.
    pub(super) fn needs(&self) -> Vec<Need> {
        let publish = |task, pattern| Need { access: Access::Publish, pattern, task };
        let subscribe = |task, pattern| Need { access: Access::Subscribe, pattern, task };
        let mut needs = vec![
            subscribe(Task::Frames, self.node("*")),
            subscribe(Task::Answers, format!("nuncio.{}.inbox.>", self.cluster)),
            publish(Task::Frames, self.node("*")),
        ];
        for bucket in Bucket::ALL {
            let stream = self.stream(bucket);
            needs.extend([
                publish(Task::Write(bucket), format!("{}*", self.keys(bucket))),
                publish(Task::Find(bucket), format!("$JS.API.STREAM.INFO.{stream}")),
                publish(Task::Create(bucket), format!("$JS.API.STREAM.CREATE.{stream}")),
                publish(Task::Read(bucket), format!("$JS.API.STREAM.MSG.GET.{stream}")),
            ]);
            if purges(bucket) {
                needs.push(publish(Task::Purge(bucket), format!("$JS.API.STREAM.PURGE.{stream}")));
            } else {
                needs.extend([
                    publish(Task::Watch(bucket), format!("$JS.API.CONSUMER.CREATE.{stream}")),
                    publish(Task::FlowControl(bucket), format!("$JS.FC.{stream}.>")),
                ]);
            }
        }
        needs
    }
}

/// Whether the client may delete records of a table without a trace. Else a deletion is a record too, which the watches
/// report.
pub(super) fn purges(bucket: Bucket) -> bool {
    bucket == Bucket::Claims
}

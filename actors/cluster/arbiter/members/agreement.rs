//! What the nodes must have in common: who differs, and what was told about it.

use super::OVER;
use crate::{
    Incarnation, NodeName,
    arbiter::{Config, Disagreement, Output, io::Io},
    ferry::codec::Versions,
    names::Names,
    record::NodeRecord,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Agreement {
    secret: String,
    names: Names,
    versions: Versions,
    /// Disagreements that were told, by their short names.
    told: BTreeSet<(NodeName, Incarnation, &'static str)>,
    /// Nodes that are no members, since their record cannot be read or since there are too many nodes.
    strangers: BTreeMap<NodeName, Disagreement>,
}

impl Agreement {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            secret: config.secret.clone(),
            names: config.names.clone(),
            versions: config.versions,
            told: BTreeSet::new(),
            strangers: BTreeMap::new(),
        }
    }

    pub(super) fn reconfigure(&mut self, secret: &str, names: &Names) {
        secret.clone_into(&mut self.secret);
        names.clone_into(&mut self.names);
    }

    /// The version of frames that both nodes have.
    pub(super) fn version(&self, record: &NodeRecord) -> Option<u8> {
        self.versions.common(record.versions)
    }

    /// Compares again after a reload of that node or of this one. Tells what differs; if nothing does any more, tells that.
    pub(super) fn compares_again(&mut self, node: &NodeName, record: &NodeRecord, io: &mut Io) {
        let told = self.told.len();
        self.told.retain(|(of, ..)| of != node);
        if told > self.told.len() && self.differences(record).is_empty() {
            io.tell(Output::Agrees { node: node.clone() });
        }
        self.compares(node, record, io);
    }

    /// Tells once for each run of a node what differs there.
    pub(super) fn compares(&mut self, node: &NodeName, record: &NodeRecord, io: &mut Io) {
        for about in self.differences(record) {
            self.disagrees(node, record.incarnation, about, io);
        }
    }

    pub(super) fn differences(&self, record: &NodeRecord) -> Vec<Disagreement> {
        let versions = Disagreement::Versions { theirs: record.versions, own: self.versions };
        let versions = self.version(record).is_none().then_some(versions);
        let secret = (record.secret != self.secret).then_some(Disagreement::Secret);
        let names = self.names.difference(&record.names);
        let names = names.map(|difference| Disagreement::Names(Box::new(difference)));
        [versions, secret, names].into_iter().flatten().collect()
    }

    /// A node is no member, for a reason that is told.
    pub(super) fn is_stranger(
        &mut self,
        node: &NodeName,
        run: Incarnation,
        about: Disagreement,
        io: &mut Io,
    ) {
        if self.strangers.len() < OVER || self.strangers.contains_key(node) {
            self.strangers.insert(node.clone(), about.clone());
        }
        self.disagrees(node, run, about, io);
    }

    /// A node is a member, or is not there.
    pub(super) fn is_no_stranger(&mut self, node: &NodeName) {
        self.strangers.remove(node);
    }

    /// The nodes that are no members, and why.
    pub(super) fn strangers(&self) -> impl Iterator<Item = (NodeName, Disagreement)> {
        self.strangers.iter().map(|(node, about)| (node.clone(), about.clone()))
    }

    fn disagrees(&mut self, node: &NodeName, incarnation: Incarnation, about: Disagreement, io: &mut Io) {
        if self.told.len() >= OVER {
            self.told.clear();
        }
        if self.told.insert((node.clone(), incarnation, about.as_str())) {
            io.tell(Output::Disagrees { node: node.clone(), about });
        }
    }
}

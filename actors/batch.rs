//! Stanzas on their way through the node: moved many at a time, and never more than their source was given leave for.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::OwnedSemaphorePermit;
use xmpp::{Domain, DomainPair, Stanza};

/// Leave to read on. It travels with what one read brought; once everybody who got a part of it has taken that part
/// into an account of his own and dropped the pass, the source reads again. So TCP is the back-pressure, and what is
/// between the actors is bounded by what the sources may read at once.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    // Held for its drop.
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Pass {
    /// A pass that gives the permit back when the last clone is dropped.
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(Arc::new(permit)) }
    }

    /// For stanzas of the node's own, which nobody waits to read.
    pub fn free() -> Self {
        Self::default()
    }
}

/// Stanzas from one domain to another, in order.
#[derive(Debug)]
pub struct Batch {
    /// The domain of every `from` in it.
    pub from: Domain,
    /// The domain of every `to` in it.
    pub to: Domain,
    /// At least one.
    pub stanzas: Vec<Stanza>,
    /// Held until they are accounted for.
    pub pass: Pass,
    /// Error answers on their way back: held back as long as it takes, never refused. They were paid for with the pass
    /// of the stanzas that they answer, so who does not take his answers is not read either.
    pub returning: bool,
}

impl Batch {
    /// One stanza of the node's own.
    pub fn of(stanza: Stanza) -> Self {
        Self {
            from: stanza.from_domain().clone(),
            to: stanza.to_domain().clone(),
            stanzas: vec![stanza],
            pass: Pass::free(),
            returning: false,
        }
    }

    /// The pair of a batch that leaves the node.
    pub fn pair(&self) -> DomainPair {
        DomainPair { local: self.from.clone(), remote: self.to.clone() }
    }

    /// What it weighs.
    pub fn bytes(&self) -> usize {
        self.stanzas.iter().map(|stanza| stanza.bytes().len()).sum()
    }
}

/// Sorts what one read brought by where it comes from and goes to; the order within each is kept.
pub fn sort(stanzas: Vec<Stanza>, pass: &Pass) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    // One conversation dominates most reads: the batch of the stanza before is looked at first.
    let mut index: HashMap<(Domain, Domain), usize> = HashMap::new();
    let mut last = usize::MAX;
    for stanza in stanzas {
        let same = batches
            .get(last)
            .is_some_and(|batch| batch.from == *stanza.from_domain() && batch.to == *stanza.to_domain());
        if !same {
            let key = (stanza.from_domain().clone(), stanza.to_domain().clone());
            last = *index.entry(key).or_insert_with(|| {
                batches.push(Batch {
                    from: stanza.from_domain().clone(),
                    to: stanza.to_domain().clone(),
                    stanzas: Vec::new(),
                    pass: pass.clone(),
                    returning: false,
                });
                batches.len() - 1
            });
        }
        if let Some(batch) = batches.get_mut(last) {
            batch.stanzas.push(stanza);
        }
    }
    batches
}

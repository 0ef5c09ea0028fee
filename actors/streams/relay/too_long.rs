//! Stanzas that the message broker does not permit: they are answered here, and the others go on.

use xmpp::stanza::{self, Condition, ErrorType};

use super::Custody;
use crate::flow::{
    account::Outcome,
    batch::Batch,
    route::{Return, bounce},
};
use mailbox::Outlet;

impl Custody {
    /// The ferry has not carried the stanzas of this parcel that are longer than `longest` bytes, and never will: they are
    /// answered. The parcel is settled with its other stanzas.
    pub(in crate::streams) fn answer_too_long(
        &mut self,
        number: u64,
        longest: usize,
        bounces: &Outlet<Return>,
    ) {
        for batch in self.take_too_long(number, longest) {
            let bytes = batch.amount().bytes;
            let text = format!(
                "a stanza of {bytes} bytes is longer than the message broker of this server's cluster permits ({longest})"
            );
            let error =
                stanza::Error { type_: ErrorType::Modify, condition: Condition::PolicyViolation, text };
            bounce(bounces, batch, &error, Outcome::Answered);
        }
    }

    /// Takes the stanzas of a parcel out that are longer than so many bytes, each in a batch of its own.
    fn take_too_long(&mut self, number: u64, longest: usize) -> Vec<Batch> {
        let Some(parcel) = self.unsettled.get_mut(&number) else { return Vec::new() };
        let mut taken = Vec::new();
        for batch in &mut parcel.batches {
            let mut rest = batch.extract(|stanza| stanza.bytes().len() > longest);
            while !rest.stanzas.is_empty() {
                let behind = rest.split_off(1);
                taken.push(std::mem::replace(&mut rest, behind));
            }
        }
        parcel.batches.retain(|batch| !batch.stanzas.is_empty());
        let bytes: usize = taken.iter().map(|batch| batch.amount().bytes as usize).sum();
        parcel.bytes -= bytes;
        self.bytes -= bytes;
        taken
    }
}

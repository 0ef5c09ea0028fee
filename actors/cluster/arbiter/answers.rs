//! What the arbiter does with the answer to each of its requests.

use super::{
    Arbiter, Output,
    io::Purpose,
    members::{Reading, Standing},
};
use crate::{
    engine::{Answer, Bucket, EngineError, Entry, Op},
    record::ClaimRecord,
};
use std::time::Instant;
use xmpp::Domain;

impl Arbiter {
    pub(super) fn answered(
        &mut self,
        purpose: Purpose,
        sent: Instant,
        answer: Result<Answer, EngineError>,
        now: Instant,
    ) {
        if let Err(EngineError::Refused(reason)) = &answer {
            self.io.tell(Output::Refused { bucket: purpose.bucket(), reason: reason.clone() });
        }
        match purpose {
            Purpose::OwnRead | Purpose::OwnWrite { .. } | Purpose::OwnDelete => {
                let had_lease = self.own.lease(now).is_some();
                if self.own.answered(purpose, sent, answer, now, &mut self.io) {
                    self.data_lost();
                }
                if self.own.lease(now).is_some() != had_lease {
                    self.claims.look_again();
                    self.seats.look_again();
                }
            }
            Purpose::Claim(pair) => self.claims.answered(&pair, answer, now, &self.own, &mut self.io),
            Purpose::Seat(name) => self.seats.answered(&name, answer, now, &self.own, &mut self.io),
            Purpose::Alive(node) => {
                let reading = Reading { answer, sent, refills: self.own.refills() };
                self.members.read(&node, &reading, now, &mut self.io);
                self.judged(now);
            }
            Purpose::Judge(node, incarnation) => {
                let reading = Reading { answer, sent, refills: self.own.refills() };
                self.members.read_to_judge((node, incarnation), reading, now, &mut self.io);
                self.judged(now);
            }
            Purpose::ListNodes => {
                if let Ok(Answer::Entries(entries)) = answer {
                    let cleans = self.may_clean(now);
                    let refills = self.members.listed(entries, cleans, sent, now, &mut self.io);
                    let waited = self.own.refills();
                    self.own.listed(refills, now);
                    self.judged(now);
                    if waited && !self.own.refills() {
                        self.claims.look_again();
                        self.seats.look_again();
                    }
                } else {
                    self.next_list = now + self.io.pause(self.beat / 3);
                }
            }
            Purpose::ListSeats => {
                if let Ok(Answer::Entries(entries)) = answer {
                    for (key, entry) in &entries {
                        self.disowns(key, entry);
                    }
                    self.clean_seats(&entries, now);
                    self.seating.listed(entries, sent, self.own.refills(), now);
                    self.view_seats(now);
                }
            }
            Purpose::Sweep => self.sweep.next_record(answer),
            Purpose::SweepDelete => self.sweep.deleted(),
            Purpose::Forget(node) => self.members.forgets(&node, &answer, now),
            Purpose::CleanUp(_) => {}
        }
    }

    /// A seat of this node that it does not want is deleted. A late request wrote it, or the broker came back with older data.
    fn disowns(&mut self, key: &str, entry: &Entry) {
        if !self.seats.knows(key)
            && let Ok(record) = ClaimRecord::decode(&entry.value)
            && record.node == *self.own.name()
            && let Ok(name) = Domain::named(&record.what)
        {
            self.seats.disowns(&name);
        }
    }

    /// Whether records that nobody needs may be deleted now: what this node knows of others is certain.
    pub(super) fn may_clean(&self, now: Instant) -> bool {
        self.up && !self.stopping && self.own.lease(now).is_some() && !self.own.refills()
    }

    /// Deletes seats of runs that are over. They do no harm, since whoever wants such a seat replaces the record; but nobody
    /// else would ever delete them.
    fn clean_seats(&mut self, entries: &[(String, Entry)], now: Instant) {
        if !self.may_clean(now) {
            return;
        }
        let mut left = CLEANED_PER_LIST;
        for (key, entry) in entries {
            let Ok(record) = ClaimRecord::decode(&entry.value) else { continue };
            if left > 0
                && record.node != *self.own.name()
                && !self.seats.knows(key)
                && self.members.judge(&record.node, record.incarnation, now) == Standing::Over
            {
                left -= 1;
                let op = Op::Delete { key: key.clone(), revision: entry.revision };
                self.io.ask(op, Purpose::CleanUp(Bucket::Seats), now);
            }
        }
    }
}

/// Seats of runs that are over and are deleted when the table was read: all of them within minutes.
const CLEANED_PER_LIST: usize = 256;

//! The two kinds of claims, and how each is answered.

use crate::{
    NodeName,
    arbiter::{Output, io::Purpose},
};
use std::fmt::Display;
use xmpp::{Domain, DomainPair};

/// Something of which the cluster has one holder.
pub(in crate::arbiter) trait Claimed: Clone + Ord + Display {
    fn purpose(self) -> Purpose;
    fn granted(self) -> Output;
    fn held_by(self, node: NodeName) -> Output;
    fn unknown(self, why: String) -> Output;
    fn conflict(self, node: NodeName) -> Output;
}

impl Claimed for DomainPair {
    fn purpose(self) -> Purpose {
        Purpose::Claim(self)
    }

    fn granted(self) -> Output {
        Output::Granted { pair: self }
    }

    fn held_by(self, node: NodeName) -> Output {
        Output::HeldBy { pair: self, node }
    }

    fn unknown(self, why: String) -> Output {
        Output::Unknown { pair: self, why }
    }

    fn conflict(self, node: NodeName) -> Output {
        Output::Conflict { pair: self, node }
    }
}

impl Claimed for Domain {
    fn purpose(self) -> Purpose {
        Purpose::Seat(self)
    }

    fn granted(self) -> Output {
        Output::Seated { name: self }
    }

    fn held_by(self, node: NodeName) -> Output {
        Output::SeatTaken { name: self, node }
    }

    fn unknown(self, why: String) -> Output {
        Output::SeatUnknown { name: self, why }
    }

    fn conflict(self, node: NodeName) -> Output {
        Output::SeatConflict { name: self, node }
    }
}

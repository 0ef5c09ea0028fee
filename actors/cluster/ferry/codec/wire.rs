//! The fields of a frame of version 1, as `postcard` writes them.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use xmpp::Domain;

use super::FrameError;
use crate::{
    ferry::{
        frame::{
            self, CarriedBatch, Control, Echo, Final, Frame, Header, Over, Parcel, Parcels, Settlements,
        },
        ranges::Ranges,
        returned::Returned,
    },
    name::{Incarnation, NodeName},
};

/// Writes a frame.
pub(super) fn encode(version: u8, header: &Header, body: &Body<'_>) -> Bytes {
    let stanzas = match body {
        Body::Parcels { parcels, .. } => parcels.iter().map(Carried::bound).sum(),
        Body::Control { .. } | Body::Over(_) | Body::Contest(_) => 0,
    };
    let mut bytes = Vec::with_capacity(HEADER + stanzas);
    bytes.push(version);
    let fields = Fields {
        from: header.from.as_str(),
        incarnation: header.incarnation.0,
        to: header.to.0,
        session: header.session,
    };
    // A vector takes everything, and no field fails to serialize.
    postcard::to_extend(&(fields, body), bytes).map(Bytes::from).unwrap_or_default()
}

/// Reads the fields behind the version.
pub(super) fn decode(bytes: &Bytes) -> Result<Frame, FrameError> {
    let damaged = FrameError::Damaged;
    let fields = postcard::take_from_bytes::<(Fields<'_>, Body<'_>)>(bytes);
    let ((header, body), rest) =
        fields.map_err(|_| damaged("its fields end early, or one is not as it has to be"))?;
    if !rest.is_empty() {
        return Err(damaged("bytes follow its fields"));
    }
    let header = Header {
        from: NodeName::new(header.from).map_err(|_| damaged("its sender has no valid name"))?,
        incarnation: Incarnation(header.incarnation),
        to: Incarnation(header.to),
        session: header.session,
    };
    Ok(Frame { header, body: body.read(bytes)? })
}

/// The bytes that a parcel takes in a frame, at most.
pub(in crate::ferry) fn encoded_bound(parcel: &Parcel) -> usize {
    let of = |batch: &CarriedBatch| {
        let stanzas: usize = batch.stanzas.iter().map(|stanza| stanza.len() + LENGTH).sum();
        BATCH + batch.from.as_str().len() + batch.to.as_str().len() + stanzas
    };
    BEGINS + LENGTH + parcel.batches.iter().map(of).sum::<usize>()
}

/// The fields of [`Parcels`] but for the parcels.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(in crate::ferry) struct Meta {
    pub(in crate::ferry) frame: u64,
    pub(in crate::ferry) at: u64,
    pub(in crate::ferry) seen: u64,
    pub(in crate::ferry) wants_answer: bool,
    pub(in crate::ferry) first: u64,
}

impl Meta {
    /// Those of a frame.
    pub(super) fn of(parcels: &Parcels) -> Self {
        let &Parcels { frame, at, seen, wants_answer, first, parcels: _ } = parcels;
        Self { frame, at, seen, wants_answer, first }
    }
}

#[derive(Serialize, Deserialize)]
struct Fields<'a> {
    from: &'a str,
    incarnation: u64,
    to: u64,
    session: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Body<'a> {
    Parcels {
        meta: Meta,
        #[serde(borrow)]
        parcels: Vec<Carried<'a>>,
    },
    Control {
        received: u64,
        highest: u64,
        missing: Steps,
        room: u64,
        first: u64,
        last: u64,
        settled: Steps,
        returned: Back,
        /// Frame, time, time held.
        echo: Option<(u64, u64, u64)>,
    },
    Over(Option<Known>),
    Contest(&'a str),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Known {
    received: u64,
    settled: Steps,
    returned: Back,
    in_doubt: Steps,
}

/// What comes back: whole parcels, and stanzas of others, in the order of the numbers of these.
#[derive(Serialize, Deserialize)]
pub(super) struct Back {
    whole: Steps,
    parts: Vec<(u64, Steps)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Carried<'a> {
    begins: bool,
    #[serde(borrow)]
    batches: Vec<Batch<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Batch<'a> {
    from: &'a str,
    to: &'a str,
    /// In milliseconds.
    age: u64,
    returning: bool,
    times: u8,
    may_have_arrived: bool,
    #[serde(borrow)]
    stanzas: Vec<Raw<'a>>,
}

/// A stanza: its length, and its bytes where they are.
struct Raw<'a>(&'a [u8]);

/// Ranges as steps, which are short and always in order: the first number, or the numbers between the last range and
/// this one but for one; and the numbers of the range but for one.
#[derive(Serialize, Deserialize)]
pub(super) struct Steps(Vec<(u64, u64)>);

impl<'a> Body<'a> {
    pub(super) fn parcels(meta: &Meta, parcels: &[(&'a Parcel, Duration)]) -> Self {
        let carried = |&(parcel, older): &(&'a Parcel, Duration)| {
            let batches = parcel.batches.iter().map(|batch| Batch::of(batch, older)).collect();
            Carried { begins: parcel.begins, batches }
        };
        Self::Parcels { meta: *meta, parcels: parcels.iter().map(carried).collect() }
    }

    pub(super) fn control(control: &Control) -> Self {
        Self::Control {
            received: control.received,
            highest: control.highest,
            missing: Steps::of(&control.missing),
            room: control.room,
            first: control.settlements.first,
            last: control.settlements.last,
            settled: Steps::of(&control.settlements.settled),
            returned: Back::of(&control.settlements.returned),
            echo: control.echo.map(|Echo { frame, at, held }| (frame, at, held)),
        }
    }

    pub(super) fn over(over: &Over) -> Self {
        match over {
            Over::Unknown => Self::Over(None),
            Over::Known(Final { received, settled, returned, in_doubt }) => Self::Over(Some(Known {
                received: *received,
                settled: Steps::of(settled),
                returned: Back::of(returned),
                in_doubt: Steps::of(in_doubt),
            })),
        }
    }

    fn read(self, bytes: &Bytes) -> Result<frame::Body, FrameError> {
        Ok(match self {
            Self::Parcels { meta: Meta { frame, at, seen, wants_answer, first }, parcels } => {
                let mut reader = Reader { bytes, last: None };
                let parcels =
                    parcels.into_iter().map(|parcel| reader.parcel(parcel)).collect::<Result<_, _>>()?;
                frame::Body::Parcels(Parcels { frame, at, seen, wants_answer, first, parcels })
            }
            Self::Control { received, highest, missing, room, first, last, settled, returned, echo } => {
                let missing = missing.read()?;
                let (settled, returned) = (settled.read()?, returned.read()?);
                let settlements = Settlements { first, last, settled, returned };
                let echo = echo.map(|(frame, at, held)| Echo { frame, at, held });
                frame::Body::Control(Control { received, highest, missing, room, settlements, echo })
            }
            // Also the name of a component for all domains below one.
            Self::Contest(name) => frame::Body::Contest(Domain::named(name).map_err(|_| NO_DOMAIN)?),
            Self::Over(None) => frame::Body::Over(Over::Unknown),
            Self::Over(Some(Known { received, settled, returned, in_doubt })) => {
                let (settled, returned, in_doubt) = (settled.read()?, returned.read()?, in_doubt.read()?);
                frame::Body::Over(Over::Known(Final { received, settled, returned, in_doubt }))
            }
        })
    }
}

/// Makes parcels of the fields of a frame.
struct Reader<'a> {
    bytes: &'a Bytes,
    /// The domains of the last batch: most often those of the next one.
    last: Option<(Domain, Domain)>,
}

impl Reader<'_> {
    fn parcel(&mut self, Carried { begins, batches }: Carried<'_>) -> Result<Parcel, FrameError> {
        let batches = batches.into_iter().map(|batch| self.batch(batch)).collect::<Result<_, _>>()?;
        Ok(Parcel { begins, batches })
    }

    fn batch(&mut self, batch: Batch<'_>) -> Result<CarriedBatch, FrameError> {
        let (from, to) = match self.last.take() {
            Some((from, to)) if from.as_str() == batch.from && to.as_str() == batch.to => (from, to),
            _ => (domain(batch.from)?, domain(batch.to)?),
        };
        self.last = Some((from.clone(), to.clone()));
        Ok(CarriedBatch {
            from,
            to,
            age: Duration::from_millis(batch.age),
            returning: batch.returning,
            times: batch.times,
            may_have_arrived: batch.may_have_arrived,
            stanzas: batch.stanzas.into_iter().map(|Raw(stanza)| self.bytes.slice_ref(stanza)).collect(),
        })
    }
}

fn domain(text: &str) -> Result<Domain, FrameError> {
    Domain::new(text).map_err(|_| NO_DOMAIN)
}

impl Carried<'_> {
    fn bound(&self) -> usize {
        let of = |batch: &Batch<'_>| {
            let stanzas: usize = batch.stanzas.iter().map(|Raw(stanza)| stanza.len() + LENGTH).sum();
            BATCH + batch.from.len() + batch.to.len() + stanzas
        };
        BEGINS + LENGTH + self.batches.iter().map(of).sum::<usize>()
    }
}

impl<'a> Batch<'a> {
    fn of(batch: &'a CarriedBatch, older: Duration) -> Self {
        let age = batch.age.saturating_add(older).as_millis();
        Self {
            from: batch.from.as_str(),
            to: batch.to.as_str(),
            age: u64::try_from(age).unwrap_or(u64::MAX),
            returning: batch.returning,
            times: batch.times,
            may_have_arrived: batch.may_have_arrived,
            stanzas: batch.stanzas.iter().map(|stanza| Raw(stanza)).collect(),
        }
    }
}

impl Back {
    fn of(returned: &Returned) -> Self {
        let parts = returned.parts.iter().map(|(&number, stanzas)| (number, Steps::of(stanzas)));
        Self { whole: Steps::of(&returned.whole), parts: parts.collect() }
    }

    fn read(self) -> Result<Returned, FrameError> {
        let mut returned = Returned { whole: self.whole.read()?, parts: BTreeMap::new() };
        for (number, stanzas) in self.parts {
            if returned.parts.last_key_value().is_some_and(|(&last, _)| last >= number) {
                return Err(FrameError::Damaged("the parcels of which a part comes back are not in order"));
            }
            returned.parts.insert(number, stanzas.read()?);
        }
        Ok(returned)
    }
}

impl Steps {
    fn of(ranges: &Ranges) -> Self {
        let mut last = None;
        let step = |(first, end): (u64, u64)| {
            let gap = last.map_or(first, |last: u64| first.saturating_sub(last).saturating_sub(2));
            last = Some(end);
            (gap, end.saturating_sub(first))
        };
        Self(ranges.iter().map(step).collect())
    }

    fn read(self) -> Result<Ranges, FrameError> {
        let too_large = || FrameError::Damaged("a number of a parcel is too large");
        let mut last: Option<u64> = None;
        let range = |(gap, more): (u64, u64)| {
            let first =
                last.map_or(Some(gap), |last| last.checked_add(2)?.checked_add(gap)).ok_or_else(too_large)?;
            let end = first.checked_add(more).ok_or_else(too_large)?;
            last = Some(end);
            Ok((first, end))
        };
        self.0.into_iter().map(range).collect()
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a stanza of at least {SHORTEST} bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        if bytes.len() < SHORTEST { Err(E::invalid_length(bytes.len(), &self)) } else { Ok(Raw(bytes)) }
    }
}

/// `<iq/>`. It bounds the memory for the list of stanzas: each takes 32 bytes of memory, and 6 of the frame.
const SHORTEST: usize = 5;

/// A text that should be a domain.
const NO_DOMAIN: FrameError = FrameError::Damaged("a text is no valid domain");

/// The longest length of a list or text, in bytes: 64 bits with seven in each byte.
const LENGTH: usize = 10;

/// Whether a parcel begins a relay, in bytes.
const BEGINS: usize = 1;

/// The fields of a batch but for domains and stanzas, in bytes: three lengths, the age, and three of one byte.
const BATCH: usize = 4 * LENGTH + 3;

/// More than version, header and the first fields of parcels take, in bytes: a name with its length, eight numbers, two
/// bytes.
pub(in crate::ferry) const HEADER: usize = 64 + 9 * LENGTH + 2;

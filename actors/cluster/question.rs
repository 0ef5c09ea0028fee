//! Questions of an operator to the other nodes, and their answers, which may take several frames.
//!
//! A question is a request as commands write it to the control socket. Frames begin with another byte than those of the
//! [ferry](crate::ferry): the highest bit is set, the others are the version. What kind of frame it is, its node and its
//! number follow in every version, and a [`Refusal`] is the same in every version, so that nodes of two releases can tell
//! each other that they have different ones.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::name::NodeName;

/// A frame about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The node that asks, or that answers.
    pub from: NodeName,
    /// Chosen by the node that asks. The answer repeats it.
    pub number: u64,
    /// What it says.
    pub body: Body,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request of a node that asks.
    Question(String),
    /// A question of another version: it has to be refused.
    Foreign,
    /// A part of an answer.
    Part(Part),
    /// There is no answer.
    Refused(Refusal),
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place, from 0.
    pub index: u32,
    /// The number of parts.
    pub parts: u32,
    /// The text.
    pub text: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The node answers other questions, and as many wait as may.
    Busy,
    /// The node reads questions of this version.
    Version(u8),
    /// The answer has more bytes than this limit.
    TooLong(u64),
}

/// A frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// An answer of another version.
    #[error(
        "an answer of version {0}, and this node reads version {VERSION}: all nodes of a cluster need the same release"
    )]
    Version(u8),
    /// The bytes are not the fields of a frame.
    #[error("a damaged question or answer")]
    Damaged,
}

/// Collects the parts of one answer.
#[derive(Debug, Default)]
pub struct Collector {
    parts: Vec<Option<Bytes>>,
    missing: usize,
}

/// Whether a frame is about a question. Otherwise it is one of the [ferry](crate::ferry).
pub fn is_question(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & MARK != 0)
}

/// Reads a frame about a question.
///
/// # Errors
///
/// It is a part of an answer of another version, or is damaged.
pub fn decode(frame: &Bytes) -> Result<Frame, QuestionError> {
    let version = match frame.first() {
        Some(first) if first & MARK != 0 => first & !MARK,
        Some(_) | None => return Err(DAMAGED),
    };
    let (head, rest): (Head<'_>, &[u8]) =
        postcard::take_from_bytes(frame.get(1..).unwrap_or_default()).map_err(|_| DAMAGED)?;
    let from = NodeName::new(head.from).map_err(|_| DAMAGED)?;
    let body = match head.kind {
        Kind::Refused => Body::Refused(postcard::from_bytes(rest).map_err(|_| DAMAGED)?),
        Kind::Question if version != VERSION => Body::Foreign,
        Kind::Part if version != VERSION => return Err(QuestionError::Version(version)),
        Kind::Question if rest.len() > LONGEST_REQUEST => return Err(DAMAGED),
        Kind::Question => Body::Question(String::from_utf8(rest.to_vec()).map_err(|_| DAMAGED)?),
        Kind::Part => {
            let ((index, parts), text): ((u32, u32), _) =
                postcard::take_from_bytes(rest).map_err(|_| DAMAGED)?;
            if index >= parts || parts > MOST_PARTS || text.len() > PART {
                return Err(DAMAGED);
            }
            Body::Part(Part { index, parts, text: frame.slice_ref(text) })
        }
    };
    Ok(Frame { from, number: head.number, body })
}

/// Writes a question.
pub fn encode(from: &NodeName, number: u64, request: &str) -> Bytes {
    write(VERSION, Kind::Question, from, number, |frame| frame.extend(request.as_bytes()))
}

/// Writes a refusal.
pub fn encode_refusal(from: &NodeName, number: u64, refusal: Refusal) -> Bytes {
    write(VERSION, Kind::Refused, from, number, |frame| put(frame, &refusal))
}

/// Writes an answer as frames of at most `max_frame` bytes.
///
/// # Errors
///
/// The answer is too long; the refusal says so.
pub fn encode_answer<'a>(
    from: &'a NodeName,
    number: u64,
    text: &'a str,
    max_frame: usize,
) -> Result<impl Iterator<Item = Bytes> + 'a, Refusal> {
    let part = PART.min(max_frame.saturating_sub(HEAD)).max(1);
    let parts = u32::try_from(text.len().div_ceil(part).max(1)).unwrap_or(u32::MAX);
    if parts > MOST_PARTS {
        return Err(Refusal::TooLong((part * MOST_PARTS as usize) as u64));
    }
    Ok((0..parts).map(move |index| {
        let rest = text.as_bytes().get(index as usize * part..).unwrap_or_default();
        let piece = rest.get(..part).unwrap_or(rest);
        write(VERSION, Kind::Part, from, number, |frame| {
            put(frame, &(index, parts));
            frame.extend(piece);
        })
    }))
}

impl Collector {
    /// Adds a part. Gives the whole answer with the last one. A part that comes twice, or that belongs to an answer with
    /// another number of parts, has no effect.
    pub fn add(&mut self, Part { index, parts, text }: Part) -> Option<Vec<u8>> {
        let parts = parts.min(MOST_PARTS) as usize;
        if self.parts.is_empty() {
            self.missing = parts;
            self.parts = vec![None; parts];
        }
        if parts != self.parts.len() {
            return None;
        }
        let place = self.parts.get_mut(index as usize).filter(|place| place.is_none())?;
        *place = Some(text);
        self.missing = self.missing.saturating_sub(1);
        (self.missing == 0).then(|| self.parts.iter().flatten().flatten().copied().collect())
    }
}

/// The fields that follow the first byte in every version.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    kind: Kind,
    from: &'a str,
    number: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Question,
    Part,
    Refused,
}

fn write(version: u8, kind: Kind, from: &NodeName, number: u64, body: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = vec![MARK | version];
    put(&mut frame, &Head { kind, from: from.as_str(), number });
    body(&mut frame);
    frame.into()
}

fn put(frame: &mut Vec<u8>, fields: &impl Serialize) {
    // A vector takes everything, and no field fails to serialize.
    if let Ok(bytes) = postcard::to_extend(fields, std::mem::take(frame)) {
        *frame = bytes;
    }
}

/// The version of the questions and answers that this node writes, and the only one that it reads.
pub const VERSION: u8 = 1;

/// Set in the first byte of a frame about a question.
const MARK: u8 = 0x80;

/// The length of a part in bytes: a frame is no longer than one of the ferry, so that stanzas do not wait behind it.
const PART: usize = 48 * 1024;

/// The bytes of a frame before its part at most.
const HEAD: usize = 128;

/// With parts of full length an answer has 16 MiB: 10,000 entries of about a kilobyte each, and some more.
const MOST_PARTS: u32 = 342;

/// A request has at most 4096 bytes on the control socket.
const LONGEST_REQUEST: usize = 8 * 1024;

const DAMAGED: QuestionError = QuestionError::Damaged;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_FRAME: usize = 1 << 20;

    fn node() -> NodeName {
        NodeName::new("a").unwrap()
    }

    fn frame(body: Body) -> Frame {
        Frame { from: node(), number: 7, body }
    }

    #[test]
    fn questions_and_refusals_arrive_as_they_were_written() {
        let bytes = encode(&node(), 7, "{\"ask\":\"sessions\"}");
        assert!(
            is_question(&bytes)
                && !is_question(&[crate::ferry::codec::Versions::OWN.newest])
                && !is_question(&[])
        );
        assert_eq!(decode(&bytes), Ok(frame(Body::Question("{\"ask\":\"sessions\"}".to_owned()))));
        for refusal in [Refusal::Busy, Refusal::Version(3), Refusal::TooLong(u64::MAX)] {
            assert_eq!(decode(&encode_refusal(&node(), 7, refusal)), Ok(frame(Body::Refused(refusal))));
        }
    }

    #[test]
    fn an_answer_arrives_whole_from_parts_in_any_order_and_repeated() {
        for (length, max_frame) in
            [(0, MAX_FRAME), (1, MAX_FRAME), (PART, MAX_FRAME), (PART + 1, MAX_FRAME), (3 * PART, 4096)]
        {
            let text: String = "aé".chars().cycle().take(length).collect();
            let mut frames: Vec<Bytes> = encode_answer(&node(), 1, &text, max_frame).unwrap().collect();
            assert!(frames.iter().all(|frame| frame.len() <= max_frame));
            frames.reverse();
            let twice: Vec<Bytes> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
            let mut collector = Collector::default();
            let mut whole = Vec::new();
            for bytes in twice {
                let Ok(Frame { body: Body::Part(part), .. }) = decode(&bytes) else { panic!("a part") };
                whole.extend(collector.add(part));
            }
            assert!(whole == [text.into_bytes()], "{length}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_refused_with_the_limit() {
        let text = "x".repeat(PART * MOST_PARTS as usize + 1);
        let refused = encode_answer(&node(), 1, &text, MAX_FRAME).err();
        assert_eq!(refused, Some(Refusal::TooLong((PART * MOST_PARTS as usize) as u64)));
        assert!(encode_answer(&node(), 1, &text[1..], MAX_FRAME).is_ok());
    }

    #[test]
    fn a_question_of_another_version_can_be_refused_and_the_refusal_is_read() {
        let question = write(9, Kind::Question, &node(), 7, |frame| frame.extend([0xff, 0, 1]));
        assert_eq!(decode(&question), Ok(frame(Body::Foreign)));
        let refusal = Refusal::Version(9);
        let refused = write(9, Kind::Refused, &node(), 7, |frame| put(frame, &refusal));
        assert_eq!(decode(&refused), Ok(frame(Body::Refused(refusal))));
        let part = write(9, Kind::Part, &node(), 7, |frame| put(frame, &(0, 1)));
        assert_eq!(decode(&part), Err(QuestionError::Version(9)));
    }

    #[test]
    fn damaged_frames_are_refused() {
        let part = |index: u32, parts: u32, text: &[u8]| {
            write(VERSION, Kind::Part, &node(), 7, |frame| {
                put(frame, &(index, parts));
                frame.extend(text);
            })
        };
        assert!(decode(&part(1, 2, b"x")).is_ok());
        assert_eq!(decode(&part(2, 2, b"x")), Err(DAMAGED));
        assert_eq!(decode(&part(0, MOST_PARTS + 1, b"x")), Err(DAMAGED));
        assert_eq!(decode(&part(0, 1, &vec![b'x'; PART + 1])), Err(DAMAGED));
        assert_eq!(decode(&encode(&node(), 7, &"x".repeat(LONGEST_REQUEST + 1))), Err(DAMAGED));
        let mut name = vec![MARK | VERSION];
        put(&mut name, &Head { kind: Kind::Question, from: "A B", number: 0 });
        assert_eq!(decode(&name.into()), Err(DAMAGED));
        let refusal = encode_refusal(&node(), u64::MAX, Refusal::TooLong(u64::MAX));
        for end in 0..refusal.len() {
            assert!(decode(&refusal.slice(..end)).is_err(), "{end} bytes");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(
            version in 0..3_u8,
            tail in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
        ) {
            let frame: Bytes = [&[MARK | version][..], &tail].concat().into();
            if let Ok(Frame { from, number, body }) = decode(&frame) {
                let again = match &body {
                    Body::Question(request) => encode(&from, number, request),
                    Body::Refused(refusal) => encode_refusal(&from, number, *refusal),
                    Body::Foreign | Body::Part(_) => frame,
                };
                proptest::prop_assert_eq!(decode(&again), Ok(Frame { from, number, body }));
            }
        }
    }

    #[test]
    fn parts_of_answers_of_different_length_are_not_mixed() {
        let part = |index, parts, text: &'static [u8]| Part { index, parts, text: Bytes::from_static(text) };
        let mut collector = Collector::default();
        assert_eq!(collector.add(part(0, 2, b"a")), None);
        for (index, parts) in [(5, 9), (1, 9), (1, 1), (0, 0)] {
            assert_eq!(collector.add(part(index, parts, b"b")), None);
        }
        assert_eq!(collector.add(part(1, 2, b"c")), Some(b"ac".to_vec()));
    }
}

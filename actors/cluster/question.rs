//! Questions of an operator to the other nodes, and their answers, which may take several frames.
//!
//! A question is what a command writes to the control socket, and an answer is what the socket answers. Their frames begin
//! with another byte than those of the [ferry](crate::ferry): the highest bit is set, the others are the version.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::name::NodeName;

/// A frame about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A node asks.
    Question {
        /// The node.
        from: NodeName,
        /// Chosen by it. The answer repeats it.
        number: u64,
        /// A request, as on the control socket.
        request: String,
    },
    /// A part of an answer.
    Part {
        /// The node that answers.
        from: NodeName,
        /// That of the question.
        number: u64,
        /// The place of the part, from 0.
        index: u32,
        /// The number of parts.
        parts: u32,
        /// The part.
        text: Bytes,
    },
}

/// A frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Another version.
    #[error(
        "a question of version {0}, and this node reads version 1: all nodes of a cluster need the same release"
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
/// The frame has another version, or is damaged.
pub fn decode(frame: &Bytes) -> Result<Message, QuestionError> {
    match frame.first() {
        Some(&FIRST) => {}
        Some(first) if first & MARK != 0 => return Err(QuestionError::Version(first & !MARK)),
        Some(_) | None => return Err(QuestionError::Damaged),
    }
    let fields: Fields<'_> = postcard::from_bytes(frame.get(1..).unwrap_or_default()).map_err(|_| DAMAGED)?;
    let name = |name| NodeName::new(name).map_err(|_| DAMAGED);
    match fields {
        Fields::Question { from, number, request } => {
            Ok(Message::Question { from: name(from)?, number, request: request.to_owned() })
        }
        Fields::Part { from, number, index, parts, text } if index < parts && parts <= MOST_PARTS => {
            Ok(Message::Part { from: name(from)?, number, index, parts, text: frame.slice_ref(text) })
        }
        Fields::Part { .. } => Err(DAMAGED),
    }
}

/// Writes a question.
pub fn encode(from: &NodeName, number: u64, request: &str) -> Bytes {
    write(&Fields::Question { from: from.as_str(), number, request })
}

/// Writes an answer as frames. What is too long for a command to show is cut off, and the asking node cannot read it.
pub fn encode_answer(from: &NodeName, number: u64, text: &str) -> Vec<Bytes> {
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(PART).take(MOST_PARTS as usize).collect();
    let parts = u32::try_from(pieces.len()).unwrap_or(MOST_PARTS);
    let indexed = (0..parts).zip(pieces);
    indexed
        .map(|(index, text)| write(&Fields::Part { from: from.as_str(), number, index, parts, text }))
        .collect()
}

impl Collector {
    /// Adds a part. Gives the whole answer with the last one. A part that comes twice, or that belongs to another answer, has
    /// no effect.
    pub fn add(&mut self, index: u32, parts: u32, text: Bytes) -> Option<String> {
        if self.parts.is_empty() {
            self.missing = parts as usize;
            self.parts = vec![None; parts.min(MOST_PARTS) as usize];
        }
        let place = self.parts.get_mut(index as usize).filter(|place| place.is_none())?;
        *place = Some(text);
        self.missing = self.missing.saturating_sub(1);
        let whole = || self.parts.iter().flatten().flatten().copied().collect();
        (self.missing == 0).then(|| String::from_utf8(whole()).ok())?
    }
}

/// The fields behind the first byte.
#[derive(Serialize, Deserialize)]
enum Fields<'a> {
    Question { from: &'a str, number: u64, request: &'a str },
    Part { from: &'a str, number: u64, index: u32, parts: u32, text: &'a [u8] },
}

fn write(fields: &Fields<'_>) -> Bytes {
    // A vector takes everything, and no field fails to serialize.
    postcard::to_extend(fields, vec![FIRST]).map(Bytes::from).unwrap_or_default()
}

/// Set in the first byte of a frame about a question.
const MARK: u8 = 0x80;

/// Version 1.
const FIRST: u8 = MARK | 1;

/// The length of a part in bytes. With its fields it fits into a message of 1 MiB, which NATS permits by default.
const PART: usize = 512 * 1024;

/// The longest answer has 10,000 entries, of about a kilobyte each.
const MOST_PARTS: u32 = 64;

const DAMAGED: QuestionError = QuestionError::Damaged;

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeName {
        NodeName::new("a").unwrap()
    }

    #[test]
    fn a_question_arrives_as_it_was_written() {
        let frame = encode(&node(), 7, "{\"ask\":\"nodes\"}");
        assert!(is_question(&frame) && !is_question(&[crate::ferry::codec::VERSION]) && !is_question(&[]));
        let request = "{\"ask\":\"nodes\"}".to_owned();
        assert_eq!(decode(&frame), Ok(Message::Question { from: node(), number: 7, request }));
    }

    #[test]
    fn an_answer_arrives_whole_from_parts_in_any_order_and_repeated() {
        for length in [1, PART, PART + 1, 3 * PART] {
            let text: String = "aé".chars().cycle().take(length).collect();
            let mut frames = encode_answer(&node(), 1, &text);
            frames.reverse();
            let twice: Vec<Bytes> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
            let mut collector = Collector::default();
            let mut whole = Vec::new();
            for frame in twice {
                let Ok(Message::Part { index, parts, text, .. }) = decode(&frame) else { panic!("a part") };
                whole.extend(collector.add(index, parts, text));
            }
            assert!(whole == [text], "{length}");
        }
    }

    #[test]
    fn damaged_frames_and_other_versions_are_refused() {
        assert_eq!(decode(&Bytes::from_static(&[MARK | 9, 0])), Err(QuestionError::Version(9)));
        let part = write(&Fields::Part { from: "a", number: 0, index: 2, parts: 2, text: b"" });
        assert_eq!(decode(&part), Err(DAMAGED));
        let many = write(&Fields::Part { from: "a", number: 0, index: 0, parts: MOST_PARTS + 1, text: b"" });
        assert_eq!(decode(&many), Err(DAMAGED));
        let name = write(&Fields::Question { from: "A B", number: 0, request: "" });
        assert_eq!(decode(&name), Err(DAMAGED));
        let frame = encode(&node(), u64::MAX, "request");
        for end in 0..frame.len() {
            assert!(decode(&frame.slice(..end)).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn parts_that_contradict_each_other_make_no_answer() {
        let mut collector = Collector::default();
        assert_eq!(collector.add(0, 2, Bytes::from_static(b"a")), None);
        assert_eq!(collector.add(5, 9, Bytes::from_static(b"b")), None);
        assert_eq!(collector.add(1, 1, Bytes::from_static(b"c")), Some("ac".to_owned()));
    }
}

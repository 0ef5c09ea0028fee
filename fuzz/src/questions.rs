//! Questions between nodes and their answers: any bytes are a frame or an error, and an answer arrives whole.

use bytes::Bytes;
use cluster::{
    name::NodeName,
    question::{Body, Collector, Part, decode, encode, encode_answer, encode_refusal, is_question},
};

/// The input is a sequence of frames, each behind its length in two bytes. Its beginning is an answer too.
pub(crate) fn run(mut input: &[u8]) {
    check(input);
    answers(input);
    let mut collector = Collected::default();
    while let Some((length, rest)) = input.split_at_checked(2) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        if let Some(part) = check(frame) {
            collector.add(part);
        }
        input = rest;
    }
}

/// What was read is written as something that is read in the same way. Gives the part of an answer.
fn check(bytes: &[u8]) -> Option<Part> {
    let bytes = Bytes::copy_from_slice(bytes);
    let frame = decode(&bytes).ok()?;
    assert!(is_question(&bytes));
    let again = match &frame.body {
        Body::Question(request) => encode(&frame.from, frame.number, request),
        Body::Refused(refusal) => encode_refusal(&frame.from, frame.number, *refusal),
        Body::Foreign => return None,
        Body::Part(part) => {
            assert!(part.index < part.parts && part.text.len() <= bytes.len());
            return Some(part.clone());
        }
    };
    assert_eq!(decode(&again), Ok(frame));
    None
}

/// Parts of any nodes and answers: whatever comes, there is one answer at most, made of what was received.
#[derive(Default)]
struct Collected {
    collector: Collector,
    received: usize,
    is_whole: bool,
}

impl Collected {
    fn add(&mut self, part: Part) {
        self.received += part.text.len();
        if let Some(answer) = self.collector.add(part) {
            assert!(!std::mem::replace(&mut self.is_whole, true), "two answers");
            assert!(answer.len() <= self.received);
        }
    }
}

/// An answer is the input. The first bytes choose the longest frame, and the order in which the parts arrive.
fn answers(input: &[u8]) {
    let Some(([longest, order], text)) = input.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(text);
    let from = NodeName::new("a").expect("a name");
    let longest = SHORTEST + usize::from(*longest) * 16;
    let Ok(frames) = encode_answer(&from, 7, &text, longest) else { return };
    let mut frames: Vec<Bytes> = frames.collect();
    assert!(frames.iter().all(|frame| frame.len() <= longest));
    let first = usize::from(*order) % frames.len();
    frames.rotate_left(first);
    if order % 2 == 1 {
        frames.reverse();
    }
    let mut collector = Collector::default();
    let mut whole = Vec::new();
    // Each comes twice.
    for frame in frames.iter().chain(&frames) {
        let Ok(Some(part)) = decode(frame).map(|frame| match frame.body {
            Body::Part(part) => Some(part),
            _ => None,
        }) else {
            panic!("a part of this node")
        };
        whole.extend(collector.add(part));
    }
    assert!(whole == [text.into_owned().into_bytes()], "an answer arrives once, whole");
}

/// Longer than the fields before the text of a part.
const SHORTEST: usize = 129;

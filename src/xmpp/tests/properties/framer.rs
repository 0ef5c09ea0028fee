//! Compares the framer with `xml-rs`, and with itself on other splits of the bytes.

use crate::comparison::{self, Verdict, all, frame, framer_after_header};
use crate::mutants::{HEADERS, Random, SEEDS, mutants};

#[test]
fn accepts_and_refuses_the_same_input_as_xml_rs() {
    balanced(mutants(&SEEDS).map(|input| comparison::element(&input)));
}

#[test]
fn takes_the_headers_that_xml_rs_takes() {
    balanced(mutants(&HEADERS).map(|input| comparison::header(&input)));
}

/// Checks that the damage is useful: neither always fatal nor always harmless.
fn balanced(verdicts: impl Iterator<Item = Verdict>) {
    let (mut taken, mut refused) = (0, 0);
    for verdict in verdicts {
        taken += usize::from(verdict == Verdict::Taken);
        refused += usize::from(verdict == Verdict::Refused);
    }
    assert!(taken * 20 > refused && refused * 20 > taken, "{taken} taken, {refused} refused");
}

#[test]
fn xml_rs_takes_every_seed() {
    for seed in SEEDS {
        assert!(comparison::element_by_xml_rs(seed.as_bytes()).is_ok(), "{seed}");
        assert!(matches!(frame(seed.as_bytes()), Ok(Some(_))), "{seed}");
    }
}

#[test]
fn the_result_does_not_depend_on_the_split_of_the_bytes() {
    let mut random = Random(1);
    for input in mutants(&SEEDS) {
        let whole = all(framer_after_header(), [input.as_slice()]);
        let at = random.below(input.len() + 1);
        let (a, b) = input.split_at(at);
        let (b, c) = b.split_at(random.below(b.len() + 1));
        assert_eq!(all(framer_after_header(), [a, b, c]), whole, "{at}: {}", String::from_utf8_lossy(&input));
    }
}

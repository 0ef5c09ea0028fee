//! Stream management on very many streams.

use crate::conformance::ids_differ;

// rows: H25
#[test]
fn the_ids_of_ten_thousand_streams_differ() {
    ids_differ(10_000);
}

//! Releases the unused capacity of collections: they keep the memory of the largest size that they ever had.

use std::{
    collections::{BinaryHeap, HashMap},
    hash::Hash,
};

/// Shrinks a map of which less than an eighth is in use.
pub(super) fn shrink_map<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_excessive(map.len(), map.capacity()) {
        map.shrink_to(2 * map.len());
    }
}

/// Shrinks a heap of which less than an eighth is in use.
pub(super) fn shrink_heap<T: Ord>(heap: &mut BinaryHeap<T>) {
    if is_excessive(heap.len(), heap.capacity()) {
        heap.shrink_to(2 * heap.len());
    }
}

/// An eighth is far from the capacity that growing leaves, so a collection does not grow and shrink by turns.
fn is_excessive(len: usize, capacity: usize) -> bool {
    capacity > AT_LEAST && len < capacity / 8
}

/// Elements. The memory of a smaller collection is not worth the copy.
const AT_LEAST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_shrinks_when_most_of_it_is_unused() {
        let mut numbers: HashMap<u32, u32> = (0..100_000).map(|number| (number, number)).collect();
        shrink_map(&mut numbers);
        assert!(numbers.capacity() >= 100_000, "in use");
        numbers.retain(|number, _| *number < 100);
        shrink_map(&mut numbers);
        assert!((100..1000).contains(&numbers.capacity()), "{}", numbers.capacity());
        let mut times: BinaryHeap<u32> = (0..100_000).collect();
        times.retain(|time| *time < 100);
        shrink_heap(&mut times);
        assert!((100..1000).contains(&times.capacity()), "{}", times.capacity());
    }
}

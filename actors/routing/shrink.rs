//! Collections keep the memory of the most they ever held. What a flood made large is made small again after it.

use std::{
    collections::{BinaryHeap, HashMap},
    hash::Hash,
};

/// Gives back what a map does not need.
pub fn map<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_wasteful(map.len(), map.capacity()) {
        map.shrink_to(2 * map.len());
    }
}

/// Gives back what a heap does not need.
pub fn heap<T: Ord>(heap: &mut BinaryHeap<T>) {
    if is_wasteful(heap.len(), heap.capacity()) {
        heap.shrink_to(2 * heap.len());
    }
}

/// Far from what it could hold, so that it does not grow and shrink by turns.
fn is_wasteful(len: usize, capacity: usize) -> bool {
    capacity > WORTH_IT && len < capacity / 8
}

/// Smaller ones cost nothing.
const WORTH_IT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_large_once_is_small_again() {
        let mut numbers: HashMap<u32, u32> = (0..100_000).map(|number| (number, number)).collect();
        map(&mut numbers);
        assert!(numbers.capacity() >= 100_000, "in use");
        numbers.retain(|number, _| *number < 100);
        map(&mut numbers);
        assert!((100..1000).contains(&numbers.capacity()), "{}", numbers.capacity());
        let mut times: BinaryHeap<u32> = (0..100_000).collect();
        times.retain(|time| *time < 100);
        heap(&mut times);
        assert!((100..1000).contains(&times.capacity()), "{}", times.capacity());
    }
}

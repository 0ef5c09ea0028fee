//! Releases the unused capacity of collections: they keep the memory of the largest size that they ever had.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    hash::Hash,
};

/// Shrinks a map of which less than an eighth is in use.
pub(super) fn shrink_map<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_excessive(map.len(), map.capacity()) {
        map.shrink_to(2 * map.len());
    }
}

/// Shrinks a set of which less than an eighth is in use.
pub(super) fn shrink_set<T: Eq + Hash>(set: &mut HashSet<T>) {
    if is_excessive(set.len(), set.capacity()) {
        set.shrink_to(2 * set.len());
    }
}

/// Shrinks a queue of which less than an eighth is in use.
pub(super) fn shrink_queue<T>(queue: &mut VecDeque<T>) {
    if is_excessive(queue.len(), queue.capacity()) {
        queue.shrink_to(2 * queue.len());
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
        let mut set: HashSet<u32> = (0..100_000).collect();
        set.retain(|number| *number < 100);
        shrink_set(&mut set);
        assert!((100..1000).contains(&set.capacity()), "{}", set.capacity());
        let mut queue: VecDeque<u32> = (0..100_000).collect();
        queue.truncate(100);
        shrink_queue(&mut queue);
        assert!((100..1000).contains(&queue.capacity()), "{}", queue.capacity());
        let mut times: BinaryHeap<u32> = (0..100_000).collect();
        times.retain(|time| *time < 100);
        shrink_heap(&mut times);
        assert!((100..1000).contains(&times.capacity()), "{}", times.capacity());
    }
}

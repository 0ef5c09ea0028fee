//! Selects the smallest items of an iterator.

use std::collections::BinaryHeap;

/// Returns the `limit` smallest items in ascending order. It holds no more than `limit` items at a time.
pub fn smallest<T: Ord>(items: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let mut heap = BinaryHeap::new();
    for item in items {
        if heap.len() < limit {
            heap.push(item);
        } else if let Some(mut largest) = heap.peek_mut()
            && item < *largest
        {
            *largest = item;
        }
    }
    heap.into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_smallest_in_order() {
        assert_eq!(smallest([5, 1, 4, 2, 3].into_iter(), 3), [1, 2, 3]);
        assert_eq!(smallest([2, 1].into_iter(), 3), [1, 2]);
        assert_eq!(smallest([2, 1].into_iter(), 0), [0; 0]);
    }
}

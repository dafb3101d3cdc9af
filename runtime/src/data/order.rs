//! In which order examples come: a permutation for each epoch, from the seed and the epoch alone.

use nnc_wgsl::random_uniform;

/// The random stream of shuffling; training programs number theirs from 0.
const STREAM: u32 = 0x5475_f1e5;

/// The order of the examples in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub(super) epoch: u64,
    pub(super) examples: Vec<u32>,
}

impl Order {
    /// The numbers of the examples.
    #[must_use]
    pub fn examples(&self) -> &[u32] {
        &self.examples
    }
}

/// The numbers 0 to `count`, shuffled (Fisher and Yates; Durstenfeld 1964).
#[must_use]
pub fn permutation(count: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let draw = |element: usize| f64::from(random_uniform(seed as u32, epoch as u32, STREAM, element as u32));
    for i in (1..count).rev() {
        // Two draws of 24 bits each: one alone would favour some places among many.
        let uniform = draw(2 * i) + draw(2 * i + 1) / f64::from(1 << 24);
        let j = ((uniform * (i + 1) as f64) as usize).min(i);
        order.swap(i, j);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_comes_once_and_epochs_differ() {
        let first = permutation(1000, 42, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
        assert_eq!(first, permutation(1000, 42, 0));
        assert_ne!(first, permutation(1000, 42, 1));
        assert_ne!(first, permutation(1000, 43, 0));
    }

    #[test]
    fn every_order_of_three_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(permutation(3, 1, epoch)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|n| (880..1120).contains(n)), "{counts:?}");
    }
}

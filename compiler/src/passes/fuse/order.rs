//! Which cluster reads which, and an order in which each comes after those it reads from.
//!
//! The order changes as little as a new edge asks for, so that a search for a path between two clusters looks only
//! at what lies between them (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic
//! graphs", 2006).

use std::collections::BTreeSet;

/// The clusters by number, with their edges.
#[derive(Debug, Default)]
pub(super) struct Order {
    sources: Vec<BTreeSet<usize>>,
    readers: Vec<BTreeSet<usize>>,
    /// Where each stands; a place that a merged cluster left stays empty.
    place: Vec<usize>,
}

impl Order {
    /// Adds a cluster without edges behind all others; its number.
    pub(super) fn add(&mut self) -> usize {
        let number = self.place.len();
        self.sources.push(BTreeSet::new());
        self.readers.push(BTreeSet::new());
        self.place.push(number);
        number
    }

    /// The clusters that `reader` reads from.
    pub(super) fn sources(&self, reader: usize) -> &BTreeSet<usize> {
        &self.sources[reader]
    }

    /// The clusters that read from `source`.
    pub(super) fn readers(&self, source: usize) -> &BTreeSet<usize> {
        &self.readers[source]
    }

    /// Lets `reader` read from `source`, which does not depend on it.
    pub(super) fn link(&mut self, reader: usize, source: usize) {
        if reader == source || !self.sources[reader].insert(source) {
            return;
        }
        self.readers[source].insert(reader);
        let (low, high) = (self.place[reader], self.place[source]);
        if low < high {
            let mut before = self.closure(&self.sources, source, |place| place >= low);
            let mut after = self.closure(&self.readers, reader, |place| place <= high);
            before.push(source);
            after.push(reader);
            self.arrange(before, after, None);
        }
    }

    /// Whether `reader` needs something of another cluster `source`, directly or by way of others.
    pub(super) fn depends(&self, reader: usize, source: usize) -> bool {
        let low = self.place[source];
        if self.place[reader] < low {
            return false;
        }
        let mut seen = BTreeSet::from([reader]);
        let mut open = vec![reader];
        while let Some(at) = open.pop() {
            if self.sources[at].contains(&source) {
                return true;
            }
            open.extend(self.sources[at].iter().filter(|one| self.place[**one] > low && seen.insert(**one)));
        }
        false
    }

    /// Whether `reader` needs something of `source` by way of a third cluster.
    pub(super) fn depends_around(&self, reader: usize, source: usize) -> bool {
        self.place[reader] > self.place[source]
            && self.sources[reader].iter().any(|&third| third != source && self.depends(third, source))
    }

    /// Makes `gone` part of `kept`; neither depends on the other by way of a third cluster.
    pub(super) fn merge(&mut self, gone: usize, kept: usize) {
        let (first, last) = if self.place[gone] < self.place[kept] { (gone, kept) } else { (kept, gone) };
        let (low, high) = (self.place[first], self.place[last]);
        let before = self.closure(&self.sources, last, |place| place > low);
        let after = self.closure(&self.readers, first, |place| place < high);
        self.arrange(before, after, Some((gone, kept)));
        for source in std::mem::take(&mut self.sources[gone]) {
            self.readers[source].remove(&gone);
            if source != kept {
                self.sources[kept].insert(source);
                self.readers[source].insert(kept);
            }
        }
        for reader in std::mem::take(&mut self.readers[gone]) {
            self.sources[reader].remove(&gone);
            if reader != kept {
                self.readers[kept].insert(reader);
                self.sources[reader].insert(kept);
            }
        }
    }

    /// What can be reached from `from` along `edges` over places that are `within` bounds.
    fn closure(&self, edges: &[BTreeSet<usize>], from: usize, within: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            open.extend(edges[at].iter().filter(|one| within(self.place[**one]) && seen.insert(**one)));
        }
        seen.into_iter().collect()
    }

    /// Gives the places of all these clusters to `before`, then the middle two to both of `pair`, then to `after`.
    fn arrange(&mut self, mut before: Vec<usize>, mut after: Vec<usize>, pair: Option<(usize, usize)>) {
        before.sort_by_key(|&one| self.place[one]);
        after.sort_by_key(|&one| self.place[one]);
        let middle = pair.map(|(gone, kept)| [gone, kept]).into_iter().flatten();
        let clusters: Vec<usize> = before.into_iter().chain(middle).chain(after).collect();
        let mut places: Vec<usize> = clusters.iter().map(|&one| self.place[one]).collect();
        places.sort_unstable();
        for (cluster, place) in clusters.into_iter().zip(places) {
            self.place[cluster] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next number below `limit` of a fixed sequence.
    fn drawn(state: &mut u64, limit: usize) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).expect("31 bits") % limit
    }

    /// Whether a path leads from `reader` to `source`, by a search over all edges.
    fn reaches(order: &Order, reader: usize, source: usize) -> bool {
        let mut open: Vec<usize> = order.sources[reader].iter().copied().collect();
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if at == source {
                return true;
            }
            if seen.insert(at) {
                open.extend(&order.sources[at]);
            }
        }
        false
    }

    #[test]
    fn searches_agree_with_a_search_over_everything_whatever_was_linked_and_merged() {
        for seed in 0..40 {
            let mut state = seed;
            let mut order = Order::default();
            let mut alive: Vec<usize> = (0..30).map(|_| order.add()).collect();
            for _ in 0..150 {
                let (a, b) = (drawn(&mut state, alive.len()), drawn(&mut state, alive.len()));
                if a == b {
                    continue;
                }
                let (a, b) = (alive[a], alive[b]);
                assert_eq!(order.depends(a, b), reaches(&order, a, b));
                let thirds: Vec<usize> = order.sources[a].iter().copied().filter(|&s| s != b).collect();
                let around = thirds.into_iter().any(|third| reaches(&order, third, b));
                assert_eq!(order.depends_around(a, b), around);
                let tied = around || order.depends_around(b, a);
                let merged = drawn(&mut state, 6) == 0 && alive.len() > 8;
                if merged && !tied {
                    order.merge(a, b);
                    alive.retain(|&one| one != a);
                } else if !reaches(&order, b, a) {
                    order.link(a, b);
                }
                for &reader in &alive {
                    for &source in order.sources(reader) {
                        assert!(order.place[source] < order.place[reader], "{reader} reads {source}");
                        assert!(order.readers(source).contains(&reader));
                    }
                }
            }
        }
    }
}

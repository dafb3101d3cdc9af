//! Whether values wait for others: siblings that do cannot be computed at once.

use std::collections::BTreeSet;

use crate::ir::{Graph, NodeId};

/// The order of a graph's nodes, by node number; nodes that were added since have no place in it.
pub(super) struct Ranks(Vec<Option<usize>>);

impl Ranks {
    /// The order as it is now.
    pub(super) fn of(graph: &Graph) -> Ranks {
        let order = graph.order();
        let numbers = order.iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut ranks = vec![None; numbers];
        for (rank, id) in order.into_iter().enumerate() {
            ranks[id.index()] = Some(rank);
        }
        Ranks(ranks)
    }

    fn rank(&self, id: NodeId) -> Option<usize> {
        self.0.get(id.index()).copied().flatten()
    }

    /// Whether any of `values` needs one of `members`. What stood before all members when the order was taken does not,
    /// as long as no node has come to need more than it did.
    pub(super) fn wait(&self, graph: &Graph, values: &[NodeId], members: &[NodeId]) -> bool {
        let first = members.iter().filter_map(|id| self.rank(*id)).min().unwrap_or(0);
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        let mut open = values.to_vec();
        while let Some(id) = open.pop() {
            if members.contains(&id) {
                return true;
            }
            if self.rank(id).is_none_or(|rank| rank >= first) && seen.insert(id) {
                open.extend(graph.operands(id));
            }
        }
        false
    }
}

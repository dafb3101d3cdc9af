//! A map that is computed where its operand is, and read in one other kernel alone, moves to its reader: instead of the
//! map's value the operand crosses memory, which others read from there anyway. So a gradient that a convolution writes
//! is written once, and what a normalization makes of it is computed where it is summed.

use super::forming::State;
use super::{Anchor, Cluster, cluster_of};
use crate::ir::{NodeId, Part};
use crate::lower::{is_in_memory, is_view};
use crate::ops::Lowering;

impl State<'_> {
    /// Moves each map for which that saves a value in memory, readers before what they read.
    pub(super) fn sink(&mut self) {
        for id in self.rules.graph.order().into_iter().rev() {
            let is_map =
                self.rules.graph.operator(id).is_some_and(|op| matches!(op.lower(), Lowering::Map(_)));
            if is_map && let Some(into) = self.only_reader(id) {
                self.sink_into(id, into);
            }
        }
    }

    /// The one cluster that reads a value, if it is not the value's own.
    fn only_reader(&self, id: NodeId) -> Option<usize> {
        if self.rules.results.contains(&id) {
            return None;
        }
        let mut only = None;
        let mut open = vec![id];
        while let Some(value) = open.pop() {
            for (reader, _) in self.rules.graph.readers(value) {
                match self.home[reader.index()] {
                    Some(home) if only.is_none_or(|known| known == home) => only = Some(home),
                    Some(_) => return None,
                    None if self.rules.graph.operator(reader).is_some_and(|op| is_view(&op.lower())) => {
                        open.push(reader);
                        if self.rules.results.contains(&reader) {
                            return None;
                        }
                    }
                    None => return None,
                }
            }
        }
        only.filter(|home| Some(*home) != self.home[id.index()])
    }

    fn sink_into(&mut self, id: NodeId, into: usize) {
        let Some(from) = self.home[id.index()] else { return };
        let (left, right) = (&self.formed(from).cluster, &self.formed(into).cluster);
        let takes_maps = matches!(right.anchor, Anchor::Map | Anchor::Row(_) | Anchor::Column(_));
        let settled =
            matches!(left.anchor, Anchor::ProductRow(_)) || self.is_again(from) || self.is_again(into);
        if !takes_maps || settled || left.members.len() < 2 || !self.saves(id, from, into) {
            return;
        }
        let graph = self.rules.graph;
        let rest: Vec<NodeId> = left.members.iter().copied().filter(|&member| member != id).collect();
        let mut joined: Vec<NodeId> = right.members.iter().copied().chain([id]).collect();
        joined.sort_by_key(|member| self.rank[member.index()]);
        let rest = cluster_of(graph, rest, self.profile);
        let joined = cluster_of(graph, joined, self.profile);
        if rest.anchor != left.anchor || joined.anchor != right.anchor || joined.space != right.space {
            return;
        }
        self.home[id.index()] = Some(into);
        let summary = |cluster: &Cluster, number: usize| {
            let known = self.rules.summary(cluster, |one| self.home[one.index()] == Some(number));
            known.filter(|known| self.rules.may_bind(known))
        };
        match (summary(&rest, from), summary(&joined, into)) {
            (Some(left), Some(right)) if self.allowance.take_part(Part::Sinking) => {
                for source in self.sources(id) {
                    self.order.link(into, source);
                }
                self.put(from, rest, left);
                self.put(into, joined, right);
            }
            _ => self.home[id.index()] = Some(from),
        }
    }

    /// Whether no operand of a value needs to be stored for its new cluster, and what it reads instead of the value is no more than
    /// the value written and read.
    fn saves(&self, id: NodeId, from: usize, into: usize) -> bool {
        let graph = self.rules.graph;
        let size = graph.ty(id).size();
        let known = self.formed(into).summary.as_ref();
        let mut more = 0;
        for operand in graph.operands(id) {
            let base = self.rules.layout(operand).base;
            let inside = |one: NodeId| self.home[one.index()] == Some(from);
            if inside(base) && !self.rules.leaves(base, &inside) {
                return false;
            }
            let is_read = known.is_some_and(|known| known.reads.iter().any(|(read, ..)| *read == base));
            if is_in_memory(graph, base) && graph.ty(base).size() >= size && !is_read {
                more += 1;
            }
        }
        more <= 2
    }
}

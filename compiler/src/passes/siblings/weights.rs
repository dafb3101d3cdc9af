//! The weights of siblings as one tensor: a part of the region in which they lie side by side.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Profile;

use super::concat::{concat, is_written};
use crate::ir::{Graph, Kind, NodeId, Source, StoredId, TensorType};
use crate::ops::Slice;

/// Where stored weights lie in the regions that a kernel can bind.
pub(super) struct Places {
    of: BTreeMap<StoredId, (usize, usize)>,
    /// Computed weights that are written beside others.
    written: BTreeSet<NodeId>,
}

/// Where a weight can be read together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a region, by its number, from an element on, so many elements.
    Region(usize, usize, usize),
    /// A kernel computes it, and writes it wherever it is wanted.
    Anywhere,
}

impl Place {
    /// Whether what lies here begins where the other one ends.
    pub(super) fn follows(self, before: Place) -> bool {
        match (before, self) {
            (Place::Region(one, begin, length), Place::Region(other, next, _)) => {
                one == other && begin + length == next
            }
            (Place::Anywhere, Place::Anywhere) => true,
            _ => false,
        }
    }
}

impl Places {
    /// The places of a graph's stored tensors.
    pub(super) fn of(graph: &Graph, profile: &Profile) -> Places {
        let mut of = BTreeMap::new();
        for (number, region) in graph.regions.iter().enumerate() {
            if region.elements as u64 * 4 <= profile.binding_bytes {
                of.extend(region.members.iter().map(|(id, offset)| (*id, (number, *offset))));
            }
        }
        Places { of, written: BTreeSet::new() }
    }

    /// Where a weight can be read with others; `None` where that takes a copy.
    pub(super) fn place(&self, graph: &Graph, weight: NodeId) -> Option<Place> {
        match &graph.node(weight).kind {
            Kind::Source(Source::Stored(id)) => {
                let (region, offset) = self.of.get(id)?;
                Some(Place::Region(*region, *offset, graph.ty(weight).size()))
            }
            _ => (self.written.contains(&weight) || is_written(graph, weight)).then_some(Place::Anywhere),
        }
    }

    /// The weights along their first axis, each of which follows the one before it.
    pub(super) fn joined(&mut self, graph: &mut Graph, weights: &[NodeId]) -> NodeId {
        let Some(Place::Region(region, offset, _)) = self.place(graph, weights[0]) else {
            self.written.extend(weights);
            return concat(graph, weights, 0);
        };
        let length: usize = weights.iter().map(|weight| graph.ty(*weight).size()).sum();
        let mut shape = graph.ty(weights[0]).shape.clone();
        shape[0] = weights.iter().map(|weight| graph.ty(*weight).shape[0]).sum();
        let whole = region_node(graph, region);
        let part = Slice::new(&[offset], &[length], &[1]);
        let known = graph.readers(whole).into_iter().map(|(reader, _)| reader);
        let known = known.filter(|reader| graph.ty(*reader).shape == [length]);
        let label = crate::ops::Operator::label(&part);
        let mut known = known.filter(|reader| graph.operator(*reader).is_some_and(|op| op.label() == label));
        let part = known.next().unwrap_or_else(|| graph.must(part, &[whole]));
        graph.reshape(part, &shape)
    }
}

/// The present values of a region as one flat tensor.
fn region_node(graph: &mut Graph, number: usize) -> NodeId {
    let source = Source::Region(graph.regions[number].name.clone());
    let is_it = |id: &NodeId| matches!(&graph.node(*id).kind, Kind::Source(known) if *known == source);
    match graph.nodes().into_iter().find(is_it) {
        Some(id) => id,
        None => {
            let ty = TensorType::f32([graph.regions[number].elements]);
            graph.source(source, ty)
        }
    }
}

//! A value computed again after some of what it depends on has changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{FlatRegion, Graph, Kind, NodeId, Source};
use crate::ops::{Slice, StopGradient};

/// `value` with each key of `changed` replaced by its value there. What depends on none of them is not computed
/// again.
pub(super) fn again(graph: &mut Graph, value: NodeId, changed: &BTreeMap<NodeId, NodeId>) -> NodeId {
    let mut needed: BTreeSet<NodeId> = BTreeSet::new();
    let mut open = vec![value];
    while let Some(id) = open.pop() {
        if needed.insert(id) {
            open.extend(graph.operands(id));
        }
    }
    let mut now = changed.clone();
    for id in graph.order() {
        let Some(op) = graph.operator(id).filter(|_| needed.contains(&id)).cloned() else { continue };
        let before = graph.operands(id);
        let operands: Vec<NodeId> = before.iter().map(|v| now.get(v).copied().unwrap_or(*v)).collect();
        if now.contains_key(&id) || operands == before {
            continue;
        }
        graph.set_origin(graph.node(id).origin.clone());
        let copy = graph.apply_shared(op, &operands);
        now.insert(
            id,
            copy.unwrap_or_else(|error| panic!("an operator fits operands of the same types: {error}")),
        );
    }
    now.get(&value).copied().unwrap_or(value)
}

/// The nodes of the weights in a flat region, each with its part of `flat`, the region's next value: a weight like
/// any other, through which no gradient flows back into the update that made it.
pub(super) fn parts_of(graph: &mut Graph, region: &FlatRegion, flat: NodeId) -> Vec<(NodeId, NodeId)> {
    let stored = |graph: &Graph, id: NodeId| match &graph.node(id).kind {
        Kind::Source(Source::Stored(stored)) => {
            region.members.iter().find(|(member, _)| member == stored).map(|(_, offset)| (id, *offset))
        }
        _ => None,
    };
    let members: Vec<(NodeId, usize)> =
        graph.nodes().into_iter().filter_map(|id| stored(graph, id)).collect();
    let flat = graph.must(StopGradient, &[flat]);
    let mut parts = Vec::with_capacity(members.len());
    for (weight, offset) in members {
        let shape = graph.ty(weight).shape.clone();
        let size = graph.ty(weight).size();
        let part = graph.must(Slice::new(&[offset], &[size], &[1]), &[flat]);
        parts.push((weight, graph.reshape(part, &shape)));
    }
    parts
}

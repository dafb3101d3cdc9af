//! Values one after the other, each written in its place by the kernel that computes it.

use crate::ir::{Graph, NodeId};
use crate::ops::{Concat, Lowering, Slice};

/// Whether a kernel computes the value and can write it into a concat, where nothing else has it yet.
pub(super) fn is_written(graph: &Graph, id: NodeId) -> bool {
    let lowering = graph.operator(id).map(|op| op.lower());
    let is_part = |reader: NodeId| {
        let lowering = graph.operator(reader).map(|op| op.lower());
        matches!(lowering, Some(Lowering::Concat { .. } | Lowering::Pack { .. }))
    };
    matches!(lowering, Some(Lowering::Map(_) | Lowering::Conv { .. }))
        && !graph.is_output(id)
        && !graph.readers(id).into_iter().any(|(reader, _)| is_part(reader))
}

/// The values along an axis: the concat that there is of them, or a new one.
pub(super) fn concat(graph: &mut Graph, values: &[NodeId], axis: usize) -> NodeId {
    let is_it = |reader: &NodeId| {
        let lowering = graph.operator(*reader).map(|op| op.lower());
        lowering == Some(Lowering::Concat { axis }) && graph.operands(*reader) == values
    };
    let known = graph.readers(values[0]).into_iter().map(|(reader, _)| reader).find(is_it);
    known.unwrap_or_else(|| graph.must(Concat::new(axis), values))
}

/// The part of a value along an axis.
pub(super) fn part(graph: &mut Graph, of: NodeId, axis: usize, begin: usize, extent: usize) -> NodeId {
    let mut shape = graph.ty(of).shape.clone();
    let mut start = vec![0; shape.len()];
    (start[axis], shape[axis]) = (begin, extent);
    graph.must(Slice::new(&start, &shape, &vec![1; shape.len()]), &[of])
}

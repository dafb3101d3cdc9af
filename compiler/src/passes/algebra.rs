//! Algebra: views that change nothing vanish, views of views become one, identity maps become their operand, and
//! a map reads what was broadcast, not the broadcast. A slice inside one part of a concat is a slice of the part, one
//! beside what was padded is the padding. Coordinates are made along one axis and broadcast.

use nnc_wgsl::Profile;

use super::Pass;
use crate::ir::{Graph, NodeId, TensorType, broadcast_shape};
use crate::ops::{Broadcast, Iota, Lowering, Reshape, Slice};

pub(super) const PASS: Pass = Pass {
    name: "algebra",
    about: "views of views, identities and slices of concats become less",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, _: &Profile) {
    for id in graph.order() {
        while let Some(better) = simpler(graph, id) {
            if better == id {
                continue;
            }
            if !graph.allowance.take() {
                return;
            }
            graph.replace(id, better);
            break;
        }
    }
}

/// A value equal to `id` that is made of less; `id` itself after its operands were changed in place.
fn simpler(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let lowering = graph.operator(id)?.lower();
    let operands = graph.operands(id);
    let same_type = operands.first().is_some_and(|&v| graph.ty(v) == graph.ty(id));
    let shape = graph.ty(id).shape.clone();
    graph.set_origin(graph.node(id).origin.clone());
    match lowering {
        Lowering::Reshape => {
            if same_type {
                return Some(operands[0]);
            }
            let inner = graph.operator(operands[0])?.lower();
            let source = *graph.operands(operands[0]).first()?;
            (inner == Lowering::Reshape).then(|| graph.reshape(source, &shape))
        }
        Lowering::Permute(order) => (0..order.len())
            .all(|a| order[a] == a || shape[a] == 1 && shape[order[a]] == 1)
            .then(|| operands[0]),
        Lowering::Broadcast | Lowering::Slice { .. } | Lowering::Pad { .. } if same_type => Some(operands[0]),
        Lowering::Slice { start, step } => sliced(graph, operands[0], &start, &shape, &step),
        Lowering::Iota { axis } if shape.len() > 1 => Some(along_one_axis(graph, &shape, axis)),
        Lowering::Concat { .. } if operands.len() == 1 => Some(operands[0]),
        Lowering::Map(expr) => {
            if same_type && expr.is_identity() && operands.len() == 1 {
                return Some(operands[0]);
            }
            for (slot, &operand) in operands.iter().enumerate() {
                let Some(Lowering::Broadcast) = graph.operator(operand).map(|op| op.lower()) else {
                    continue;
                };
                let source = graph.operands(operand)[0];
                let shapes: Vec<&[usize]> = operands
                    .iter()
                    .enumerate()
                    .map(|(k, &v)| graph.ty(if k == slot { source } else { v }).shape.as_slice())
                    .collect();
                if broadcast_shape(&shapes).as_ref() == Some(&shape) {
                    let mut narrowed = operands.clone();
                    narrowed[slot] = source;
                    return Some(graph.must(crate::ops::Map::new(expr), &narrowed));
                }
            }
            None
        }
        Lowering::Reduce { axes, .. } if axes.iter().all(|&a| graph.ty(operands[0]).shape[a] == 1) => {
            Some(graph.must(Reshape::new(&shape), &[operands[0]]))
        }
        _ => None,
    }
}

/// Coordinates of this axis over a shape, made along the axis and broadcast.
pub(super) fn along_one_axis(graph: &mut Graph, shape: &[usize], axis: usize) -> NodeId {
    let line = graph.must(Iota::new(&[shape[axis]], 0), &[]);
    let mut aligned = vec![1; shape.len()];
    aligned[axis] = shape[axis];
    let line = graph.reshape(line, &aligned);
    graph.must(Broadcast::new(shape), &[line])
}

/// The same slice of what a concat or a padding was made of, where it lies in one part.
fn sliced(
    graph: &mut Graph,
    of: NodeId,
    start: &[usize],
    extent: &[usize],
    step: &[usize],
) -> Option<NodeId> {
    let last = |axis: usize| start[axis] + (extent[axis].max(1) - 1) * step[axis];
    match graph.operator(of)?.lower() {
        Lowering::Concat { axis } => {
            let mut begin = 0;
            for part in graph.operands(of) {
                let end = begin + graph.ty(part).shape[axis];
                if (begin..end).contains(&start[axis]) && last(axis) < end {
                    let mut inside = start.to_vec();
                    inside[axis] -= begin;
                    return Some(graph.must(Slice::new(&inside, extent, step), &[part]));
                }
                begin = end;
            }
            None
        }
        Lowering::Pad { low, value } => {
            let part = graph.operands(of)[0];
            let inner = graph.ty(part).shape.clone();
            let axes = 0..start.len();
            if axes.clone().any(|axis| last(axis) < low[axis] || start[axis] >= low[axis] + inner[axis]) {
                let ty = TensorType::new(graph.ty(of).element, extent.to_vec());
                return Some(graph.constant(value, ty));
            }
            let is_inside = |axis: usize| start[axis] >= low[axis] && last(axis) < low[axis] + inner[axis];
            axes.clone().all(is_inside).then(|| {
                let inside: Vec<usize> = axes.map(|axis| start[axis] - low[axis]).collect();
                graph.must(Slice::new(&inside, extent, step), &[part])
            })
        }
        _ => None,
    }
}

//! How many operations on numbers a node takes.

use nnc_wgsl::Term;
use nnc_wgsl::schedule::{ConvKind, LineKind, WindowKind};

use crate::ir::{Graph, NodeId, TensorType};
use crate::ops::Lowering;

/// The operations of `node`: each arithmetic operation, comparison and choice is one, moving numbers is none.
#[must_use]
pub fn flops(graph: &Graph, node: NodeId) -> u64 {
    let Some(operator) = graph.operator(node) else { return 0 };
    let result = graph.ty(node);
    let operands: Vec<&TensorType> = graph.operands(node).into_iter().map(|value| graph.ty(value)).collect();
    let count = match operator.lower() {
        Lowering::Map(expr) => {
            let computes = |term: &&Term| match term {
                Term::Unary(..) | Term::Binary(..) | Term::Select { .. } => true,
                Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_) | Term::Cast(..) => false,
            };
            result.size() * expr.terms().iter().filter(computes).count()
        }
        Lowering::Reduce { .. } => operands[0].size(),
        Lowering::Contract { left, right, .. } => {
            let rows = operands[0].size();
            let columns = right.iter().zip(&operands[1].shape).filter(|(axis, _)| !left.contains(axis));
            2 * rows * columns.map(|(_, extent)| *extent).product::<usize>()
        }
        Lowering::Conv { kind, .. } => {
            let (output, weight) = match kind {
                ConvKind::Forward => (result, operands[1]),
                ConvKind::InputGradient => (operands[0], operands[1]),
                ConvKind::WeightGradient => (operands[1], result),
            };
            2 * output.size() * weight.shape[1..].iter().product::<usize>()
        }
        Lowering::Window { kind, geometry } => {
            let output = match kind {
                WindowKind::Max | WindowKind::Mean { .. } => result,
                WindowKind::MaxGradient => operands[1],
                WindowKind::MeanGradient { .. } => operands[0],
            };
            output.size() * geometry.size.iter().product::<usize>()
        }
        Lowering::Lines { kind, axis } => match kind {
            LineKind::Gather => 0,
            LineKind::ScatterAdd | LineKind::RunningSum { .. } => operands[0].size(),
            LineKind::Order { .. } => {
                let steps = result.shape[axis].next_power_of_two().trailing_zeros();
                result.size() * steps as usize
            }
        },
        Lowering::Reshape
        | Lowering::Permute(_)
        | Lowering::Broadcast
        | Lowering::Slice { .. }
        | Lowering::Iota { .. }
        | Lowering::Concat { .. }
        | Lowering::Pack { .. }
        | Lowering::Pad { .. } => 0,
    };
    count as u64
}

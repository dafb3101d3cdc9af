//! Gradients: reverse accumulation over the graph, at compile time.
//!
//! From the loss back to the weights, each operator on a path to a weight adds the gradients of its operands
//! to the graph; a value that is read several times sums what its readers send. The result is ordinary graph,
//! optimized with the rest.

mod total;

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Element;

use crate::ir::{Graph, NodeId, TensorType};
use crate::ops::{GradientCx, NotDifferentiable};
use total::total;

/// An operator between the loss and a weight that has no gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoGradient {
    /// The node.
    pub node: NodeId,
    /// Why.
    pub reason: NotDifferentiable,
}

/// The gradient of `loss`, a single number, for each of `weights`; `None` where the loss does not depend on it.
///
/// # Errors
/// If an operator on a path from a weight to the loss has no gradient.
pub fn differentiate(
    graph: &mut Graph,
    loss: NodeId,
    weights: &[NodeId],
) -> Result<Vec<Option<NodeId>>, NoGradient> {
    let order = graph.order();
    let active = reached_from(graph, &order, weights);
    let mut sent: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    if active.contains(&loss) {
        graph.set_origin(graph.node(loss).origin.clone());
        let one = graph.constant(1.0, TensorType::f32([]));
        sent.insert(loss, vec![one]);
    }
    let mut gradients: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for &node in order.iter().rev() {
        let Some(parts) = sent.remove(&node) else { continue };
        graph.set_origin(graph.node(node).origin.clone());
        let upstream = total(graph, &parts);
        gradients.insert(node, upstream);
        let Some(op) = graph.operator(node).cloned() else { continue };
        let operands = graph.operands(node);
        let wanted: Vec<bool> =
            operands.iter().map(|v| active.contains(v) && graph.ty(*v).element == Element::F32).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let mut cx = GradientCx { graph, operands: &operands, result: node, upstream, wanted: &wanted };
        let parts = op.gradient(&mut cx).map_err(|reason| NoGradient { node, reason })?;
        for ((operand, part), wanted) in operands.iter().zip(parts).zip(&wanted) {
            if let Some(part) = part.filter(|_| *wanted) {
                sent.entry(*operand).or_default().push(part);
            }
        }
    }
    Ok(weights.iter().map(|w| gradients.get(w).copied()).collect())
}

/// The values that depend on any of `roots`, these included.
fn reached_from(graph: &Graph, order: &[NodeId], roots: &[NodeId]) -> BTreeSet<NodeId> {
    let mut reached: BTreeSet<NodeId> = roots.iter().copied().collect();
    for &node in order {
        if graph.operands(node).iter().any(|v| reached.contains(v)) {
            reached.insert(node);
        }
    }
    reached
}

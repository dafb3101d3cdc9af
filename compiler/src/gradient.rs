//! Gradients: reverse accumulation over the graph, at compile time.
//!
//! From the loss back to the weights, each operator on a path to a weight adds the gradients of its operands
//! to the graph; a value that is read several times sums what its readers send. The result is ordinary graph,
//! optimized with the rest.

mod total;

use nnc_wgsl::Element;

use crate::ir::{Graph, NodeId, Origin, TensorType};
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
    differentiate_scaled(graph, loss, weights, None)
}

/// [`differentiate`], with gradients that are `scale` times as large, a single number; of 1 where there is none.
///
/// # Errors
/// If an operator on a path from a weight to the loss has no gradient.
pub fn differentiate_scaled(
    graph: &mut Graph,
    loss: NodeId,
    weights: &[NodeId],
    scale: Option<NodeId>,
) -> Result<Vec<Option<NodeId>>, NoGradient> {
    let order = graph.order();
    let active = reached_from(graph, &order, weights);
    let mut sent: Vec<Vec<NodeId>> = vec![Vec::new(); active.len()];
    if active[loss.index()] {
        graph.set_origin(graph.node(loss).origin.clone());
        let seed = scale.unwrap_or_else(|| graph.constant(1.0, TensorType::f32([])));
        sent[loss.index()].push(seed);
    }
    let mut gradients: Vec<Option<NodeId>> = vec![None; active.len()];
    for &node in order.iter().rev() {
        let parts = std::mem::take(&mut sent[node.index()]);
        if parts.is_empty() {
            continue;
        }
        graph.set_origin(Origin::of_derived(&graph.node(node).origin));
        let upstream = total(graph, &parts);
        gradients[node.index()] = Some(upstream);
        let Some(op) = graph.operator(node).cloned() else { continue };
        let operands = graph.operands(node);
        let wanted: Vec<bool> =
            operands.iter().map(|v| active[v.index()] && graph.ty(*v).element == Element::F32).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let mut cx = GradientCx { graph, operands: &operands, result: node, upstream, wanted: &wanted };
        let parts = op.gradient(&mut cx).map_err(|reason| NoGradient { node, reason })?;
        for ((operand, part), wanted) in operands.iter().zip(parts).zip(&wanted) {
            if let Some(part) = part.filter(|_| *wanted) {
                sent[operand.index()].push(part);
            }
        }
    }
    Ok(weights.iter().map(|w| gradients[w.index()]).collect())
}

/// By the number of a node, whether it depends on any of `roots` or is one.
fn reached_from(graph: &Graph, order: &[NodeId], roots: &[NodeId]) -> Vec<bool> {
    let numbers = order.iter().map(|node| node.index() + 1).max().unwrap_or(0);
    let mut reached = vec![false; numbers];
    for root in roots {
        reached[root.index()] = true;
    }
    for &node in order {
        reached[node.index()] |= graph.reads_any(node, |operand| reached[operand.index()]);
    }
    reached
}

//! The largest norm of a gradient (Pascanu et al. 2013), as PyTorch's `clip_grad_norm_` bounds it.

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, ExprBuilder, Ref, Unary};

use crate::ir::{Graph, NodeId};
use crate::ops::Reduce;

/// Flat gradients scaled by one number, so that the norm of them all together is at most `norm`. What they are of is
/// `scale` times the loss, if it is given, and the results are of the loss itself.
pub(super) fn clip(graph: &mut Graph, gradients: &[NodeId], norm: f64, scale: Option<NodeId>) -> Vec<NodeId> {
    let squares: Vec<NodeId> = gradients.iter().map(|gradient| square(graph, *gradient, scale)).collect();
    let square = match squares.as_slice() {
        [] => return Vec::new(),
        [one] => *one,
        several => {
            graph.map(several, |b, x| x[1..].iter().fold(x[0], |sum, &one| b.binary(Binary::Add, sum, one)))
        }
    };
    let scaled = |gradient: &NodeId| {
        let operands: Vec<NodeId> = [*gradient, square].into_iter().chain(scale).collect();
        graph.map(&operands, |b, x| {
            let gradient = unscaled(b, x[0], x.get(2));
            let length = b.unary(Unary::Sqrt, x[1]);
            let small = b.real(1e-6);
            let length = b.binary(Binary::Add, length, small);
            let largest = b.real(norm);
            let factor = b.binary(Binary::Div, largest, length);
            let one = b.real(1.0);
            let factor = b.binary(Binary::Min, factor, one);
            b.binary(Binary::Mul, gradient, factor)
        })
    };
    gradients.iter().map(scaled).collect()
}

/// The sum of the squares of a flat tensor.
fn square(graph: &mut Graph, gradient: NodeId, scale: Option<NodeId>) -> NodeId {
    let operands: Vec<NodeId> = [gradient].into_iter().chain(scale).collect();
    let squares = graph.map(&operands, |b, x| {
        let gradient = unscaled(b, x[0], x.get(1));
        b.binary(Binary::Mul, gradient, gradient)
    });
    graph.must(Reduce::new(Reduction::Sum, &[0]), &[squares])
}

/// A gradient without its scale, in the formula that uses it: it is stored nowhere.
fn unscaled(b: &mut ExprBuilder, gradient: Ref, scale: Option<&Ref>) -> Ref {
    scale.map_or(gradient, |scale| b.binary(Binary::Div, gradient, *scale))
}

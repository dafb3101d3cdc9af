//! The largest norm of a gradient (Pascanu et al. 2013), as PyTorch's `clip_grad_norm_` bounds it.

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Unary};

use crate::ir::{Graph, NodeId};
use crate::ops::Reduce;

/// Flat gradients scaled by one number, so that the norm of them all together is at most `norm`.
pub(super) fn clip(graph: &mut Graph, gradients: &[NodeId], norm: f64) -> Vec<NodeId> {
    let squares: Vec<NodeId> = gradients.iter().map(|gradient| square(graph, *gradient)).collect();
    let square = match squares.as_slice() {
        [] => return Vec::new(),
        [one] => *one,
        several => {
            graph.map(several, |b, x| x[1..].iter().fold(x[0], |sum, &one| b.binary(Binary::Add, sum, one)))
        }
    };
    let scaled = |gradient: &NodeId| {
        graph.map(&[*gradient, square], |b, x| {
            let length = b.unary(Unary::Sqrt, x[1]);
            let small = b.real(1e-6);
            let length = b.binary(Binary::Add, length, small);
            let largest = b.real(norm);
            let factor = b.binary(Binary::Div, largest, length);
            let one = b.real(1.0);
            let factor = b.binary(Binary::Min, factor, one);
            b.binary(Binary::Mul, x[0], factor)
        })
    };
    gradients.iter().map(scaled).collect()
}

/// The sum of the squares of a flat tensor.
fn square(graph: &mut Graph, gradient: NodeId) -> NodeId {
    let squares = graph.map(&[gradient], |b, x| b.binary(Binary::Mul, x[0], x[0]));
    graph.must(Reduce::new(Reduction::Sum, &[0]), &[squares])
}

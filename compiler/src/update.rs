//! The training step: gradients of all weights in one flat tensor, the optimizer's formula over it, and a guard.
//!
//! Weights, their gradients and each optimizer moment are flat tensors of one length, so the formula is
//! elaborated once and becomes one kernel. The guard is a stored number `halted`: once a loss or a gradient is not
//! finite it stays 1 and every next value is the present one, so that the weights before the first bad step survive
//! it. A gradient is looked at for itself, because the loss need not show it: the slope of `sqrt(x)` at 0, or a NaN
//! that a device's `max(x, 0)` takes for 0.

use nnc_runtime::artifact::{HALTED, Init, StoredKind};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Unary};

use crate::diagnostic::{Checked, Diagnostic};
use crate::elaborate::OptimizerHandle;
use crate::ir::{
    Assignment, FlatRegion, Graph, Kind, NodeId, Source, StoredId, StoredTensor, TensorType, flat_layout,
};
use crate::ops::{Pack, Reduce};

/// The name of the region of trained weights.
pub const WEIGHTS: &str = "weights";

/// Packs the gradients of those weights that have one, and declares their region. `None` where none has.
#[must_use]
pub fn pack_gradients(graph: &mut Graph, weights: &[NodeId], gradients: &[Option<NodeId>]) -> Option<NodeId> {
    let trained: Vec<(NodeId, NodeId)> =
        weights.iter().zip(gradients).filter_map(|(w, g)| g.map(|g| (*w, g))).collect();
    let sizes: Vec<usize> = trained.iter().map(|(w, _)| graph.ty(*w).size()).collect();
    let (offsets, elements) = flat_layout(&sizes);
    let members =
        trained.iter().zip(&offsets).map(|((w, _), offset)| (stored_of(graph, *w), *offset)).collect();
    if trained.is_empty() {
        return None;
    }
    graph.regions.push(FlatRegion { name: WEIGHTS.to_owned(), elements, members, fill: 0.0 });
    let parts: Vec<NodeId> = trained.iter().map(|(_, g)| *g).collect();
    Some(graph.must(Pack::new(&offsets, elements), &parts))
}

fn stored_of(graph: &Graph, weight: NodeId) -> StoredId {
    match &graph.node(weight).kind {
        Kind::Source(Source::Stored(id)) => *id,
        _ => panic!("a trained weight is a stored tensor"),
    }
}

/// The gradients scaled so that their norm is at most `norm` (Pascanu et al. 2013), as PyTorch's
/// `clip_grad_norm_` does it.
pub fn clip(graph: &mut Graph, gradients: NodeId, norm: f64) -> NodeId {
    let squares = graph.map(&[gradients], |b, x| b.binary(Binary::Mul, x[0], x[0]));
    let square = graph.must(Reduce::new(Reduction::Sum, &[0]), &[squares]);
    graph.map(&[gradients, square], |b, x| {
        let length = b.unary(Unary::Sqrt, x[1]);
        let small = b.real(1e-6);
        let length = b.binary(Binary::Add, length, small);
        let largest = b.real(norm);
        let factor = b.binary(Binary::Div, largest, length);
        let one = b.real(1.0);
        let factor = b.binary(Binary::Min, factor, one);
        b.binary(Binary::Mul, x[0], factor)
    })
}

/// Applies the optimizer to the packed gradients and guards every next value by the loss and the gradients. What the
/// guard found is the result [`HALTED`].
pub fn add_update(
    graph: &mut Graph,
    optimizer: &OptimizerHandle,
    gradients: NodeId,
    loss: NodeId,
) -> Vec<Diagnostic> {
    let ty = graph.ty(gradients).clone();
    let weights = graph.source(Source::Region(WEIGHTS.to_owned()), ty.clone());
    let Checked { value, diagnostics } = optimizer.apply(graph, weights, gradients);
    let Some(update) = value else { return diagnostics };
    graph.assignments.push(Assignment { target: weights, value: update.w });
    for state in update.states {
        let Kind::Source(Source::Region(name)) = &graph.node(state.before).kind else {
            panic!("an optimizer's state is a region")
        };
        let region =
            FlatRegion { name: name.clone(), elements: ty.size(), members: Vec::new(), fill: state.init };
        graph.regions.push(region);
        graph.assignments.push(Assignment { target: state.before, value: state.after });
    }
    guard(graph, loss, gradients);
    diagnostics
}

/// Adds `halted` and makes every next value the present one where it is not 0.
pub fn guard(graph: &mut Graph, loss: NodeId, gradients: NodeId) {
    graph.set_origin(graph.node(loss).origin.clone());
    let ty = TensorType::f32([]);
    let id = StoredId(graph.stored.len());
    let (path, kind, init) = ("halted".to_owned(), StoredKind::Constant, Init::Constant(0.0));
    graph.stored.push(StoredTensor { path, kind, ty: ty.clone(), init });
    let halted = graph.source(Source::Stored(id), ty);
    let bad = graph.map(&[gradients], |b, x| {
        let finite = b.unary(Unary::IsFinite, x[0]);
        let (zero, one) = (b.real(0.0), b.real(1.0));
        b.select(finite, zero, one)
    });
    let bad = graph.must(Reduce::new(Reduction::Max, &[0]), &[bad]);
    let next = graph.map(&[loss, halted, bad], |b, x| {
        let finite = b.unary(Unary::IsFinite, x[0]);
        let one = b.real(1.0);
        let before = b.binary(Binary::Max, x[1], x[2]);
        b.select(finite, before, one)
    });
    graph.results.push((HALTED.to_owned(), next));
    for k in 0..graph.assignments.len() {
        let Assignment { target, value } = graph.assignments[k];
        if graph.ty(target).element != Element::F32 {
            continue;
        }
        graph.set_origin(graph.node(value).origin.clone());
        graph.assignments[k].value = graph.map(&[next, value, target], |b, x| {
            let zero = b.real(0.0);
            let goes_on = b.binary(Binary::Eq, x[0], zero);
            b.select(goes_on, x[1], x[2])
        });
    }
    graph.assignments.push(Assignment { target: halted, value: next });
}

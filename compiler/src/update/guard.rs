//! The guard of a training step: what is not finite reaches nothing that outlives the step.
//!
//! A stored number `halted` stays 1 once a loss or a gradient is not finite, and every next value is then the present
//! one, so that the weights before the first bad step survive it. A gradient is looked at for itself, because the loss
//! need not show it: the slope of `sqrt(x)` at 0, or a NaN that a device's `max(x, 0)` takes for 0.
//!
//! Where the loss is scaled, a gradient that is not finite says that the scale is too large: then this step alone is
//! left out. At the smallest scale it halts the run as it does without one.

use nnc_runtime::artifact::{HALTED, Init, LOSS_SCALE, SKIPPED, StoredKind};
use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Unary};

use super::scale::{LossScale, SMALLEST};
use crate::ir::{Assignment, Graph, NodeId, Source, StoredId, StoredTensor, TensorType};
use crate::ops::Reduce;

/// Adds `halted` and makes every next value the present one where it is not 0: where a loss or a packed gradient of
/// any update is not finite.
pub fn guard(graph: &mut Graph, losses: &[NodeId], gradients: &[NodeId]) {
    let Some(&first) = losses.first() else { return };
    graph.set_origin(graph.node(first).origin.clone());
    let halted = halted(graph);
    let mut next = halted;
    for (&loss, &packed) in losses.iter().zip(gradients) {
        let bad = overflow(graph, packed);
        next = graph.map(&[loss, next, bad], |b, x| {
            let finite = b.unary(Unary::IsFinite, x[0]);
            let one = b.real(1.0);
            let before = b.binary(Binary::Max, x[1], x[2]);
            b.select(finite, before, one)
        });
    }
    graph.results.push((HALTED.to_owned(), next));
    keep(graph, next, &[]);
    graph.assignments.push(Assignment { target: halted, value: next });
}

/// [`guard`] of a step whose gradients are those of a scaled loss. A step that is left out gives each target of
/// `otherwise` the value beside it, and all others the present one.
pub(super) fn guard_scaled(
    graph: &mut Graph,
    losses: &[NodeId],
    gradients: &[NodeId],
    scale: LossScale,
    otherwise: &[(NodeId, NodeId)],
) {
    let Some(&first) = losses.first() else { return };
    graph.set_origin(graph.node(first).origin.clone());
    let halted = halted(graph);
    let bad: Vec<NodeId> = gradients.iter().map(|&packed| overflow(graph, packed)).collect();
    let bad = graph.map(&bad, |b, x| x[1..].iter().fold(x[0], |any, &one| b.binary(Binary::Max, any, one)));
    let mut next = halted;
    for &loss in losses {
        next = graph.map(&[loss, next], |b, x| {
            let finite = b.unary(Unary::IsFinite, x[0]);
            let one = b.real(1.0);
            b.select(finite, x[1], one)
        });
    }
    let next = graph.map(&[next, bad, scale.scale], |b, x| {
        let (zero, smallest) = (b.real(0.0), b.real(SMALLEST));
        let least = b.binary(Binary::Le, x[2], smallest);
        let at_least = b.select(least, x[1], zero);
        b.binary(Binary::Max, x[0], at_least)
    });
    let out = graph.map(&[next, bad], |b, x| b.binary(Binary::Max, x[0], x[1]));
    let results = [(HALTED, next), (LOSS_SCALE, scale.scale), (SKIPPED, bad)];
    graph.results.extend(results.map(|(name, value)| (name.to_owned(), value)));
    keep(graph, out, otherwise);
    scale.move_on(graph, next, bad);
    graph.assignments.push(Assignment { target: halted, value: next });
}

/// 1 where a packed gradient is not finite, else 0.
pub(super) fn overflow(graph: &mut Graph, packed: NodeId) -> NodeId {
    let bad = graph.map(&[packed], |b, x| {
        let finite = b.unary(Unary::IsFinite, x[0]);
        let (zero, one) = (b.real(0.0), b.real(1.0));
        b.select(finite, zero, one)
    });
    graph.must(Reduce::new(Reduction::Max, &[0]), &[bad])
}

/// The stored number `halted`.
fn halted(graph: &mut Graph) -> NodeId {
    let ty = TensorType::f32([]);
    let id = StoredId(graph.stored.len());
    let (path, kind, init) = ("halted".to_owned(), StoredKind::Constant, Init::Constant(0.0));
    graph.stored.push(StoredTensor { path, kind, ty: ty.clone(), init });
    graph.source(Source::Stored(id), ty)
}

/// Makes every next value the present one, or what `otherwise` says, where `out` is not 0.
fn keep(graph: &mut Graph, out: NodeId, otherwise: &[(NodeId, NodeId)]) {
    for k in 0..graph.assignments.len() {
        let Assignment { target, value } = graph.assignments[k];
        if graph.ty(target).element != Element::F32 {
            continue;
        }
        graph.set_origin(graph.node(value).origin.clone());
        let present =
            otherwise.iter().find(|(other, _)| *other == target).map_or(target, |(_, value)| *value);
        graph.assignments[k].value = graph.map(&[out, value, present], |b, x| {
            let zero = b.real(0.0);
            let goes_on = b.binary(Binary::Eq, x[0], zero);
            b.select(goes_on, x[1], x[2])
        });
    }
}

//! The loss scale of mixed precision (Micikevicius et al. 2018).
//!
//! Many gradients are smaller than the smallest number that `f16` holds, and nearly all of its range above 1 is unused.
//! So the loss is multiplied by a scale before it is differentiated, and the gradients of the weights, which are `f32`, are
//! divided by it. The largest scale that overflows nothing loses least; it changes while a network is trained, and is
//! found on the device: a step whose gradients are not finite is left out and halves it, a long run of good ones doubles
//! it. Scales are powers of 2 unless the model's file begins with another number: multiplying by them rounds nothing.

use nnc_runtime::artifact::{Init, StoredKind};
use nnc_wgsl::Binary;

use crate::ir::{Assignment, Graph, NodeId, Source, StoredId, StoredTensor, TensorType};

/// Where the scale begins: the power of 2 next to the largest `f16`. Too large costs one step for each halving, too small
/// 2,000 for each doubling.
pub(super) const INITIAL: f64 = 65_536.0;

/// Good steps after which the scale doubles: seldom enough that the step which overflows then is no loss.
const PATIENCE: f64 = 2_000.0;

/// The scale stops halving here: gradients that are not finite by themselves are no matter of scale.
pub(super) const SMALLEST: f64 = 1.0;

/// The scale stops doubling here: from 2^-24, the smallest `f16`, to 1.
const LARGEST: f64 = 16_777_216.0;

/// The scale of a step, as nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossScale {
    /// The scale, a stored number.
    pub(super) scale: NodeId,
    /// How many steps in a row were good, a stored number.
    good: NodeId,
}

impl LossScale {
    /// Adds a scale that begins with `initial`.
    pub(super) fn add(graph: &mut Graph, initial: Option<f64>) -> LossScale {
        let mut stored = |path: &str, value: f64| {
            let (ty, kind) = (TensorType::f32([]), StoredKind::Optimizer);
            let id = StoredId(graph.stored.len());
            let init = Init::Constant(value);
            graph.stored.push(StoredTensor { path: path.to_owned(), kind, ty: ty.clone(), init });
            graph.source(Source::Stored(id), ty)
        };
        let scale = stored("loss_scale", initial.unwrap_or(INITIAL));
        LossScale { scale, good: stored("loss_scale.good_steps", 0.0) }
    }

    /// The gradients of the loss from those of the scaled one.
    pub(super) fn unscaled(self, graph: &mut Graph, gradients: NodeId) -> NodeId {
        graph.map(&[gradients, self.scale], |b, x| b.binary(Binary::Div, x[0], x[1]))
    }

    /// Adds the next scale after a step of which `bad` says by 1 that it was left out; none after the run was `halted`.
    pub(super) fn move_on(self, graph: &mut Graph, halted: NodeId, bad: NodeId) {
        let counted = graph.map(&[bad, self.good], |b, x| {
            let (zero, one) = (b.real(0.0), b.real(1.0));
            let more = b.binary(Binary::Add, x[1], one);
            let good = b.binary(Binary::Eq, x[0], zero);
            b.select(good, more, zero)
        });
        let next = graph.map(&[self.scale, bad, counted], |b, x| {
            let (zero, half, two) = (b.real(0.0), b.real(0.5), b.real(2.0));
            let (smallest, largest, patience) = (b.real(SMALLEST), b.real(LARGEST), b.real(PATIENCE));
            let halved = b.binary(Binary::Mul, x[0], half);
            let halved = b.binary(Binary::Max, halved, smallest);
            let doubled = b.binary(Binary::Mul, x[0], two);
            let doubled = b.binary(Binary::Min, doubled, largest);
            let enough = b.binary(Binary::Ge, x[2], patience);
            let good = b.binary(Binary::Eq, x[1], zero);
            let kept = b.select(enough, doubled, x[0]);
            b.select(good, kept, halved)
        });
        let good = graph.map(&[counted], |b, x| {
            let (zero, patience) = (b.real(0.0), b.real(PATIENCE));
            let enough = b.binary(Binary::Ge, x[0], patience);
            b.select(enough, zero, x[0])
        });
        for (target, value) in [(self.scale, next), (self.good, good)] {
            let value = graph.map(&[halted, value, target], |b, x| {
                let zero = b.real(0.0);
                let goes_on = b.binary(Binary::Eq, x[0], zero);
                b.select(goes_on, x[1], x[2])
            });
            graph.assignments.push(Assignment { target, value });
        }
    }
}

//! Gradients of several batches gathered for one update.

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::{Binary, Expr, Scalar, Unary};

use crate::ir::{Assignment, FlatRegion, Graph, NodeId, Source};

/// The mean gradient so far, and whether this batch is the last of its update: a number that is 1 or 0.
pub(super) struct Gathered {
    /// The gradients of the update, once its batches are all there.
    pub(super) gradients: NodeId,
    before: NodeId,
    last: NodeId,
}

/// Adds a `batches`-th of `gradients` to the region `name`, which is empty again after every update.
pub(super) fn gather(graph: &mut Graph, gradients: NodeId, batches: usize, name: &str) -> Gathered {
    let ty = graph.ty(gradients).clone();
    let (members, fill) = (Vec::new(), 0.0);
    graph.regions.push(FlatRegion { name: name.to_owned(), elements: ty.size(), members, fill });
    let before = graph.source(Source::Region(name.to_owned()), ty);
    #[allow(clippy::cast_precision_loss)]
    let count = batches as f64;
    let so_far = graph.map(&[before, gradients], |b, x| {
        let share = b.real(1.0 / count);
        let part = b.binary(Binary::Mul, x[1], share);
        b.binary(Binary::Add, x[0], part)
    });
    let last = Expr::build(&[Scalar::F32], |b, x| {
        let count = b.real(count);
        let quotient = b.binary(Binary::Div, x[0], count);
        let whole = b.unary(Unary::Floor, quotient);
        let multiple = b.binary(Binary::Mul, whole, count);
        let reached = b.binary(Binary::Eq, multiple, x[0]);
        let (zero, one) = (b.real(0.0), b.real(1.0));
        b.select(reached, one, zero)
    });
    let last = graph.host(last, vec![HostSymbol::Step]);
    let after = graph.map(&[last, so_far], |b, x| {
        let zero = b.real(0.0);
        let goes_on = b.binary(Binary::Eq, x[0], zero);
        b.select(goes_on, x[1], zero)
    });
    graph.assignments.push(Assignment { target: before, value: after });
    Gathered { gradients: so_far, before, last }
}

impl Gathered {
    /// The region of the mean gradient so far, and its next value where a batch is left out: the same, and empty after
    /// the last batch of an update.
    pub(super) fn without_batch(&self, graph: &mut Graph) -> (NodeId, NodeId) {
        let after = graph.map(&[self.last, self.before], |b, x| {
            let zero = b.real(0.0);
            let goes_on = b.binary(Binary::Eq, x[0], zero);
            b.select(goes_on, x[1], zero)
        });
        (self.before, after)
    }

    /// `after` in the last batch of an update, else `before`.
    pub(super) fn at_last(&self, graph: &mut Graph, before: NodeId, after: NodeId) -> NodeId {
        graph.map(&[self.last, before, after], |b, x| {
            let zero = b.real(0.0);
            let goes_on = b.binary(Binary::Eq, x[0], zero);
            b.select(goes_on, x[1], x[2])
        })
    }
}

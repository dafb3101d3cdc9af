//! `gather`: elements looked up along an axis.
//!
//! | | |
//! |---|---|
//! | operands | `x: T[.., k, ..]`, `index: i32[.., m, ..]`, equal but for the axis |
//! | result | `T[.., m, ..]`: `x[.., index[.., j, ..], ..]`; 0 where the index lies outside of `0..k` |
//! | gradient | `scatter_add` for `x` |
//! | schedule | lines |

use nnc_wgsl::Element;
use nnc_wgsl::schedule::LineKind;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, ScatterAdd, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Gather {
    axis: usize,
}

impl Gather {
    /// Along this axis.
    #[must_use]
    pub fn new(axis: usize) -> Gather {
        Gather { axis }
    }
}

/// Refuses an index that is not one of whole numbers, or differs elsewhere than along the axis.
pub(super) fn indexed(x: &TensorType, index: &TensorType, axis: usize, name: &str) -> Result<(), TypeError> {
    let alike = x.rank() == index.rank()
        && axis < x.rank()
        && (0..x.rank()).all(|a| a == axis || x.shape[a] == index.shape[a]);
    if alike && index.element == Element::I32 && x.element != Element::U8 {
        return Ok(());
    }
    Err(TypeError::new(format!("`{name}` along axis {axis} of {x} by {index}")))
}

/// The index at these coordinates as a place along an axis of this extent.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn place_at(index: &Tensor, at: &[usize], extent: usize) -> Option<usize> {
    let place = index.at(at);
    (place >= 0.0 && place < extent as f64).then_some(place as usize)
}

impl Operator for Gather {
    fn label(&self) -> String {
        format!("gather{{axis={}}}", self.axis)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 2, "gather")?;
        indexed(operands[0], operands[1], self.axis, "gather")?;
        Ok(TensorType::new(operands[0].element, operands[1].shape.clone()))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let scatter = ScatterAdd::new(self.axis, cx.shape(0)[self.axis]);
        let for_x = cx.wanted[0].then(|| cx.graph.must(scatter, &[cx.upstream, cx.operands[1]]));
        Ok(vec![for_x, None])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let (x, index) = (operands[0], operands[1]);
        Tensor::from_fn(index.shape().to_vec(), |at| {
            let mut from = at.to_vec();
            let Some(place) = place_at(index, at, x.shape()[self.axis]) else { return 0.0 };
            from[self.axis] = place;
            x.at(&from)
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Lines { kind: LineKind::Gather, axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let example = |axis: usize, x: &[usize], index: &[usize]| {
        Example::new(
            Gather::new(axis),
            &[TensorType::f32(x.to_vec()), TensorType::new(Element::I32, index.to_vec())],
        )
    };
    vec![
        example(0, &[5, 4], &[3, 4]),
        example(1, &[2, 3, 2], &[2, 7, 2]),
        example(2, &[2, 1, 6], &[2, 1, 5]),
        example(0, &[4], &[9]),
        Example::new(
            Gather::new(1),
            &[TensorType::new(Element::I32, [2, 4]), TensorType::new(Element::I32, [2, 3])],
        ),
    ]
}

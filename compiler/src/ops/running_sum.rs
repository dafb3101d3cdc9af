//! `running_sum`: the sum of the elements up to each place of an axis.
//!
//! | | |
//! |---|---|
//! | operands | `x: f32[..]` |
//! | result | the same shape; with `reverse` the sum runs from the end |
//! | gradient | the running sum of the upstream the other way round |
//! | schedule | lines |

use nnc_wgsl::schedule::LineKind;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct RunningSum {
    axis: usize,
    reverse: bool,
}

impl RunningSum {
    /// Along this axis; with `reverse` from its end.
    #[must_use]
    pub fn new(axis: usize, reverse: bool) -> RunningSum {
        RunningSum { axis, reverse }
    }
}

impl Operator for RunningSum {
    fn label(&self) -> String {
        format!("running_sum{{axis={}{}}}", self.axis, if self.reverse { " reverse" } else { "" })
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "running_sum")?;
        super::floats(operands, "running_sum")?;
        if self.axis >= operands[0].rank() {
            return Err(TypeError::new(format!("`running_sum` along axis {} of {}", self.axis, operands[0])));
        }
        Ok(operands[0].clone())
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        Ok(vec![Some(cx.graph.must(RunningSum::new(self.axis, !self.reverse), &[cx.upstream]))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let x = operands[0];
        Tensor::from_fn(x.shape().to_vec(), |at| {
            let here = at[self.axis];
            let places = if self.reverse { here..x.shape()[self.axis] } else { 0..here + 1 };
            let element = |place: usize| {
                let mut moved = at.to_vec();
                moved[self.axis] = place;
                x.at(&moved)
            };
            places.map(element).sum()
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Lines { kind: LineKind::RunningSum { reverse: self.reverse }, axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(RunningSum::new(1, false), &[TensorType::f32([2, 6])]),
        Example::new(RunningSum::new(0, true), &[TensorType::f32([5, 3])]),
        Example::new(RunningSum::new(1, true), &[TensorType::f32([2, 70])]),
    ]
}

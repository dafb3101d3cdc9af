//! `pad`: surrounds a tensor with a number.
//!
//! | | |
//! |---|---|
//! | operands | any |
//! | result | along axis `a`, `low[a]` and `high[a]` elements more |
//! | gradient | the part of the upstream that is not padding |
//! | schedule | map |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Slice, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Pad {
    low: Vec<usize>,
    high: Vec<usize>,
    value: f64,
}

impl Pad {
    /// `low[a]` elements before and `high[a]` after, along each axis.
    #[must_use]
    pub fn new(low: &[usize], high: &[usize], value: f64) -> Pad {
        Pad { low: low.to_vec(), high: high.to_vec(), value }
    }
}

impl Operator for Pad {
    fn label(&self) -> String {
        let axes: Vec<String> = self.low.iter().zip(&self.high).map(|(l, h)| format!("{l}+{h}")).collect();
        format!("pad{{{} value={:?}}}", axes.join(","), self.value)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "pad")?;
        let ty = operands[0];
        if self.low.len() != ty.rank() || self.high.len() != ty.rank() {
            return Err(TypeError::new(format!("`pad` of {} axes of {ty}", self.low.len())));
        }
        let shape: Vec<usize> = (0..ty.rank()).map(|a| self.low[a] + ty.shape[a] + self.high[a]).collect();
        Ok(TensorType::new(ty.element, shape))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        let slice = Slice::new(&self.low, &shape, &vec![1; shape.len()]);
        Ok(vec![Some(cx.graph.must(slice, &[cx.upstream]))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let operand = operands[0];
        let rank = operand.shape().len();
        let shape: Vec<usize> = (0..rank).map(|a| self.low[a] + operand.shape()[a] + self.high[a]).collect();
        Tensor::from_fn(shape, |at| {
            let inside = (0..rank).all(|a| at[a] >= self.low[a] && at[a] < self.low[a] + operand.shape()[a]);
            if !inside {
                return self.value;
            }
            let from: Vec<usize> = (0..rank).map(|a| at[a] - self.low[a]).collect();
            operand.at(&from)
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Pad { low: self.low.clone(), value: self.value }
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Pad::new(&[1, 0], &[2, 1], 0.0), &[TensorType::f32([3, 4])]),
        Example::new(Pad::new(&[0, 2, 1], &[0, 2, 2], -1.5), &[TensorType::f32([2, 3, 2])]),
    ]
}

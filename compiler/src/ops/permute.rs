//! `permute`: the axes in another order.
//!
//! | | |
//! |---|---|
//! | operands | any |
//! | result | axis `i` is axis `order[i]` of the operand |
//! | gradient | the upstream permuted back |
//! | schedule | none: a view |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Permute {
    order: Vec<usize>,
}

impl Permute {
    /// Axis `i` of the result is axis `order[i]` of the operand.
    #[must_use]
    pub fn new(order: &[usize]) -> Permute {
        Permute { order: order.to_vec() }
    }
}

impl Operator for Permute {
    fn label(&self) -> String {
        let order: Vec<String> = self.order.iter().map(ToString::to_string).collect();
        format!("permute{{{}}}", order.join(","))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "permute")?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if sorted != (0..operands[0].rank()).collect::<Vec<_>>() {
            return Err(TypeError::new(format!("`permute` by {:?} of {}", self.order, operands[0])));
        }
        let shape: Vec<usize> = self.order.iter().map(|&a| operands[0].shape[a]).collect();
        Ok(TensorType::new(operands[0].element, shape))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let mut back = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            back[from] = to;
        }
        Ok(vec![Some(cx.graph.must(Permute::new(&back), &[cx.upstream]))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let operand = operands[0];
        let shape: Vec<usize> = self.order.iter().map(|&a| operand.shape()[a]).collect();
        let mut from = vec![0; self.order.len()];
        Tensor::from_fn(shape, |at| {
            for (&coordinate, &axis) in at.iter().zip(&self.order) {
                from[axis] = coordinate;
            }
            operand.at(&from)
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Permute(self.order.clone())
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Permute::new(&[1, 0]), &[TensorType::f32([3, 4])]),
        Example::new(Permute::new(&[2, 0, 1]), &[TensorType::f32([2, 3, 4])]),
    ]
}

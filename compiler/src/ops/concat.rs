//! `concat`: joins tensors along an axis.
//!
//! | | |
//! |---|---|
//! | operands | one or more of one element, equal in all other axes |
//! | result | along the axis, one after the other |
//! | gradient | the parts of the upstream |
//! | schedule | none where the operands can be written in place, else map |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Slice, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Concat {
    axis: usize,
}

impl Concat {
    /// Along this axis.
    #[must_use]
    pub fn new(axis: usize) -> Concat {
        Concat { axis }
    }
}

impl Operator for Concat {
    fn label(&self) -> String {
        format!("concat{{axis={}}}", self.axis)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        let first = operands.first().ok_or_else(|| TypeError::new("`concat` of nothing"))?;
        if self.axis >= first.rank() {
            return Err(TypeError::new(format!("`concat` along axis {} of {first}", self.axis)));
        }
        let mut shape = first.shape.clone();
        for ty in &operands[1..] {
            let fits = ty.element == first.element
                && ty.rank() == first.rank()
                && (0..ty.rank()).all(|a| a == self.axis || ty.shape[a] == first.shape[a]);
            if !fits {
                return Err(TypeError::new(format!("`concat` along axis {} of {first} and {ty}", self.axis)));
            }
            shape[self.axis] += ty.shape[self.axis];
        }
        Ok(TensorType::new(first.element, shape))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let mut gradients = Vec::with_capacity(cx.operands.len());
        let mut begin = 0;
        for (k, wanted) in cx.wanted.iter().enumerate() {
            let shape = cx.shape(k);
            let mut start = vec![0; shape.len()];
            start[self.axis] = begin;
            begin += shape[self.axis];
            let slice = Slice::new(&start, &shape, &vec![1; shape.len()]);
            gradients.push(wanted.then(|| cx.graph.must(slice, &[cx.upstream])));
        }
        Ok(gradients)
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let mut shape = operands[0].shape().to_vec();
        shape[self.axis] = operands.iter().map(|t| t.shape()[self.axis]).sum();
        Tensor::from_fn(shape, |at| {
            let mut from = at.to_vec();
            for operand in operands {
                let extent = operand.shape()[self.axis];
                if from[self.axis] < extent {
                    return operand.at(&from);
                }
                from[self.axis] -= extent;
            }
            unreachable!("a point of the result lies in one of the operands")
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Concat { axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let f = |shape: &[usize]| TensorType::f32(shape);
    vec![
        Example::new(Concat::new(0), &[f(&[2, 3]), f(&[1, 3])]),
        Example::new(Concat::new(1), &[f(&[2, 3, 2]), f(&[2, 1, 2]), f(&[2, 2, 2])]),
        Example::new(Concat::new(1), &[f(&[2, 3])]),
    ]
}

//! `reshape`: the same elements in the same order under another shape.
//!
//! | | |
//! |---|---|
//! | operands | any |
//! | result | the shape, as many elements |
//! | gradient | the upstream under the operand's shape |
//! | schedule | none: a view |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType, elements};

/// See the module.
#[derive(Clone, Debug)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// To this shape.
    #[must_use]
    pub fn new(shape: &[usize]) -> Reshape {
        Reshape { shape: shape.to_vec() }
    }
}

impl Operator for Reshape {
    fn label(&self) -> String {
        format!("reshape{{{}}}", super::by(&self.shape))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "reshape")?;
        let (from, to) = (operands[0].size(), elements(&self.shape));
        if from != to {
            return Err(TypeError::new(format!("`reshape` of {from} elements to {to}")));
        }
        Ok(TensorType::new(operands[0].element, self.shape.clone()))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        Ok(vec![Some(cx.graph.reshape(cx.upstream, &shape))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        operands[0].reshaped(&self.shape)
    }

    fn lower(&self) -> Lowering {
        Lowering::Reshape
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Reshape::new(&[6, 4]), &[TensorType::f32([2, 3, 4])]),
        Example::new(Reshape::new(&[]), &[TensorType::f32([1, 1])]),
    ]
}

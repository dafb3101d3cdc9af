//! `stop_gradient`: the value, through which no gradient flows.
//!
//! | | |
//! |---|---|
//! | operands | any |
//! | result | the same |
//! | gradient | 0 |
//! | schedule | none: a view |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct StopGradient;

impl Operator for StopGradient {
    fn label(&self) -> String {
        "stop_gradient".to_owned()
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "stop_gradient")?;
        Ok(operands[0].clone())
    }

    fn gradient(&self, _: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        Ok(vec![None])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        operands[0].clone()
    }

    fn lower(&self) -> Lowering {
        Lowering::Reshape
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![Example::new(StopGradient, &[TensorType::f32([2, 3])])]
}

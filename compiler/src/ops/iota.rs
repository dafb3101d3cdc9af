//! `iota`: the coordinate along an axis.
//!
//! | | |
//! |---|---|
//! | operands | none |
//! | result | `i32`, the shape |
//! | gradient | none needed |
//! | schedule | none: computed where it is read |

use nnc_wgsl::Element;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Iota {
    shape: Vec<usize>,
    axis: usize,
}

impl Iota {
    /// The coordinate along `axis` of a tensor of this shape.
    #[must_use]
    pub fn new(shape: &[usize], axis: usize) -> Iota {
        Iota { shape: shape.to_vec(), axis }
    }
}

impl Operator for Iota {
    fn label(&self) -> String {
        format!("iota{{{} axis={}}}", super::by(&self.shape), self.axis)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 0, "iota")?;
        if self.axis >= self.shape.len() {
            return Err(TypeError::new(format!("`iota` along axis {} of {:?}", self.axis, self.shape)));
        }
        Ok(TensorType::new(Element::I32, self.shape.clone()))
    }

    fn gradient(&self, _: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        Ok(Vec::new())
    }

    #[allow(clippy::cast_precision_loss)]
    fn evaluate(&self, _: &[&Tensor]) -> Tensor {
        Tensor::from_fn(self.shape.clone(), |at| at[self.axis] as f64)
    }

    fn lower(&self) -> Lowering {
        Lowering::Iota { axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![Example::new(Iota::new(&[3, 4], 1), &[]), Example::new(Iota::new(&[5], 0), &[])]
}

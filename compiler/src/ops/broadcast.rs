//! `broadcast`: repeats along axes of extent 1 and along new outer axes.
//!
//! | | |
//! |---|---|
//! | operands | any; its axes align with the result's on the right |
//! | result | the shape |
//! | gradient | the upstream summed over what was repeated |
//! | schedule | none: a view |

use nnc_wgsl::schedule::Reduction;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Reduce, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Broadcast {
    shape: Vec<usize>,
}

impl Broadcast {
    /// To this shape.
    #[must_use]
    pub fn new(shape: &[usize]) -> Broadcast {
        Broadcast { shape: shape.to_vec() }
    }
}

impl Operator for Broadcast {
    fn label(&self) -> String {
        format!("broadcast{{{}}}", super::by(&self.shape))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "broadcast")?;
        let from = &operands[0].shape;
        let fits = from.len() <= self.shape.len()
            && from.iter().rev().zip(self.shape.iter().rev()).all(|(&f, &t)| f == t || f == 1);
        if !fits {
            return Err(TypeError::new(format!("{} does not broadcast to {:?}", operands[0], self.shape)));
        }
        Ok(TensorType::new(operands[0].element, self.shape.clone()))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        let skip = self.shape.len() - shape.len();
        let axes: Vec<usize> = (0..self.shape.len())
            .filter(|&a| a < skip || (shape[a - skip] == 1 && self.shape[a] != 1))
            .collect();
        let summed = if axes.is_empty() {
            cx.upstream
        } else {
            cx.graph.must(Reduce::new(Reduction::Sum, &axes), &[cx.upstream])
        };
        Ok(vec![Some(cx.graph.reshape(summed, &shape))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        Tensor::from_fn(self.shape.clone(), |at| operands[0].broadcast_at(at))
    }

    fn lower(&self) -> Lowering {
        Lowering::Broadcast
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Broadcast::new(&[3, 4]), &[TensorType::f32([4])]),
        Example::new(Broadcast::new(&[2, 3, 4]), &[TensorType::f32([3, 1])]),
        Example::new(Broadcast::new(&[2, 2]), &[TensorType::f32([])]),
    ]
}

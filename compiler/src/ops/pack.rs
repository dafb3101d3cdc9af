//! `pack`: puts flattened tensors at given places of one flat tensor, zeros between.
//!
//! | | |
//! |---|---|
//! | operands | `f32`, any shapes; the parts do not overlap |
//! | result | `f32[length]` |
//! | gradient | the parts of the upstream |
//! | schedule | none where the operands can be written in place, else map |
//!
//! Gradients of weights are packed into one region, so that an optimizer step is one kernel.

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Slice, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Pack {
    offsets: Vec<usize>,
    length: usize,
}

impl Pack {
    /// Operand `k` begins at `offsets[k]` of a tensor of `length` elements.
    #[must_use]
    pub fn new(offsets: &[usize], length: usize) -> Pack {
        Pack { offsets: offsets.to_vec(), length }
    }
}

impl Operator for Pack {
    fn label(&self) -> String {
        let offsets: Vec<String> = self.offsets.iter().map(ToString::to_string).collect();
        format!("pack{{{} length={}}}", offsets.join(","), self.length)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, self.offsets.len(), "pack")?;
        super::floats(operands, "pack")?;
        let mut parts: Vec<(usize, usize)> =
            self.offsets.iter().zip(operands).map(|(&offset, ty)| (offset, ty.size())).collect();
        parts.sort_unstable();
        let mut end = 0;
        for (offset, size) in parts {
            if offset < end {
                return Err(TypeError::new(format!("the parts of `pack` overlap at element {offset}")));
            }
            end = offset + size;
        }
        if end > self.length {
            return Err(TypeError::new(format!("`pack` of {end} elements into {}", self.length)));
        }
        Ok(TensorType::f32([self.length]))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let mut gradients = Vec::with_capacity(cx.operands.len());
        for (k, &offset) in self.offsets.iter().enumerate() {
            let shape = cx.shape(k);
            let size = shape.iter().product();
            let part = cx.graph.must(Slice::new(&[offset], &[size], &[1]), &[cx.upstream]);
            gradients.push(Some(cx.graph.reshape(part, &shape)));
        }
        Ok(gradients)
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let mut data = vec![0.0; self.length];
        for (&offset, operand) in self.offsets.iter().zip(operands) {
            data[offset..offset + operand.data().len()].copy_from_slice(operand.data());
        }
        Tensor::new([self.length], data)
    }

    fn lower(&self) -> Lowering {
        Lowering::Pack { offsets: self.offsets.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let f = |shape: &[usize]| TensorType::f32(shape);
    vec![Example::new(Pack::new(&[0, 64], 128), &[f(&[2, 3]), f(&[5])])]
}

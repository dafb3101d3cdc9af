//! `slice`: a part of a tensor, in steps.
//!
//! | | |
//! |---|---|
//! | operands | any |
//! | result | along axis `a` the elements `start[a], start[a] + step[a], ...`, `extent[a]` of them |
//! | gradient | the upstream put back among zeros |
//! | schedule | none: a view |

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, Pad, TypeError};
use crate::ir::{Graph, NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Slice {
    start: Vec<usize>,
    extent: Vec<usize>,
    step: Vec<usize>,
}

impl Slice {
    /// The elements `start[a] + i * step[a]` for `i < extent[a]` along each axis.
    #[must_use]
    pub fn new(start: &[usize], extent: &[usize], step: &[usize]) -> Slice {
        Slice { start: start.to_vec(), extent: extent.to_vec(), step: step.to_vec() }
    }

    /// The value with `step - 1` zeros between neighbours along an axis.
    fn spread(graph: &mut Graph, value: NodeId, axis: usize, step: usize) -> NodeId {
        let shape = graph.ty(value).shape.clone();
        let mut split = shape.clone();
        split.insert(axis + 1, 1);
        let mut high = vec![0; split.len()];
        high[axis + 1] = step - 1;
        let alone = graph.reshape(value, &split);
        let padded = graph.must(Pad::new(&vec![0; split.len()], &high, 0.0), &[alone]);
        let mut merged = shape;
        merged[axis] *= step;
        let joined = graph.reshape(padded, &merged);
        merged[axis] -= step - 1;
        graph.must(Slice::new(&vec![0; merged.len()], &merged, &vec![1; merged.len()]), &[joined])
    }
}

impl Operator for Slice {
    fn label(&self) -> String {
        let axes: Vec<String> = (0..self.start.len())
            .map(|a| match self.step[a] {
                1 => format!("{}+{}", self.start[a], self.extent[a]),
                step => format!("{}+{}by{step}", self.start[a], self.extent[a]),
            })
            .collect();
        format!("slice{{{}}}", axes.join(","))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "slice")?;
        let ty = operands[0];
        let inside = |a: usize| {
            self.step[a] > 0
                && (self.extent[a] == 0 || self.start[a] + (self.extent[a] - 1) * self.step[a] < ty.shape[a])
        };
        if self.start.len() != ty.rank() || !(0..ty.rank()).all(inside) {
            return Err(TypeError::new(format!("`{}` is not inside {ty}", self.label())));
        }
        Ok(TensorType::new(ty.element, self.extent.clone()))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        let mut value = cx.upstream;
        for (axis, &step) in self.step.iter().enumerate().filter(|(_, step)| **step != 1) {
            value = Slice::spread(cx.graph, value, axis, step);
        }
        let spread = cx.graph.ty(value).shape.clone();
        let after: Vec<usize> = (0..shape.len()).map(|a| shape[a] - self.start[a] - spread[a]).collect();
        Ok(vec![Some(cx.graph.must(Pad::new(&self.start, &after, 0.0), &[value]))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let mut from = vec![0; self.start.len()];
        Tensor::from_fn(self.extent.clone(), |at| {
            for (a, place) in from.iter_mut().enumerate() {
                *place = self.start[a] + at[a] * self.step[a];
            }
            operands[0].at(&from)
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Slice { start: self.start.clone(), step: self.step.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Slice::new(&[1, 0], &[2, 3], &[1, 1]), &[TensorType::f32([4, 3])]),
        Example::new(Slice::new(&[0, 1], &[2, 2], &[2, 2]), &[TensorType::f32([4, 5])]),
    ]
}

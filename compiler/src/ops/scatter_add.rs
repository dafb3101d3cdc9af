//! `scatter_add`: elements added up along an axis by an index, the gradient of a lookup.
//!
//! | | |
//! |---|---|
//! | operands | `x: f32[.., m, ..]`, `index: i32[.., m, ..]` |
//! | result | `f32[.., k, ..]`, `k` as stated: at each place the sum of the elements whose index it is |
//! | gradient | `gather` for `x` |
//! | schedule | lines |

use nnc_wgsl::Element;
use nnc_wgsl::schedule::LineKind;

use super::gather::{indexed, place_at};
use super::{Example, Gather, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType, for_each_point};

/// See the module.
#[derive(Clone, Debug)]
pub struct ScatterAdd {
    axis: usize,
    extent: usize,
}

impl ScatterAdd {
    /// Along `axis`, to a result of this extent there.
    #[must_use]
    pub fn new(axis: usize, extent: usize) -> ScatterAdd {
        ScatterAdd { axis, extent }
    }
}

impl Operator for ScatterAdd {
    fn label(&self) -> String {
        format!("scatter_add{{axis={} to={}}}", self.axis, self.extent)
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 2, "scatter_add")?;
        super::floats(&operands[..1], "scatter_add")?;
        indexed(operands[0], operands[1], self.axis, "scatter_add")?;
        let mut shape = operands[0].shape.clone();
        if shape != operands[1].shape {
            return Err(TypeError::new(format!("`scatter_add` of {} by {}", operands[0], operands[1])));
        }
        shape[self.axis] = self.extent;
        Ok(TensorType::f32(shape))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let for_x =
            cx.wanted[0].then(|| cx.graph.must(Gather::new(self.axis), &[cx.upstream, cx.operands[1]]));
        Ok(vec![for_x, None])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let (x, index) = (operands[0], operands[1]);
        let mut shape = x.shape().to_vec();
        shape[self.axis] = self.extent;
        let mut sums = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
        for_each_point(x.shape(), |at| {
            let Some(to) = place_at(index, at, self.extent) else { return };
            let mut target = at.to_vec();
            target[self.axis] = to;
            let place = sums.place(&target);
            sums.data_mut()[place] += x.at(at);
        });
        sums
    }

    fn lower(&self) -> Lowering {
        Lowering::Lines { kind: LineKind::ScatterAdd, axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let example = |axis: usize, extent: usize, x: &[usize]| {
        Example::new(
            ScatterAdd::new(axis, extent),
            &[TensorType::f32(x.to_vec()), TensorType::new(Element::I32, x.to_vec())],
        )
    };
    vec![example(0, 5, &[7, 4]), example(1, 3, &[2, 5, 3]), example(1, 2, &[2, 6]), example(0, 6, &[150, 3])]
}

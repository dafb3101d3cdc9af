//! `conv_input_gradient`: the gradient of a convolution for its input; also the transposed convolution.
//!
//! | | |
//! |---|---|
//! | operands | `dy: f32[n, o, p, q]`, `w: f32[o, c / groups, kh, kw]` (or one axis less or more each) |
//! | result | `f32[n, c, h, w]`, `h, w` as stated, because a stride hides them |
//! | gradient | `conv` for `dy`, `conv_weight_gradient` for `w` |
//! | schedule | conv |

use nnc_wgsl::schedule::ConvKind;

use super::super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use super::{Conv, ConvGeometry, ConvWeightGradient};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct ConvInputGradient {
    geometry: ConvGeometry,
    input: Vec<usize>,
}

impl ConvInputGradient {
    /// With this window, for an input of these extents.
    #[must_use]
    pub fn new(geometry: ConvGeometry, input: &[usize]) -> ConvInputGradient {
        ConvInputGradient { geometry, input: input.to_vec() }
    }
}

impl Operator for ConvInputGradient {
    fn label(&self) -> String {
        let attributes = self.geometry.attributes();
        format!("conv_input_gradient{{{attributes} to={}}}", super::super::by(&self.input))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::super::arity(operands, 2, "conv_input_gradient")?;
        super::super::floats(operands, "conv_input_gradient")?;
        let (dy, w) = (operands[0], operands[1]);
        if w.rank() != self.input.len() + 2 || dy.rank() != w.rank() {
            return Err(TypeError::new(format!("`{}` of {dy} by {w}", self.label())));
        }
        let mut shape = vec![dy.shape[0], w.shape[1] * self.geometry.groups];
        shape.extend(&self.input);
        let result = TensorType::f32(shape);
        let forward = self.geometry.output(&result, w)?;
        if forward != dy.shape {
            return Err(TypeError::new(format!("`{}` of {dy}, where {forward:?} was made", self.label())));
        }
        Ok(result)
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let (dy, w) = (cx.operands[0], cx.operands[1]);
        let kernel = cx.shape(1)[2..].to_vec();
        let for_dy = cx.wanted[0].then(|| cx.graph.must(Conv::new(self.geometry.clone()), &[cx.upstream, w]));
        let for_w = cx.wanted[1].then(|| {
            cx.graph.must(ConvWeightGradient::new(self.geometry.clone(), &kernel), &[cx.upstream, dy])
        });
        Ok(vec![for_dy, for_w])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let (dy, w) = (operands[0], operands[1]);
        let mut shape = vec![dy.shape()[0], w.shape()[1] * self.geometry.groups];
        shape.extend(&self.input);
        let mut dx = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
        let sums = dx.data_mut();
        self.geometry.for_each_run(&shape, w.shape(), dy.shape(), |run| {
            let (weight, into) = (w.data()[run.w], sums[run.x..].iter_mut().step_by(run.x_step));
            into.zip(&dy.data()[run.y..][..run.count]).for_each(|(sum, dy)| *sum += dy * weight);
        });
        dx
    }

    fn lower(&self) -> Lowering {
        Lowering::Conv { kind: ConvKind::InputGradient, geometry: self.geometry.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    super::forward::windows()
        .into_iter()
        .map(|(geometry, x, w)| {
            let (x, w) = (TensorType::f32(x), TensorType::f32(w));
            let y = geometry.output(&x, &w).expect("the example's shapes fit");
            Example::new(ConvInputGradient::new(geometry, &x.shape[2..]), &[TensorType::f32(y), w])
        })
        .collect()
}

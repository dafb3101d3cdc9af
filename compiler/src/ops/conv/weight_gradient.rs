//! `conv_weight_gradient`: the gradient of a convolution for its weight.
//!
//! | | |
//! |---|---|
//! | operands | `x: f32[n, c, h, w]`, `dy: f32[n, o, p, q]` (or one axis less or more each) |
//! | result | `f32[o, c / groups, kh, kw]`, `kh, kw` as stated |
//! | gradient | `conv_input_gradient` for `x`, `conv` for `dy` |
//! | schedule | conv |

use nnc_wgsl::schedule::ConvKind;

use super::super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use super::{Conv, ConvGeometry, ConvInputGradient};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct ConvWeightGradient {
    geometry: ConvGeometry,
    kernel: Vec<usize>,
}

impl ConvWeightGradient {
    /// With this window, for a weight of these extents.
    #[must_use]
    pub fn new(geometry: ConvGeometry, kernel: &[usize]) -> ConvWeightGradient {
        ConvWeightGradient { geometry, kernel: kernel.to_vec() }
    }
}

impl Operator for ConvWeightGradient {
    fn label(&self) -> String {
        let attributes = self.geometry.attributes();
        format!("conv_weight_gradient{{{attributes} to={}}}", super::super::by(&self.kernel))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::super::arity(operands, 2, "conv_weight_gradient")?;
        super::super::floats(operands, "conv_weight_gradient")?;
        let (x, dy) = (operands[0], operands[1]);
        let fits = x.rank() == self.kernel.len() + 2
            && dy.rank() == x.rank()
            && x.shape[1].is_multiple_of(self.geometry.groups);
        if !fits {
            return Err(TypeError::new(format!("`{}` of {x} and {dy}", self.label())));
        }
        let mut shape = vec![dy.shape[1], x.shape[1] / self.geometry.groups];
        shape.extend(&self.kernel);
        let result = TensorType::f32(shape);
        let forward = self.geometry.output(x, &result)?;
        if forward != dy.shape {
            return Err(TypeError::new(format!("`{}` of {dy}, where {forward:?} was made", self.label())));
        }
        Ok(result)
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let (x, dy) = (cx.operands[0], cx.operands[1]);
        let input = cx.shape(0)[2..].to_vec();
        let for_x = cx.wanted[0].then(|| {
            cx.graph.must(ConvInputGradient::new(self.geometry.clone(), &input), &[dy, cx.upstream])
        });
        let for_dy = cx.wanted[1].then(|| cx.graph.must(Conv::new(self.geometry.clone()), &[x, cx.upstream]));
        Ok(vec![for_x, for_dy])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let (x, dy) = (operands[0], operands[1]);
        let mut shape = vec![dy.shape()[1], x.shape()[1] / self.geometry.groups];
        shape.extend(&self.kernel);
        let mut dw = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
        let sums = dw.data_mut();
        self.geometry.for_each_run(x.shape(), &shape, dy.shape(), |run| {
            let from = x.data()[run.x..].iter().step_by(run.x_step);
            sums[run.w] +=
                dy.data()[run.y..][..run.count].iter().zip(from).map(|(dy, x)| dy * x).sum::<f64>();
        });
        dw
    }

    fn lower(&self) -> Lowering {
        Lowering::Conv { kind: ConvKind::WeightGradient, geometry: self.geometry.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    super::forward::windows()
        .into_iter()
        .map(|(geometry, x, w)| {
            let (x, w) = (TensorType::f32(x), TensorType::f32(w));
            let y = geometry.output(&x, &w).expect("the example's shapes fit");
            Example::new(ConvWeightGradient::new(geometry, &w.shape[2..]), &[x, TensorType::f32(y)])
        })
        .collect()
}

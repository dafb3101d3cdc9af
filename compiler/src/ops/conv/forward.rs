//! `conv`: the convolution of `x` by `w`.
//!
//! | | |
//! |---|---|
//! | operands | `x: f32[n, c, h, w]`, `w: f32[o, c / groups, kh, kw]` (or one axis less or more each) |
//! | result | `f32[n, o, p, q]`, `p = (h + low + high - dilation * (kh - 1) - 1) / stride + 1` |
//! | gradient | `conv_input_gradient` and `conv_weight_gradient` |
//! | schedule | conv |
//!
//! Source: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), relation 6 and 14.

use nnc_wgsl::schedule::ConvKind;

use super::super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use super::{ConvGeometry, ConvInputGradient, ConvWeightGradient};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Conv {
    geometry: ConvGeometry,
}

impl Conv {
    /// With this window.
    #[must_use]
    pub fn new(geometry: ConvGeometry) -> Conv {
        Conv { geometry }
    }
}

impl Operator for Conv {
    fn label(&self) -> String {
        format!("conv{{{}}}", self.geometry.attributes())
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::super::arity(operands, 2, "conv")?;
        super::super::floats(operands, "conv")?;
        Ok(TensorType::f32(self.geometry.output(operands[0], operands[1])?))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let (x, w) = (cx.operands[0], cx.operands[1]);
        let input = cx.shape(0)[2..].to_vec();
        let kernel = cx.shape(1)[2..].to_vec();
        let for_x = cx.wanted[0]
            .then(|| cx.graph.must(ConvInputGradient::new(self.geometry.clone(), &input), &[cx.upstream, w]));
        let for_w = cx.wanted[1].then(|| {
            cx.graph.must(ConvWeightGradient::new(self.geometry.clone(), &kernel), &[x, cx.upstream])
        });
        Ok(vec![for_x, for_w])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let (x, w) = (operands[0], operands[1]);
        let mut shape = vec![x.shape()[0], w.shape()[0]];
        for axis in 0..self.geometry.axes() {
            let padded = x.shape()[2 + axis] + self.geometry.low[axis] + self.geometry.high[axis];
            let window = self.geometry.dilation[axis] * (w.shape()[2 + axis] - 1) + 1;
            shape.push((padded - window) / self.geometry.stride[axis] + 1);
        }
        let mut y = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
        let sums = y.data_mut();
        self.geometry.for_each_run(x.shape(), w.shape(), &shape, |run| {
            let (weight, from) = (w.data()[run.w], x.data()[run.x..].iter().step_by(run.x_step));
            sums[run.y..][..run.count].iter_mut().zip(from).for_each(|(sum, x)| *sum += x * weight);
        });
        y
    }

    fn lower(&self) -> Lowering {
        Lowering::Conv { kind: ConvKind::Forward, geometry: self.geometry.clone() }
    }
}

/// Windows that together vary every attribute, with the shapes of `x` and `w`.
pub(super) fn windows() -> Vec<(ConvGeometry, Vec<usize>, Vec<usize>)> {
    let plain = ConvGeometry::plain(2);
    vec![
        (plain.clone(), vec![2, 3, 5, 6], vec![4, 3, 3, 3]),
        (
            ConvGeometry { low: vec![2, 2], high: vec![2, 2], ..plain.clone() },
            vec![1, 2, 6, 6],
            vec![3, 2, 5, 5],
        ),
        (
            ConvGeometry { stride: vec![2, 2], low: vec![1, 1], high: vec![1, 1], ..plain.clone() },
            vec![2, 2, 7, 8],
            vec![3, 2, 3, 3],
        ),
        (
            ConvGeometry { stride: vec![2, 1], low: vec![0, 1], high: vec![1, 2], ..plain.clone() },
            vec![1, 2, 6, 5],
            vec![2, 2, 2, 3],
        ),
        (ConvGeometry { dilation: vec![2, 1], ..plain.clone() }, vec![1, 2, 7, 4], vec![2, 2, 3, 2]),
        (
            ConvGeometry { groups: 2, low: vec![1, 1], high: vec![1, 1], ..plain.clone() },
            vec![2, 4, 4, 4],
            vec![6, 2, 3, 3],
        ),
        (
            ConvGeometry {
                groups: 3,
                stride: vec![2, 1],
                dilation: vec![1, 2],
                low: vec![1, 2],
                high: vec![1, 0],
            },
            vec![2, 3, 5, 4],
            vec![6, 1, 3, 2],
        ),
        (
            ConvGeometry {
                stride: vec![1, 2, 1],
                dilation: vec![2, 1, 1],
                low: vec![1, 0, 1],
                high: vec![1, 1, 0],
                ..ConvGeometry::plain(3)
            },
            vec![2, 2, 3, 4, 3],
            vec![3, 2, 2, 2, 3],
        ),
        (
            ConvGeometry {
                groups: 2,
                stride: vec![2, 1, 1],
                low: vec![1; 3],
                high: vec![1; 3],
                ..ConvGeometry::plain(3)
            },
            vec![1, 2, 3, 2, 3],
            vec![2, 1, 3, 2, 2],
        ),
        (
            ConvGeometry { stride: vec![3], low: vec![1], high: vec![0], ..ConvGeometry::plain(1) },
            vec![2, 3, 11],
            vec![4, 3, 4],
        ),
    ]
}

pub(super) fn examples() -> Vec<Example> {
    windows()
        .into_iter()
        .map(|(geometry, x, w)| Example::new(Conv::new(geometry), &[TensorType::f32(x), TensorType::f32(w)]))
        .collect()
}

//! `reduce`: combines the elements along axes, which vanish.
//!
//! | | |
//! |---|---|
//! | operands | `f32`, any shape |
//! | result | `f32`, the shape without the axes |
//! | gradient | sum: the upstream repeated; max, min: the upstream shared among the elements that win; product: upstream times the product of the others |
//! | schedule | row, column |

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Scalar};

use super::{Broadcast, Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType, for_each_point};

/// See the module.
#[derive(Clone, Debug)]
pub struct Reduce {
    reduction: Reduction,
    axes: Vec<usize>,
}

impl Reduce {
    /// The reduction over these axes.
    #[must_use]
    pub fn new(reduction: Reduction, axes: &[usize]) -> Reduce {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        Reduce { reduction, axes }
    }

    fn kept(&self, shape: &[usize]) -> Vec<usize> {
        (0..shape.len()).filter(|a| !self.axes.contains(a)).map(|a| shape[a]).collect()
    }

    /// The upstream times, for each element, the product of the other ones. Zeros are counted instead of
    /// multiplied: beside one zero only that zero's others are not 0, beside two no element's are.
    fn others(&self, cx: &mut GradientCx<'_>, upstream: NodeId, with_ones: &[usize]) -> NodeId {
        let operand = cx.operands[0];
        let zero = cx.graph.map(&[operand], |b, x| {
            let zero = b.real(0.0);
            let is_zero = b.binary(Binary::Eq, x[0], zero);
            b.cast(Scalar::F32, is_zero)
        });
        let filled = cx.graph.map(&[operand, zero], |b, x| b.binary(Binary::Add, x[0], x[1]));
        let product = cx.graph.must(Reduce::new(Reduction::Product, &self.axes), &[filled]);
        let product = cx.graph.reshape(product, with_ones);
        let zeros = cx.graph.must(Reduce::new(Reduction::Sum, &self.axes), &[zero]);
        let zeros = cx.graph.reshape(zeros, with_ones);
        cx.graph.map(&[filled, product, zero, zeros, upstream], |b, x| {
            let others = b.binary(Binary::Div, x[1], x[0]);
            let alone = b.binary(Binary::Eq, x[2], x[3]);
            let nothing = b.real(0.0);
            let others = b.select(alone, others, nothing);
            b.binary(Binary::Mul, others, x[4])
        })
    }
}

impl Operator for Reduce {
    fn label(&self) -> String {
        let axes: Vec<String> = self.axes.iter().map(ToString::to_string).collect();
        format!("reduce{{{} axes={}}}", format!("{:?}", self.reduction).to_lowercase(), axes.join(","))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "reduce")?;
        super::floats(operands, "reduce")?;
        let shape = &operands[0].shape;
        if let Some(axis) = self.axes.iter().find(|a| **a >= shape.len()) {
            return Err(TypeError::new(format!("`reduce` over axis {axis} of {}", operands[0])));
        }
        Ok(TensorType::f32(self.kept(shape)))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        let with_ones: Vec<usize> =
            (0..shape.len()).map(|a| if self.axes.contains(&a) { 1 } else { shape[a] }).collect();
        let upstream = cx.graph.reshape(cx.upstream, &with_ones);
        let gradient = match self.reduction {
            Reduction::Sum => {
                if with_ones == shape {
                    upstream
                } else {
                    cx.graph.must(Broadcast::new(&shape), &[upstream])
                }
            }
            Reduction::Max | Reduction::Min => {
                let result = cx.graph.reshape(cx.result, &with_ones);
                let wins = cx.graph.map(&[cx.operands[0], result], |b, x| {
                    let equal = b.binary(Binary::Eq, x[0], x[1]);
                    b.cast(Scalar::F32, equal)
                });
                let winners = cx.graph.must(Reduce::new(Reduction::Sum, &self.axes), &[wins]);
                let winners = cx.graph.reshape(winners, &with_ones);
                cx.graph.map(&[wins, upstream, winners], |b, x| {
                    let share = b.binary(Binary::Div, x[1], x[2]);
                    b.binary(Binary::Mul, x[0], share)
                })
            }
            Reduction::Product => self.others(cx, upstream, &with_ones),
        };
        Ok(vec![Some(gradient)])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let operand = operands[0];
        let shape = self.kept(operand.shape());
        let start = match self.reduction {
            Reduction::Sum => 0.0,
            Reduction::Product => 1.0,
            Reduction::Max => f64::NEG_INFINITY,
            Reduction::Min => f64::INFINITY,
        };
        let size = shape.iter().product();
        let mut result = Tensor::new(shape, vec![start; size]);
        for_each_point(operand.shape(), |at| {
            let kept: Vec<usize> = (0..at.len()).filter(|a| !self.axes.contains(a)).map(|a| at[a]).collect();
            let place = result.place(&kept);
            let (total, value) = (&mut result.data_mut()[place], operand.at(at));
            *total = match self.reduction {
                Reduction::Sum => *total + value,
                Reduction::Product => *total * value,
                Reduction::Max => total.max(value),
                Reduction::Min => total.min(value),
            };
        });
        result
    }

    fn lower(&self) -> Lowering {
        Lowering::Reduce { reduction: self.reduction, axes: self.axes.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::Product] {
        for axes in [vec![0], vec![2], vec![0, 2], vec![1, 2], vec![0, 1, 2]] {
            examples.push(Example::new(Reduce::new(reduction, &axes), &[TensorType::f32([3, 4, 5])]));
        }
    }
    examples.push(Example::new(Reduce::new(Reduction::Sum, &[0, 2, 3]), &[TensorType::f32([2, 3, 3, 4])]));
    examples
}

//! `order`: which element stands where when the lines of an axis are put in order.
//!
//! | | |
//! |---|---|
//! | operands | `x: f32[..]` or `i32[..]` |
//! | result | `i32[..]`: at each place the index of the element there; equal ones as they lie; NaN is the largest |
//! | gradient | none: the result jumps |
//! | schedule | lines |

use nnc_wgsl::Element;
use nnc_wgsl::schedule::LineKind;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType};

/// See the module.
#[derive(Clone, Debug)]
pub struct Order {
    axis: usize,
    descending: bool,
}

impl Order {
    /// Along this axis; with `descending` the largest comes first.
    #[must_use]
    pub fn new(axis: usize, descending: bool) -> Order {
        Order { axis, descending }
    }
}

impl Operator for Order {
    fn label(&self) -> String {
        format!("order{{axis={}{}}}", self.axis, if self.descending { " descending" } else { "" })
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "order")?;
        let x = operands[0];
        if self.axis >= x.rank() || !matches!(x.element, Element::F32 | Element::I32) {
            return Err(TypeError::new(format!("`order` along axis {} of {x}", self.axis)));
        }
        Ok(TensorType::new(Element::I32, x.shape.clone()))
    }

    fn gradient(&self, _: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        Ok(vec![None])
    }

    #[allow(clippy::cast_precision_loss)]
    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let x = operands[0];
        Tensor::from_fn(x.shape().to_vec(), |at| {
            let key = |place: usize| {
                let mut moved = at.to_vec();
                moved[self.axis] = place;
                let key = x.at(&moved);
                (key.is_nan(), if key.is_nan() { 0.0 } else { key + 0.0 })
            };
            let compared = |(none, key): (bool, f64), (other_none, other): (bool, f64)| {
                none.cmp(&other_none).then(key.total_cmp(&other))
            };
            let mut places: Vec<usize> = (0..x.shape()[self.axis]).collect();
            places.sort_by(
                |&i, &j| {
                    if self.descending { compared(key(j), key(i)) } else { compared(key(i), key(j)) }
                },
            );
            places[at[self.axis]] as f64
        })
    }

    fn lower(&self) -> Lowering {
        Lowering::Lines { kind: LineKind::Order { descending: self.descending }, axis: self.axis }
    }
}

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example::new(Order::new(1, false), &[TensorType::f32([3, 7])]),
        Example::new(Order::new(0, true), &[TensorType::f32([5, 2, 2])]),
        Example::new(Order::new(0, true), &[TensorType::new(Element::I32, [9])]),
    ]
}

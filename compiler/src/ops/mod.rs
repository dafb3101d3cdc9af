//! The operators: few, each one file. Everything else is a formula in the standard library.
//!
//! An operator answers five questions ([`Operator`]) and shows itself by examples ([`examples`]), over which the
//! laws of the tests run.

mod broadcast;
mod concat;
mod contract;
mod conv;
mod gather;
mod iota;
mod map;
mod order;
mod pack;
mod pad;
mod permute;
mod reduce;
mod reshape;
mod running_sum;
mod scatter_add;
mod slice;
mod stop_gradient;
mod window;

use std::fmt;
use std::sync::Arc;

use nnc_wgsl::Expr;
use nnc_wgsl::schedule::{ConvKind, LineKind, Reduction, WindowKind};

use crate::ir::{Graph, NodeId, Tensor, TensorType};

pub use broadcast::Broadcast;
pub use concat::Concat;
pub use contract::Contract;
pub use conv::{Conv, ConvGeometry, ConvInputGradient, ConvWeightGradient};
pub use gather::Gather;
pub use iota::Iota;
pub use map::Map;
pub use order::Order;
pub use pack::Pack;
pub use pad::Pad;
pub use permute::Permute;
pub use reduce::Reduce;
pub use reshape::Reshape;
pub use running_sum::RunningSum;
pub use scatter_add::ScatterAdd;
pub use slice::Slice;
pub use stop_gradient::StopGradient;
pub use window::{Pool, Window, WindowGeometry, WindowGradient};

/// A computation on tensors, with its attributes.
pub trait Operator: fmt::Debug + Send + Sync {
    /// The operator and its attributes, such as `conv{stride=2}`; same label = same operator.
    fn label(&self) -> String;

    /// The type rule.
    ///
    /// # Errors
    /// If the operands do not fit.
    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError>;

    /// One gradient per operand; `None` where it is 0 everywhere.
    ///
    /// # Errors
    /// If the operator has no gradient, which is something else than 0.
    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable>;

    /// The meaning, in f64, written for the reader, and without help from the type rule.
    fn evaluate(&self, operands: &[&Tensor]) -> Tensor;

    /// Which schedule computes it, and what that is given.
    fn lower(&self) -> Lowering;
}

/// What an operator's gradient is built from.
#[derive(Debug)]
pub struct GradientCx<'a> {
    /// The graph, to which the gradient is added.
    pub graph: &'a mut Graph,
    /// The operands of the operator.
    pub operands: &'a [NodeId],
    /// Its result.
    pub result: NodeId,
    /// The gradient of the loss for the result, of the result's type.
    pub upstream: NodeId,
    /// For each operand, whether its gradient is wanted.
    pub wanted: &'a [bool],
}

impl GradientCx<'_> {
    /// The shape of an operand.
    #[must_use]
    pub fn shape(&self, operand: usize) -> Vec<usize> {
        self.graph.ty(self.operands[operand]).shape.clone()
    }
}

/// How an operator is computed; the vocabulary of the schedules.
#[derive(Clone, Debug, PartialEq)]
pub enum Lowering {
    /// Elementwise, operands broadcast.
    Map(Expr),
    /// The same elements in the same order under another shape.
    Reshape,
    /// Axis `i` of the result is axis `.0[i]` of the operand.
    Permute(Vec<usize>),
    /// Operand axes align on the right; extents of 1 repeat.
    Broadcast,
    /// The part from these coordinates on, in these steps.
    Slice {
        /// The first coordinate along each axis.
        start: Vec<usize>,
        /// The distance between elements along each axis.
        step: Vec<usize>,
    },
    /// The coordinate along this axis.
    Iota {
        /// The axis.
        axis: usize,
    },
    /// Joins along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Puts flattened operands at these offsets of a flat tensor.
    Pack {
        /// Where each operand begins, in elements.
        offsets: Vec<usize>,
    },
    /// Surrounds with a number.
    Pad {
        /// Elements before, along each axis.
        low: Vec<usize>,
        /// The number.
        value: f64,
    },
    /// Reduces axes.
    Reduce {
        /// How values are combined.
        reduction: Reduction,
        /// Which axes, in order.
        axes: Vec<usize>,
    },
    /// A product of two tensors summed over shared axes; axes by letter.
    Contract {
        /// The axes of the left operand.
        left: Vec<char>,
        /// The axes of the right operand.
        right: Vec<char>,
        /// The axes of the result.
        result: Vec<char>,
    },
    /// One of the three convolutions.
    Conv {
        /// Which.
        kind: ConvKind,
        /// Its window.
        geometry: ConvGeometry,
    },
    /// A pooling or its gradient.
    Window {
        /// Which.
        kind: WindowKind,
        /// Its window.
        geometry: WindowGeometry,
    },
    /// Work along the lines of an axis.
    Lines {
        /// Which.
        kind: LineKind,
        /// The axis.
        axis: usize,
    },
}

/// Operands that an operator refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// What does not fit, both sides named.
    pub message: String,
}

impl TypeError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> TypeError {
        TypeError { message: message.into() }
    }
}

/// An operator without a gradient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{operator}` has no gradient")]
pub struct NotDifferentiable {
    /// Its label.
    pub operator: String,
}

/// An operator applied to operands, for the laws.
#[derive(Clone, Debug)]
pub struct Example {
    /// The operator.
    pub op: Arc<dyn Operator>,
    /// The types of the operands.
    pub types: Vec<TensorType>,
    /// Their values.
    pub operands: Vec<Tensor>,
}

impl Example {
    /// An example with these types and fixed, well-spread values: floats in (-2, 2), no two equal within a
    /// tensor of up to a few hundred elements and none near 0; integers in 0..4.
    pub fn new(op: impl Operator + 'static, types: &[TensorType]) -> Example {
        let operands = types.iter().enumerate().map(|(k, ty)| spread(ty, k)).collect();
        Example { op: Arc::new(op), types: types.to_vec(), operands }
    }
}

/// Examples of every operator, at least one for each of its attributes.
#[must_use]
pub fn examples() -> Vec<Example> {
    [
        broadcast::examples(),
        concat::examples(),
        contract::examples(),
        conv::examples(),
        gather::examples(),
        iota::examples(),
        map::examples(),
        order::examples(),
        pack::examples(),
        pad::examples(),
        permute::examples(),
        reduce::examples(),
        reshape::examples(),
        running_sum::examples(),
        scatter_add::examples(),
        slice::examples(),
        stop_gradient::examples(),
        window::examples(),
    ]
    .concat()
}

#[allow(clippy::cast_precision_loss)]
fn spread(ty: &TensorType, operand: usize) -> Tensor {
    let size = ty.size().max(1);
    let step = [7, 11, 13, 17].into_iter().find(|s| !size.is_multiple_of(*s)).unwrap_or(1);
    let data = (0..ty.size())
        .map(|i| {
            let place = (i * step + operand * 3) % size;
            match ty.element {
                nnc_wgsl::Element::F32 | nnc_wgsl::Element::F16 => {
                    (place as f64 + 0.5) / size as f64 * 3.671 - 1.8173
                }
                nnc_wgsl::Element::I32 => (place % 4) as f64,
                nnc_wgsl::Element::Bool => (place % 2) as f64,
                nnc_wgsl::Element::U8 => (place % 256) as f64,
            }
        })
        .collect();
    Tensor::new(ty.shape.clone(), data)
}

/// Refuses any other number of operands.
fn arity(operands: &[&TensorType], wanted: usize, name: &str) -> Result<(), TypeError> {
    if operands.len() == wanted {
        return Ok(());
    }
    Err(TypeError::new(format!("`{name}` takes {wanted} operands, not {}", operands.len())))
}

/// Refuses elements other than `f32`.
fn floats(operands: &[&TensorType], name: &str) -> Result<(), TypeError> {
    match operands.iter().find(|ty| ty.element != nnc_wgsl::Element::F32) {
        Some(ty) => Err(TypeError::new(format!("`{name}` computes with f32, not with {ty}"))),
        None => Ok(()),
    }
}

/// A list of numbers as attributes print it: `2x3`.
fn by(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

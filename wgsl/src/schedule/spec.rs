//! What each schedule is given.

use serde::{Deserialize, Serialize};

use crate::access::{Epilogue, Place, Read, Write, is_zero};
use crate::element::Element;
use crate::expr::Expr;

/// Elementwise work over a space; also every copy, transpose, slice, concat and pad that moves memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapSpec {
    /// The iteration space, outermost first, already coalesced where all places allow it.
    pub extents: Vec<u32>,
    /// The operands of `expr`, in order.
    pub reads: Vec<Read>,
    /// One result for each of `writes`.
    pub expr: Expr,
    /// The results.
    pub writes: Vec<Write>,
}

/// How values are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reduction {
    /// The sum; 0 of nothing.
    Sum,
    /// The product; 1 of nothing.
    Product,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// Reductions with the maps around them. The space is `kept` followed by `reduced`; all places of `reads`
/// and `element_writes` are over that, those of `row_writes` over `kept` alone.
///
/// The row schedule gives one workgroup (or, for short rows and where barriers are dear, one invocation) to
/// each point of `kept`; the column schedule takes one step, no element writes, and splits a long
/// reduction over many workgroups in two launches. Both fit any strides; which one is faster is the caller's call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowSpec {
    /// The axes of the result; may be empty.
    pub kept: Vec<u32>,
    /// The axes that are reduced.
    pub reduced: Vec<u32>,
    /// Operands `0..reads.len()` of every formula below.
    pub reads: Vec<Read>,
    /// Reductions in order; step `s` is operand `reads.len() + s` of later formulas.
    pub steps: Vec<RowStep>,
    /// A formula of reads that do not vary along `reduced`, and of steps; one result for each of `row_writes`.
    pub row_expr: Expr,
    /// Results with one element a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub row_writes: Vec<Write>,
    /// A formula of reads and steps; one result for each of `element_writes`.
    pub element_expr: Expr,
    /// Results with one element for each point of the whole space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub element_writes: Vec<Write>,
}

/// One reduction of a [`RowSpec`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowStep {
    /// How values are combined.
    pub reduction: Reduction,
    /// The value at each point, of reads and earlier steps; one result of type `f32`.
    pub expr: Expr,
}

/// One operand of a matrix product, in elements: the element of batch `b`, row `i`, column `j` lies at
/// `offset + b * batch + i * row + j * column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Matrix {
    /// What is stored.
    pub element: Element,
    /// Where the first element lies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: i64,
    /// From one matrix of the batch to the next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batch: i64,
    /// From one row to the next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub row: i64,
    /// From one column to the next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub column: i64,
}

/// `value[b, i, j] = sum over k of left[b, i, k] * right[b, k, j]`, then the epilogue over `[batch, m, n]`.
///
/// With `parts` above 1 one invocation has the columns `j`, `j + n`, `j + 2n`, .. of a product of `parts * n` columns
/// together: they are operands `0..parts` of the epilogue, and its reads follow.
///
/// `Slot::Read(0)` is the left matrix, `Slot::Read(1)` the right one, `Slot::Read(2 + i)` is `epilogue.reads[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContractSpec {
    /// Independent products.
    pub batch: u32,
    /// Rows of the left matrix and of the result.
    pub m: u32,
    /// Columns of the epilogue's space, and of each part of the right matrix.
    pub n: u32,
    /// Parts of the columns.
    pub parts: u32,
    /// The extent that is summed.
    pub k: u32,
    /// `[batch, m, k]`
    pub left: Matrix,
    /// `[batch, k, n]`
    pub right: Matrix,
    /// What becomes of each element.
    pub epilogue: Epilogue,
}

/// Which of the three convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConvKind {
    /// `y[n,o,p,q] = sum over c,r,s of x[n,c,p*stride+r*dilation-pad,q*..] * w[o,c,r,s]`; operands x, w.
    Forward,
    /// The gradient for x from the gradient of y; operands dy, w; the space is x's `[n, c, h, w]`.
    InputGradient,
    /// The gradient for w from that of y; operands x, dy; the space is w's `[o, c / groups, kh, kw]`.
    WeightGradient,
}

/// A convolution over depth, height and width, of which missing ones have extent 1. All three tensors are
/// contiguous `[n, c, d, h, w]`, `[o, c / groups, kd, kh, kw]`, `[n, o, od, oh, ow]`, starting at `offsets`.
/// `Slot::Read(0)` and `Slot::Read(1)` are the operands in the order of [`ConvKind`], then `epilogue.reads`.
/// The epilogue's space is the axes of the result, without depth unless the convolution [is deep](ConvSpec::is_deep).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConvSpec {
    /// Which of the three.
    pub kind: ConvKind,
    /// Batch.
    pub n: u32,
    /// Input channels, all groups.
    pub c: u32,
    /// Input depth, height and width.
    pub input: [u32; 3],
    /// Output channels, all groups.
    pub o: u32,
    /// Window depth, height and width.
    pub kernel: [u32; 3],
    /// Output depth, height and width.
    pub output: [u32; 3],
    /// Steps of the window.
    pub stride: [u32; 3],
    /// Zeros before the first slab, row and column (those after follow from `output`).
    pub pad: [u32; 3],
    /// Distance between window elements.
    pub dilation: [u32; 3],
    /// Groups of channels that do not see each other.
    pub groups: u32,
    /// What the two operands hold: `F32` or `F16`.
    pub elements: [Element; 2],
    /// Where the two operands start in their buffers, in elements.
    pub offsets: [i64; 2],
    /// What becomes of each element.
    pub epilogue: Epilogue,
}

impl ConvSpec {
    /// Whether anything lies along the depth.
    #[must_use]
    pub fn is_deep(&self) -> bool {
        [self.input[0], self.kernel[0], self.output[0]] != [1; 3]
    }
}

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WindowKind {
    /// The largest value in the window (padding never wins); operand x.
    Max,
    /// The sum over the window divided by its full size (`count_pad`) or by what lies inside; operand x.
    Mean {
        /// Whether padding counts.
        count_pad: bool,
    },
    /// The gradient for x of `Max`; operands x, dy; goes to the first largest element in row-major order.
    MaxGradient,
    /// The gradient for x of `Mean`; operand dy.
    MeanGradient {
        /// Whether padding counts.
        count_pad: bool,
    },
}

/// Pooling over the last two axes of a contiguous `[n, c, h, w]`, and its gradient.
/// `Slot::Read(0..)` are the operands in the order of [`WindowKind`], then `epilogue.reads`.
/// The epilogue's space is the result's: `[n, c, oh, ow]`, or `[n, c, h, w]` for gradients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    /// Which.
    pub kind: WindowKind,
    /// `n` and `c`.
    pub planes: [u32; 2],
    /// Input height and width.
    pub input: [u32; 2],
    /// Window height and width.
    pub kernel: [u32; 2],
    /// Output height and width.
    pub output: [u32; 2],
    /// Steps of the window.
    pub stride: [u32; 2],
    /// Rows and columns of padding before the first.
    pub pad: [u32; 2],
    /// Distance between window elements.
    pub dilation: [u32; 2],
    /// What the operands hold: `F32` or `F16` (one for each operand of the kind).
    pub elements: Vec<Element>,
    /// Where the operands start in their buffers, in elements.
    pub offsets: Vec<i64>,
    /// What becomes of each element.
    pub epilogue: Epilogue,
}

/// What is computed along the lines of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LineKind {
    /// The element at the index that stands at each place, 0 where that lies outside; operands x, index.
    Gather,
    /// At each place the sum of the elements whose index it is; operands x, index.
    ScatterAdd,
    /// At each place the index of the element that stands there when the line is in order, equal ones as they
    /// lie; operand x.
    Order {
        /// Whether the largest comes first.
        descending: bool,
    },
    /// The sum of the elements up to each place; operand x.
    RunningSum {
        /// Whether the sum runs from the end.
        reverse: bool,
    },
}

/// Work along the lines of one axis. `Slot::Read(0..)` are the operands in the order of [`LineKind`], then
/// `epilogue.reads`. The epilogue's space is the result's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LineSpec {
    /// Which.
    pub kind: LineKind,
    /// The extents of the result.
    pub extents: Vec<u32>,
    /// The axis along which the lines lie.
    pub axis: usize,
    /// The extent of that axis of operand 0, and of the index of `ScatterAdd`; all other extents are the result's.
    pub length: u32,
    /// What each operand holds, and where over the result's axes.
    pub operands: Vec<(Element, Place)>,
    /// What becomes of each element.
    pub epilogue: Epilogue,
}

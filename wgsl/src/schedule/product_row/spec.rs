//! What the schedule of rows between products is given.

use serde::{Deserialize, Serialize};

use crate::access::{Place, Read, Write};
use crate::element::Element;
use crate::expr::Expr;
use crate::schedule::RowStep;

/// Rows whose values are products of stored operands, are reduced and mapped, and go into further products, without
/// being stored themselves. The space is `batch`, then `rows`, then `length`: one row for each point of `batch` and `rows`.
///
/// `Slot::Read(i)` is `factors[i]`, an operand of products, `Slot::Read(factors.len() + i)` is `reads[i]`. `Slot::Write(i)` is
/// `row_writes[i]`, `Slot::Write(row_writes.len() + k)` the result of `closings[k]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProductRowSpec {
    /// Axes along which nothing is shared.
    pub batch: Vec<u32>,
    /// Rows of one point of `batch`; they have their streamed operands in common.
    pub rows: u32,
    /// Points of a row.
    pub length: u32,
    /// What each tensor that the products read holds: `F32` or `F16`.
    pub factors: Vec<Element>,
    /// Operands `0..openings.len()` of every formula below, at each point.
    pub openings: Vec<Opening>,
    /// The operands that follow, over the whole space.
    pub reads: Vec<Read>,
    /// Reductions along the row in order; step `s` is the operand after all reads and earlier steps.
    pub steps: Vec<RowStep>,
    /// A formula of reads that do not vary along the row, and of steps; one result for each of `row_writes`.
    pub row_expr: Expr,
    /// Results with one element a row, over `batch` and `rows`.
    pub row_writes: Vec<Write>,
    /// A formula of openings, reads and steps; one `f32` for each of `closings`.
    pub values: Expr,
    /// What the values go into.
    pub closings: Vec<Closing>,
}

/// An operand of a product.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Factor {
    /// Which of the tensors that products read.
    pub slot: usize,
    /// Where, over the space followed by one more axis: the sum of an opening, the columns of a closing.
    pub place: Place,
}

/// The value at a point of a row: the sum over `c` of `row[.., c] * stream[.., c]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opening {
    /// The extent of the sum.
    pub depth: u32,
    /// What belongs to the row; does not vary along it.
    pub row: Factor,
    /// What belongs to the point; is the same for all rows of a batch.
    pub stream: Factor,
}

/// Column `n` of a row's result: the sum over its points of `value * stream[.., n]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Closing {
    /// How many columns there are.
    pub columns: u32,
    /// The other operand; is the same for all rows of a batch.
    pub stream: Factor,
    /// The result, over `batch`, `rows` and the columns.
    pub write: Write,
}

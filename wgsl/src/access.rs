//! How a kernel reads and writes tensors at a point of its iteration space.
//!
//! A kernel walks a space of `extents`; a point has one coordinate an axis. A tensor is read at
//! `offset + sum(coordinate[a] * strides[a])`, in elements: stride 0 broadcasts, swapped strides transpose,
//! an offset slices. The specifications of the schedules (`MapSpec`, ...) state the axes.

use serde::{Deserialize, Serialize};

use crate::element::Element;
use crate::expr::{Expr, Real};

/// One operand of a formula inside a kernel. It takes a place among the tensors of the launch
/// ([`crate::Slot::Read`]) only when it is [`Read::Buffer`] or [`Read::Padded`]; a `Slot::Read(i)` counts all
/// reads of the specification, whatever their kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Read {
    /// A tensor in memory.
    Buffer {
        /// What is stored.
        element: Element,
        /// Where, in elements.
        place: Place,
    },
    /// A tensor in memory that is `value` outside of its extents: `inside[a] = (low, extent)` says that
    /// coordinate `c` of axis `a` is inside when `low <= c < low + extent`; the place is computed from `c`
    /// itself (its offset already accounts for `low`).
    Padded {
        /// What is stored.
        element: Element,
        /// Where, in elements.
        place: Place,
        /// For each axis of the space, where the tensor lies in it.
        inside: Vec<(u32, u32)>,
        /// The value elsewhere.
        value: Real,
    },
    /// An `f32` (or `i32`) computed on the host once a step, from this slot of the host block.
    Host {
        /// Which of the 64 words.
        slot: u32,
        /// How its bits are read: `F32` or `I32`.
        element: Element,
    },
    /// The place itself, as an `i32`: `offset + sum(coordinate * stride)`.
    Iota {
        /// The number to make.
        place: Place,
    },
    /// A uniform `f32` in [0, 1), element number `place` of random stream `stream` at this seed and step.
    Random {
        /// Which of the program's streams.
        stream: u32,
        /// Which element of the stream.
        place: Place,
    },
}

/// An affine map from a point of the iteration space to a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The number at the origin.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: i64,
    /// What one step along each axis adds.
    pub strides: Vec<i64>,
}

/// One result of a kernel. Within one launch no two points of the space write one element.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Write {
    /// What is stored.
    pub element: Element,
    /// Where, in elements.
    pub place: Place,
}

/// Elementwise work after an anchor (a product, a convolution, a pooling): results from its value and more reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epilogue {
    /// Further operands, over the anchor's space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    /// Operand 0 is the anchor's value, operand `1 + i` is `reads[i]`; one result for each of `writes`.
    pub expr: Expr,
    /// The results, over the anchor's space.
    pub writes: Vec<Write>,
}

/// Whether a number is the one that is left out where an artifact is written.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

//! Tensors that outlive a step: weights, states and optimizer moments.
//!
//! Weights of one training group lie in one region, each at a 256-byte boundary, and so do their gradients
//! and each moment: an optimizer step is then one elementwise kernel over flat tensors. Gaps hold zeros.

use nnc_runtime::artifact::{Init, StoredKind};

use super::types::TensorType;

/// A stored tensor, by its place in [`super::Graph::stored`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredId(pub usize);

/// What is known of a stored tensor before memory is laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Its path, such as `layer1.0.conv.weight`; unique.
    pub path: String,
    /// What it is for.
    pub kind: StoredKind,
    /// Its type.
    pub ty: TensorType,
    /// Its first value.
    pub init: Init,
}

/// A flat region of stored tensors, or of as many optimizer moments.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatRegion {
    /// Its name, such as `weights` or `optimizer.m`.
    pub name: String,
    /// Its length, in elements.
    pub elements: usize,
    /// The tensors in it and where each begins, in elements.
    pub members: Vec<(StoredId, usize)>,
    /// The number it is filled with at first, where no member says otherwise.
    pub fill: f64,
}

/// Elements between two boundaries at which a stored `f32` tensor may begin: 256 bytes.
pub const ALIGNMENT: usize = 64;

/// Where tensors of these sizes begin in a flat region, and how long the region is; in elements.
#[must_use]
pub fn flat_layout(sizes: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut end = 0usize;
    for &size in sizes {
        offsets.push(end);
        end += size.next_multiple_of(ALIGNMENT);
    }
    (offsets, end)
}

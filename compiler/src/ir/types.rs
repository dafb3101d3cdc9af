//! Types of values: what is stored, and the extent of each axis.

use std::fmt;

use nnc_wgsl::Element;

/// The type of a tensor. Extents are numbers here: free dims are bound before a graph is built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// What is stored.
    pub element: Element,
    /// The extent of each axis, outermost first; empty for a single number.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A tensor of this element and shape.
    pub fn new(element: Element, shape: impl Into<Vec<usize>>) -> TensorType {
        TensorType { element, shape: shape.into() }
    }

    /// An `f32` tensor.
    pub fn f32(shape: impl Into<Vec<usize>>) -> TensorType {
        TensorType::new(Element::F32, shape)
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements; the largest number there is where they are more.
    #[must_use]
    pub fn size(&self) -> usize {
        elements(&self.shape)
    }

    /// The memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.element.bytes(self.size().min(usize::MAX / 8))
    }
}

/// The number of elements of this shape; the largest number there is where they are more.
#[must_use]
pub fn elements(shape: &[usize]) -> usize {
    shape.iter().fold(1, |count: usize, extent| count.saturating_mul(*extent))
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.element)?;
        if self.shape.is_empty() {
            return Ok(());
        }
        let extents: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", extents.join(", "))
    }
}

/// The strides of a contiguous tensor of this shape, in elements.
#[must_use]
pub fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides: Vec<usize> = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1].saturating_mul(shape[axis + 1]);
    }
    strides
}

/// The common shape of operands aligned on the right, where an extent of 1 (or a missing axis) repeats.
#[must_use]
pub fn broadcast_shape(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (axis, &extent) in shape.iter().enumerate() {
            let at = rank - shape.len() + axis;
            if result[at] == 1 {
                result[at] = extent;
            } else if extent != 1 && extent != result[at] {
                return None;
            }
        }
    }
    Some(result)
}

//! The window of a convolution, and the one rule that ties the extents of its three tensors.

use super::super::TypeError;
use crate::ir::{TensorType, for_each_point};

/// The window of a convolution: one number for each of its one or two axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// The step of the window.
    pub stride: Vec<usize>,
    /// Zeros before the first element.
    pub low: Vec<usize>,
    /// Zeros after the last element.
    pub high: Vec<usize>,
    /// The distance between elements of the window.
    pub dilation: Vec<usize>,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

impl ConvGeometry {
    /// Stride 1, no padding, no dilation, one group.
    #[must_use]
    pub fn plain(axes: usize) -> ConvGeometry {
        ConvGeometry {
            stride: vec![1; axes],
            low: vec![0; axes],
            high: vec![0; axes],
            dilation: vec![1; axes],
            groups: 1,
        }
    }

    /// The number of axes the window moves along.
    #[must_use]
    pub fn axes(&self) -> usize {
        self.stride.len()
    }

    pub(super) fn attributes(&self) -> String {
        let mut parts = Vec::new();
        if self.stride.iter().any(|&s| s != 1) {
            parts.push(format!("stride={}", super::super::by(&self.stride)));
        }
        if self.low == self.high {
            if self.low.iter().any(|&p| p != 0) {
                parts.push(format!("pad={}", super::super::by(&self.low)));
            }
        } else {
            let sides: Vec<String> =
                self.low.iter().zip(&self.high).map(|(l, h)| format!("{l}+{h}")).collect();
            parts.push(format!("pad={}", sides.join("x")));
        }
        if self.dilation.iter().any(|&d| d != 1) {
            parts.push(format!("dilation={}", super::super::by(&self.dilation)));
        }
        if self.groups != 1 {
            parts.push(format!("groups={}", self.groups));
        }
        parts.join(" ")
    }

    /// The shape of `y` from those of `x` and `w`.
    pub(super) fn output(&self, x: &TensorType, w: &TensorType) -> Result<Vec<usize>, TypeError> {
        let axes = self.axes();
        if x.rank() != axes + 2 || w.rank() != axes + 2 {
            return Err(TypeError::new(format!("a convolution over {axes} axes of {x} by {w}")));
        }
        let (c, o) = (x.shape[1], w.shape[0]);
        if c != w.shape[1] * self.groups || !o.is_multiple_of(self.groups) {
            return Err(TypeError::new(format!(
                "a convolution of {x} by {w} in {} groups: the channels do not fit",
                self.groups
            )));
        }
        let mut shape = vec![x.shape[0], o];
        for axis in 0..axes {
            let padded = x.shape[2 + axis] + self.low[axis] + self.high[axis];
            let window = self.dilation[axis] * (w.shape[2 + axis] - 1) + 1;
            if window > padded || self.stride[axis] == 0 {
                return Err(TypeError::new(format!(
                    "a window of {window} over {padded} elements along axis {}",
                    2 + axis
                )));
            }
            shape.push((padded - window) / self.stride[axis] + 1);
        }
        Ok(shape)
    }

    /// Calls `f(x place, w place, y place)` for every product of the convolution; places are coordinates.
    pub(super) fn for_each_product(
        &self,
        x: &[usize],
        w: &[usize],
        y: &[usize],
        mut f: impl FnMut(&[usize], &[usize], &[usize]),
    ) {
        let axes = self.axes();
        let (o_group, c_group) = (w[0] / self.groups, w[1]);
        let mut at_x = vec![0; axes + 2];
        for_each_point(y, |at_y| {
            let group = at_y[1] / o_group;
            at_x[0] = at_y[0];
            let mut window = vec![c_group];
            window.extend(&w[2..]);
            for_each_point(&window, |at_window| {
                at_x[1] = group * c_group + at_window[0];
                for axis in 0..axes {
                    let padded =
                        at_y[2 + axis] * self.stride[axis] + at_window[1 + axis] * self.dilation[axis];
                    if padded < self.low[axis] || padded - self.low[axis] >= x[2 + axis] {
                        return;
                    }
                    at_x[2 + axis] = padded - self.low[axis];
                }
                let mut at_w = vec![at_y[1]];
                at_w.extend(at_window);
                f(&at_x, &at_w, at_y);
            });
        });
    }
}

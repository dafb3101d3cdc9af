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

    /// Calls `f` for all products of the convolution, in runs along the last axis of y. For each element of y and of
    /// w the products come in row-major order of the others.
    pub(super) fn for_each_run(&self, x: &[usize], w: &[usize], y: &[usize], mut f: impl FnMut(Run)) {
        let (o_group, c_group) = (w[0] / self.groups, w[1]);
        let last = self.axes() - 1;
        let lines: Vec<usize> = y[2..2 + last].to_vec();
        for_each_point(&[y[0], w[0], c_group], |channels| {
            let (n, o, c) = (channels[0], channels[1], channels[2]);
            let x_plane = n * x[1] + o / o_group * c_group + c;
            let (w_plane, y_plane) = (o * c_group + c, n * y[1] + o);
            for_each_point(&w[2..], |at_w| {
                let window = row_major(w_plane, at_w, &w[2..]);
                let Some((first, past, x_first)) = self.inside(last, x[2 + last], y[2 + last], at_w[last])
                else {
                    return;
                };
                for_each_point(&lines, |at_y| {
                    let mut x_line = x_plane;
                    for axis in 0..last {
                        let padded = at_y[axis] * self.stride[axis] + at_w[axis] * self.dilation[axis];
                        match padded.checked_sub(self.low[axis]).filter(|&at| at < x[2 + axis]) {
                            Some(at) => x_line = x_line * x[2 + axis] + at,
                            None => return,
                        }
                    }
                    f(Run {
                        x: x_line * x[2 + last] + x_first,
                        x_step: self.stride[last],
                        w: window,
                        y: row_major(y_plane, at_y, &lines) * y[2 + last] + first,
                        count: past - first,
                    });
                });
            });
        });
    }

    /// The places of y along an axis, from the first to the one past the last, at which this place of the window lies
    /// inside x, and where in x it lies at the first.
    fn inside(&self, axis: usize, x: usize, y: usize, at_w: usize) -> Option<(usize, usize, usize)> {
        let (shift, low, stride) = (at_w * self.dilation[axis], self.low[axis], self.stride[axis]);
        let first = low.saturating_sub(shift).div_ceil(stride);
        let past = (x + low).checked_sub(shift + 1)? / stride + 1;
        let past = past.min(y);
        (first < past).then(|| (first, past, first * stride + shift - low))
    }
}

/// Products of one element of w with elements of x that are `x_step` apart, for neighbours in y; places in storage.
pub(super) struct Run {
    pub(super) x: usize,
    pub(super) x_step: usize,
    pub(super) w: usize,
    pub(super) y: usize,
    pub(super) count: usize,
}

/// The place of coordinates of these extents, in a tensor whose axes before are at `before`.
fn row_major(before: usize, at: &[usize], extents: &[usize]) -> usize {
    at.iter().zip(extents).fold(before, |place, (c, extent)| place * extent + c)
}

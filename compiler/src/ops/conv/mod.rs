//! Convolution over one to three axes, and its two gradients, each an operator of its own.
//!
//! Tensors are `x: [n, c, h, w]`, `w: [o, c / groups, kh, kw]`, `y: [n, o, p, q]` (or with one axis less or more), with
//!
//! `y[n,o,p,q] = sum over c,r,s of x[n, c, p*stride + r*dilation - low, q*..] * w[o, c, r, s]`.
//!
//! The map is linear in `x` and in `w`, so all three operators are made of each other's gradients.

mod forward;
mod geometry;
mod input_gradient;
mod weight_gradient;

pub use forward::Conv;
pub use geometry::ConvGeometry;
pub use input_gradient::ConvInputGradient;
pub use weight_gradient::ConvWeightGradient;

use super::Example;

pub(super) fn examples() -> Vec<Example> {
    [forward::examples(), input_gradient::examples(), weight_gradient::examples()].concat()
}

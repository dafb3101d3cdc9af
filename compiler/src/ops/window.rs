//! `window`: pooling over the last one or two axes, and its gradient as an operator of its own.
//!
//! | | |
//! |---|---|
//! | operands | `window`: `x: f32[.., h, w]`; `window_gradient`: `x` (max only), then `dy: f32[.., p, q]` |
//! | result | `f32[.., p, q]`, `p = (h + low + high - dilation * (kh - 1) - 1) / stride + 1`; `f32[.., h, w]` |
//! | gradient | `window_gradient`; that of max goes to the first largest element in row-major order |
//! | schedule | window |

use nnc_wgsl::schedule::WindowKind;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType, for_each_point};

/// What a pooling makes of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// The largest element; padding never wins.
    Max,
    /// The mean; with `count_pad`, padding counts as zeros.
    Mean {
        /// Whether padding counts.
        count_pad: bool,
    },
}

/// The window of a pooling: one number for each of its one or two axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowGeometry {
    /// The extent of the window.
    pub size: Vec<usize>,
    /// Its step.
    pub stride: Vec<usize>,
    /// Padding before the first element.
    pub low: Vec<usize>,
    /// Padding after the last element.
    pub high: Vec<usize>,
    /// The distance between elements of the window.
    pub dilation: Vec<usize>,
}

impl WindowGeometry {
    /// A window of this size that moves by its size.
    #[must_use]
    pub fn tiles(size: &[usize]) -> WindowGeometry {
        let axes = size.len();
        WindowGeometry {
            size: size.to_vec(),
            stride: size.to_vec(),
            low: vec![0; axes],
            high: vec![0; axes],
            dilation: vec![1; axes],
        }
    }

    fn attributes(&self) -> String {
        let mut parts = vec![format!("size={} stride={}", super::by(&self.size), super::by(&self.stride))];
        if self.low.iter().chain(&self.high).any(|&p| p != 0) {
            let sides: Vec<String> =
                self.low.iter().zip(&self.high).map(|(l, h)| format!("{l}+{h}")).collect();
            parts.push(format!("pad={}", sides.join("x")));
        }
        if self.dilation.iter().any(|&d| d != 1) {
            parts.push(format!("dilation={}", super::by(&self.dilation)));
        }
        parts.join(" ")
    }

    fn output(&self, x: &TensorType) -> Result<Vec<usize>, TypeError> {
        let axes = self.size.len();
        if x.rank() < axes {
            return Err(TypeError::new(format!("a window over {axes} axes of {x}")));
        }
        let outer = x.rank() - axes;
        let mut shape = x.shape[..outer].to_vec();
        for axis in 0..axes {
            let padded = x.shape[outer + axis] + self.low[axis] + self.high[axis];
            let window = self.dilation[axis] * (self.size[axis] - 1) + 1;
            let padding = self.low[axis].max(self.high[axis]);
            if window > padded || padding >= window || self.stride[axis] == 0 {
                return Err(TypeError::new(format!(
                    "a window of {window} with padding {padding} over {} elements",
                    x.shape[outer + axis]
                )));
            }
            let places = (padded - window) / self.stride[axis] + 1;
            let early = if self.dilation[axis] > x.shape[outer + axis] { self.low[axis] } else { 0 };
            let early = early.div_ceil(self.stride[axis]).min(places);
            let mut edges = (0..early).chain([places - 1]);
            if !edges.all(|place| self.reaches(axis, place, x.shape[outer + axis])) {
                return Err(TypeError::new(format!(
                    "a window whose elements lie {} apart around all {} elements",
                    self.dilation[axis],
                    x.shape[outer + axis]
                )));
            }
            shape.push(places);
        }
        Ok(shape)
    }

    /// Whether the window at an output place has an element inside, along one axis. One that begins inside has; one
    /// that begins before has, unless its elements lie further apart than there are any.
    fn reaches(&self, axis: usize, place: usize, extent: usize) -> bool {
        let (first, low) = (place * self.stride[axis], self.low[axis]);
        let missing = low.saturating_sub(first).div_ceil(self.dilation[axis]);
        missing < self.size[axis] && first + missing * self.dilation[axis] < low + extent
    }

    /// The coordinates of `x` in the window of output point `at`, in row-major order.
    fn inside(&self, x: &[usize], at: &[usize]) -> Vec<Vec<usize>> {
        let outer = at.len() - self.size.len();
        let mut points = Vec::new();
        for_each_point(&self.size, |tap| {
            let mut point = at[..outer].to_vec();
            for axis in 0..self.size.len() {
                let padded = at[outer + axis] * self.stride[axis] + tap[axis] * self.dilation[axis];
                if padded < self.low[axis] || padded - self.low[axis] >= x[outer + axis] {
                    return;
                }
                point.push(padded - self.low[axis]);
            }
            points.push(point);
        });
        points
    }

    #[allow(clippy::cast_precision_loss)]
    fn divisor(&self, count_pad: bool, inside: usize) -> f64 {
        if count_pad { self.size.iter().product::<usize>() as f64 } else { inside as f64 }
    }
}

/// The pooling; see the module.
#[derive(Clone, Debug)]
pub struct Window {
    pool: Pool,
    geometry: WindowGeometry,
}

impl Window {
    /// With this window.
    #[must_use]
    pub fn new(pool: Pool, geometry: WindowGeometry) -> Window {
        Window { pool, geometry }
    }
}

fn pool_name(pool: Pool) -> &'static str {
    match pool {
        Pool::Max => "max",
        Pool::Mean { count_pad: true } => "mean",
        Pool::Mean { count_pad: false } => "mean_inside",
    }
}

fn largest(x: &Tensor, points: &[Vec<usize>]) -> Vec<usize> {
    let mut best = &points[0];
    for point in points {
        if x.at(point) > x.at(best) {
            best = point;
        }
    }
    best.clone()
}

impl Operator for Window {
    fn label(&self) -> String {
        format!("window{{{} {}}}", pool_name(self.pool), self.geometry.attributes())
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 1, "window")?;
        super::floats(operands, "window")?;
        Ok(TensorType::f32(self.geometry.output(operands[0])?))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let shape = cx.shape(0);
        let input = &shape[shape.len() - self.geometry.size.len()..];
        let gradient = WindowGradient::new(self.pool, self.geometry.clone(), input);
        let operands = match self.pool {
            Pool::Max => vec![cx.operands[0], cx.upstream],
            Pool::Mean { .. } => vec![cx.upstream],
        };
        Ok(vec![Some(cx.graph.must(gradient, &operands))])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let x = operands[0];
        let axes = self.geometry.size.len();
        let outer = x.shape().len() - axes;
        let mut shape = x.shape()[..outer].to_vec();
        for axis in 0..axes {
            let padded = x.shape()[outer + axis] + self.geometry.low[axis] + self.geometry.high[axis];
            let window = self.geometry.dilation[axis] * (self.geometry.size[axis] - 1) + 1;
            shape.push((padded - window) / self.geometry.stride[axis] + 1);
        }
        Tensor::from_fn(shape, |at| {
            let points = self.geometry.inside(x.shape(), at);
            match self.pool {
                Pool::Max => x.at(&largest(x, &points)),
                Pool::Mean { count_pad } => {
                    points.iter().map(|p| x.at(p)).sum::<f64>()
                        / self.geometry.divisor(count_pad, points.len())
                }
            }
        })
    }

    fn lower(&self) -> Lowering {
        let kind = match self.pool {
            Pool::Max => WindowKind::Max,
            Pool::Mean { count_pad } => WindowKind::Mean { count_pad },
        };
        Lowering::Window { kind, geometry: self.geometry.clone() }
    }
}

/// The gradient of a pooling for its input; see the module.
#[derive(Clone, Debug)]
pub struct WindowGradient {
    pool: Pool,
    geometry: WindowGeometry,
    input: Vec<usize>,
}

impl WindowGradient {
    /// With this window, for an input whose last axes have these extents.
    #[must_use]
    pub fn new(pool: Pool, geometry: WindowGeometry, input: &[usize]) -> WindowGradient {
        WindowGradient { pool, geometry, input: input.to_vec() }
    }
}

impl Operator for WindowGradient {
    fn label(&self) -> String {
        let (pool, attributes) = (pool_name(self.pool), self.geometry.attributes());
        format!("window_gradient{{{pool} {attributes} to={}}}", super::by(&self.input))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        let takes_x = self.pool == Pool::Max;
        super::arity(operands, if takes_x { 2 } else { 1 }, "window_gradient")?;
        super::floats(operands, "window_gradient")?;
        let dy = operands[operands.len() - 1];
        let outer = dy.rank().saturating_sub(self.input.len());
        let mut shape = dy.shape[..outer].to_vec();
        shape.extend(&self.input);
        let result = TensorType::f32(shape);
        if self.geometry.output(&result)? != dy.shape || (takes_x && *operands[0] != result) {
            return Err(TypeError::new(format!("`{}` of {dy}", self.label())));
        }
        Ok(result)
    }

    fn gradient(&self, _: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        Err(NotDifferentiable { operator: self.label() })
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let dy = operands[operands.len() - 1];
        let outer = dy.shape().len() - self.input.len();
        let mut shape = dy.shape()[..outer].to_vec();
        shape.extend(&self.input);
        let mut dx = Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
        for_each_point(dy.shape(), |at| {
            let points = self.geometry.inside(&shape, at);
            match self.pool {
                Pool::Max => {
                    let place = dx.place(&largest(operands[0], &points));
                    dx.data_mut()[place] += dy.at(at);
                }
                Pool::Mean { count_pad } => {
                    let share = dy.at(at) / self.geometry.divisor(count_pad, points.len());
                    for point in &points {
                        let place = dx.place(point);
                        dx.data_mut()[place] += share;
                    }
                }
            }
        });
        dx
    }

    fn lower(&self) -> Lowering {
        let kind = match self.pool {
            Pool::Max => WindowKind::MaxGradient,
            Pool::Mean { count_pad } => WindowKind::MeanGradient { count_pad },
        };
        Lowering::Window { kind, geometry: self.geometry.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let overlapping = WindowGeometry {
        size: vec![3, 3],
        stride: vec![2, 2],
        low: vec![1, 1],
        high: vec![1, 1],
        dilation: vec![1, 1],
    };
    let dilated =
        WindowGeometry { dilation: vec![2, 1], stride: vec![1, 1], ..WindowGeometry::tiles(&[2, 2]) };
    let apart = WindowGeometry { stride: vec![3, 4], ..WindowGeometry::tiles(&[2, 2]) };
    let padded =
        WindowGeometry { stride: vec![2], low: vec![1], high: vec![1], ..WindowGeometry::tiles(&[3]) };
    let windows = [
        (WindowGeometry::tiles(&[2, 2]), vec![2, 3, 4, 6]),
        (apart, vec![1, 2, 8, 7]),
        (padded, vec![2, 2, 9]),
        (overlapping, vec![2, 2, 5, 6]),
        (dilated, vec![1, 2, 5, 4]),
        (WindowGeometry::tiles(&[3]), vec![2, 2, 10]),
        (WindowGeometry { high: vec![1, 2], ..WindowGeometry::tiles(&[2, 3]) }, vec![1, 2, 5, 7]),
    ];
    let mut examples = Vec::new();
    for (geometry, shape) in windows {
        for pool in [Pool::Max, Pool::Mean { count_pad: true }, Pool::Mean { count_pad: false }] {
            let x = TensorType::f32(shape.clone());
            let y = TensorType::f32(geometry.output(&x).expect("the example's shapes fit"));
            let input = &shape[shape.len() - geometry.size.len()..];
            let gradient = WindowGradient::new(pool, geometry.clone(), input);
            examples.push(Example::new(Window::new(pool, geometry.clone()), std::slice::from_ref(&x)));
            let operands = if pool == Pool::Max { vec![x, y] } else { vec![y] };
            examples.push(Example::new(gradient, &operands));
        }
    }
    examples
}

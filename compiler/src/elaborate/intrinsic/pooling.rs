//! Windows over the spatial axes, and repetition of their elements.

use std::mem::take;

use nnc_wgsl::Binary;

use super::convolution::{Side, margins, padding, windows};
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Broadcast, Pad, Pool, Window, WindowGeometry};

const WINDOW: &[&str] = &["x", "size", "stride", "pad", "dilation?", "ceil?"];

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "window_max", parameters: WINDOW, run: window_max },
    Intrinsic { name: "window_sum", parameters: WINDOW, run: window_sum },
    Intrinsic {
        name: "window_mean",
        parameters: &["x", "size", "stride", "pad", "dilation?", "ceil?", "count_pad?"],
        run: window_mean,
    },
    Intrinsic { name: "enlarge", parameters: &["x", "by"], run: enlarge },
    Intrinsic { name: "surround", parameters: &["x", "by", "value?", "axis?"], run: surround },
];

/// A pooling as it was called.
struct Pooling {
    x: Tensor,
    sides: Vec<Side>,
    /// How far the last window of each axis lies over the padding's end.
    over: Vec<usize>,
}

fn pooling<'a>(e: &mut Elaborator<'a>, call: &Call<'a>) -> Outcome<Pooling> {
    let x = e.spatial_argument(call, "x")?;
    let axes = x.rank().saturating_sub(2);
    let sizes = e.sides_from_one(call, "size", axes)?;
    let strides = e.sides_from_one(call, "stride", axes)?;
    let dilations = match call.optional("dilation") {
        Some(_) => e.sides_from_one(call, "dilation", axes)?,
        None => vec![1; axes],
    };
    let ceil = e.bool_argument(call, "ceil", false)?;
    let sides = padding(e, call, &x, &sizes, &strides, &dilations)?;
    for side in &sides {
        let (pad, window) = (side.low.max(side.high), side.window());
        if pad >= window && window > 0 {
            let name = e.spoken_inside(call);
            let message = format!("the padding of `{name}` is as large as its window");
            let diagnostic = Diagnostic::error("E0303", message, call.span)
                .fact(format!("a window of {window}, {pad} of padding"))
                .note("a window that lies in the padding alone has no elements")
                .help(format!("at most {} here; `pad` as a layer before adds any number", window - 1));
            return Err(e.report(diagnostic));
        }
    }
    let mut over = vec![0; axes];
    for (axis, side) in sides.iter().enumerate().filter(|_| ceil) {
        over[axis] = overhang(*side, x.dims[2 + axis].size());
    }
    Ok(Pooling { x, sides, over })
}

/// How far the last window of an axis lies over the end, where windows that begin inside or before are kept.
fn overhang(side: Side, extent: usize) -> usize {
    let padded = side.low + extent + side.high;
    let Some(rest) = padded.checked_sub(side.window()) else { return 0 };
    let mut last = rest.div_ceil(side.stride);
    if last * side.stride >= extent + side.low {
        last -= 1;
    }
    (last * side.stride + side.window()).saturating_sub(padded)
}

fn window_max<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let mut pooling = pooling(e, &call)?;
    pooling.sides.iter_mut().zip(&pooling.over).for_each(|(side, over)| side.high += over);
    pooled(e, &call, &pooling.x, &pooling.sides, Pool::Max).map(Value::Tensor)
}

fn window_sum<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let mut pooling = pooling(e, &call)?;
    pooling.sides.iter_mut().zip(&pooling.over).for_each(|(side, over)| side.high += over);
    let mean = pooled(e, &call, &pooling.x, &pooling.sides, Pool::Mean { count_pad: true })?;
    #[allow(clippy::cast_precision_loss)]
    let count = pooling.sides.iter().map(|side| side.size as f64).product();
    e.mark(call.span);
    let node = e.graph.map(&[mean.node], |b, x| {
        let count = b.real(count);
        b.binary(Binary::Mul, x[0], count)
    });
    Ok(Value::Tensor(Tensor { node, ..mean }))
}

/// The mean over what lies inside, or inside and in the padding; never over what lies behind the padding.
fn window_mean<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let mut pooling = pooling(e, &call)?;
    let mut count_pad = e.bool_argument(&call, "count_pad", true)?;
    if pooling.over.iter().any(|over| *over > 0) {
        if count_pad && pooling.sides.iter().any(|side| side.low + side.high > 0) {
            let mut by = vec![(0, 0); 2];
            by.extend(pooling.sides.iter_mut().map(|side| (take(&mut side.low), take(&mut side.high))));
            pooling.x = padded(e, &call, &pooling.x, &by, 0.0)?;
        }
        count_pad = false;
        pooling.sides.iter_mut().zip(&pooling.over).for_each(|(side, over)| side.high += over);
    }
    pooled(e, &call, &pooling.x, &pooling.sides, Pool::Mean { count_pad }).map(Value::Tensor)
}

/// The pooling of the spatial axes. Over three axes it is one over the last two, and then one over the first: a
/// largest element is the largest of largest ones, the first of them in row-major order too, and a mean over a box
/// that of means.
fn pooled<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    sides: &[Side],
    pool: Pool,
) -> Outcome<Tensor> {
    let mut dims = x.dims[..2].to_vec();
    for (axis, side) in sides.iter().enumerate() {
        dims.push(windows(e, call, x, &x.dims[2 + axis], *side)?);
    }
    let &[depth, height, width] = sides else {
        return e.node(call, Window::new(pool, geometry(sides)), &[x], dims);
    };
    let mut flat = dims.clone();
    flat[2] = x.dims[2].clone();
    let slabs = e.node(call, Window::new(pool, geometry(&[height, width])), &[x], flat)?;
    let one = Side { size: 1, stride: 1, dilation: 1, low: 0, high: 0 };
    if depth.window() == 1 && depth.stride == 1 && depth.low + depth.high == 0 {
        return Ok(slabs);
    }
    let Some(places) = dims[3].multiply(&dims[4]) else {
        return e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large");
    };
    let in_lines = |depth: &Dim| vec![dims[0].clone(), dims[1].clone(), depth.clone(), places.clone()];
    let shape: Vec<usize> = in_lines(&x.dims[2]).iter().map(Dim::size).collect();
    let lines = e.graph.reshape(slabs.node, &shape);
    let lines = Tensor { node: lines, dims: in_lines(&x.dims[2]), ..slabs.clone() };
    let window = Window::new(pool, geometry(&[depth, one]));
    let pooled = e.node(call, window, &[&lines], in_lines(&dims[2]))?;
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(pooled.node, &shape);
    Ok(Tensor { node, dims, ..slabs })
}

fn geometry(sides: &[Side]) -> WindowGeometry {
    let all = |f: fn(&Side) -> usize| sides.iter().map(f).collect::<Vec<_>>();
    WindowGeometry {
        size: all(|side| side.size),
        stride: all(|side| side.stride),
        low: all(|side| side.low),
        high: all(|side| side.high),
        dilation: all(|side| side.dilation),
    }
}

/// Every element of the spatial axes `by` times.
fn enlarge<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.spatial_argument(&call, "x")?;
    let by = e.sides(&call.given("by"), x.rank().saturating_sub(2))?;
    let mut dims = x.dims[..2].to_vec();
    let (mut apart, mut repeated) = (x.shape()[..2].to_vec(), x.shape()[..2].to_vec());
    for (axis, by) in by.iter().enumerate() {
        let dim = &x.dims[2 + axis];
        let factor = Dim::constant(i64::try_from(*by).unwrap_or(1));
        match dim.multiply(&factor) {
            Some(dim) => dims.push(dim),
            None => return e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large"),
        }
        apart.extend([dim.size(), 1]);
        repeated.extend([dim.size(), *by]);
    }
    e.result_fits(&call, &dims)?;
    e.mark(call.span);
    let node = e.graph.reshape(x.node, &apart);
    let node = e.graph.must(Broadcast::new(&repeated), &[node]);
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(node, &shape);
    let tensor = e.tensor(node, dims);
    let made = e.made(call.span, call.name);
    Ok(Value::Tensor(Tensor { made, ..tensor }))
}

/// `by` elements around every spatial axis, or around one.
fn surround<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let by = call.given("by");
    let value = match call.optional("value") {
        Some(given) => e.real(&given.value, given.span)?,
        None => 0.0,
    };
    let mut all = vec![(0, 0); x.rank()];
    if let Some(given) = call.optional("axis") {
        let axis = e.whole(&given.value, given.span)?.extent();
        let axis = e.axis(&call, axis, x.rank(), given.span)?;
        all[axis] = margins(e, &by, 1)?[0];
    } else {
        e.spatial_argument(&call, "x")?;
        all.truncate(2);
        all.extend(margins(e, &by, x.rank().saturating_sub(2))?);
    }
    padded(e, &call, &x, &all, value).map(Value::Tensor)
}

/// Elements before and after each axis.
fn padded<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    by: &[(usize, usize)],
    value: f64,
) -> Outcome<Tensor> {
    let (low, high): (Vec<usize>, Vec<usize>) = by.iter().copied().unzip();
    let mut dims = Vec::with_capacity(by.len());
    for (dim, (before, after)) in x.dims.iter().zip(by) {
        match dim.add(&Dim::constant(i64::try_from(before + after).unwrap_or(0))) {
            Some(dim) => dims.push(dim),
            None => return e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large"),
        }
    }
    e.node(call, Pad::new(&low, &high, value), &[x], dims)
}

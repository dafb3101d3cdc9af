//! Windows over the spatial axes, and repetition of their elements.

use super::convolution::{padding, windows};
use super::{Call, Intrinsic};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Broadcast, Pad, Pool, Window, WindowGeometry};

const WINDOW: &[&str] = &["x", "size", "stride", "pad"];

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "window_max", parameters: WINDOW, run: |e, c| pool(e, &c, Pool::Max) },
    Intrinsic {
        name: "window_mean",
        parameters: WINDOW,
        run: |e, c| pool(e, &c, Pool::Mean { count_pad: true }),
    },
    Intrinsic { name: "enlarge", parameters: &["x", "by"], run: enlarge },
    Intrinsic { name: "surround", parameters: &["x", "by", "value?"], run: surround },
];

fn pool<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, pool: Pool) -> Outcome<Value<'a>> {
    let x = e.image_argument(call, "x")?;
    let axes = x.rank().saturating_sub(2);
    let sizes = e.sides(&call.given("size"), axes)?;
    let strides = e.sides(&call.given("stride"), axes)?;
    let ones = vec![1; axes];
    let sides = padding(e, call, &x, &sizes, &strides, &ones)?;
    let mut dims = x.dims[..2].to_vec();
    for (axis, side) in sides.iter().enumerate() {
        dims.push(windows(e, call, &x, &x.dims[2 + axis], *side)?);
    }
    let geometry = WindowGeometry {
        size: sizes,
        stride: strides,
        low: sides.iter().map(|side| side.low).collect(),
        high: sides.iter().map(|side| side.high).collect(),
        dilation: ones,
    };
    e.node(call, Window::new(pool, geometry), &[&x], dims).map(Value::Tensor)
}

/// Every element of the spatial axes `by` times.
fn enlarge<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.image_argument(&call, "x")?;
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

/// `by` elements around every spatial axis.
fn surround<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.image_argument(&call, "x")?;
    let by = e.sides(&call.given("by"), x.rank().saturating_sub(2))?;
    let value = match call.optional("value") {
        Some(given) => e.real(&given.value, given.span)?,
        None => 0.0,
    };
    let mut low = vec![0; 2];
    low.extend(&by);
    let mut dims = x.dims[..2].to_vec();
    for (axis, by) in by.iter().enumerate() {
        let more = Dim::constant(2 * i64::try_from(*by).unwrap_or(0));
        match x.dims[2 + axis].add(&more) {
            Some(dim) => dims.push(dim),
            None => return e.fail("E0304", call.span, "this number does not fit in 64 bits", "too large"),
        }
    }
    e.node(&call, Pad::new(&low, &low, value), &[&x], dims).map(Value::Tensor)
}

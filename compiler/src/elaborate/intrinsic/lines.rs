//! Along one axis: elements looked up by an index, the order of elements, running sums.

use nnc_wgsl::{Binary, Element, Scalar};

use super::reduction::{LARGEST, as_floats, counted};
use super::requirement::Held;
use super::shape::reshaped;
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::value::{Tensor, Value};
use crate::ir::NodeId;
use crate::ops::{Broadcast, Gather, Order, RunningSum};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "take", parameters: &["x", "index", "axis?", "outside?"], run: take },
    Intrinsic { name: "gather", parameters: &["x", "index", "axis?", "outside?"], run: gather },
    Intrinsic { name: "argsort", parameters: &["x", "axis?", "descending?"], run: argsort },
    Intrinsic { name: "cumsum", parameters: &["x", "axis?", "reverse?"], run: cumsum },
];

/// `x` with an axis replaced by those of the index: at each of its places the part of `x` that it names.
fn take<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (x, index) = operands(e, &call)?;
    let axis = e.whole_argument(&call, "axis", 0)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    inside(e, &call, &x, &index, axis)?;
    let mut dims = x.dims[..axis].to_vec();
    dims.extend(index.dims.iter().cloned());
    dims.extend(x.dims[axis + 1..].iter().cloned());
    e.result_fits(&call, &dims)?;
    e.mark(call.span);
    let count: usize = index.shape().iter().product();
    let mut line = vec![1; x.rank()];
    line[axis] = count;
    let mut wide = x.shape();
    wide[axis] = count;
    let places = e.graph.reshape(index.node, &line);
    let places = spread(e, places, &wide);
    let node = looked_up(e, &call, &index, [x.node, places], axis)?;
    let found = Tensor { node, made: None, range: None, ..x };
    reshaped(e, &call, &found, dims)
}

/// For each element of the index the element of `x` that it names along an axis; other axes are equal, or 1 in one.
fn gather<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (x, index) = operands(e, &call)?;
    let axis = e.whole_argument(&call, "axis", -1)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let one = Dim::constant(1);
    let fits = x.rank() == index.rank()
        && (0..x.rank())
            .all(|a| a == axis || x.dims[a] == index.dims[a] || x.dims[a] == one || index.dims[a] == one);
    if !fits {
        let name = e.spoken_inside(&call);
        let mut wanted = x.dims.clone();
        if let Some(along) = index.dims.get(axis) {
            wanted[axis] = along.clone();
        }
        let diagnostic = Diagnostic::error("E0301", format!("the shapes of `{name}` do not fit"), call.span)
            .fact(format!("{} looked up by {}", x.show(), index.show()))
            .note(format!("the index must be i32{}, or 1 where it is the same for all", show_dims(&wanted)));
        return Err(e.report(diagnostic));
    }
    inside(e, &call, &x, &index, axis)?;
    let dims: Vec<Dim> = (0..x.rank())
        .map(|a| if a == axis || x.dims[a] == one { index.dims[a].clone() } else { x.dims[a].clone() })
        .collect();
    e.result_fits(&call, &dims)?;
    e.mark(call.span);
    let wide: Vec<usize> = dims.iter().map(Dim::size).collect();
    let mut long = wide.clone();
    long[axis] = x.dims[axis].size();
    let (elements, places) = (spread(e, x.node, &long), spread(e, index.node, &wide));
    let node = looked_up(e, &call, &index, [elements, places], axis)?;
    let made = e.made(call.span, call.name);
    Ok(Value::Tensor(Tensor { node, element: x.element, dims, made, range: None }))
}

/// The elements at these places along an axis. Where a place lies outside it is the number `outside`, or else none, which a
/// run says when it meets it; of whole numbers, none of which is not a number, it is 0 then.
fn looked_up<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    index: &Tensor,
    [elements, places]: [NodeId; 2],
    axis: usize,
) -> Outcome<NodeId> {
    let (extent, element) = (e.graph.ty(elements).shape[axis], e.graph.ty(elements).element);
    let found = e.graph.must(Gather::new(axis), &[elements, places]);
    let outside = match call.optional("outside") {
        Some(given) => e.real(&given.value, given.span)?,
        None if element == Element::I32 => 0.0,
        None => f64::NAN,
    };
    if outside == 0.0 {
        return Ok(found);
    }
    let high = i32::try_from(extent).unwrap_or(i32::MAX);
    let node = e.graph.map(&[found, places], |b, x| {
        let (low, high) = (b.int(0), b.int(high));
        let (below, above) = (b.binary(Binary::Lt, x[1], low), b.binary(Binary::Ge, x[1], high));
        let lost = b.binary(Binary::Or, below, above);
        let (other, zero) = (b.real(outside), b.real(0.0));
        let (other, zero) = match element {
            Element::I32 => (b.cast(Scalar::I32, other), b.int(0)),
            _ => (other, zero),
        };
        // Added to the 0 that was found, so that the gradient passes: a mask of it would be a kernel of its own.
        let more = b.select(lost, other, zero);
        b.binary(Binary::Add, x[0], more)
    });
    if outside.is_nan() {
        let name = e.spoken_inside(call).to_owned();
        let text = format!("every number that `{name}` looks up lies in 0..{extent}");
        e.must_hold(node, Held::Inside(index.clone(), extent), &text);
    }
    Ok(node)
}

fn spread(e: &mut Elaborator<'_>, node: NodeId, shape: &[usize]) -> NodeId {
    if e.graph.ty(node).shape == shape { node } else { e.graph.must(Broadcast::new(shape), &[node]) }
}

fn operands<'a>(e: &mut Elaborator<'a>, call: &Call<'a>) -> Outcome<(Tensor, Tensor)> {
    let x = e.tensor_argument(call, "x")?;
    let index = e.tensor_argument(call, "index")?;
    if index.element != Element::I32 {
        let span = call.given("index").span;
        let name = e.spoken_inside(call);
        let message = format!("`{name}` needs whole numbers to choose by");
        return e.fail("E0312", span, message, format!("found {}", index.show()));
    }
    let x = if x.element == Element::I32 { x } else { as_floats(e, call, &x) };
    Ok((x, index))
}

/// Numbers of known range must lie along the axis.
fn inside<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    index: &Tensor,
    axis: usize,
) -> Outcome<()> {
    let Some(&(low, high, said)) = index.range.as_deref() else { return Ok(()) };
    let extent = x.dims[axis].extent();
    if low >= 0 && high <= extent {
        return Ok(());
    }
    let name = e.spoken_inside(call);
    let message = format!("`{name}` has {extent} entries, the numbers choose from {}", high - low.min(0));
    let diagnostic = Diagnostic::error("E0402", message, call.span)
        .label(said, format!("the numbers run over {low}..{high}"));
    let help = if low < 0 {
        format!("entries count from 0: declare the numbers in `0..{extent}`")
    } else {
        format!("give it {high} entries, or, if there are {extent}, declare the numbers in `0..{extent}`")
    };
    let diagnostic = diagnostic.help(help);
    Err(e.report(diagnostic))
}

/// Which element stands where when the lines of an axis are in order; equal ones stay as they lie. Examples that an
/// evaluation does not count come last.
fn argsort<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", -1)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let descending = e.bool_argument(&call, "descending", false)?;
    let x = if x.element == Element::I32 { x } else { as_floats(e, &call, &x) };
    let x = counted(e, &call, x, &[axis], if descending { -LARGEST } else { LARGEST })?;
    let dims = x.dims.clone();
    e.node(&call, Order::new(axis, descending), &[&x], dims).map(Value::Tensor)
}

/// The sum of the elements up to each place of an axis.
fn cumsum<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", -1)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let reverse = e.bool_argument(&call, "reverse", false)?;
    let x = as_floats(e, &call, &x);
    let x = if reverse { counted(e, &call, x, &[axis], 0.0)? } else { x };
    let dims = x.dims.clone();
    e.node(&call, RunningSum::new(axis, reverse), &[&x], dims).map(Value::Tensor)
}

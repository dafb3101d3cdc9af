//! The same elements under another shape, joined and split.

use super::index::Part;
use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Concat, Permute, Slice};
use crate::source::Span;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "flatten", parameters: &["x"], run: flatten },
    Intrinsic { name: "transpose", parameters: &["x"], run: transpose },
    Intrinsic { name: "along", parameters: &["vector", "axis", "like"], run: along },
    Intrinsic { name: "concat", parameters: &["*x", "axis?"], run: concat },
    Intrinsic { name: "split", parameters: &["x", "parts", "axis?"], run: split },
    Intrinsic { name: "window", parameters: &["x", "axis", "from", "size"], run: window },
    Intrinsic { name: "new_axis", parameters: &["x"], run: new_axis },
    Intrinsic { name: "vector", parameters: &["list"], run: vector },
    Intrinsic { name: "reverse", parameters: &["x", "axis"], run: reverse },
];

/// `[N, ..]` as `[N, product]`.
fn flatten<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let Some((first, rest)) = x.dims.split_first() else {
        return e.fail("E0303", call.span, "`flatten` of a single number", "found f32");
    };
    let mut total = Dim::constant(1);
    for dim in rest {
        total = match total.multiply(dim) {
            Some(total) => total,
            None => return e.fail("E0204", call.span, "this number does not fit in 64 bits", "too large"),
        };
    }
    let dims = vec![first.clone(), total];
    reshaped(e, &call, &x, dims)
}

/// `x` under `dims`, which have as many elements.
pub(super) fn reshaped<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    dims: Vec<Dim>,
) -> Outcome<Value<'a>> {
    e.result_fits(call, &dims)?;
    e.mark(call.span);
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(x.node, &shape);
    let made = e.made(call.span, call.name);
    Ok(Value::Tensor(Tensor { node, element: x.element, dims, made, range: None }))
}

/// Swaps the last two axes.
fn transpose<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    if x.rank() < 2 {
        let fact = format!("found {}", x.show());
        return e.fail("E0303", call.span, "`transpose` needs a matrix", fact);
    }
    let mut axes: Vec<usize> = (0..x.rank()).collect();
    axes.swap(x.rank() - 2, x.rank() - 1);
    let dims = axes.iter().map(|axis| x.dims[*axis].clone()).collect();
    e.node(&call, Permute::new(&axes), &[&x], dims).map(Value::Tensor)
}

/// A vector laid along one axis of `like`, so that the two broadcast.
fn along<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let vector = e.tensor_argument(&call, "vector")?;
    let like = e.tensor_argument(&call, "like")?;
    let axis = e.whole_argument(&call, "axis", 0)?;
    let axis = e.axis(&call, axis, like.rank(), call.span)?;
    if vector.dims.as_slice() != std::slice::from_ref(&like.dims[axis]) {
        let fact = format!("{} along axis {axis} of {}", vector.show(), like.show());
        return e.fail("E0301", call.span, "the vector does not fit the axis", fact);
    }
    let dims: Vec<Dim> = (0..like.rank())
        .map(|other| if other == axis { like.dims[axis].clone() } else { Dim::constant(1) })
        .collect();
    reshaped(e, &call, &vector, dims)
}

fn concat<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let mut parts: Vec<(Tensor, Span)> = Vec::new();
    for given in &call.rest {
        let values = match &given.value {
            Value::List(values) => values.clone(),
            value => vec![value.clone()],
        };
        for value in values {
            let one = Given { name: None, value, span: given.span };
            parts.push((e.tensor_given(&call, &one)?, given.span));
        }
    }
    let Some((first, first_span)) = parts.first().cloned() else {
        return e.fail("E0203", call.name_span, "`concat` needs inputs", "of nothing");
    };
    let axis = e.whole_argument(&call, "axis", 1)?;
    let axis = e.axis(&call, axis, first.rank(), call.span)?;
    let mut total = Dim::constant(0);
    for (part, span) in &parts {
        let differs = if part.rank() == first.rank() {
            (0..first.rank()).find(|other| *other != axis && part.dims[*other] != first.dims[*other])
        } else {
            Some(part.rank())
        };
        if let Some(other) = differs {
            let message = format!("`concat` joins along dim {axis}; the other dims must be equal");
            let mut diagnostic =
                Diagnostic::error("E0305", message, *span).fact(part.show()).label(first_span, first.show());
            diagnostic = match (part.dims.get(other), first.dims.get(other)) {
                (Some(here), Some(there)) => {
                    diagnostic.note(format!("dim {other} is {here} here and {there} in the first"))
                }
                _ => diagnostic.note(format!("{} dims here and {} in the first", part.rank(), first.rank())),
            };
            let spatial = first.rank() == 4 && other >= 2;
            let help = spatial.then(|| "give both branches the same `stride` and `pad`".to_owned());
            let help = help
                .or_else(|| (axis == 1 && first.rank() == 3).then(|| "the last dim is `axis=-1`".to_owned()));
            return Err(e.report(diagnostic.help_maybe(help)));
        }
        if part.element != first.element {
            let message = "`concat` joins tensors of one element type";
            return e.fail("E0312", *span, message, format!("{} and {}", part.element, first.element));
        }
        total = match total.add(&part.dims[axis]) {
            Some(total) => total,
            None => return e.fail("E0204", call.span, "this number does not fit in 64 bits", "too large"),
        };
    }
    let mut dims = first.dims.clone();
    if e.expansion == Expansion::Evaluation && parts.len() > 1 && first.dims[axis].has_batch() {
        if let Some((part, span)) = parts.iter().find(|(part, _)| !part.dims[axis].is_batch()) {
            let message = format!("`{}` cannot be counted behind the batch dim", part.dims[axis]);
            return e.fail("E0208", *span, message, "in evaluation");
        }
        e.joined.push(total.clone());
    }
    dims[axis] = total;
    let tensors: Vec<&Tensor> = parts.iter().map(|(tensor, _)| tensor).collect();
    e.node(&call, Concat::new(axis), &tensors, dims).map(Value::Tensor)
}

/// `parts` equal pieces along an axis, as several outputs.
fn split<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", -1)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let parts = call.given("parts");
    let count = e.whole(&parts.value, parts.span)?;
    let piece = match x.dims[axis].divide_exactly(&count) {
        Some(piece) if count.extent() > 0 => piece,
        _ => {
            let message = format!("{} does not split in {count} equal parts", x.dims[axis]);
            return e.fail("E0306", call.span, message, format!("axis {axis} of {}", x.show()));
        }
    };
    e.spend(count.size(), call.span)?;
    let mut dims = x.dims.clone();
    dims[axis] = piece.clone();
    let extent: Vec<usize> = dims.iter().map(Dim::size).collect();
    let ones = vec![1; x.rank()];
    let mut out = Vec::new();
    for part in 0..count.size() {
        let mut start = vec![0; x.rank()];
        start[axis] = part * piece.size();
        let slice = Slice::new(&start, &extent, &ones);
        out.push(Value::Tensor(e.node(&call, slice, &[&x], dims.clone())?));
    }
    Ok(Value::Outputs(out))
}

/// `size` elements along an axis.
fn window<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", 0)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    let from = call.given("from");
    let from = e.count(&from.value, from.span)?;
    let size = call.given("size");
    let size = e.whole(&size.value, size.span)?;
    if from + size.size() > x.dims[axis].size() {
        let message = format!("{size} elements from {from} on are outside dim {axis}");
        return e.fail("E0311", call.span, message, format!("found {}", x.show()));
    }
    if e.may_be_short(&x.dims[axis]) && !size.has_batch() {
        let from = Dim::constant(i64::try_from(from).unwrap_or(i64::MAX));
        let part = Part { axis, from: &from, step: 1, length: &size };
        return e.present(&x, &part, call.span).map(Value::Tensor);
    }
    let mut start = vec![0; x.rank()];
    start[axis] = from;
    let mut dims = x.dims.clone();
    dims[axis] = size;
    let extent: Vec<usize> = dims.iter().map(Dim::size).collect();
    e.node(&call, Slice::new(&start, &extent, &vec![1; x.rank()]), &[&x], dims).map(Value::Tensor)
}

/// A new last axis of extent 1.
fn new_axis<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let mut dims = x.dims.clone();
    dims.push(Dim::constant(1));
    reshaped(e, &call, &x, dims)
}

/// A list of numbers as a tensor of one axis, a list of equally long lists as one of two.
fn vector<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("list");
    let Value::List(values) = &given.value else {
        let found = given.value.describe();
        return e.fail("E0204", given.span, "a list of numbers is needed here", format!("this is {found}"));
    };
    e.mark(call.span);
    let rows: Vec<&[Value<'a>]> = values
        .iter()
        .map(|value| match value {
            Value::List(row) => row.as_slice(),
            one => std::slice::from_ref(one),
        })
        .collect();
    let width = rows.first().map_or(0, |row| row.len());
    if width == 0 || rows.iter().any(|row| row.len() != width) {
        let message = "the lists of a list must be equally long";
        return e.fail("E0204", given.span, message, format!("the first has {width}"));
    }
    let one = vec![Dim::constant(1)];
    let mut parts = Vec::new();
    for value in rows.into_iter().flatten() {
        let number = e.real(value, given.span)?;
        let node = e.graph.constant(number, Elaborator::graph_type(nnc_wgsl::Element::F32, &one));
        parts.push(e.tensor(node, one.clone()));
    }
    let extent = |count: usize| Dim::constant(i64::try_from(count).unwrap_or(i64::MAX));
    let all: Vec<&Tensor> = parts.iter().collect();
    let flat = e.node(&call, Concat::new(0), &all, vec![extent(parts.len())])?;
    if !matches!(values.first(), Some(Value::List(_))) {
        return Ok(Value::Tensor(flat));
    }
    reshaped(e, &call, &flat, vec![extent(values.len()), extent(width)])
}

/// The elements along an axis in the opposite order.
fn reverse<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let axis = e.whole_argument(&call, "axis", 0)?;
    let axis = e.axis(&call, axis, x.rank(), call.span)?;
    e.spend(x.dims[axis].size(), call.span)?;
    let mut extent = x.shape();
    extent[axis] = 1;
    let ones = vec![1; x.rank()];
    let mut dims = x.dims.clone();
    dims[axis] = Dim::constant(1);
    let mut parts = Vec::new();
    for place in (0..x.dims[axis].size()).rev() {
        let mut start = vec![0; x.rank()];
        start[axis] = place;
        parts.push(e.node(&call, Slice::new(&start, &extent, &ones), &[&x], dims.clone())?);
    }
    let parts: Vec<&Tensor> = parts.iter().collect();
    e.node(&call, Concat::new(axis), &parts, x.dims.clone()).map(Value::Tensor)
}

//! Reductions. In an evaluation the batch may be short: what is reduced over the batch dim counts the examples
//! that are there.

use std::rc::Rc;

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Element, Scalar, Unary};

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::arithmetic::Bring;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::host::HostValue;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Iota, Reduce};
use crate::syntax::ast;

const AXIS: &[&str] = &["x", "axis?", "keep?"];
const EITHER: &[&str] = &["x", "y?", "axis?", "keep?"];

/// Larger than any float that a network computes, and finite: shaders may assume that there are no infinities.
pub(super) const LARGEST: f64 = 3.0e38;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "sum", parameters: AXIS, run: |e, c| reduce(e, &c, Reduction::Sum) },
    Intrinsic { name: "product", parameters: AXIS, run: |e, c| reduce(e, &c, Reduction::Product) },
    Intrinsic { name: "mean", parameters: AXIS, run: mean },
    Intrinsic { name: "max", parameters: EITHER, run: |e, c| either(e, c, Binary::Max, Reduction::Max) },
    Intrinsic { name: "min", parameters: EITHER, run: |e, c| either(e, c, Binary::Min, Reduction::Min) },
    Intrinsic { name: "argmax", parameters: AXIS, run: |e, c| place_of(e, &c, Reduction::Max) },
    Intrinsic { name: "argmin", parameters: AXIS, run: |e, c| place_of(e, &c, Reduction::Min) },
    Intrinsic { name: "averaged", parameters: &["x", "weight"], run: averaged },
    Intrinsic { name: "l2", parameters: &["weights"], run: l2 },
];

/// `max(a, b)` elementwise, `max(x, axis=1)` along axes.
fn either<'a>(
    e: &mut Elaborator<'a>,
    call: Call<'a>,
    op: Binary,
    reduction: Reduction,
) -> Outcome<Value<'a>> {
    let Some(y) = call.optional("y") else { return reduce(e, &call, reduction) };
    let along = call.arguments.iter().find(|(name, _)| ["axis", "keep"].contains(name));
    if let Some((option, given)) = along {
        let name = call.name;
        let place = given.name.map_or(given.span, |(_, place)| place);
        let diagnostic =
            Diagnostic::error("E0202", format!("`{name}` of two values has no `{option}`"), place)
                .fact("this is for one value")
                .label(y.span, "the second value")
                .help(format!(
                    "along an axis: `{name}(x, axis=1)`; of more than two: `{name}({name}(x, y), z)`"
                ));
        return Err(e.report(diagnostic));
    }
    let x = call.given("x");
    if let Value::Tensor(tensor) = &x.value {
        e.number_for_axis(call.name, call.span, tensor, &y);
    }
    let operands = [(x.value, x.span), (y.value, y.span)];
    e.formula(call.name, call.span, &operands, Bring::Number, |b, x| b.binary(op, x[0], x[1]))
}

fn reduce<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, reduction: Reduction) -> Outcome<Value<'a>> {
    let given = call.given("x");
    if let Value::List(values) = &given.value {
        return over_list(e, call, values.clone(), reduction);
    }
    if matches!(given.value, Value::Int(_) | Value::Float(_) | Value::Host(_)) {
        return Ok(given.value);
    }
    let x = e.tensor_argument(call, "x")?;
    let axes = e.axes(call, "axis", x.rank())?;
    let keep = e.bool_argument(call, "keep", false)?;
    reduced(e, call, &x, &axes, keep, reduction).map(Value::Tensor)
}

/// A reduction of numbers known at build time.
fn over_list<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    values: Vec<Value<'a>>,
    reduction: Reduction,
) -> Outcome<Value<'a>> {
    let span = call.span;
    let (mut total, operator) = match reduction {
        Reduction::Product => (Value::int(1), ast::Binary::Multiply),
        Reduction::Sum => (Value::int(0), ast::Binary::Add),
        Reduction::Max | Reduction::Min => {
            let op = if reduction == Reduction::Max { Binary::Max } else { Binary::Min };
            let operands: Vec<_> = values.into_iter().map(|value| (value, span)).collect();
            if operands.is_empty() {
                return e.fail("E0204", span, "the largest of nothing", "the list is empty");
            }
            return e.formula(call.name, span, &operands, Bring::Number, |b, x| {
                let mut best = x[0];
                for &other in &x[1..] {
                    best = b.binary(op, best, other);
                }
                best
            });
        }
    };
    for value in values {
        total = e.binary(operator, span, (total, span), (value, span))?;
    }
    Ok(total)
}

/// `x` reduced along `axes`.
pub(super) fn reduced<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: &Tensor,
    axes: &[usize],
    keep: bool,
    reduction: Reduction,
) -> Outcome<Tensor> {
    let neutral = match reduction {
        Reduction::Sum => 0.0,
        Reduction::Product => 1.0,
        Reduction::Max => -LARGEST,
        Reduction::Min => LARGEST,
    };
    let x = as_floats(e, call, x);
    let x = counted(e, call, x, axes, neutral)?;
    let dims: Vec<Dim> = kept(&x.dims, axes, false);
    let tensor =
        if axes.is_empty() { x.clone() } else { e.node(call, Reduce::new(reduction, axes), &[&x], dims)? };
    if !keep {
        return Ok(tensor);
    }
    let dims = kept(&x.dims, axes, true);
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(tensor.node, &shape);
    Ok(Tensor { node, dims, ..tensor })
}

fn kept(dims: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let mut out = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        if !axes.contains(&axis) {
            out.push(dim.clone());
        } else if keep {
            out.push(Dim::constant(1));
        }
    }
    out
}

/// `x` as floats.
pub(super) fn as_floats<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, x: &Tensor) -> Tensor {
    if x.element == Element::F32 {
        return x.clone();
    }
    e.mark(call.span);
    let node = e.graph.map(&[x.node], |b, x| b.cast(Scalar::F32, x[0]));
    Tensor { node, element: Element::F32, ..x.clone() }
}

/// `x` with `neutral` in place of the examples that an evaluation does not count, along every axis of `axes` that holds
/// the batch: once, or several times side by side where `concat` joined it. Among whole numbers it is the nearest of them.
pub(super) fn counted<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: Tensor,
    axes: &[usize],
    neutral: f64,
) -> Outcome<Tensor> {
    if e.expansion != Expansion::Evaluation {
        return Ok(x);
    }
    let mut x = x;
    for axis in axes.iter().copied().filter(|axis| x.dims[*axis].has_batch()).collect::<Vec<_>>() {
        x = counted_along(e, call, x, axis, neutral)?;
    }
    Ok(x)
}

fn counted_along<'a>(
    e: &mut Elaborator<'a>,
    call: &Call<'a>,
    x: Tensor,
    axis: usize,
    neutral: f64,
) -> Outcome<Tensor> {
    let batch = e.batch();
    let joined = e.joined.contains(&x.dims[axis]);
    let count = examples_in(e, call, if joined { &batch } else { &x.dims[axis] })?;
    e.mark(call.span);
    let mut shape = vec![1; x.rank()];
    shape[axis] = x.dims[axis].size();
    let place = e.graph.must(Iota::new(&shape, axis), &[]);
    let count = e.graph.host(count.expr, count.symbols);
    #[allow(clippy::cast_precision_loss)]
    let block = batch.extent() as f64;
    let whole = x.element == Element::I32;
    let node = e.graph.map(&[place, count, x.node], |b, x| {
        let mut place = b.cast(Scalar::F32, x[0]);
        if joined {
            let block = b.real(block);
            let half = b.real(0.5);
            let middle = b.binary(Binary::Add, place, half);
            let turn = b.binary(Binary::Div, middle, block);
            let turn = b.unary(Unary::Floor, turn);
            let before = b.binary(Binary::Mul, turn, block);
            place = b.binary(Binary::Sub, place, before);
        }
        let counts = b.binary(Binary::Lt, place, x[1]);
        #[allow(clippy::cast_possible_truncation)]
        let neutral = if whole { b.int(neutral as i32) } else { b.real(neutral) };
        b.select(counts, x[2], neutral)
    });
    e.masks.insert(node);
    Ok(Tensor { node, ..x })
}

/// How many entries of an axis belong to the examples that count.
fn examples_in<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, dim: &Dim) -> Outcome<HostValue> {
    match HostValue::of_dim(dim) {
        Some(count) => Ok(count),
        None => e.fail("E0208", call.span, format!("`{dim}` cannot be counted"), "in evaluation"),
    }
}

fn mean<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("x");
    if matches!(given.value, Value::Int(_) | Value::Float(_) | Value::Host(_)) {
        return Ok(given.value);
    }
    let x = e.tensor_argument(&call, "x")?;
    let axes = e.axes(&call, "axis", x.rank())?;
    let keep = e.bool_argument(&call, "keep", false)?;
    let total = reduced(e, &call, &x, &axes, keep, Reduction::Sum)?;
    let mut count = Value::int(1);
    for axis in axes {
        let dim = Value::Int(x.dims[axis].clone());
        count = e.binary(ast::Binary::Multiply, call.span, (count, call.span), (dim, call.span))?;
    }
    e.binary(ast::Binary::Divide, call.span, (Value::Tensor(total), call.span), (count, call.span))
}

/// `x`, a mean: a measurement of several batches weighs that of each by the number `weight` instead of its examples.
fn averaged<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let weight = e.tensor_argument(&call, "weight")?;
    if e.expansion == Expansion::Evaluation && x.rank() == 0 && weight.rank() == 0 {
        let weight = as_floats(e, &call, &weight);
        e.weighed.insert(x.node, weight.node);
    }
    Ok(Value::Tensor(x))
}

/// The first place along axes of the largest or smallest element, in the order of memory, `i32`, without gradient.
fn place_of<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, reduction: Reduction) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(call, "x")?;
    let axes = match call.optional("axis") {
        Some(_) => e.axes(call, "axis", x.rank())?,
        None => vec![e.axis(call, -1, x.rank(), call.span)?],
    };
    if axes.is_empty() {
        let message = format!("`{}` looks along one axis or more", call.name);
        return e.fail("E0204", call.span, message, "the list is empty");
    }
    let keep = e.bool_argument(call, "keep", false)?;
    let x = as_floats(e, call, &x);
    let least = if reduction == Reduction::Max { -LARGEST } else { LARGEST };
    let x = counted(e, call, x, &axes, least)?;
    let best_dims = kept(&x.dims, &axes, true);
    let still = e.node(call, crate::ops::StopGradient, &[&x], x.dims.clone())?;
    let best = e.node(call, Reduce::new(reduction, &axes), &[&still], kept(&x.dims, &axes, false))?;
    let best_shape: Vec<usize> = best_dims.iter().map(Dim::size).collect();
    let best = e.graph.reshape(best.node, &best_shape);
    let extent = |axis: usize| if axes.contains(&axis) { x.dims[axis].size() } else { 1 };
    let shape: Vec<usize> = (0..x.rank()).map(extent).collect();
    let size = shape.iter().product();
    let place = e.graph.must(Iota::new(&[size], 0), &[]);
    let place = e.graph.reshape(place, &shape);
    #[allow(clippy::cast_precision_loss)]
    let beyond = size as f64;
    let places = e.graph.map(&[still.node, best, place], |b, x| {
        let wins = b.binary(Binary::Eq, x[0], x[1]);
        let place = b.cast(Scalar::F32, x[2]);
        let beyond = b.real(beyond);
        b.select(wins, place, beyond)
    });
    let places = e.tensor(places, x.dims.clone());
    let first = e.node(call, Reduce::new(Reduction::Min, &axes), &[&places], kept(&x.dims, &axes, false))?;
    let node = e.graph.map(&[first.node], |b, x| b.cast(Scalar::I32, x[0]));
    let dims = kept(&x.dims, &axes, keep);
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(node, &shape);
    let mut tensor = e.tensor(node, dims);
    tensor.made = Some(Rc::new((e.visible(call.span), call.name.to_owned())));
    Ok(Value::Tensor(tensor))
}

/// The sum of the squares of all weights in a list.
fn l2<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let given = call.given("weights");
    let values = match given.value {
        Value::List(values) => values,
        other => vec![other],
    };
    let mut total = Value::Float(0.0);
    let span = call.span;
    for value in values {
        let square = e.binary(ast::Binary::Power, span, (value, given.span), (Value::int(2), span))?;
        if let Value::Tensor(tensor) = square {
            let axes: Vec<usize> = (0..tensor.rank()).collect();
            let sum = reduced(e, &call, &tensor, &axes, false, Reduction::Sum)?;
            total = e.binary(ast::Binary::Add, span, (total, span), (Value::Tensor(sum), span))?;
        }
    }
    Ok(total)
}

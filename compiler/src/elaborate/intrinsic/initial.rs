//! How weights begin, tensors of one number, and random numbers.

use nnc_runtime::artifact::Init;
use nnc_wgsl::Element;

use super::{Call, Intrinsic};
use crate::diagnostic::Diagnostic;
use crate::elaborate::arithmetic::not_finite;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{InitSpec, Tensor, Value};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "normal", parameters: &["mean?", "std?"], run: normal },
    Intrinsic { name: "uniform", parameters: &["low?", "high?"], run: uniform },
    Intrinsic { name: "constant", parameters: &["value"], run: constant },
    Intrinsic { name: "zeros", parameters: &["*dims"], run: |e, c| filled(e, &c, 0.0) },
    Intrinsic { name: "ones", parameters: &["*dims"], run: |e, c| filled(e, &c, 1.0) },
    Intrinsic { name: "random_like", parameters: &["x"], run: random_like },
    Intrinsic { name: "random_each", parameters: &["x"], run: random_each },
];

fn number<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, parameter: &str, default: f64) -> Outcome<f64> {
    match call.optional(parameter) {
        Some(given) => {
            let number = e.real(&given.value, given.span)?;
            let Some(found) = not_finite(number) else { return Ok(number) };
            let message = format!("`{parameter}` of `{}` is a finite number", call.name);
            e.fail("E0204", given.span, message, found)
        }
        None => Ok(default),
    }
}

fn normal<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (mean, std) = (number(e, &call, "mean", 0.0)?, number(e, &call, "std", 1.0)?);
    if std < 0.0 {
        let place = call.optional("std").map_or(call.span, |given| given.span);
        return e.fail("E0204", place, "a standard deviation is not negative", format!("this is {std}"));
    }
    Ok(Value::Init(InitSpec::Fixed(Init::Normal { mean, std })))
}

fn uniform<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (low, high) = (number(e, &call, "low", 0.0)?, number(e, &call, "high", 1.0)?);
    if low > high {
        let diagnostic =
            Diagnostic::error("E0204", "`uniform` goes from the smaller number to the larger", call.span)
                .fact(format!("from {low} to {high}"))
                .help(format!("write `uniform({high}, {low})`"));
        return Err(e.report(diagnostic));
    }
    if let (Some(one), None) = (call.optional("low"), call.optional("high")) {
        let diagnostic = Diagnostic::error("E0203", "`uniform` needs both bounds", call.span)
            .fact(format!("from {low} to where"))
            .label(one.span, "the lower bound")
            .help(format!("write `uniform(-{0}, {0})`", low.abs()));
        return Err(e.report(diagnostic));
    }
    Ok(Value::Init(InitSpec::Fixed(Init::Uniform { low, high })))
}

fn constant<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let value = number(e, &call, "value", 0.0)?;
    Ok(Value::Init(InitSpec::Fixed(Init::Constant(value))))
}

/// A tensor of these dims that holds one number.
fn filled<'a>(e: &mut Elaborator<'a>, call: &Call<'a>, value: f64) -> Outcome<Value<'a>> {
    let mut dims: Vec<Dim> = Vec::new();
    for given in &call.rest {
        dims.push(e.whole(&given.value, given.span)?);
    }
    e.result_fits(call, &dims)?;
    e.mark(call.span);
    let node = e.graph.constant(value, Elaborator::graph_type(Element::F32, &dims));
    Ok(Value::Tensor(e.tensor(node, dims)))
}

/// Uniform numbers in [0, 1) in the shape of `x`.
fn random_like<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    e.mark(call.span);
    let node = e.graph.random(x.shape());
    Ok(Value::Tensor(Tensor { node, element: Element::F32, made: None, range: None, dims: x.dims }))
}

/// One uniform number in [0, 1) for each example of `x`, of extent 1 along the other axes.
fn random_each<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let x = e.tensor_argument(&call, "x")?;
    let mut dims = vec![Dim::constant(1); x.rank()];
    if let (Some(first), Some(batch)) = (dims.first_mut(), x.dims.first()) {
        *first = batch.clone();
    }
    e.mark(call.span);
    let node = e.graph.random(dims.iter().map(Dim::size).collect::<Vec<_>>());
    Ok(Value::Tensor(e.tensor(node, dims)))
}

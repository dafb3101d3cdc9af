//! Elementwise functions.

use std::sync::Arc;

use nnc_wgsl::{Binary, Scalar, Unary};

use super::reduction::as_floats;
use super::requirement::Held;
use super::{Call, Intrinsic};
use crate::elaborate::arithmetic::{Bring, Operand};
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::value::{Tensor, Value};
use crate::ir::{NodeId, Origin};
use crate::ops::StopGradient;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic { name: "exp", parameters: &["x"], run: |e, c| unary(e, c, Unary::Exp) },
    Intrinsic { name: "log", parameters: &["x"], run: |e, c| unary(e, c, Unary::Log) },
    Intrinsic { name: "sqrt", parameters: &["x"], run: |e, c| unary(e, c, Unary::Sqrt) },
    Intrinsic { name: "abs", parameters: &["x"], run: |e, c| unary(e, c, Unary::Abs) },
    Intrinsic { name: "sin", parameters: &["x"], run: |e, c| unary(e, c, Unary::Sin) },
    Intrinsic { name: "cos", parameters: &["x"], run: |e, c| unary(e, c, Unary::Cos) },
    Intrinsic { name: "tanh", parameters: &["x"], run: |e, c| unary(e, c, Unary::Tanh) },
    Intrinsic { name: "sign", parameters: &["x"], run: |e, c| unary(e, c, Unary::Sign) },
    Intrinsic { name: "floor", parameters: &["x"], run: |e, c| unary(e, c, Unary::Floor) },
    Intrinsic { name: "ceil", parameters: &["x"], run: |e, c| unary(e, c, Unary::Ceil) },
    Intrinsic { name: "round", parameters: &["x"], run: |e, c| unary(e, c, Unary::Round) },
    Intrinsic { name: "to_float", parameters: &["x"], run: |e, c| cast(e, c, Bring::Float, Scalar::F32) },
    Intrinsic { name: "to_int", parameters: &["x"], run: |e, c| cast(e, c, Bring::Float, Scalar::I32) },
    Intrinsic { name: "select", parameters: &["condition", "yes", "no"], run: select },
    Intrinsic { name: "require", parameters: &["x", "condition", "text"], run: require },
    Intrinsic { name: "identity", parameters: &["x"], run: |_, c| Ok(c.given("x").value) },
    Intrinsic { name: "stop_grad", parameters: &["x"], run: stop_grad },
    Intrinsic { name: "add", parameters: &["*x"], run: |e, c| fold(e, c, Binary::Add) },
    Intrinsic { name: "mul", parameters: &["*x"], run: |e, c| fold(e, c, Binary::Mul) },
];

fn operand<'a>(given: Given<'a>) -> Operand<'a> {
    (given.value, given.span)
}

fn unary<'a>(e: &mut Elaborator<'a>, call: Call<'a>, op: Unary) -> Outcome<Value<'a>> {
    let x = operand(call.given("x"));
    e.formula(call.name, call.span, &[x], Bring::Float, |b, x| b.unary(op, x[0]))
}

fn cast<'a>(e: &mut Elaborator<'a>, call: Call<'a>, bring: Bring, to: Scalar) -> Outcome<Value<'a>> {
    let x = operand(call.given("x"));
    e.formula(call.name, call.span, &[x], bring, |b, x| b.cast(to, x[0]))
}

fn select<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let operands = [operand(call.given("condition")), operand(call.given("yes")), operand(call.given("no"))];
    e.formula(call.name, call.span, &operands, Bring::TruthThenNumbers, |b, x| b.select(x[0], x[1], x[2]))
}

/// `x` where the condition holds, and not a number elsewhere: a run that meets that ends and says the text.
fn require<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    let (condition, text) = (call.given("condition"), call.given("text"));
    let Value::Text(text) = text.value else {
        let found = text.value.describe();
        let message = "`require` says in a string what must hold";
        return e.fail("E0204", text.span, message, format!("this is {found}"));
    };
    match condition.value.clone().first() {
        Value::Bool(true) => return Ok(call.given("x").value),
        Value::Bool(false) => {
            let name = e.spoken_inside(&call).to_owned();
            let message = format!("`{name}` cannot be used like this");
            return e.fail("E0306", call.span, message, format!("this does not hold: {text}"));
        }
        _ => {}
    }
    let x = e.tensor_argument(&call, "x")?;
    let x = as_floats(e, &call, &x);
    let operands = [operand(condition.clone()), (Value::Tensor(x), call.span)];
    let value = e.formula(call.name, call.span, &operands, Bring::TruthThenNumbers, |b, x| {
        // Added, so that the gradient passes: no weight moves where the condition does not hold, and a gradient that
        // asks for it cannot be computed beside the value.
        let (holds, broken) = (b.real(0.0), b.real(f64::NAN));
        let more = b.select(x[0], holds, broken);
        b.binary(Binary::Add, x[1], more)
    })?;
    if let Value::Tensor(tensor) = &value {
        match condition.value.first() {
            Value::Tensor(truth) => e.must_hold(tensor.node, Held::Truth(truth), &text),
            _ => requires(e, tensor.node, &text),
        }
    }
    Ok(value)
}

/// Notes what must hold where `node` is computed.
pub(super) fn requires(e: &mut Elaborator<'_>, node: NodeId, text: &str) {
    let node = e.graph.node_mut(node);
    node.origin = Arc::new(Origin { requires: Some(text.into()), ..Origin::clone(&node.origin) });
}

fn stop_grad<'a>(e: &mut Elaborator<'a>, call: Call<'a>) -> Outcome<Value<'a>> {
    match call.given("x").value.first() {
        Value::Tensor(tensor) => {
            let dims = tensor.dims.clone();
            let stopped = e.node(&call, StopGradient, &[&tensor], dims)?;
            Ok(Value::Tensor(Tensor { made: tensor.made.clone(), ..stopped }))
        }
        other => Ok(other),
    }
}

fn fold<'a>(e: &mut Elaborator<'a>, call: Call<'a>, op: Binary) -> Outcome<Value<'a>> {
    let operands: Vec<Operand<'a>> = call.rest.iter().cloned().map(operand).collect();
    if operands.is_empty() {
        let message = format!("`{}` needs inputs", call.name);
        return e.fail("E0203", call.name_span, message, "of nothing");
    }
    e.formula(call.name, call.span, &operands, Bring::Number, |b, x| {
        let mut total = x[0];
        for &part in &x[1..] {
            total = b.binary(op, total, part);
        }
        total
    })
}

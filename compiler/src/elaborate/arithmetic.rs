//! Formulas on numbers and tensors: build-time numbers are computed, numbers of the training loop become host
//! formulas, and anything that meets a tensor becomes a `map` of the graph.

mod broadcast;
mod operator;

use std::rc::Rc;

use nnc_wgsl::{Element, Expr, ExprBuilder, Ref, Scalar};

use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::host::HostValue;
use crate::elaborate::value::Value;
use crate::ir::NodeId;
use crate::source::Span;

/// A value and where it was written.
pub(super) type Operand<'a> = (Value<'a>, Span);

/// To what type the operands of a formula are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bring {
    /// Floats.
    Float,
    /// Integers where all are, else floats.
    Number,
    /// Truths.
    Truth,
    /// The first is a truth, the others numbers.
    TruthThenNumbers,
}

impl<'a> Elaborator<'a> {
    /// The formula `f` of `operands`, elementwise; `name` is what messages call it.
    pub(super) fn formula(
        &mut self,
        name: &str,
        span: Span,
        operands: &[Operand<'a>],
        bring: Bring,
        f: impl FnOnce(&mut ExprBuilder, &[Ref]) -> Ref,
    ) -> Outcome<Value<'a>> {
        let mut settled = Vec::with_capacity(operands.len());
        for (value, place) in operands {
            settled.push((self.number(name, value.clone(), *place)?, *place));
        }
        let wanted = wanted_scalars(bring, &settled);
        if settled.iter().any(|(value, _)| matches!(value, Value::Tensor(_))) {
            return self.tensor_formula(name, span, &settled, &wanted, f);
        }
        let brought = |b: &mut ExprBuilder, x: &[Ref]| -> Vec<Ref> {
            x.iter().zip(&wanted).map(|(&x, &scalar)| b.cast(scalar, x)).collect()
        };
        if settled.iter().any(|(value, _)| matches!(value, Value::Host(_))) {
            let hosts: Vec<HostValue> = settled.iter().map(|(value, _)| host_of(value)).collect();
            let result = HostValue::combine(&hosts, |b, x| {
                let brought = brought(b, x);
                f(b, &brought)
            });
            return Ok(Value::Host(Rc::new(result)));
        }
        let result = Expr::build(&[], |b, _| {
            let numbers: Vec<Ref> = settled.iter().map(|(value, _)| b.real(number_of(value))).collect();
            let brought = brought(b, &numbers);
            f(b, &brought)
        });
        let number = result.evaluate(&[]).first().copied().unwrap_or(f64::NAN);
        Ok(match result.result_type(0) {
            Scalar::F32 => Value::Float(number),
            #[allow(clippy::cast_possible_truncation)]
            Scalar::I32 => Value::int(number as i64),
            Scalar::Bool => Value::Bool(number != 0.0),
        })
    }

    /// `value` as something a formula can read: dims of the batch become the number of examples that count.
    fn number(&mut self, name: &str, value: Value<'a>, span: Span) -> Outcome<Value<'a>> {
        match value.first() {
            Value::Int(dim) if dim.has_batch() && self.expansion == Expansion::Evaluation => {
                match HostValue::of_dim(&dim) {
                    Some(host) => Ok(Value::Host(Rc::new(host))),
                    None => self.fail("E0208", span, format!("`{dim}` cannot be counted"), "in evaluation"),
                }
            }
            value
            @ (Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Host(_) | Value::Tensor(_)) => {
                Ok(value)
            }
            Value::Error => Err(super::context::Reported),
            other => {
                let spoken = self.spoken_name(name).to_owned();
                let shown = if self.bundle.is_library(span) { spoken.as_str() } else { name };
                let message = format!("`{shown}` needs numbers or tensors");
                let help = match &other {
                    Value::Init(_) => Some(
                        "random numbers of a formula are `normal_like(x)` and `random_like(x)`".to_owned(),
                    ),
                    Value::Callable(callable) => Some(format!("call it: `{}(x)`", callable.name())),
                    Value::Text(text) if text.parse::<f64>().is_ok() => {
                        Some(format!("a number stands without quotes: `{text}`"))
                    }
                    _ => None,
                };
                let diagnostic = Diagnostic::error("E0204", message, span)
                    .fact(format!("this is {}", other.describe()))
                    .help_maybe(help);
                Err(self.report(diagnostic))
            }
        }
    }

    fn tensor_formula(
        &mut self,
        name: &str,
        span: Span,
        operands: &[Operand<'a>],
        wanted: &[Scalar],
        f: impl FnOnce(&mut ExprBuilder, &[Ref]) -> Ref,
    ) -> Outcome<Value<'a>> {
        let infinite = operands.iter().find_map(|(value, place)| match value {
            Value::Float(number) => Some((*number, not_finite(*number)?, *place)),
            _ => None,
        });
        if let Some((number, found, place)) = infinite {
            let large = || "a number beyond all others is written as a large one: `-1e9`".to_owned();
            let diagnostic =
                Diagnostic::error("E0204", "this number is not finite and meets a tensor", place)
                    .fact(found)
                    .help_maybe((!number.is_nan()).then(large));
            return Err(self.report(diagnostic));
        }
        let dims = self.broadcast(name, span, operands)?;
        self.fits(|| "the result of the formula".to_owned(), &dims, span)?;
        self.mark(span);
        let mut nodes = Vec::new();
        let mut scalars = Vec::new();
        let mut slots: Vec<Result<usize, &Value<'a>>> = Vec::new();
        for (value, _) in operands {
            let node = match value {
                Value::Tensor(tensor) => tensor.node,
                Value::Host(host) => self.host_node(host),
                other => {
                    slots.push(Err(other));
                    continue;
                }
            };
            let slot = nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
                scalars.push(self.graph.ty(node).element.scalar());
                nodes.push(node);
                nodes.len() - 1
            });
            slots.push(Ok(slot));
        }
        let expr = Expr::build(&scalars, |b, x| {
            let brought: Vec<Ref> = slots
                .iter()
                .zip(wanted)
                .map(|(slot, &scalar)| match slot {
                    Ok(slot) => b.cast(scalar, x[*slot]),
                    Err(value) => literal(b, value, scalar),
                })
                .collect();
            f(b, &brought)
        });
        match self.graph.formula(expr, &nodes) {
            Ok(node) => {
                let mut tensor = self.tensor(node, dims);
                tensor.made = self.made_as(span, name);
                Ok(Value::Tensor(tensor))
            }
            Err(error) => self.fail("E0301", span, format!("`{name}` cannot be computed"), error.message),
        }
    }

    /// `host` as a tensor `f32`.
    pub(super) fn host_node(&mut self, host: &HostValue) -> NodeId {
        let host = host.clone();
        let host = if host.scalar() == Scalar::F32 {
            host
        } else {
            HostValue::combine(&[host], |b, x| b.cast(Scalar::F32, x[0]))
        };
        self.graph.host(host.expr, host.symbols)
    }
}

/// The type to which each operand is brought.
fn wanted_scalars(bring: Bring, operands: &[Operand<'_>]) -> Vec<Scalar> {
    let number = if operands.iter().all(|(value, _)| is_whole(value)) { Scalar::I32 } else { Scalar::F32 };
    let count = operands.len();
    match bring {
        Bring::Float => vec![Scalar::F32; count],
        Bring::Number => vec![number; count],
        Bring::Truth => vec![Scalar::Bool; count],
        Bring::TruthThenNumbers => {
            let rest = operands.get(1..).unwrap_or(&[]);
            let number =
                if rest.iter().all(|(value, _)| is_whole(value)) { Scalar::I32 } else { Scalar::F32 };
            let mut wanted = vec![number; count];
            if let Some(first) = wanted.first_mut() {
                *first = Scalar::Bool;
            }
            wanted
        }
    }
}

fn is_whole(value: &Value<'_>) -> bool {
    match value {
        Value::Int(_) => true,
        Value::Tensor(tensor) => tensor.element == Element::I32,
        _ => false,
    }
}

fn host_of(value: &Value<'_>) -> HostValue {
    match value {
        Value::Host(host) => HostValue::clone(host),
        other => HostValue::constant(number_of(other)),
    }
}

#[allow(clippy::cast_precision_loss)]
fn number_of(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(dim) => dim.extent() as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        _ => f64::NAN,
    }
}

/// What a tensor makes of `number`, where that is not finite.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn not_finite(number: f64) -> Option<String> {
    let rounded = number as f32;
    let beside = if number.is_finite() { " in f32" } else { "" };
    (!rounded.is_finite()).then(|| format!("this is {rounded}{beside}"))
}

fn literal(b: &mut ExprBuilder, value: &Value<'_>, scalar: Scalar) -> Ref {
    let number = number_of(value);
    match scalar {
        Scalar::F32 => b.real(number),
        #[allow(clippy::cast_possible_truncation)]
        Scalar::I32 => b.int(number as i32),
        Scalar::Bool => b.bool(number != 0.0),
    }
}

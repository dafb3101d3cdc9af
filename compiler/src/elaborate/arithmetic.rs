//! Formulas on numbers and tensors: build-time numbers are computed, numbers of the training loop become host
//! formulas, and anything that meets a tensor becomes a `map` of the graph.

use std::rc::Rc;

use nnc_wgsl::{Binary, Element, Expr, ExprBuilder, Ref, Scalar, Unary};

use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::host::HostValue;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::NodeId;
use crate::source::Span;
use crate::syntax::ast;

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

    /// The common shape of the tensors among `operands`, aligned on the right.
    pub(super) fn broadcast(
        &mut self,
        name: &str,
        span: Span,
        operands: &[Operand<'a>],
    ) -> Outcome<Vec<Dim>> {
        let mut dims: Vec<Dim> = Vec::new();
        let mut first: Option<(&Tensor, Span)> = None;
        for (value, place) in operands {
            let Value::Tensor(tensor) = value else { continue };
            let one = Dim::constant(1);
            while dims.len() < tensor.rank() {
                dims.insert(0, one.clone());
            }
            let skip = dims.len() - tensor.rank();
            for (axis, dim) in tensor.dims.iter().enumerate() {
                let known = &mut dims[skip + axis];
                if *known == one {
                    *known = dim.clone();
                } else if *dim != one && dim != known {
                    let known = known.clone();
                    return Err(self.mismatch(name, span, (tensor, *place), first, axis, &known));
                }
            }
            if first.is_none() {
                first = Some((tensor, *place));
            }
        }
        let batches = batch_axes(&dims);
        let tensors = operands.iter().filter_map(|(value, _)| match value {
            Value::Tensor(tensor) => Some(tensor),
            _ => None,
        });
        let paired = tensors.clone().any(|tensor| batch_axes(&tensor.dims) == batches);
        let laid = tensors.clone().any(|tensor| tensor.rank() < dims.len() && batch_axes(&tensor.dims) > 0);
        if batches > 1 && !paired && laid {
            return Err(self.pairs(span, operands, &dims));
        }
        Ok(dims)
    }

    fn mismatch(
        &mut self,
        name: &str,
        span: Span,
        (tensor, place): (&Tensor, Span),
        first: Option<(&Tensor, Span)>,
        axis: usize,
        known: &Dim,
    ) -> super::context::Reported {
        let spoken = if self.bundle.is_library(span) { self.spoken_name(name) } else { name };
        let spoken = spoken.to_owned();
        let branches = ["add", "mul"].contains(&name);
        let message = if branches {
            format!("the branches of `{spoken}` have different shapes")
        } else {
            format!("the shapes of `{spoken}` do not fit")
        };
        let diagnostic = match first {
            Some((other, there)) if self.visible(there) != self.visible(place) && branches => {
                Diagnostic::error("E0301", message, there)
                    .fact(other.show())
                    .label(place, tensor.show())
                    .note(format!("dim {axis} is {known} in one and {} in the other", tensor.dims[axis]))
                    .help_maybe(projection(other, tensor))
            }
            Some((other, there)) => Diagnostic::error("E0301", message, span)
                .fact(format!("{} with {}", other.show(), tensor.show()))
                .label(there, other.show())
                .label(place, tensor.show())
                .note(format!("dim {axis} of {} is {}, not {known}", tensor.show(), tensor.dims[axis])),
            None => Diagnostic::error("E0301", message, span).fact(tensor.show()),
        };
        self.report(diagnostic)
    }

    fn pairs(&mut self, span: Span, operands: &[Operand<'a>], dims: &[Dim]) -> super::context::Reported {
        let message = "the result would pair every example with every other";
        let mut diagnostic = Diagnostic::error("E0308", message, span)
            .fact(format!("result f32{} has the batch dim twice", show_dims(dims)))
            .help("drop the dim of size 1 first: `x[:, 0]`");
        for (value, place) in operands {
            if let Value::Tensor(tensor) = value {
                diagnostic = diagnostic.label(*place, tensor.show());
            }
        }
        self.report(diagnostic)
    }

    /// `left operator right`
    pub(super) fn binary(
        &mut self,
        operator: ast::Binary,
        span: Span,
        left: Operand<'a>,
        right: Operand<'a>,
    ) -> Outcome<Value<'a>> {
        let (left, right) = ((left.0.first(), left.1), (right.0.first(), right.1));
        if let (Value::Int(a), Value::Int(b)) = (&left.0, &right.0)
            && let Some(value) = self.of_dims(operator, span, a, b)?
        {
            return Ok(value);
        }
        if let (ast::Binary::Add, Value::Text(text)) = (operator, &left.0) {
            match &right.0 {
                Value::Text(more) => return self.bounded(Value::Text(format!("{text}{more}")), span),
                Value::Int(dim) => return self.bounded(Value::Text(format!("{text}{dim}")), span),
                _ => {}
            }
        }
        if let Some(value) = of_symbols(operator, &left.0, &right.0) {
            return Ok(value);
        }
        let bring = match operator {
            ast::Binary::Or | ast::Binary::And => Bring::Truth,
            ast::Binary::Divide | ast::Binary::Power | ast::Binary::FloorDivide | ast::Binary::Remainder => {
                Bring::Float
            }
            _ => Bring::Number,
        };
        let divides =
            matches!(operator, ast::Binary::Divide | ast::Binary::FloorDivide | ast::Binary::Remainder);
        let zero = match &right.0 {
            Value::Int(dim) => dim.as_constant() == Some(0),
            Value::Float(number) => *number == 0.0,
            _ => false,
        };
        if divides && zero {
            return self.fail("E0204", span, "division by 0", "the right side is 0");
        }
        let operands = [left, right];
        self.formula(operator.sign(), span, &operands, bring, |b, x| match operator {
            ast::Binary::Or => b.binary(Binary::Or, x[0], x[1]),
            ast::Binary::And => b.binary(Binary::And, x[0], x[1]),
            ast::Binary::Equal => b.binary(Binary::Eq, x[0], x[1]),
            ast::Binary::Unequal => b.binary(Binary::Ne, x[0], x[1]),
            ast::Binary::AtMost => b.binary(Binary::Le, x[0], x[1]),
            ast::Binary::AtLeast => b.binary(Binary::Ge, x[0], x[1]),
            ast::Binary::Less => b.binary(Binary::Lt, x[0], x[1]),
            ast::Binary::Greater => b.binary(Binary::Gt, x[0], x[1]),
            ast::Binary::Add => b.binary(Binary::Add, x[0], x[1]),
            ast::Binary::Subtract => b.binary(Binary::Sub, x[0], x[1]),
            ast::Binary::Multiply => b.binary(Binary::Mul, x[0], x[1]),
            ast::Binary::Divide => b.binary(Binary::Div, x[0], x[1]),
            ast::Binary::Power => b.binary(Binary::Pow, x[0], x[1]),
            ast::Binary::FloorDivide => floored(b, x[0], x[1]),
            ast::Binary::Remainder => {
                let whole = floored(b, x[0], x[1]);
                let product = b.binary(Binary::Mul, whole, x[1]);
                b.binary(Binary::Sub, x[0], product)
            }
            ast::Binary::MatrixProduct => x[0],
        })
    }

    /// Whole numbers stay whole where they can.
    fn of_dims(&mut self, operator: ast::Binary, span: Span, a: &Dim, b: &Dim) -> Outcome<Option<Value<'a>>> {
        let by_zero = b.as_constant() == Some(0);
        let divides =
            matches!(operator, ast::Binary::Divide | ast::Binary::FloorDivide | ast::Binary::Remainder);
        if divides && by_zero {
            return self.fail("E0204", span, "division by 0", "the right side is 0");
        }
        self.spend(a.summands().saturating_mul(b.summands()) / 8, span)?;
        let result = match operator {
            ast::Binary::Add => a.add(b),
            ast::Binary::Subtract => a.subtract(b),
            ast::Binary::Multiply => a.multiply(b),
            ast::Binary::FloorDivide => a.floor_divide(b),
            ast::Binary::Remainder => a.remainder(b),
            ast::Binary::Divide => match a.divide_exactly(b) {
                Some(exact) => Some(exact),
                None => return Ok(None),
            },
            ast::Binary::Power => match (a.as_constant(), b.as_constant()) {
                (Some(base), Some(power)) if power >= 0 => {
                    u32::try_from(power).ok().and_then(|power| base.checked_pow(power)).map(Dim::constant)
                }
                _ => return Ok(None),
            },
            ast::Binary::Equal => return Ok(Some(Value::Bool(a == b || same_number(a, b)))),
            ast::Binary::Unequal => return Ok(Some(Value::Bool(a != b && !same_number(a, b)))),
            ast::Binary::AtMost => return Ok(Some(Value::Bool(a.extent() <= b.extent()))),
            ast::Binary::AtLeast => return Ok(Some(Value::Bool(a.extent() >= b.extent()))),
            ast::Binary::Less => return Ok(Some(Value::Bool(a.extent() < b.extent()))),
            ast::Binary::Greater => return Ok(Some(Value::Bool(a.extent() > b.extent()))),
            ast::Binary::Or | ast::Binary::And | ast::Binary::MatrixProduct => return Ok(None),
        };
        match result {
            Some(dim) => Ok(Some(Value::Int(dim))),
            None => {
                let message = "this number does not fit in 64 bits, or its formula is too long";
                self.fail("E0204", span, message, "too large")
            }
        }
    }

    /// `-value`
    pub(super) fn negate(&mut self, span: Span, operand: Operand<'a>) -> Outcome<Value<'a>> {
        if let Value::Int(dim) = &operand.0
            && let Some(negative) = dim.negate()
        {
            return Ok(Value::Int(negative));
        }
        self.formula("-", span, &[operand], Bring::Number, |b, x| b.unary(Unary::Neg, x[0]))
    }

    /// `not value`
    pub(super) fn not(&mut self, span: Span, operand: Operand<'a>) -> Outcome<Value<'a>> {
        self.formula("not", span, &[operand], Bring::Truth, |b, x| b.unary(Unary::Not, x[0]))
    }
}

/// How many of `dims` the batch dim is part of.
fn batch_axes(dims: &[Dim]) -> usize {
    dims.iter().filter(|dim| dim.has_batch()).count()
}

/// Whether two dims without the batch dim come to the same number.
fn same_number(a: &Dim, b: &Dim) -> bool {
    !a.has_batch() && !b.has_batch() && a.extent() == b.extent()
}

fn floored(b: &mut ExprBuilder, x: Ref, y: Ref) -> Ref {
    let (x, y) = (b.cast(Scalar::F32, x), b.cast(Scalar::F32, y));
    let quotient = b.binary(Binary::Div, x, y);
    b.unary(Unary::Floor, quotient)
}

/// Equality of strings, symbols, truths and layers.
fn of_symbols<'a>(operator: ast::Binary, left: &Value<'a>, right: &Value<'a>) -> Option<Value<'a>> {
    let equal = match (left, right) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Symbol(a), Value::Symbol(b)) => a == b,
        (Value::Init(a), Value::Init(b)) => a == b,
        (Value::Callable(a), Value::Callable(b)) => a.name() == b.name(),
        (Value::List(a), Value::List(b)) => format!("{a:?}") == format!("{b:?}"),
        (Value::Symbol(_) | Value::Init(_) | Value::Text(_) | Value::Callable(_), _)
        | (_, Value::Symbol(_) | Value::Init(_) | Value::Text(_) | Value::Callable(_)) => false,
        _ => return None,
    };
    match operator {
        ast::Binary::Equal => Some(Value::Bool(equal)),
        ast::Binary::Unequal => Some(Value::Bool(!equal)),
        _ => None,
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

/// How to bring a shortcut to the shape of its branch.
fn projection(one: &Tensor, other: &Tensor) -> Option<String> {
    if one.rank() != 4 || other.rank() != 4 {
        return None;
    }
    let ratio = other.dims[2].extent() / one.dims[2].extent().max(1);
    let stride = if ratio > 1 { format!(", stride={ratio}") } else { String::new() };
    Some(format!("project the other branch: `conv({}, 1{stride})`", one.dims[1]))
}

//! Operators of one and two values: of whole numbers and dims while building, else a formula.

use nnc_wgsl::{Binary, ExprBuilder, Ref, Scalar, Unary};

use crate::elaborate::arithmetic::{Bring, Operand};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast;

impl<'a> Elaborator<'a> {
    /// `left operator right`
    pub(in crate::elaborate) fn binary(
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
    pub(in crate::elaborate) fn negate(&mut self, span: Span, operand: Operand<'a>) -> Outcome<Value<'a>> {
        if let Value::Int(dim) = &operand.0
            && let Some(negative) = dim.negate()
        {
            return Ok(Value::Int(negative));
        }
        self.formula("-", span, &[operand], Bring::Number, |b, x| b.unary(Unary::Neg, x[0]))
    }

    /// `not value`
    pub(in crate::elaborate) fn not(&mut self, span: Span, operand: Operand<'a>) -> Outcome<Value<'a>> {
        self.formula("not", span, &[operand], Bring::Truth, |b, x| b.unary(Unary::Not, x[0]))
    }
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

//! The value of an expression.

use crate::diagnostic::Diagnostic;
use crate::elaborate::call::{Given, Home};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::names::unquoted;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{
    Argument, Binary, Body, DefinitionKind, Expr, ExprKind, Name, Statement, StatementKind, Unary,
};

impl<'a> Elaborator<'a> {
    /// The value of `expr` where the names of `frame` are known.
    pub(super) fn expression(&mut self, frame: &mut Frame<'a>, expr: &'a Expr) -> Outcome<Value<'a>> {
        self.spend(1, expr.span)?;
        self.deeper(expr.span, |e| e.value_of(frame, expr))
    }

    fn value_of(&mut self, frame: &mut Frame<'a>, expr: &'a Expr) -> Outcome<Value<'a>> {
        match &expr.kind {
            ExprKind::Int(value) => Ok(Value::int(*value)),
            ExprKind::Float(value) => Ok(Value::Float(*value)),
            ExprKind::Text(text) => Ok(Value::Text(text.clone())),
            ExprKind::Bool(truth) => Ok(Value::Bool(*truth)),
            ExprKind::Name(text) => {
                let value = self.known(frame, text, expr.span, "name")?;
                self.bounded(value, expr.span)
            }
            ExprKind::Tuple(values) | ExprKind::List(values) => {
                let values: Outcome<Vec<Value<'a>>> =
                    values.iter().map(|value| self.expression(frame, value).map(Value::first)).collect();
                self.bounded(Value::List(values?), expr.span)
            }
            ExprKind::Unary(operator, operand) => {
                let value = self.expression(frame, operand)?.first();
                match operator {
                    Unary::Negate => self.negate(expr.span, (value, operand.span)),
                    Unary::Not => self.not(expr.span, (value, operand.span)),
                }
            }
            ExprKind::Binary { operator, place, left, right } => {
                self.operation(frame, *operator, *place, left, right)
            }
            ExprKind::Range(from, to) => {
                let low = self.expression(frame, from)?;
                let low = self.real(&low, from.span)?;
                let high = self.expression(frame, to)?;
                let high = self.real(&high, to.span)?;
                Ok(Value::Range(low, high))
            }
            ExprKind::Call { callee, arguments } => self.call_expression(frame, expr, callee, arguments),
            ExprKind::Field(..) => match self.dotted(frame, expr)? {
                Some(value) => Ok(value),
                None => {
                    let help = self.instead_of_field(frame, expr);
                    let help = help.or_else(|| declared_weight(expr));
                    let diagnostic = Diagnostic::error("E0201", "a value has no fields", expr.span)
                        .fact("only files used with a prefix have names inside")
                        .help_maybe(help);
                    Err(self.report(diagnostic))
                }
            },
            ExprKind::Index(operand, indices) => {
                let value = self.expression(frame, operand)?.first();
                if self.update.is_some() {
                    let what = format!("`{}`", self.bundle.sources().slice(expr.span));
                    self.elementwise(&value, &what, expr.span)?;
                }
                self.index(frame, value, operand.span, indices, expr.span)
            }
            ExprKind::If { condition, then, otherwise } => {
                self.choice(frame, expr.span, condition, then, otherwise.as_ref())
            }
            ExprKind::Pipeline(pipeline) => self.pipeline(frame, pipeline),
            ExprKind::Scan(scan) => self.scan(frame, scan, expr.span),
        }
    }

    fn operation(
        &mut self,
        frame: &mut Frame<'a>,
        operator: Binary,
        place: Span,
        left: &'a Expr,
        right: &'a Expr,
    ) -> Outcome<Value<'a>> {
        let first = self.expression(frame, left)?.first();
        if let (Binary::And | Binary::Or, Value::Bool(truth)) = (operator, &first)
            && *truth == (operator == Binary::Or)
        {
            return Ok(Value::Bool(*truth));
        }
        let second = self.expression(frame, right)?.first();
        let operands = ((first, left.span), (second, right.span));
        if operator == Binary::MatrixProduct {
            self.elementwise(&operands.0.0, "`@`", place)?;
            return self.matrix_product(place, operands.0, operands.1);
        }
        self.binary(operator, place, operands.0, operands.1)
    }

    fn call_expression(
        &mut self,
        frame: &mut Frame<'a>,
        expr: &'a Expr,
        callee: &'a Expr,
        arguments: &'a [Argument],
    ) -> Outcome<Value<'a>> {
        let called = match &callee.kind {
            ExprKind::Name(text) => self.known(frame, text, callee.span, "layer or function")?,
            ExprKind::Field(..) => match self.dotted(frame, callee)? {
                Some(value) => value,
                None => {
                    let help = self.instead_of_field(frame, callee);
                    let message = format!("`{}` cannot be called", self.bundle.sources().slice(callee.span));
                    let diagnostic =
                        Diagnostic::error("E0209", message, callee.span).fact("not a layer").help_maybe(help);
                    return Err(self.report(diagnostic));
                }
            },
            _ => self.expression(frame, callee)?,
        };
        let given = self.arguments(frame, arguments)?;
        if self.bundle.is_library(expr.span) {
            return self.call(frame, called, callee.span, expr.span, Home::Own, given);
        }
        let written = called.clone();
        let before = (self.weights.trained.len(), self.graph.len());
        let value = self.call(frame, called, callee.span, expr.span, Home::Own, given)?;
        self.record_call(frame, expr.span, callee, &written, &value, before);
        Ok(value)
    }

    /// Adds a line to the layer table for a call in a formula of a model or a block; the steps of a walk have none.
    fn record_call(
        &mut self,
        frame: &Frame<'a>,
        span: Span,
        callee: &Expr,
        called: &Value<'a>,
        value: &Value<'a>,
        before: (usize, usize),
    ) {
        let layered = matches!(&frame.owner, Some((DefinitionKind::Model | DefinitionKind::Block, _)));
        if !layered || self.walks > 0 {
            return;
        }
        let sources = self.bundle.sources();
        let operation = sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" ");
        let name = sources.slice(callee.span);
        let label = name.rsplit('.').next().unwrap_or(name);
        self.record((span, operation), called, value, before, (Home::Own, label));
    }

    /// The values of written arguments.
    pub(super) fn arguments(
        &mut self,
        frame: &mut Frame<'a>,
        arguments: &'a [Argument],
    ) -> Outcome<Vec<Given<'a>>> {
        let mut given = Vec::with_capacity(arguments.len());
        let mut failed = false;
        for argument in arguments {
            match self.expression(frame, &argument.value) {
                Ok(value) => given.push(Given {
                    name: argument.name.as_ref().map(|name| (&*name.text, name.span)),
                    value: value.first(),
                    span: self.argument_place(frame, &argument.value),
                }),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(given) }
    }

    /// Where an argument is written: one that the library only hands on, where the model's author wrote it.
    pub(super) fn argument_place(&self, frame: &Frame<'a>, argument: &Expr) -> Span {
        match &argument.kind {
            ExprKind::Name(name) if self.bundle.is_library(argument.span) => {
                frame.places.get(name).copied().unwrap_or(argument.span)
            }
            ExprKind::If { then, otherwise, .. } if self.bundle.is_library(argument.span) => {
                let bodies = otherwise.iter().chain(std::iter::once(then));
                let places = bodies.filter_map(|body| match body.statements.as_slice() {
                    [Statement { kind: StatementKind::Value(values), .. }] => match values.as_slice() {
                        [Expr { kind: ExprKind::Name(name), .. }] => frame.places.get(name).copied(),
                        _ => None,
                    },
                    _ => None,
                });
                places.into_iter().next().unwrap_or(argument.span)
            }
            _ => argument.span,
        }
    }

    /// `prefix.name`, where a file is used with that prefix.
    fn dotted(&mut self, frame: &Frame<'a>, expr: &Expr) -> Outcome<Option<Value<'a>>> {
        let ExprKind::Field(owner, field) = &expr.kind else { return Ok(None) };
        let ExprKind::Name(prefix) = &owner.kind else { return Ok(None) };
        let prefix = Name { text: prefix.clone(), span: owner.span };
        self.prefixed(frame, &[prefix, field.clone()])
    }

    fn choice(
        &mut self,
        frame: &mut Frame<'a>,
        span: Span,
        condition: &'a Expr,
        then: &'a Body,
        otherwise: Option<&'a Body>,
    ) -> Outcome<Value<'a>> {
        if self.condition(frame, condition)? {
            return self.inner_body(frame, then);
        }
        match otherwise {
            Some(body) => self.inner_body(frame, body),
            None if matches!(frame.owner, Some((DefinitionKind::Optimizer, _))) => {
                Ok(Value::Outputs(Vec::new()))
            }
            None => self.fail(
                "E0210",
                span,
                "this `if` has no value where its condition does not hold",
                "it needs an `else`",
            ),
        }
    }

    /// A condition, which must be known at build time.
    pub(super) fn condition(&mut self, frame: &mut Frame<'a>, condition: &'a Expr) -> Outcome<bool> {
        match self.expression(frame, condition)?.first() {
            Value::Bool(truth) => Ok(truth),
            other
            @ (Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Symbol(_)) => {
                let found = other.describe();
                let message = "a condition is true or false";
                self.fail("E0204", condition.span, message, format!("this is {found}"))
            }
            other => {
                let found = other.describe();
                let diagnostic =
                    Diagnostic::error("E0208", "this condition is not known at build time", condition.span)
                        .fact(format!("it is {found}"));
                let diagnostic = match other {
                    Value::Tensor(_) | Value::Host(_) => {
                        diagnostic.help("a condition on tensors is written `select(condition, a, b)`")
                    }
                    _ => diagnostic,
                };
                Err(self.report(diagnostic))
            }
        }
    }

    /// `value` as a whole number.
    pub(super) fn whole(&mut self, value: &Value<'a>, span: Span) -> Outcome<Dim> {
        match value {
            Value::Int(dim) => Ok(dim.clone()),
            Value::Error => Err(Reported),
            other => {
                let found = other.describe();
                let diagnostic = Diagnostic::error("E0204", "a whole number is needed here", span)
                    .fact(format!("this is {found}"))
                    .help_maybe(unquoted(other));
                Err(self.report(diagnostic))
            }
        }
    }

    /// `value` as a whole number that is not negative.
    pub(super) fn count(&mut self, value: &Value<'a>, span: Span) -> Outcome<usize> {
        let dim = self.whole(value, span)?;
        match usize::try_from(dim.extent()) {
            Ok(count) => Ok(count),
            Err(_) => self.fail("E0204", span, "a number from 0 on is needed here", format!("this is {dim}")),
        }
    }

    /// `value` as a number known at build time.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn real(&mut self, value: &Value<'a>, span: Span) -> Outcome<f64> {
        match value {
            Value::Int(dim) => Ok(dim.extent() as f64),
            Value::Float(number) => Ok(*number),
            Value::Error => Err(Reported),
            other => {
                let found = other.describe();
                self.fail("E0204", span, "a number is needed here", format!("this is {found}"))
            }
        }
    }
}

/// What is written in place of `layer.weight`.
fn declared_weight(expr: &Expr) -> Option<String> {
    let ExprKind::Field(_, field) = &expr.kind else { return None };
    let name = field.text.as_str();
    let inside = matches!(name, "weight" | "bias");
    inside.then(|| {
        format!(
            "the weights of a layer are its own: declare one to share it, `weight {}: f32[..] = ...`",
            if name == "weight" { "w" } else { "b" }
        )
    })
}

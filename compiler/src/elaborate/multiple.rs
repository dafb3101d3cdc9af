//! How the formula of a `grad` depends on `dy`: it must be a multiple of it. What is seen through are products, quotients,
//! sums and choices, written with signs, as calls or as stages; a function that `dy` goes into may do anything with it.

use crate::elaborate::context::Elaborator;
use crate::elaborate::frame::Frame;
use crate::elaborate::lint::mentions;
use crate::elaborate::value::{Callable, Value};
use crate::source::Span;
use crate::syntax::ast::{Argument, Binary, Body, Expr, ExprKind, Stage, StageKind, StatementKind, Unary};

/// The gradient that comes from above.
pub(super) const UPSTREAM: &str = "dy";

/// How a formula depends on `dy`.
#[derive(Clone, Copy)]
pub(super) enum Dependence<'e> {
    /// It is 0.
    Zero,
    /// Not at all.
    Without,
    /// As a multiple of it.
    Multiple,
    /// In another way, because of what stands here.
    Other(Span),
    /// As this function has it, which it is given to here.
    Given(Span, &'e str),
}

/// A part of a formula and where it stands.
type Part<'e> = (Dependence<'e>, Span);

impl<'a> Elaborator<'a> {
    /// How `expr`, whose names are those of `frame`, depends on `dy`.
    pub(super) fn dependence(&mut self, frame: &Frame<'a>, expr: &'a Expr) -> Dependence<'a> {
        match &expr.kind {
            ExprKind::Name(name) if name == UPSTREAM => Dependence::Multiple,
            ExprKind::Name(name) if self.is_zero(frame, name, expr.span) => Dependence::Zero,
            ExprKind::Int(0) => Dependence::Zero,
            ExprKind::Float(number) if *number == 0.0 => Dependence::Zero,
            ExprKind::Unary(Unary::Negate, operand) => self.dependence(frame, operand),
            ExprKind::Binary { operator: Binary::Multiply, left, right, .. } => {
                product(self.share(frame, left), self.share(frame, right))
            }
            ExprKind::Binary { operator: Binary::Divide, left, right, .. } => {
                match self.dependence(frame, right) {
                    Dependence::Zero | Dependence::Without => self.dependence(frame, left),
                    Dependence::Multiple | Dependence::Other(_) => Dependence::Other(right.span),
                    Dependence::Given(span, function) => Dependence::Given(span, function),
                }
            }
            ExprKind::Binary { operator: Binary::Add | Binary::Subtract, left, right, .. } => {
                either(self.share(frame, left), self.share(frame, right))
            }
            ExprKind::Call { callee, arguments } => match &callee.kind {
                ExprKind::Name(name) => self.of_call(frame, name, None, arguments, expr.span),
                _ => opaque(expr),
            },
            ExprKind::Pipeline(pipeline) => {
                let mut so_far = self.share(frame, &pipeline.source);
                for stage in &pipeline.stages {
                    so_far = (self.of_stage(frame, so_far, stage), stage.span);
                }
                so_far.0
            }
            ExprKind::If { condition, then, otherwise: Some(otherwise) }
                if !mentions(condition, UPSTREAM) =>
            {
                match (value_alone(then), value_alone(otherwise)) {
                    (Some(then), Some(otherwise)) => {
                        either(self.share(frame, then), self.share(frame, otherwise))
                    }
                    _ => opaque(expr),
                }
            }
            _ => opaque(expr),
        }
    }

    fn share(&mut self, frame: &Frame<'a>, expr: &'a Expr) -> Part<'a> {
        (self.dependence(frame, expr), expr.span)
    }

    /// A stage that `before` goes into.
    fn of_stage(&mut self, frame: &Frame<'a>, before: Part<'a>, stage: &'a Stage) -> Dependence<'a> {
        let StageKind::Call { path, arguments, branches: None } = &stage.kind else {
            return match before.0 {
                Dependence::Zero | Dependence::Without => Dependence::Without,
                Dependence::Multiple => Dependence::Other(stage.span),
                other => other,
            };
        };
        let name = path.last().map_or("", |name| name.text.as_str());
        self.of_call(frame, name, Some(before), arguments.as_deref().unwrap_or(&[]), stage.span)
    }

    /// A call of `name` with `first`, where it is a stage, and `arguments`.
    fn of_call(
        &mut self,
        frame: &Frame<'a>,
        name: &'a str,
        first: Option<Part<'a>>,
        arguments: &'a [Argument],
        span: Span,
    ) -> Dependence<'a> {
        let mut parts: Vec<Part<'a>> = first.into_iter().collect();
        parts.extend(arguments.iter().map(|argument| self.share(frame, &argument.value)));
        let known = self.is_primitive(frame, name, span);
        match (name, parts.as_slice()) {
            ("identity", [(one, _)]) if known => *one,
            ("mul", [first, rest @ ..]) if known => {
                rest.iter().fold(*first, |so_far, part| (product(so_far, *part), span)).0
            }
            ("add", [first, rest @ ..]) if known => {
                rest.iter().fold(*first, |so_far, part| (either(so_far, *part), part.1)).0
            }
            ("select", [(Dependence::Without | Dependence::Zero, _), yes, no]) if known => either(*yes, *no),
            ("zeros", _) if known && parts.iter().all(|(part, _)| part.is_free()) => Dependence::Zero,
            _ if parts.iter().all(|(part, _)| part.is_free()) => Dependence::Without,
            _ => Dependence::Given(span, name),
        }
    }

    /// Whether `name` stands for the primitive of that name, and for nothing of the file's own.
    fn is_primitive(&mut self, frame: &Frame<'a>, name: &str, span: Span) -> bool {
        let found = self.lookup(frame, name, span);
        matches!(found, Ok(Some(Value::Callable(Callable::Intrinsic(found)))) if found.name == name)
    }

    /// Whether `name` stands for a number that is known to be 0.
    fn is_zero(&mut self, frame: &Frame<'a>, name: &str, span: Span) -> bool {
        match self.lookup(frame, name, span) {
            Ok(Some(Value::Int(dim))) => dim.as_constant() == Some(0),
            Ok(Some(Value::Float(number))) => number == 0.0,
            _ => false,
        }
    }
}

impl Dependence<'_> {
    /// Whether `dy` does not stand in it.
    fn is_free(self) -> bool {
        matches!(self, Dependence::Zero | Dependence::Without)
    }
}

/// A formula that is not seen through.
fn opaque(expr: &Expr) -> Dependence<'_> {
    if mentions(expr, UPSTREAM) { Dependence::Other(expr.span) } else { Dependence::Without }
}

/// What a product of two formulas depends on.
fn product<'e>((first, one): Part<'e>, (second, other): Part<'e>) -> Dependence<'e> {
    match (first, second) {
        (found @ (Dependence::Other(_) | Dependence::Given(..)), _)
        | (_, found @ (Dependence::Other(_) | Dependence::Given(..))) => found,
        (Dependence::Multiple, Dependence::Multiple) => Dependence::Other(one.to(other)),
        (Dependence::Zero, _) | (_, Dependence::Zero) => Dependence::Zero,
        (Dependence::Without, other) | (other, Dependence::Without) => other,
    }
}

/// What a sum, or a choice, of two formulas depends on.
fn either<'e>((first, one): Part<'e>, (second, other): Part<'e>) -> Dependence<'e> {
    match (first, second) {
        (found @ (Dependence::Other(_) | Dependence::Given(..)), _)
        | (_, found @ (Dependence::Other(_) | Dependence::Given(..))) => found,
        (Dependence::Zero, second) => second,
        (first, Dependence::Zero) => first,
        (Dependence::Multiple, Dependence::Multiple) => Dependence::Multiple,
        (Dependence::Without, Dependence::Without) => Dependence::Without,
        (Dependence::Without, Dependence::Multiple) => Dependence::Other(one),
        (Dependence::Multiple, Dependence::Without) => Dependence::Other(other),
    }
}

/// The value of a body that is nothing else.
fn value_alone(body: &Body) -> Option<&Expr> {
    let [statement] = body.statements.as_slice() else { return None };
    match &statement.kind {
        StatementKind::Value(values) if values.len() == 1 => values.first(),
        _ => None,
    }
}

//! `grad x = formula`: the formula is taken for `dy = 1` and multiplied by what comes from above, so that it must be a
//! multiple of `dy`, and belong to a parameter of the `fn` or `block` in whose body it stands.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::lint::mentions;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::{Binary, Body, DefinitionKind, Expr, ExprKind, Name, StatementKind, Unary};

/// The gradient that comes from above.
const UPSTREAM: &str = "dy";

/// How a formula depends on `dy`.
#[derive(Clone, Copy)]
enum Dependence {
    /// It is 0.
    Zero,
    /// Not at all.
    Without,
    /// As a multiple of it.
    Multiple,
    /// In another way, because of what stands here.
    Other(Span),
}

impl<'a> Elaborator<'a> {
    /// `grad name = value` in the body of `frame`.
    pub(super) fn slope(&mut self, frame: &mut Frame<'a>, name: &'a Name, value: &'a Expr) -> Outcome<()> {
        let Some(definition) = frame.definition else {
            let message = "`grad` stands in a `fn` or a `block`";
            let diagnostic = Diagnostic::error("E0504", message, name.span).fact("not here");
            let help = "write a `fn` whose parameter it is about, and call it here";
            return Err(self.report(diagnostic.help(help)));
        };
        let parameters = || definition.parameters.iter().map(|parameter| parameter.name.text.as_str());
        let called = &definition.name.text;
        if !parameters().any(|parameter| parameter == name.text) {
            let message = format!("`{called}` has no parameter `{}`", name.text);
            let diagnostic = Diagnostic::error("E0504", message, name.span)
                .fact("whose gradient would this be")
                .label(
                    definition.name.span,
                    format!("it has {}", parameters().collect::<Vec<_>>().join(", ")),
                )
                .help_maybe(did_you_mean(&name.text, parameters()));
            return Err(self.report(diagnostic));
        }
        let at_top = definition.body.statements.iter().any(|statement| match &statement.kind {
            StatementKind::Grad { name: other, .. } => other.span == name.span,
            _ => false,
        });
        if !at_top {
            let message = "`grad` stands inside an `if` or a `scan`";
            let diagnostic = Diagnostic::error("E0504", message, name.span).fact("it would not be looked at");
            let help = format!("move it to the top of `{called}`: `grad x = if c {{ dy }} else {{ 0 }}`");
            return Err(self.report(diagnostic.help(help)));
        }
        self.multiple(value)?;
        let hidden = frame.names.get(UPSTREAM).cloned();
        frame.bind(UPSTREAM, Value::Float(1.0));
        let slope = self.expression(frame, value);
        frame.names.remove(UPSTREAM);
        if let Some(hidden) = hidden {
            frame.bind(UPSTREAM, hidden);
        }
        frame.grads.insert(name.text.clone(), slope?.first());
        Ok(())
    }

    fn multiple(&mut self, value: &Expr) -> Outcome<()> {
        let message = "a `grad` formula is a multiple of `dy`";
        let diagnostic = match dependence(value) {
            Dependence::Zero | Dependence::Multiple => return Ok(()),
            Dependence::Without => {
                Diagnostic::error("E0504", message, value.span).fact("`dy` does not stand in it")
            }
            Dependence::Other(span) => {
                let fact = "not a multiple because of this";
                Diagnostic::error("E0504", message, span).fact(fact)
            }
        };
        Err(self.report(
            diagnostic.help("write `dy * (...)`, with a formula of the parameters in the parentheses"),
        ))
    }

    /// Refuses a slope that cannot be laid along `original`.
    pub(super) fn slope_fits(
        &mut self,
        name: &str,
        slope: &Tensor,
        original: &Tensor,
        span: Span,
    ) -> Outcome<()> {
        let behind = original.rank().checked_sub(slope.rank());
        let one = Dim::constant(1);
        let fits = behind.is_some_and(|behind| {
            slope
                .dims
                .iter()
                .zip(&original.dims[behind..])
                .all(|(mine, theirs)| *mine == one || mine == theirs)
        });
        if fits {
            return Ok(());
        }
        let message = format!("`grad {name}` does not have the shape of `{name}`");
        self.fail("E0504", span, message, format!("{} for {}", slope.show(), original.show()))
    }
}

fn dependence(expr: &Expr) -> Dependence {
    let opaque = || if mentions(expr, UPSTREAM) { Dependence::Other(expr.span) } else { Dependence::Without };
    match &expr.kind {
        ExprKind::Name(name) if name == UPSTREAM => Dependence::Multiple,
        ExprKind::Int(0) => Dependence::Zero,
        ExprKind::Float(number) if *number == 0.0 => Dependence::Zero,
        ExprKind::Unary(Unary::Negate, operand) => dependence(operand),
        ExprKind::Binary { operator: Binary::Multiply, left, right, .. } => {
            match (dependence(left), dependence(right)) {
                (Dependence::Other(span), _) | (_, Dependence::Other(span)) => Dependence::Other(span),
                (Dependence::Multiple, Dependence::Multiple) => Dependence::Other(expr.span),
                (Dependence::Zero, _) | (_, Dependence::Zero) => Dependence::Zero,
                (Dependence::Without, other) | (other, Dependence::Without) => other,
            }
        }
        ExprKind::Binary { operator: Binary::Divide, left, right, .. } => match dependence(right) {
            Dependence::Zero | Dependence::Without => dependence(left),
            Dependence::Multiple | Dependence::Other(_) => Dependence::Other(right.span),
        },
        ExprKind::Binary { operator: Binary::Add | Binary::Subtract, left, right, .. } => {
            either((dependence(left), left.span), (dependence(right), right.span))
        }
        ExprKind::Call { callee, arguments } => match (&callee.kind, arguments.as_slice()) {
            (ExprKind::Name(name), [condition, yes, no])
                if name == "select" && !mentions(&condition.value, UPSTREAM) =>
            {
                let (yes, no) = (&yes.value, &no.value);
                either((dependence(yes), yes.span), (dependence(no), no.span))
            }
            _ => opaque(),
        },
        ExprKind::If { condition, then, otherwise: Some(otherwise) } if !mentions(condition, UPSTREAM) => {
            match (value_alone(then), value_alone(otherwise)) {
                (Some(then), Some(otherwise)) => {
                    either((dependence(then), then.span), (dependence(otherwise), otherwise.span))
                }
                _ => opaque(),
            }
        }
        _ => opaque(),
    }
}

/// What a sum, or a choice, of two formulas depends on; the places are those of the two.
fn either((first, one): (Dependence, Span), (second, other): (Dependence, Span)) -> Dependence {
    match (first, second) {
        (Dependence::Other(span), _) | (_, Dependence::Other(span)) => Dependence::Other(span),
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

/// Whether `kind` is one whose parameters can have a `grad`.
pub(super) fn has_slopes(kind: DefinitionKind) -> bool {
    matches!(kind, DefinitionKind::Fn | DefinitionKind::Block)
}

//! `stop` and `save`: formulas over what was measured, for the training loop.

use nnc_runtime::artifact::{HostBinary, HostExpr};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{Argument, Binary, Expr, ExprKind, Name, Unary};

/// What is measured after an epoch.
pub(super) struct Measured<'a, 's> {
    /// The parts of the data.
    pub(super) parts: Vec<String>,
    /// The losses of `update` groups.
    pub(super) losses: &'s [String],
    /// The metrics and their formulas.
    pub(super) metrics: &'s [(&'a Name, &'a Expr)],
}

impl Measured<'_, '_> {
    /// Whether `name` is measured on every part.
    fn measures(&self, name: &str) -> bool {
        let metric = self.metrics.iter().any(|(metric, _)| metric.text == name);
        name == "loss" || metric || self.losses.iter().any(|loss| loss == name)
    }
}

impl<'a> Elaborator<'a> {
    /// `stop`: a condition.
    pub(super) fn stop_condition(&mut self, expr: &'a Expr, known: &Measured<'a, '_>) -> Outcome<HostExpr> {
        let value = self.host_expression(expr, known)?;
        if matches!(expr.kind, ExprKind::Bool(_)) || is_condition(&value) {
            return Ok(value);
        }
        let diagnostic = Diagnostic::error("E0204", "`stop` is a condition", expr.span)
            .fact("this is a number")
            .help("compare it: `test.loss < 0.1`, or write `patience(test.loss, 5)`");
        Err(self.report(diagnostic))
    }

    /// `expr` as a formula of the training loop.
    pub(super) fn host_expression(&mut self, expr: &'a Expr, known: &Measured<'a, '_>) -> Outcome<HostExpr> {
        match &expr.kind {
            ExprKind::Field(owner, name) => self.measured(owner, name, expr.span, known),
            ExprKind::Name(name) if known.measures(name) => {
                let part = known.parts.iter().find(|part| *part == "test").or(known.parts.first());
                let part = part.map_or("test", String::as_str);
                let diagnostic =
                    Diagnostic::error("E0404", format!("`{name}` is measured on every part"), expr.span)
                        .fact(format!("on which of {}", known.parts.join(", ")))
                        .help(format!("write `{part}.{name}`"));
                Err(self.report(diagnostic))
            }
            ExprKind::Name(name) if name == "epoch" => Ok(HostExpr::Epoch),
            ExprKind::Name(name) if name == "step" => Ok(HostExpr::Step),
            ExprKind::Unary(operator, operand) => {
                let operand = Box::new(self.host_expression(operand, known)?);
                Ok(match operator {
                    Unary::Negate => HostExpr::Neg(operand),
                    Unary::Not => HostExpr::Not(operand),
                })
            }
            ExprKind::Binary { operator, place, left, right } => {
                let Some(operator) = host_binary(*operator) else {
                    let message = format!("`{}` cannot be computed by the training loop", operator.sign());
                    return self.fail("E0204", *place, message, "not among numbers that are measured");
                };
                let left = self.host_expression(left, known)?;
                let right = self.host_expression(right, known)?;
                Ok(HostExpr::Binary(operator, Box::new(left), Box::new(right)))
            }
            ExprKind::Call { callee, arguments } => match &callee.kind {
                ExprKind::Name(name) if name == "patience" => self.patience(expr, arguments, known),
                ExprKind::Name(name) if (name == "min" || name == "max") && arguments.len() == 2 => {
                    let left = self.host_expression(&arguments[0].value, known)?;
                    let right = self.host_expression(&arguments[1].value, known)?;
                    let operator = if name == "min" { HostBinary::Min } else { HostBinary::Max };
                    Ok(HostExpr::Binary(operator, Box::new(left), Box::new(right)))
                }
                _ => self.host_number(expr),
            },
            _ => self.host_number(expr),
        }
    }

    fn host_number(&mut self, expr: &'a Expr) -> Outcome<HostExpr> {
        let value = self.settled(expr)?;
        match value {
            Value::Callable(callable) => {
                let name = callable.name();
                let diagnostic = Diagnostic::error("E0404", format!("`{name}` is not measured"), expr.span)
                    .fact("a function, and not a metric of this `train`")
                    .help(format!(
                        "write `metrics {{ {name} = {name}(logits, label) }}`, and here `test.{name}`"
                    ));
                Err(self.report(diagnostic))
            }
            Value::Bool(truth) => Ok(HostExpr::Number(f64::from(u8::from(truth)))),
            other => self.real(&other, expr.span).map(HostExpr::Number),
        }
    }

    fn measured(
        &mut self,
        owner: &Expr,
        name: &Name,
        span: Span,
        known: &Measured<'a, '_>,
    ) -> Outcome<HostExpr> {
        let part = match &owner.kind {
            ExprKind::Name(part) if known.parts.contains(part) => part.clone(),
            ExprKind::Name(part) => {
                let message = format!("the data has no part `{part}`");
                let diagnostic = Diagnostic::error("E0404", message, owner.span)
                    .fact(format!("it has {}", known.parts.join(", ")))
                    .help_maybe(did_you_mean(part, known.parts.iter().map(String::as_str)));
                return Err(self.report(diagnostic));
            }
            _ => return self.fail("E0404", span, "a metric is read as `test.name`", "not like this"),
        };
        let mut names: Vec<&str> = known.metrics.iter().map(|(name, _)| name.text.as_str()).collect();
        names.extend(known.losses.iter().map(String::as_str));
        names.push("loss");
        if !names.contains(&name.text.as_str()) {
            let message = format!("unknown metric `{}`", name.text);
            let diagnostic = Diagnostic::error("E0404", message, name.span)
                .fact(format!("measured are {}", names.join(", ")))
                .help_maybe(did_you_mean(&name.text, names.iter().copied()));
            return Err(self.report(diagnostic));
        }
        Ok(HostExpr::Metric { part, name: name.text.clone() })
    }

    /// `patience(test.loss, 5)`: larger is better for what a metric of the library measures, smaller for all
    /// else; `larger=true` says otherwise.
    fn patience(
        &mut self,
        expr: &'a Expr,
        arguments: &'a [Argument],
        known: &Measured<'a, '_>,
    ) -> Outcome<HostExpr> {
        let unnamed: Vec<&'a Argument> =
            arguments.iter().filter(|argument| argument.name.is_none()).collect();
        let [watched, epochs] = unnamed.as_slice() else {
            let message = "`patience` needs a value and a number of epochs";
            return self.fail("E0203", expr.span, message, "such as `patience(test.loss, 5)`");
        };
        let value = self.host_expression(&watched.value, known)?;
        let count = self.settled(&epochs.value)?;
        let count = self.count(&count, epochs.span)?;
        let mut larger = self.larger_is_better(&value, known).unwrap_or(false);
        for argument in arguments {
            let Some(name) = &argument.name else { continue };
            match (name.text.as_str(), self.settled(&argument.value)?) {
                ("larger", Value::Bool(truth)) => larger = truth,
                _ => {
                    let message = format!("`patience` has no argument `{}`", name.text);
                    return self.fail("E0202", name.span, message, "it has `larger=true`");
                }
            }
        }
        let epochs = u64::try_from(count).unwrap_or(u64::MAX);
        Ok(HostExpr::Patience { value: Box::new(value), epochs, larger_is_better: larger })
    }

    /// Whether a larger `value` is better: a metric of the library says so of what it measures, a loss the opposite.
    pub(super) fn larger_is_better(&self, value: &HostExpr, known: &Measured<'a, '_>) -> Option<bool> {
        let HostExpr::Metric { name, .. } = value else {
            let HostExpr::Neg(inner) = value else { return None };
            return self.larger_is_better(inner, known).map(|larger| !larger);
        };
        let Some((_, formula)) = known.metrics.iter().find(|(metric, _)| metric.text == *name) else {
            return Some(false);
        };
        let ExprKind::Call { callee, .. } = &formula.kind else { return None };
        let ExprKind::Name(called) = &callee.kind else { return None };
        if ["accuracy", "mean_average_precision"].contains(&called.as_str()) {
            return Some(true);
        }
        self.bundle.library_path_of(called).is_some_and(|path| path == "std/losses.nn").then_some(false)
    }
}

fn is_condition(value: &HostExpr) -> bool {
    match value {
        HostExpr::Not(_) | HostExpr::Patience { .. } => true,
        HostExpr::Binary(operator, ..) => match operator {
            HostBinary::Or
            | HostBinary::And
            | HostBinary::Eq
            | HostBinary::Ne
            | HostBinary::Le
            | HostBinary::Ge
            | HostBinary::Lt
            | HostBinary::Gt => true,
            HostBinary::Add
            | HostBinary::Sub
            | HostBinary::Mul
            | HostBinary::Div
            | HostBinary::Min
            | HostBinary::Max => false,
        },
        _ => false,
    }
}

fn host_binary(operator: Binary) -> Option<HostBinary> {
    Some(match operator {
        Binary::Or => HostBinary::Or,
        Binary::And => HostBinary::And,
        Binary::Equal => HostBinary::Eq,
        Binary::Unequal => HostBinary::Ne,
        Binary::AtMost => HostBinary::Le,
        Binary::AtLeast => HostBinary::Ge,
        Binary::Less => HostBinary::Lt,
        Binary::Greater => HostBinary::Gt,
        Binary::Add => HostBinary::Add,
        Binary::Subtract => HostBinary::Sub,
        Binary::Multiply => HostBinary::Mul,
        Binary::Divide => HostBinary::Div,
        Binary::FloorDivide | Binary::Remainder | Binary::MatrixProduct | Binary::Power => return None,
    })
}

//! The statements of a body, in order.

mod binding;
mod stored;

use std::rc::Rc;

use nnc_runtime::artifact::StoredKind;

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Callable, Layer, Value};
use crate::source::Span;
use crate::syntax::ast::{Binary, Body, DefinitionKind, Expr, ExprKind, Statement, StatementKind, Unary};

/// The most letters of a line that a help repeats.
const LONGEST_LINE: usize = 60;

impl<'a> Elaborator<'a> {
    /// Runs `body`; its value is its last line's.
    pub(super) fn body(&mut self, frame: &mut Frame<'a>, body: &'a Body) -> Outcome<Value<'a>> {
        let mut failed = false;
        let mut result = None;
        let last = body.statements.len().saturating_sub(1);
        for (place, statement) in body.statements.iter().enumerate() {
            if failed && self.bundle.is_library(statement.span) {
                break;
            }
            match self.statement(frame, statement) {
                Ok(None) => {}
                Ok(Some(value)) if place == last => result = Some(value),
                Ok(Some(Value::Outputs(values))) if values.is_empty() => {}
                Ok(Some(_)) if is_named(statement) => {}
                Ok(Some(Value::Outputs(values))) if values.is_empty() => {}
                Ok(Some(_)) => {
                    let message = "this value is not used";
                    let minus = body.statements.get(place + 1).is_some_and(begins_with_minus);
                    let help =
                        "the next line begins with `-`: a formula over two lines stands in parentheses";
                    self.report(
                        Diagnostic::warning("W0202", message, statement.span)
                            .fact("only the last line of a body is its value")
                            .help_maybe(minus.then(|| help.to_owned())),
                    );
                }
                Err(Reported) => {
                    failed = true;
                    drop_bindings(frame, statement);
                }
            }
        }
        if failed {
            return Err(Reported);
        }
        let updates = matches!(frame.owner, Some((DefinitionKind::Optimizer, _)));
        match result {
            Some(value) => Ok(value),
            None if updates => Ok(Value::Outputs(Vec::new())),
            None => Err(self.no_value(body)),
        }
    }

    /// Runs `body`, the names of which end with its brace.
    pub(super) fn inner_body(&mut self, frame: &mut Frame<'a>, body: &'a Body) -> Outcome<Value<'a>> {
        let brace = frame.open_brace();
        let result = self.body(frame, body);
        frame.close_brace(brace);
        result
    }

    /// Reports a body whose last line is not its value, with the line that would be.
    fn no_value(&mut self, body: &'a Body) -> Reported {
        let message = "this body has no value";
        let Some(last) = body.statements.last() else {
            let diagnostic = Diagnostic::error("E0210", message, body.span).fact("it is empty");
            return self
                .report(diagnostic.help("its last line is its value: a formula, or a chain of layers"));
        };
        let diagnostic = Diagnostic::error("E0210", message, last.span).fact("the last line is not a value");
        let help = match &last.kind {
            StatementKind::Bind { targets, values } => {
                let sources = self.bundle.sources();
                let names: Vec<&str> = targets.iter().map(|target| target.name.text.as_str()).collect();
                let given: Vec<&str> = values.iter().map(|value| sources.slice(value.span)).collect();
                let (names, given) = (names.join(", "), given.join(", "));
                if given.contains('\n') || given.len() > LONGEST_LINE {
                    format!("end with `{names}` on a line of its own")
                } else {
                    format!("end with `{given}` instead, or with `{names}` on a line of its own")
                }
            }
            _ => "its last line is its value: a formula, or a chain of layers".to_owned(),
        };
        self.report(diagnostic.help(help))
    }

    fn statement(&mut self, frame: &mut Frame<'a>, statement: &'a Statement) -> Outcome<Option<Value<'a>>> {
        match &statement.kind {
            StatementKind::Layer { name, chain } => {
                self.forbid_in_fn(frame, statement.span)?;
                let path = self.weights.reserve(&name.text);
                let attributes = &statement.attributes;
                let layer = Layer { name: &name.text, path, chain, attributes, frame: frame.captured() };
                frame.bind(&name.text, Value::Callable(Callable::Layer(Rc::new(layer))));
            }
            StatementKind::Weight { name, ty, init } => {
                self.forbid_in_fn(frame, statement.span)?;
                let kind = StoredKind::Weight;
                let (tensor, _) = self.declare(frame, statement, name, ty, init.as_ref(), kind)?;
                frame.bind(&name.text, Value::Tensor(tensor));
            }
            StatementKind::State { name, init, .. } if self.update.is_some() => {
                self.optimizer_state(frame, name, init.as_ref())?;
            }
            StatementKind::State { name, ty, init } => {
                self.forbid_in_fn(frame, statement.span)?;
                let Some(ty) = ty else {
                    let message = format!("the state `{}` needs a type", name.text);
                    return self.fail("E0315", name.span, message, "such as `: f32[C]`");
                };
                let kind = StoredKind::State;
                let (tensor, path) = self.declare(frame, statement, name, ty, init.as_ref(), kind)?;
                frame.bind_state(&name.text, path, Value::Tensor(tensor));
            }
            StatementKind::Grad { name, value } => self.slope(frame, name, value)?,
            StatementKind::Bind { targets, values } => {
                self.precisely(&statement.attributes, |this| this.bind(frame, targets, values))?;
            }
            StatementKind::Value(values) => {
                self.compared_for_bound(frame, values)?;
                return self.values(frame, values).map(Some);
            }
        }
        Ok(None)
    }

    /// `y == x` as a statement, where `y` stands for nothing yet.
    fn compared_for_bound(&mut self, frame: &mut Frame<'a>, values: &'a [Expr]) -> Outcome<()> {
        let Some((name, left, right)) = comparison(values) else { return Ok(()) };
        if self.lookup(frame, name, left)?.is_some() {
            return Ok(());
        }
        let right = self.bundle.sources().slice(right);
        let diagnostic = Diagnostic::error("E0201", format!("unknown name `{name}`"), left)
            .fact("not found")
            .help(format!("`==` compares, and a value is bound with `=`: `{name} = {right}`"));
        Err(self.report(diagnostic))
    }

    fn values(&mut self, frame: &mut Frame<'a>, values: &'a [Expr]) -> Outcome<Value<'a>> {
        if let [one] = values {
            return self.expression(frame, one);
        }
        let mut out = Vec::with_capacity(values.len());
        let mut failed = false;
        for value in values {
            match self.expression(frame, value) {
                Ok(value) => out.push(value.first()),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(Value::Outputs(out)) }
    }

    /// A `fn` owns nothing, and an optimizer nothing but states.
    fn forbid_in_fn(&mut self, frame: &Frame<'a>, span: Span) -> Outcome<()> {
        if let Some((DefinitionKind::Optimizer, name)) = &frame.owner {
            let message = format!("the optimizer `{name}` would own weights");
            let diagnostic = Diagnostic::error("E0205", message, span)
                .fact("an optimizer is a formula")
                .help("what is kept between steps is a state: `state m = 0`");
            return Err(self.report(diagnostic));
        }
        let Some((DefinitionKind::Fn, name)) = &frame.owner else { return Ok(()) };
        let diagnostic = Diagnostic::error("E0205", format!("the `fn` `{name}` would own weights"), span)
            .fact("a `fn` is a formula")
            .help(format!("make it a block: `block {name}(...) {{ ... }}`"));
        Err(self.report(diagnostic))
    }
}

/// `name == right` as the only value of a statement: the name, where it stands, and where the right side does.
fn comparison(values: &[Expr]) -> Option<(&str, Span, Span)> {
    let [Expr { kind: ExprKind::Binary { operator: Binary::Equal, left, right, .. }, .. }] = values else {
        return None;
    };
    match &left.kind {
        ExprKind::Name(name) => Some((name, left.span, right.span)),
        _ => None,
    }
}

fn begins_with_minus(statement: &Statement) -> bool {
    let StatementKind::Value(values) = &statement.kind else { return false };
    let mut first = values.first();
    while let Some(expr) = first {
        first = match &expr.kind {
            ExprKind::Unary(operator, _) => return *operator == Unary::Negate,
            ExprKind::Binary { left, .. } => Some(&**left),
            ExprKind::Pipeline(pipeline) => Some(&pipeline.source),
            _ => None,
        };
    }
    false
}

/// Whether a pipeline gives its value a name at its end.
fn is_named(statement: &Statement) -> bool {
    let StatementKind::Value(values) = &statement.kind else { return false };
    values.iter().all(|value| match &value.kind {
        ExprKind::Pipeline(pipeline) => pipeline.stages.last().is_some_and(|stage| stage.label.is_some()),
        _ => false,
    })
}

/// What a failed statement would have bound is an error, so that nothing more is said about it.
fn drop_bindings(frame: &mut Frame<'_>, statement: &Statement) {
    match &statement.kind {
        StatementKind::Layer { name, .. }
        | StatementKind::Weight { name, .. }
        | StatementKind::State { name, .. } => frame.bind(&name.text, Value::Error),
        StatementKind::Bind { targets, .. } => {
            for target in targets {
                frame.bind(&target.name.text, Value::Error);
            }
        }
        StatementKind::Value(values) => {
            if let Some((name, ..)) = comparison(values)
                && !frame.names.contains_key(name)
            {
                frame.bind(name, Value::Error);
            }
        }
        StatementKind::Grad { .. } => {}
    }
}

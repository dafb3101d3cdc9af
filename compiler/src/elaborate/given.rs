//! What a `fn` or `block` gives, held against the outputs that its signature declares.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::{Definition, Expr, StatementKind};

impl<'a> Elaborator<'a> {
    /// `result` as `definition` declares it; where it declares nothing, as it is. `frame` holds the names of the
    /// signature, not those of the body.
    pub(super) fn as_declared_outputs(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        result: Value<'a>,
    ) -> Outcome<Value<'a>> {
        if definition.outputs.is_empty() {
            return Ok(result);
        }
        self.too_many_values(definition);
        let found = match result {
            Value::Outputs(values) => values,
            Value::List(values) if definition.outputs.len() > 1 => values,
            one => vec![one],
        };
        let last = last_line(definition);
        if found.len() < definition.outputs.len() {
            let message = format!("{} outputs are declared", definition.outputs.len());
            let diagnostic = Diagnostic::error("E0210", message, last)
                .fact(format!("the body gives {}", found.len()))
                .label(definition.name.span, "declared here");
            return Err(self.report(diagnostic));
        }
        let mut given = Vec::with_capacity(definition.outputs.len());
        let mut failed = false;
        for (output, value) in definition.outputs.iter().zip(found) {
            let role = match &output.name {
                Some(name) => Role::Output { name: &name.text },
                None => Role::Result { of: &definition.name.text },
            };
            let value = made_inside(value, definition.body.span);
            match self.check(frame, &output.ty, value, last, role) {
                Ok(value) => given.push(value),
                Err(Reported) => failed = true,
            }
        }
        match given.pop() {
            _ if failed => Err(Reported),
            Some(value) if given.is_empty() => Ok(value),
            Some(value) => {
                given.push(value);
                Ok(Value::Outputs(given))
            }
            None => Err(Reported),
        }
    }

    /// Warns where the last line writes more values than are declared, or than a model without declared outputs gives.
    pub(super) fn too_many_values(&mut self, definition: &Definition) {
        let Some(values) = written_values(definition) else { return };
        let declared = definition.outputs.len().max(1);
        let Some(first) = values.get(declared) else { return };
        let dropped = values.len() - declared;
        let noun = if dropped == 1 { "value is" } else { "values are" };
        let message = format!("{dropped} {noun} dropped at the end of `{}`", definition.name.text);
        let fact = if definition.outputs.is_empty() {
            "no outputs are declared, so that there is one".to_owned()
        } else {
            format!(
                "{} declared",
                if declared == 1 { "one output is".to_owned() } else { format!("{declared} outputs are") }
            )
        };
        let diagnostic = Diagnostic::warning("W0203", message, first.span)
            .fact(fact)
            .help("declare them, `-> (a: f32[..], b: f32[..])`, or write `->` for a `,` between stages");
        self.report(diagnostic);
    }
}

/// The values that the last line of a body writes.
fn written_values(definition: &Definition) -> Option<&[Expr]> {
    match &definition.body.statements.last()?.kind {
        StatementKind::Value(values) => Some(values),
        _ => None,
    }
}

fn last_line(definition: &Definition) -> Span {
    definition.body.statements.last().map_or(definition.body.span, |last| last.span)
}

/// `value` without its maker, where that stands outside of `body`.
fn made_inside(value: Value<'_>, body: Span) -> Value<'_> {
    match value.first() {
        Value::Tensor(tensor) => {
            let made = tensor.made.clone().filter(|made| body.contains(made.0));
            Value::Tensor(Tensor { made, ..tensor })
        }
        other => other,
    }
}

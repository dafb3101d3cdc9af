//! The model's outputs, held against what its signature declares.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::NodeId;
use crate::source::Span;
use crate::syntax::ast::{Attribute, Definition, StatementKind};

impl<'a> Elaborator<'a> {
    /// The declared outputs with their values; `frame` holds the names of the signature, not those of the body.
    pub(super) fn outputs(
        &mut self,
        frame: &mut Frame<'a>,
        model: &'a Definition,
        result: Value<'a>,
    ) -> Outcome<Vec<(String, &'a [Attribute], Value<'a>)>> {
        let found = match result {
            Value::Outputs(values) | Value::List(values) if model.outputs.len() > 1 => values,
            other => vec![other.first()],
        };
        self.too_many_values(model);
        if model.outputs.is_empty() {
            if let Some(other) = found.first().filter(|value| !matches!(value, Value::Tensor(_))) {
                let place = model.body.statements.last().map_or(model.body.span, |last| last.span);
                let diagnostic = Diagnostic::error("E0204", "the output of a model must be a tensor", place)
                    .fact(format!("this is {}", other.describe()))
                    .label(model.name.span, "the output of this model")
                    .help_maybe(stage_alone(other));
                return Err(self.report(diagnostic));
            }
            let unnamed = |value: Value<'a>| ("output".to_owned(), [].as_slice(), value);
            return Ok(found.into_iter().take(1).map(unnamed).collect());
        }
        if found.len() < model.outputs.len() {
            let declared = if model.outputs.len() == 1 { "output is" } else { "outputs are" };
            let message = format!("{} {declared} declared", model.outputs.len());
            let place = model.body.statements.last().map_or(model.body.span, |last| last.span);
            return self.fail("E0210", place, message, format!("the body gives {}", found.len()));
        }
        let mut out = Vec::new();
        let mut failed = false;
        for (place, (output, value)) in model.outputs.iter().zip(found).enumerate() {
            let name = match &output.name {
                Some(name) => name.text.clone(),
                None if place == 0 => "output".to_owned(),
                None => format!("output_{}", place + 1),
            };
            let last = model.body.statements.last();
            let last = match last.map(|last| &last.kind) {
                Some(StatementKind::Value(values)) if values.len() == model.outputs.len() => {
                    values[place].span
                }
                _ => last.map_or(model.body.span, |last| last.span),
            };
            let role = Role::Output { name: &name };
            match self.check(frame, &output.ty, value, last, role) {
                Ok(value) => {
                    if let Value::Tensor(tensor) = &value {
                        self.declared.push((tensor.node, output.ty.span));
                    }
                    out.push((name, output.attributes.as_slice(), value));
                }
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(out) }
    }

    /// Where the model declares the output that `tensor` is.
    pub(in crate::elaborate) fn declared_output(&self, tensor: &Tensor) -> Option<Span> {
        let reaches = |output: NodeId| {
            let mut node = tensor.node;
            loop {
                if node == output {
                    return true;
                }
                match self.graph.operands(node).first() {
                    Some(before) => node = *before,
                    None => return false,
                }
            }
        };
        self.declared.iter().find(|(node, _)| reaches(*node)).map(|(_, span)| *span)
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn result_node(&mut self, value: &Value<'a>) -> NodeId {
        let number = crate::ir::TensorType::f32([]);
        match value {
            Value::Tensor(tensor) => tensor.node,
            Value::Host(host) => self.graph.host(host.expr.clone(), host.symbols.clone()),
            Value::Int(dim) => self.graph.constant(dim.extent() as f64, number),
            Value::Float(value) => self.graph.constant(*value, number),
            _ => self.graph.constant(0.0, number),
        }
    }
}

/// What to write where a layer or function stands alone on the last line.
fn stage_alone(value: &Value<'_>) -> Option<String> {
    let Value::Callable(called) = value else { return None };
    Some(format!("a stage stands behind an arrow: `-> {}`", called.name()))
}

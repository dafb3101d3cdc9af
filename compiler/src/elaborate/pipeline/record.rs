//! What a stage leaves for people: its line in the layer table, and where a value was made.

use std::rc::Rc;

use crate::elaborate::Row;
use crate::elaborate::call::Home;
use crate::elaborate::context::Elaborator;
use crate::elaborate::value::{Callable, Value};
use crate::source::Span;

impl<'a> Elaborator<'a> {
    /// Adds a line to the layer table for what is written at a place; `before` is how many weights and nodes there were.
    pub(in crate::elaborate) fn record(
        &mut self,
        (span, operation): (Span, String),
        called: &Value<'a>,
        value: &Value<'a>,
        before: (usize, usize),
        (home, label): (Home, &str),
    ) {
        let block = match called {
            Value::Callable(Callable::Definition(definition, _)) => {
                !self.bundle.is_library(definition.name.span)
            }
            Value::Callable(Callable::Layer(_)) => true,
            _ => false,
        };
        let Value::Tensor(tensor) = value.clone().first() else { return };
        let (weights, nodes) = before;
        let weights: Vec<String> =
            self.weights.trained[weights..].iter().map(|(path, _)| path.clone()).collect();
        let scopes = self.weights.scope().split('.').filter(|scope| !scope.is_empty()).count();
        let path = match weights.first() {
            Some(_) if block && home == Home::Open => self.weights.scope().to_owned(),
            None if home == Home::Open => self.weights.scope().to_owned(),
            Some(path) if block => path.split('.').take(scopes + 1).collect::<Vec<_>>().join("."),
            Some(path) => path.rsplit_once('.').map_or(path.as_str(), |(path, _)| path).to_owned(),
            None => self.stored_path(label),
        };
        self.rows.push(Row {
            path,
            operation,
            shape: tensor.show(),
            extents: tensor.shape(),
            weights,
            span,
            block,
            depth: self.sites.len(),
            nodes: nodes..self.graph.len(),
        });
    }
}

/// `value` with its tensors known as made by a stage: where it stands and what it calls.
pub(in crate::elaborate) fn made_by<'a>(value: Value<'a>, stage: &Rc<(Span, String)>) -> Value<'a> {
    match value {
        Value::Tensor(mut tensor) => {
            tensor.made = Some(stage.clone());
            Value::Tensor(tensor)
        }
        Value::Outputs(values) => {
            Value::Outputs(values.into_iter().map(|value| made_by(value, stage)).collect())
        }
        other => other,
    }
}

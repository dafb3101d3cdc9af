//! Names bound by a statement, several to the parts of one value.

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, counted};
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::Broadcast;
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Name, StageKind, Target};

impl<'a> Elaborator<'a> {
    pub(super) fn bind(
        &mut self,
        frame: &mut Frame<'a>,
        targets: &'a [Target],
        values: &'a [Expr],
    ) -> Outcome<()> {
        let states = targets.iter().all(|target| frame.states.contains_key(&target.name.text));
        if states && self.update.is_none() && self.expansion != Expansion::Training {
            let own = targets.iter().any(|target| !self.bundle.is_library(target.name.span));
            self.differs_in_training |= own;
            return Ok(());
        }
        let mut found = Vec::new();
        if let [one] = values {
            let value = self.expression(frame, one)?;
            self.state_for_steps(targets, &value, one);
            match value {
                Value::Outputs(parts) if targets.len() > 1 => found.extend(parts),
                Value::List(parts) if targets.len() > 1 => found.extend(parts),
                Value::Outputs(parts) => found.extend(parts.into_iter().take(1)),
                other => found.push(other),
            }
            if found.len() < targets.len() {
                return Err(self.too_few_values(targets.len(), &found, one));
            }
        } else {
            for value in values {
                found.push(self.expression(frame, value)?.first());
            }
            if found.len() != targets.len() {
                let (names, values_found) = (counted(targets.len(), "name"), counted(found.len(), "value"));
                let message = format!("{names} for {values_found}");
                let span = values.first().map_or_else(Span::default, |value| value.span);
                return self.fail("E0210", span, message, "as many values as names are needed");
            }
        }
        for (target, value) in targets.iter().zip(found) {
            let span = values.first().map_or(target.name.span, |value| value.span);
            let value = match &target.ty {
                Some(ty) => self.check(frame, ty, value, span, Role::Stated)?,
                None => value,
            };
            self.assign(frame, &target.name, value, span)?;
        }
        Ok(())
    }

    /// More names than the one value `from` has parts.
    fn too_few_values(&mut self, names: usize, found: &[Value<'a>], from: &'a Expr) -> Reported {
        let message = format!("{} for {}", counted(names, "name"), counted(found.len(), "value"));
        let mut diagnostic = Diagnostic::error("E0210", message, from.span).fact("too few values");
        if let Some(called) = last_called(from) {
            if let Some(gives) = outputs_of(called) {
                diagnostic =
                    diagnostic.note(format!("`{called}` gives {}: {}", gives.len(), gives.join(", ")));
            }
            if matches!(called, "max" | "min") && names == 2 {
                let help = format!("where they stand is a value of its own: `arg{called}(x, axis=1)`");
                diagnostic = diagnostic.help(help);
            }
        }
        self.report(diagnostic)
    }

    /// Warns of `h, c = x -> lstm(32)`, as other frameworks order it.
    fn state_for_steps(&mut self, targets: &'a [Target], value: &Value<'a>, from: &'a Expr) {
        let (Some(called), Value::Outputs(values)) = (last_called(from), value) else { return };
        let Some(gives) = outputs_of(called).filter(|gives| gives.len() == values.len()) else { return };
        let names: Vec<&str> = targets.iter().map(|target| target.name.text.as_str()).collect();
        if names.len() < gives.len() && names == gives[1..=names.len()] {
            let message = format!("`{}` is bound to all steps of `{called}`", names[0]);
            let span = targets.first().map_or(from.span, |target| target.name.span);
            let diagnostic = Diagnostic::warning("W0203", message, span)
                .fact(format!("the first of {}", counted(values.len(), "output")))
                .note(format!("`{called}` gives {}: {}", gives.len(), gives.join(", ")))
                .help(format!("drop the first: `_, {} = ...`", names.join(", ")));
            self.report(diagnostic);
        }
    }

    fn assign(&mut self, frame: &mut Frame<'a>, name: &Name, value: Value<'a>, span: Span) -> Outcome<()> {
        let Some(path) = frame.states.get(&name.text).cloned() else {
            if self.update.is_some() && name.text == "w" {
                frame.set("w", value);
            } else {
                frame.bind(&name.text, value);
            }
            return Ok(());
        };
        if let Some(like) = self.update.as_ref().map(|update| update.like.clone()) {
            let tensor = self.as_tensor(value, &like, span)?;
            let states = self.update.iter_mut().flat_map(|update| &mut update.states);
            for state in states.filter(|(known, ..)| *known == name.text) {
                state.3 = tensor.node;
            }
            frame.set(&name.text, Value::Tensor(tensor));
            return Ok(());
        }
        let Some(current) = self.weights.current(&path).cloned() else { return Err(Reported) };
        let tensor = self.as_tensor(value, &current, span)?;
        self.weights.assign(path, tensor);
        Ok(())
    }

    /// `value` as a tensor of the shape of `like`.
    fn as_tensor(&mut self, value: Value<'a>, like: &Tensor, span: Span) -> Outcome<Tensor> {
        let zero = (Value::Float(0.0), span);
        let sum = self.formula(
            "=",
            span,
            &[(value, span), zero],
            crate::elaborate::arithmetic::Bring::Float,
            |_, x| x[0],
        )?;
        let node = match sum {
            Value::Tensor(tensor) if tensor.dims == like.dims => return Ok(tensor),
            Value::Tensor(tensor) if tensor.rank() == 0 => {
                self.graph.must(Broadcast::new(&like.shape()), &[tensor.node])
            }
            Value::Float(number) => {
                self.mark(span);
                self.graph.constant(number, Self::graph_type(Element::F32, &like.dims))
            }
            Value::Host(host) => {
                self.mark(span);
                let number = self.graph.host(host.expr.clone(), host.symbols.clone());
                self.graph.must(Broadcast::new(&like.shape()), &[number])
            }
            other => {
                let found = other.describe();
                let message = format!("this state is {}", like.show());
                return self.fail("E0302", span, message, format!("found {found}"));
            }
        };
        Ok(self.tensor(node, like.dims.clone()))
    }
}

/// The layer or function that gives the value of `expr`.
fn last_called(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Pipeline(pipeline) => match &pipeline.stages.last()?.kind {
            StageKind::Call { path, .. } => path.last().map(|name| name.text.as_str()),
            _ => None,
        },
        ExprKind::Call { callee, .. } => match &callee.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// What layers and functions of the library give that give more than one value.
fn outputs_of(called: &str) -> Option<&'static [&'static str]> {
    Some(match called {
        "lstm" => &["seq", "h", "c"],
        "gru" | "rnn" | "mgu" => &["seq", "h"],
        "sort" | "top_k" => &["values", "indices"],
        _ => return None,
    })
}

//! Pipelines: a value walks through stages.

mod record;
mod repeat;

use std::rc::Rc;

use crate::diagnostic::{Diagnostic, counted};
use crate::elaborate::call::{Given, Home};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, Value};
use crate::source::Span;
use crate::syntax::ast::{
    Argument, Chain, Definition, DefinitionKind, Expr, ExprKind, ItemKind, Name, Pipeline, Stage, StageKind,
    StatementKind,
};

pub(super) use record::made_by;

impl<'a> Elaborator<'a> {
    /// `source -> stage -> stage`
    pub(super) fn pipeline(&mut self, frame: &mut Frame<'a>, pipeline: &'a Pipeline) -> Outcome<Value<'a>> {
        let mut value = self.expression(frame, &pipeline.source)?;
        let span = pipeline.source.span;
        if let Some(ty) = &pipeline.ty {
            value = self.check(frame, ty, value, span, Role::Stated)?;
        }
        if let Some(label) = &pipeline.label {
            frame.bind(&label.text, value.clone().first());
        }
        self.stages(frame, &pipeline.stages, value, span)
    }

    /// A chain applied to `value`, which was written at `span`.
    pub(super) fn chain(
        &mut self,
        frame: &mut Frame<'a>,
        chain: &'a Chain,
        value: Value<'a>,
        span: Span,
    ) -> Outcome<Value<'a>> {
        self.deeper(chain.span, |e| e.stages(frame, &chain.stages, value, span))
    }

    /// The chain of a shared layer, whose scope is open. Where it is one block, the layer's scope stands in place of the
    /// block's.
    pub(super) fn layer_chain(
        &mut self,
        frame: &mut Frame<'a>,
        chain: &'a Chain,
        value: Value<'a>,
        span: Span,
    ) -> Outcome<Value<'a>> {
        match chain.stages.as_slice() {
            [stage @ Stage { kind: StageKind::Call { .. }, .. }] => {
                self.stage(frame, stage, value, span, Home::Open)
            }
            _ => self.chain(frame, chain, value, span),
        }
    }

    /// The stages one after the other, from `value` on.
    pub(super) fn stages(
        &mut self,
        frame: &mut Frame<'a>,
        stages: &'a [Stage],
        mut value: Value<'a>,
        mut span: Span,
    ) -> Outcome<Value<'a>> {
        for stage in stages {
            self.spend(1, stage.span)?;
            self.dropped_outputs(&value, span);
            value = self.stage(frame, stage, value.first(), span, Home::Own)?;
            span = stage.span;
            if let Value::Tensor(tensor) = value.clone().first()
                && !self.bundle.is_library(span)
            {
                self.stages.push((span, tensor.show()));
            }
        }
        Ok(value)
    }

    /// Warns where a pipeline goes on with the first of several outputs of a block of the model's own.
    fn dropped_outputs(&mut self, value: &Value<'a>, span: Span) {
        let Value::Outputs(values) = value else { return };
        let Some(Value::Tensor(tensor)) = values.first() else { return };
        let Some((_, maker)) = tensor.made.as_deref() else { return };
        let main = self.bundle.module(self.bundle.main_module());
        let own = match main.item(maker) {
            Some(ItemKind::Definition(definition)) => !ends_in_scan(definition),
            _ => false,
        };
        if own && values.len() > 1 {
            let dropped = counted(values.len() - 1, "output");
            let message = format!("the pipeline drops {dropped} of `{maker}`");
            let diagnostic = Diagnostic::warning("W0203", message, span)
                .fact("it goes on with the first")
                .help(format!("take them by name: `a, b = x -> {maker}`"));
            self.report(diagnostic);
        }
    }

    fn stage(
        &mut self,
        frame: &mut Frame<'a>,
        stage: &'a Stage,
        input: Value<'a>,
        span: Span,
        home: Home,
    ) -> Outcome<Value<'a>> {
        let label = stage.label.as_ref().map(|label| label.text.as_str());
        let mut value = match &stage.kind {
            StageKind::Call { path, arguments, branches } => {
                let arguments = arguments.as_deref().unwrap_or(&[]);
                self.call_stage(frame, stage, path, arguments, branches.as_deref(), home, input, span)?
            }
            StageKind::Repeat { variable, count, chain } => {
                if self.bundle.is_library(stage.span) {
                    self.repeat(frame, variable.as_ref(), count, chain, input, span)?
                } else {
                    self.weights.open(label.unwrap_or("repeat"));
                    let result = self.repeat(frame, variable.as_ref(), count, chain, input, span);
                    self.weights.close();
                    result?
                }
            }
            StageKind::If { condition, then, otherwise } => {
                let taken = if self.condition(frame, condition)? { Some(then) } else { otherwise.as_ref() };
                match (taken, label) {
                    (Some(chain), Some(label)) => {
                        self.weights.open_label(label);
                        let result = self.chain(frame, chain, input, span);
                        self.weights.close();
                        result?
                    }
                    (Some(chain), None) => self.chain(frame, chain, input, span)?,
                    (None, _) => input,
                }
            }
        };
        if let Some(ty) = &stage.ty {
            let checked = self.check(frame, ty, value.clone().first(), stage.span, Role::Stated)?;
            if !matches!(value, Value::Outputs(_)) {
                value = checked;
            }
        }
        if let Some(label) = &stage.label {
            frame.bind(&label.text, value.clone().first());
        }
        Ok(value)
    }

    #[allow(clippy::too_many_arguments)]
    fn call_stage(
        &mut self,
        frame: &mut Frame<'a>,
        stage: &'a Stage,
        path: &'a [Name],
        arguments: &'a [Argument],
        branches: Option<&'a [Chain]>,
        home: Home,
        input: Value<'a>,
        span: Span,
    ) -> Outcome<Value<'a>> {
        let Some(name) = path.last() else { return Err(Reported) };
        let called = match self.prefixed(frame, path)? {
            Some(value) => value,
            None if path.len() > 1 => return Err(self.no_such_prefix(frame, path)),
            None => self.known(frame, &name.text, name.span, "layer or function")?,
        };
        let makes = is_block(&called) || branches.is_some() || arguments.iter().any(may_own);
        let Some(label) = stage.label.as_ref().filter(|_| makes) else {
            return self.called_stage(frame, stage, (called, name), arguments, branches, home, (input, span));
        };
        self.weights.open_label(&label.text);
        let result =
            self.called_stage(frame, stage, (called, name), arguments, branches, Home::Open, (input, span));
        self.weights.close();
        result
    }

    /// The stage `stage`, which calls `called`. `input` is what goes in and where that is written.
    #[allow(clippy::too_many_arguments)]
    fn called_stage(
        &mut self,
        frame: &mut Frame<'a>,
        stage: &'a Stage,
        (called, name): (Value<'a>, &'a Name),
        arguments: &'a [Argument],
        branches: Option<&'a [Chain]>,
        home: Home,
        (input, span): (Value<'a>, Span),
    ) -> Outcome<Value<'a>> {
        let mut given = Vec::new();
        match branches {
            None => given.push(Given { name: None, value: input, span }),
            Some(branches) => {
                let mut failed = false;
                for branch in branches {
                    match self.chain(frame, branch, input.clone(), span) {
                        Ok(value) => {
                            given.push(Given { name: None, value: value.first(), span: branch.span });
                        }
                        Err(Reported) => failed = true,
                    }
                }
                if failed {
                    return Err(Reported);
                }
            }
        }
        given.extend(self.arguments(frame, arguments)?);
        let callee = called.clone();
        let before = (self.weights.trained.len(), self.graph.len());
        let value = self.call(frame, called, name.span, stage.span, home, given)?;
        if self.bundle.is_library(stage.span) {
            return Ok(value);
        }
        let value = made_by(value, &Rc::new((stage.span, name.text.clone())));
        let text = self.bundle.sources().slice(stage.span);
        let operation = match &stage.kind {
            StageKind::Call { path, branches: Some(_), .. } => {
                let names: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
                format!("{} {{ .. }}", names.join("."))
            }
            _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let written = (stage.span, operation);
        let label = stage.label.as_ref().unwrap_or(name);
        self.record(written, &callee, &value, before, (home, &label.text));
        Ok(value)
    }
}

/// Whether `called` may make weights.
fn is_block(called: &Value<'_>) -> bool {
    matches!(called, Value::Callable(Callable::Definition(one, _)) if one.kind == DefinitionKind::Block)
}

/// Whether the value of an argument may make weights.
fn may_own(argument: &Argument) -> bool {
    use ExprKind::{Bool, Float, Int, Name, Text};
    !matches!(argument.value.kind, Bool(_) | Float(_) | Int(_) | Name(_) | Text(_))
}

/// Whether the value of a definition is a walk, whose carried values nobody asked for.
fn ends_in_scan(definition: &Definition) -> bool {
    match definition.body.statements.last().map(|last| &last.kind) {
        Some(StatementKind::Value(values)) => {
            matches!(values.as_slice(), [Expr { kind: ExprKind::Scan(_), .. }])
        }
        _ => false,
    }
}

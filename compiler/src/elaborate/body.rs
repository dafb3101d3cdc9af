//! The statements of a body, in order.

use std::rc::Rc;

use nnc_runtime::artifact::{Init, StoredKind};
use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, counted};
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::names::unquoted;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Callable, InitSpec, Layer, Tensor, Value};
use crate::ir::Source;
use crate::ops::Broadcast;
use crate::source::Span;
use crate::syntax::ast::{
    self, Binary, Body, DefinitionKind, Expr, ExprKind, Name, StageKind, Statement, StatementKind, Target,
    Type, Unary,
};

/// The most letters of a line that a help repeats.
const LONGEST_LINE: usize = 60;

const INITS: &str = "he, xavier, orthogonal, zeros, ones, normal(mean, std), uniform(low, high), a number";

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
                let layer = Layer { name: &name.text, path, chain, frame: frame.clone() };
                frame.bind(&name.text, Value::Callable(Callable::Layer(Rc::new(layer))));
            }
            StatementKind::Weight { name, ty, init } => {
                self.forbid_in_fn(frame, statement.span)?;
                let kind = StoredKind::Weight;
                let tensor = self.declare(frame, statement, name, ty, init.as_ref(), kind)?;
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
                let tensor = self.declare(frame, statement, name, ty, init.as_ref(), kind)?;
                frame.bind(&name.text, Value::Tensor(tensor));
            }
            StatementKind::Grad { name, value } => self.slope(frame, name, value)?,
            StatementKind::Bind { targets, values } => self.bind(frame, targets, values)?,
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

    fn declare(
        &mut self,
        frame: &mut Frame<'a>,
        statement: &'a Statement,
        name: &Name,
        ty: &'a Type,
        init: Option<&'a Expr>,
        kind: StoredKind,
    ) -> Outcome<Tensor> {
        if self.element(ty)? != Element::F32 {
            return self.fail("E0312", ty.span, "weights and states are f32", "another element type");
        }
        let dims = self.declared_dims(frame, ty)?;
        let spec = match init {
            Some(expr) => {
                let value = self.expression(frame, expr)?;
                let place = self.argument_place(frame, expr);
                self.init_spec(&value, place)?
            }
            None if kind == StoredKind::State => InitSpec::Fixed(Init::Constant(0.0)),
            None => InitSpec::Default,
        };
        let spec = match (&spec, &frame.init) {
            (InitSpec::Default, Some(wanted)) => wanted.clone(),
            _ => spec,
        };
        let renamed = statement.attributes.iter().find(|attribute| attribute.name.text == "name");
        let renamed = renamed.and_then(|attribute| attribute.arguments.first());
        let stored = match renamed {
            Some(argument) => match self.expression(frame, &argument.value)? {
                Value::Text(text) => text,
                other => {
                    let found = other.describe();
                    let message = "`@name` takes a string";
                    return self.fail("E0204", argument.span, message, format!("this is {found}"));
                }
            },
            None => name.text.clone(),
        };
        self.empty_dim(frame, ty, &stored)?;
        let tensor = self.stored(&stored, kind, &dims, &spec, statement.span)?;
        if kind == StoredKind::State {
            let path = self.stored_path(&stored);
            frame.states.insert(name.text.clone(), path);
        }
        Ok(tensor)
    }

    /// Refuses a weight whose dim is a parameter that is no number of elements, where that was given.
    fn empty_dim(&mut self, frame: &Frame<'a>, ty: &Type, name: &str) -> Outcome<()> {
        for dim in ty.dims.iter().flatten() {
            let ast::Dim::One(Expr { kind: ExprKind::Name(parameter), .. }) = dim else { continue };
            let (Some(Value::Int(extent)), Some(place)) =
                (frame.names.get(parameter), frame.places.get(parameter).copied())
            else {
                continue;
            };
            if extent.extent() <= 0 && extent.as_constant().is_some() {
                let message = format!("the weight `{}` has no elements", self.stored_path(name));
                let fact = format!("`{parameter}` is {extent}");
                let place = self.visible(place);
                return self.fail("E0307", place, message, fact);
            }
        }
        Ok(())
    }

    /// `value` as the way a weight begins.
    pub(super) fn init_spec(&mut self, value: &Value<'a>, span: Span) -> Outcome<InitSpec> {
        match value {
            Value::Init(spec) => Ok(spec.clone()),
            Value::Int(_) | Value::Float(_) => {
                let number = self.real(value, span)?;
                Ok(InitSpec::Fixed(Init::Constant(number)))
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) if intrinsic.name == "zeros" => {
                Ok(InitSpec::Fixed(Init::Constant(0.0)))
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) if intrinsic.name == "ones" => {
                Ok(InitSpec::Fixed(Init::Constant(1.0)))
            }
            other => {
                let found = other.describe();
                let diagnostic = Diagnostic::error("E0204", "an init is needed here", span)
                    .fact(format!("this is {found}"))
                    .help(unquoted(other).unwrap_or_else(|| INITS.to_owned()));
                Err(self.report(diagnostic))
            }
        }
    }

    fn bind(&mut self, frame: &mut Frame<'a>, targets: &'a [Target], values: &'a [Expr]) -> Outcome<()> {
        let states = targets.iter().all(|target| frame.states.contains_key(&target.name.text));
        if states && self.update.is_none() && self.expansion != Expansion::Training {
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
            frame.bind(&name.text, value);
            return Ok(());
        };
        if let Some(like) = self.update.as_ref().map(|update| update.like.clone()) {
            let tensor = self.as_tensor(value, &like, span)?;
            let states = self.update.iter_mut().flat_map(|update| &mut update.states);
            for state in states.filter(|(known, ..)| *known == name.text) {
                state.3 = tensor.node;
            }
            frame.bind(&name.text, Value::Tensor(tensor));
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
        let sum =
            self.formula("=", span, &[(value, span), zero], super::arithmetic::Bring::Float, |_, x| x[0])?;
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

    fn optimizer_state(&mut self, frame: &mut Frame<'a>, name: &Name, init: Option<&'a Expr>) -> Outcome<()> {
        let fill = match init {
            Some(expr) => {
                let value = self.expression(frame, expr)?;
                match self.init_spec(&value, expr.span)? {
                    InitSpec::Fixed(Init::Constant(number)) => number,
                    _ => {
                        return self.fail(
                            "E0204",
                            expr.span,
                            "a state of an optimizer begins as a number",
                            "",
                        );
                    }
                }
            }
            None => 0.0,
        };
        self.mark(name.span);
        if let Some(before) = self.update.as_ref().and_then(|update| update.declared.get(&name.text).copied())
        {
            return Err(self.given_twice(&format!("state `{}`", name.text), name.span, before));
        }
        let Some(update) = &mut self.update else { return Err(Reported) };
        update.declared.insert(name.text.clone(), name.span);
        let ty = self.graph.ty(update.like.node).clone();
        let node = self.graph.source(Source::Region(format!("{}.{}", self.region, name.text)), ty);
        update.states.push((name.text.clone(), fill, node, node));
        let tensor = Tensor { node, ..update.like.clone() };
        frame.states.insert(name.text.clone(), name.text.clone());
        frame.bind(&name.text, Value::Tensor(tensor));
        Ok(())
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

//! The optimizer: a formula of a weight and its gradient, applied to all weights at once.

use std::rc::Rc;
use std::sync::Arc;

use nnc_runtime::artifact::HostSymbol;

use crate::diagnostic::{Checked, Diagnostic};
use crate::elaborate::call::Given;
use crate::elaborate::context::{Elaborator, Outcome, Reported, Site, UpdateInProgress};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::lint::{names_bound, statements};
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::{Callable, Tensor, Value};
use crate::elaborate::{Bundle, Expansion};
use crate::ir::{Graph, NodeId, TensorType};
use crate::source::Span;
use crate::syntax::ast::{self, Definition, DefinitionKind, Expr, ExprKind, ItemKind, StatementKind};

/// The optimizer of a `train` item.
#[derive(Clone, Debug)]
pub struct OptimizerHandle {
    bundle: Arc<Bundle>,
    train: usize,
    /// The `update` group, by its place; `None` for the optimizer of all weights.
    group: Option<usize>,
}

/// One update of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The new weights, of the type of the old.
    pub w: NodeId,
    /// What the optimizer keeps between steps.
    pub states: Vec<UpdateState>,
    /// The share of the weights' moving average that this update leaves in it, a number, where `train` wants one.
    pub average: Option<NodeId>,
}

/// A tensor that an optimizer keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateState {
    /// Its name in the formula.
    pub name: String,
    /// The number it begins as, everywhere.
    pub init: f64,
    /// The region `optimizer.<name>` (of a group, `optimizer.<group>.<name>`) before the step, of the type of the
    /// weights.
    pub before: NodeId,
    /// Its value after the step.
    pub after: NodeId,
}

impl OptimizerHandle {
    pub(super) fn new(bundle: Arc<Bundle>, train: usize, group: Option<usize>) -> OptimizerHandle {
        OptimizerHandle { bundle, train, group }
    }

    /// Adds one update of the weights `w` by their gradient `g`, both of one type, to `graph`.
    ///
    /// Diagnostics: those of the optimizer's formula; the value is absent after an error.
    pub fn apply(&self, graph: &mut Graph, w: NodeId, g: NodeId) -> Checked<Option<Update>> {
        let mut e = Elaborator::new(&self.bundle, Expansion::Training, 1);
        e.graph = std::mem::take(graph);
        let items = &self.bundle.main().items;
        let update = match items.get(self.train).map(|item| &item.kind) {
            Some(ItemKind::Train(train)) => {
                let settings = e.train_settings(Some(train));
                e.update_step(train, &settings, self.group, w, g)
            }
            _ => Err(Reported),
        };
        *graph = e.graph;
        Checked { value: update.ok(), diagnostics: e.diagnostics.finish() }
    }
}

impl<'a> Elaborator<'a> {
    /// Applies the optimizer to a small weight, for its diagnostics alone.
    pub(super) fn check_optimizer(
        &mut self,
        train: &'a ast::Train,
        settings: &TrainSettings<'a>,
    ) -> Outcome<()> {
        let graph = std::mem::take(&mut self.graph);
        let ty = TensorType::f32([64]);
        let w = self.graph.constant(1.0, ty.clone());
        let g = self.graph.constant(1.0, ty);
        let mut groups: Vec<Option<usize>> = (0..settings.updates.len()).map(Some).collect();
        if groups.is_empty() || settings.values.contains_key("optimizer") {
            groups.push(None);
        }
        let mut failed = false;
        for group in groups {
            failed |= self.update_step(train, settings, group, w, g).is_err();
        }
        self.graph = graph;
        if failed { Err(Reported) } else { Ok(()) }
    }

    fn update_step(
        &mut self,
        train: &'a ast::Train,
        settings: &TrainSettings<'a>,
        group: Option<usize>,
        w: NodeId,
        g: NodeId,
    ) -> Outcome<Update> {
        self.count_updates(settings)?;
        self.count_steps(settings)?;
        let average = self.average(settings);
        let group = group.and_then(|place| settings.updates.get(place));
        let own = group.and_then(|group| group.values.get("optimizer"));
        let Some(expr) = own.or(settings.values.get("optimizer")).copied() else {
            if group.is_some_and(|group| group.failed) || settings.failed {
                return Err(Reported);
            }
            let place = group.map_or(train.model.span, |group| group.layer.span);
            let needs = group.map_or("train", |_| "update");
            let diagnostic = Diagnostic::error("E0505", format!("`{needs}` needs an optimizer"), place)
                .fact("there is a loss and no `optimizer`")
                .help("write `optimizer = adam(lr=1e-3)`");
            return Err(self.report(diagnostic));
        };
        self.region = match group {
            Some(group) => format!("optimizer.{}", group.layer.text),
            None => "optimizer".to_owned(),
        };
        let (definition, module, name, given) = self.optimizer_call(expr)?;
        let shape = self.graph.ty(w).shape.clone();
        let dims: Vec<Dim> =
            shape.iter().map(|size| Dim::constant(i64::try_from(*size).unwrap_or(i64::MAX))).collect();
        let weight = self.tensor(w, dims.clone());
        let gradient = self.tensor(g, dims);
        let update = self.run_update(definition, module, (name, expr.span), given, weight, gradient)?;
        Ok(Update { average: average?, ..update })
    }

    /// The number of `average`, or a formula of the training loop.
    fn average(&mut self, settings: &TrainSettings<'a>) -> Outcome<Option<NodeId>> {
        let Some(expr) = settings.values.get("average").copied() else { return Ok(None) };
        let mut frame = Frame::new(self.bundle.main_module());
        let value = self.expression(&mut frame, expr)?.first();
        if let Value::Host(host) = &value
            && host.scalar() == nnc_wgsl::Scalar::F32
        {
            return Ok(Some(self.graph.host(host.expr.clone(), host.symbols.clone())));
        }
        let number = self.real(&value, expr.span)?;
        if (0.0..1.0).contains(&number) {
            return Ok(Some(self.graph.constant(number, TensorType::f32([]))));
        }
        let message = "`average` is the share that the average keeps, from 0 up to but not 1";
        self.fail("E0204", expr.span, message, format!("this is {number:?}"))
    }

    /// `step` and its kin as the optimizer counts them: in updates, each of which may gather several batches.
    fn count_updates(&mut self, settings: &TrainSettings<'a>) -> Outcome<()> {
        let batches = self.count_setting(settings, "accumulate")?.unwrap_or(1).max(1);
        #[allow(clippy::cast_precision_loss)]
        let batches = batches as f64;
        for (name, symbol, rounding) in [
            ("step", HostSymbol::Step, nnc_wgsl::Unary::Ceil),
            ("total_steps", HostSymbol::TotalSteps, nnc_wgsl::Unary::Floor),
            ("steps_per_epoch", HostSymbol::StepsPerEpoch, nnc_wgsl::Unary::Floor),
        ] {
            let mut value = HostValue::symbol(symbol);
            if batches > 1.0 {
                value = HostValue::combine(&[value], |b, x| {
                    let batches = b.real(batches);
                    let quotient = b.binary(nnc_wgsl::Binary::Div, x[0], batches);
                    b.unary(rounding, quotient)
                });
            }
            self.predeclared.insert(name.to_owned(), Value::Host(Rc::new(value)));
        }
        self.predeclared
            .insert("epoch".to_owned(), Value::Host(Rc::new(HostValue::symbol(HostSymbol::Epoch))));
        Ok(())
    }

    /// The optimizer that `expr` names, and its arguments; `--set optimizer.lr=...` goes first.
    #[allow(clippy::type_complexity)]
    fn optimizer_call(&mut self, expr: &'a Expr) -> Outcome<(&'a Definition, usize, Span, Vec<Given<'a>>)> {
        let mut frame = Frame::new(self.bundle.main_module());
        let (callee, arguments) = match &expr.kind {
            ExprKind::Call { callee, arguments } => (callee.as_ref(), arguments.as_slice()),
            _ => (expr, [].as_slice()),
        };
        let ExprKind::Name(text) = &callee.kind else {
            if let ExprKind::Field(_, last) = &callee.kind {
                let name = last.text.to_lowercase();
                let known = self.lookup(&frame, &name, callee.span)?.is_some();
                let ours = if known { name } else { "adam".to_owned() };
                let diagnostic = Diagnostic::error("E0204", "an optimizer is named here", callee.span)
                    .fact("a name with a prefix")
                    .help(format!("optimizers need no prefix: `{ours}(lr=1e-3)`"));
                return Err(self.report(diagnostic));
            }
            let quoted = match &expr.kind {
                ExprKind::Text(text) => {
                    Some(format!("without quotes, with its numbers: `{}(lr=1e-3)`", text.to_lowercase()))
                }
                _ => None,
            };
            let diagnostic = Diagnostic::error("E0204", "an optimizer is named here", expr.span)
                .fact("such as `adam(lr=1e-3)`")
                .help_maybe(quoted);
            return Err(self.report(diagnostic));
        };
        let called = self.known(&frame, text, callee.span, "optimizer")?;
        let Value::Callable(Callable::Definition(definition, module)) = called else {
            let found = called.describe();
            return self.fail("E0204", callee.span, "an optimizer is named here", format!("this is {found}"));
        };
        if definition.kind != DefinitionKind::Optimizer {
            let message = format!("`{text}` is not an optimizer");
            return self.fail("E0204", callee.span, message, format!("it is a {}", definition.kind.word()));
        }
        if let Some(weights) =
            arguments.iter().find(|argument| argument.name.is_none() && is_weights(&argument.value))
        {
            let diagnostic =
                Diagnostic::error("E0202", format!("too many arguments for `{text}`"), weights.span)
                    .fact("an optimizer moves all weights")
                    .help(format!("leave it out: `{text}(lr=1e-3)`"));
            return Err(self.report(diagnostic));
        }
        let mut given = self.arguments(&mut frame, arguments)?;
        let bundle = self.bundle;
        for set in bundle.overrides() {
            if let [group, key] = set.path.as_slice()
                && group == "optimizer"
            {
                let value = self.expression(&mut frame, &set.value)?.first();
                given.retain(|one| one.name.is_none_or(|(name, _)| name != key));
                let name = Some((key.as_str(), set.value.span));
                given.push(Given { name, value, span: set.value.span });
            }
        }
        Ok((definition, module, callee.span, given))
    }

    fn run_update(
        &mut self,
        definition: &'a Definition,
        module: usize,
        (name, span): (Span, Span),
        given: Vec<Given<'a>>,
        weight: Tensor,
        gradient: Tensor,
    ) -> Outcome<Update> {
        let called = &definition.name.text;
        let first: Vec<&str> =
            definition.parameters.iter().take(2).map(|parameter| parameter.name.text.as_str()).collect();
        if first != ["w", "g"] {
            let diagnostic = Diagnostic::error(
                "E0507",
                format!("the optimizer `{called}` does not take a weight and its gradient"),
                definition.name.span,
            )
            .fact("its first parameters must be `w, g`")
            .help(format!("optimizer {called}(w, g, lr) {{ ... }}"));
            return Err(self.report(diagnostic));
        }
        let parameters = definition.parameters.iter().skip(2);
        let parameters: Vec<(&str, bool)> =
            parameters.map(|one| (&*one.name.text, one.default.is_none())).collect();
        let mut bound = self.bind_arguments(called, &parameters, name, given)?;
        let mut frame = Frame::new(module);
        frame.owner = Some((DefinitionKind::Optimizer, called.clone()));
        frame.bind("w", Value::Tensor(weight.clone()));
        frame.bind("g", Value::Tensor(gradient));
        self.sites.push(Site { span, name: called });
        self.update = Some(UpdateInProgress {
            like: weight.clone(),
            name: definition.name.span,
            declared: std::collections::BTreeMap::new(),
            states: Vec::new(),
        });
        let result = self.update_body(&mut frame, definition, &mut bound, name);
        let update = self.update.take();
        self.sites.pop();
        result?;
        let after = match frame.names.get("w") {
            Some(Value::Tensor(tensor)) if tensor.dims == weight.dims && tensor.element == weight.element => {
                tensor.node
            }
            Some(other @ (Value::Tensor(_) | Value::Int(_) | Value::Float(_) | Value::Host(_))) => {
                let message = format!("the optimizer `{called}` does not keep the weight's type");
                let diagnostic = Diagnostic::error("E0506", message, definition.name.span)
                    .fact(format!("after the step `w` is {}", shown_beside(other)))
                    .help("write `w = w - lr * g`");
                return Err(self.report(diagnostic));
            }
            _ => weight.node,
        };
        if after == weight.node {
            let diagnostic = Diagnostic::error(
                "E0506",
                format!("the optimizer `{called}` never sets the weight"),
                definition.name.span,
            )
            .fact("`w` is the same after the step")
            .help("write `w = w - lr * g`");
            return Err(self.report(diagnostic));
        }
        let Some(update) = update else { return Err(Reported) };
        self.states_never_set(definition, &update)?;
        let states = update
            .states
            .into_iter()
            .map(|(name, init, before, after)| UpdateState { name, init, before, after })
            .collect();
        Ok(Update { w: after, states, average: None })
    }

    /// Refuses states that no line of the optimizer sets, so that they are the same after every step.
    fn states_never_set(&mut self, definition: &Definition, update: &UpdateInProgress) -> Outcome<()> {
        let mut outcome = Ok(());
        let set = names_bound(&definition.body);
        for (name, init, ..) in update.states.iter().filter(|(name, ..)| !set.contains(name.as_str())) {
            let Some(place) = update.declared.get(name) else { continue };
            let message = format!("the optimizer `{}` never sets the state `{name}`", definition.name.text);
            let diagnostic = Diagnostic::error("E0506", message, *place)
                .fact(format!("it is {init} in every step"))
                .help(format!(
                    "write `{name} = ...`, or take the number itself: `{name} = {init}` without `state`"
                ));
            outcome = Err(self.report(diagnostic));
        }
        outcome
    }

    /// Refuses states with a type: each has the shape of the weight.
    fn states_like_weights(&mut self, definition: &Definition) -> Outcome<()> {
        let mut outcome = Ok(());
        for statement in statements(&definition.body) {
            let StatementKind::State { name, ty: Some(ty), init } = &statement.kind else { continue };
            let begin = init.as_ref().map_or("0", |init| self.bundle.sources().slice(init.span));
            let diagnostic = Diagnostic::error("E0204", "a state of an optimizer takes no type", ty.span)
                .fact("it has the shape of the weight")
                .help(format!("write `state {} = {begin}`", name.text));
            outcome = Err(self.report(diagnostic));
        }
        outcome
    }

    fn update_body(
        &mut self,
        frame: &mut Frame<'a>,
        definition: &'a Definition,
        bound: &mut [Option<Given<'a>>],
        name: Span,
    ) -> Outcome<()> {
        for (place, parameter) in definition.parameters.iter().skip(2).enumerate() {
            let value = match (bound[place].take(), &parameter.default) {
                (Some(given), _) => given.value,
                (None, Some(default)) => self.expression(frame, default)?,
                (None, None) => return Err(Reported),
            };
            frame.bind(&parameter.name.text, value);
        }
        self.preconditions(frame, definition, name)?;
        self.states_like_weights(definition)?;
        self.body(frame, &definition.body).map(|_| ())
    }
}

/// Whether `expr` names the weights, as optimizers elsewhere are told them.
fn is_weights(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Name(name) => {
            matches!(name.as_str(), "weights" | "params" | "parameters" | "model" | "self")
        }
        ExprKind::Call { callee, .. } => is_weights(callee),
        ExprKind::Field(_, name) => matches!(name.text.as_str(), "parameters" | "weights"),
        _ => false,
    }
}

/// What the weight became, in words.
fn shown_beside(value: &Value<'_>) -> String {
    match value {
        Value::Tensor(tensor) if tensor.rank() == 0 => "one number".to_owned(),
        other => other.describe(),
    }
}

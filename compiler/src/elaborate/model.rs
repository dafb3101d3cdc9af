//! One expansion: inputs, the model's body, the loss and the metrics.

mod groups;
mod inputs;
mod losses;
mod outputs;
mod sizes;
mod subject;

use std::rc::Rc;
use std::sync::Arc;

use nnc_runtime::artifact::HostSymbol;

use crate::diagnostic::Checked;
use crate::elaborate::context::{Elaborator, Outcome, Reported, Several};
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::model::groups::groups;
use crate::elaborate::model::subject::subject;
use crate::elaborate::scope::Weights;
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::Value;
use crate::elaborate::{Bundle, Elaborated, Expansion, Request, Row};
use crate::ir::{Assignment, NodeId};
use crate::ops::StopGradient;
use crate::size::too_large;
use crate::source::Span;
use crate::syntax::ast::{self, Attribute, Definition, DefinitionKind, Item};

pub(super) use groups::lies_below;
pub(super) use subject::definitions;

/// The model to expand and what is said about training it.
struct Subject<'a> {
    item: &'a Item,
    model: &'a Definition,
    module: usize,
    train: Option<(usize, &'a ast::Train)>,
    data: Option<(&'a ast::Data, usize)>,
}

/// What one `update` says.
struct Moved {
    layer: String,
    loss: NodeId,
    /// Where its loss is written.
    span: Span,
    /// Its largest gradient norm.
    clip: Option<f64>,
}

/// What the expansion of a model comes to.
#[derive(Default)]
struct Finished {
    loss: Option<NodeId>,
    loss_span: Option<Span>,
    updates: Vec<Moved>,
    /// Whether the updates share the loss of `train`, so that they are one step of several parts.
    joint: bool,
    batch: usize,
    train: Option<usize>,
    training: Option<nnc_runtime::artifact::Training>,
    settings: super::Settings,
    rows: Vec<Row>,
}

/// Expands a model, and takes the work from `left`.
pub(super) fn expand(
    bundle: &Arc<Bundle>,
    request: &Request,
    left: &mut usize,
) -> Checked<Option<Elaborated>> {
    let mut e = Elaborator::new(bundle, request.expansion, 1);
    e.work = e.work.min(*left);
    let checked = expand_with(&mut e, bundle, request);
    *left = left.saturating_sub(
        checked.value.as_ref().map_or(0, |elaborated| elaborated.graph.len()) + e.work_done(),
    );
    checked
}

fn expand_with<'a>(
    e: &mut Elaborator<'a>,
    bundle: &'a Arc<Bundle>,
    request: &Request,
) -> Checked<Option<Elaborated>> {
    e.graph.stored.clone_from(&request.stored);
    e.weights = Weights::beside(&request.stored);
    let subject = match subject(e, request) {
        Ok(subject) => subject,
        Err(Reported) => {
            return Checked { value: None, diagnostics: std::mem::take(&mut e.diagnostics).finish() };
        }
    };
    let finished = e.finish(&subject, request);
    if let Some(diagnostic) = too_large(&e.graph, subject.model.name.span) {
        e.report(diagnostic);
    }
    let failed = e.diagnostics.has_errors();
    let (Ok(finished), false) = (finished, failed) else {
        let unread = e.unread().into_iter().filter(|one| one.code != "E0508");
        e.diagnostics.extend(unread);
        return Checked { value: None, diagnostics: std::mem::take(&mut e.diagnostics).finish() };
    };
    let trained: Vec<(String, NodeId)> = e
        .weights
        .trained
        .iter()
        .filter(|(path, _)| !finished.settings.freeze.iter().any(|frozen| lies_below(path, frozen)))
        .cloned()
        .collect();
    let groups = match (finished.train, request.expansion) {
        (Some(train), Expansion::Training) => groups(bundle, train, &finished, &trained),
        _ => Vec::new(),
    };
    let unread = e.unread();
    let elaborated = Elaborated {
        trained: trained.into_iter().map(|(_, node)| node).collect(),
        groups,
        graph: std::mem::take(&mut e.graph),
        loss: finished.loss,
        training: finished.training,
        settings: finished.settings,
        model: subject.model.name.text.clone(),
        batch: finished.batch,
        rows: finished.rows,
        stages: std::mem::take(&mut e.stages),
        loss_span: finished.loss_span,
        stops: std::mem::take(&mut e.stops),
        differs_in_training: e.differs_in_training,
        unread,
    };
    Checked { value: Some(elaborated), diagnostics: std::mem::take(&mut e.diagnostics).finish() }
}

impl<'a> Elaborator<'a> {
    fn finish(&mut self, subject: &Subject<'a>, request: &Request) -> Outcome<Finished> {
        for (name, symbol) in [
            ("step", HostSymbol::Step),
            ("epoch", HostSymbol::Epoch),
            ("total_steps", HostSymbol::TotalSteps),
            ("steps_per_epoch", HostSymbol::StepsPerEpoch),
        ] {
            self.predeclared.insert(name.to_owned(), Value::Host(Rc::new(HostValue::symbol(symbol))));
        }
        let settings = self.train_settings(subject.train.map(|(_, train)| train));
        self.replaced_without_training();
        let mut all = Several::default();
        let batch = all.keep(self.batch_size(&settings, request)).unwrap_or(1);
        let extent = i64::try_from(batch).unwrap_or(i64::MAX);
        self.predeclared.insert(BATCH.to_owned(), Value::Int(Dim::symbol(BATCH, extent)));
        let made = all.keep(self.fed_model(subject, &settings, request, batch));
        let Some((place, train)) = subject.train else { return made.ok_or(Reported) };
        // What `train` says by itself is held against the language, whatever is wrong with the model.
        let training = all.keep(self.training(train, &settings, subject.data, batch));
        let step = all.keep(self.step_settings(&settings, made.is_some()));
        let has_loss = settings.values.contains_key("loss") || !settings.updates.is_empty();
        if has_loss && self.expansion == Expansion::Training {
            all.keep(self.check_optimizer(train, &settings));
        }
        all.end()?;
        let (Some(finished), Some(training), Some(settings)) = (made, training, step) else {
            return Err(Reported);
        };
        Ok(Finished { train: Some(place), training, settings, ..finished })
    }

    /// The model on the dims that it is given and the fields that feed it.
    fn fed_model(
        &mut self,
        subject: &Subject<'a>,
        settings: &TrainSettings<'a>,
        request: &Request,
        batch: usize,
    ) -> Outcome<Finished> {
        let mut all = Several::default();
        all.keep(self.free_dims(settings, request));
        all.keep(self.dims_of_fields(subject, settings));
        let mut frame = Frame::new(subject.module);
        frame.owner = Some((DefinitionKind::Model, subject.model.name.text.clone()));
        frame.init = all.keep(self.default_init(&mut frame, &subject.item.attributes)).flatten();
        let trained = self.expansion != Expansion::Inference && subject.train.is_some();
        let fields = match subject.data.filter(|_| trained) {
            Some((data, module)) => all.keep(self.fields(data, module)),
            None => Some(Frame::new(subject.module)),
        };
        self.inputs_of_nothing(subject, settings);
        all.end()?;
        let fields = fields.ok_or(Reported)?;
        self.precisely(&subject.item.attributes, |this| {
            this.trained_model(frame, fields, subject, settings, batch)
        })
    }

    /// The model from its inputs, its loss and its metrics.
    fn trained_model(
        &mut self,
        mut frame: Frame<'a>,
        mut fields: Frame<'a>,
        subject: &Subject<'a>,
        settings: &TrainSettings<'a>,
        batch: usize,
    ) -> Outcome<Finished> {
        let trained = self.expansion != Expansion::Inference && subject.train.is_some();
        let mut failed = false;
        for parameter in &subject.model.parameters {
            match self.model_input(&mut frame, &mut fields, subject, settings, parameter, trained) {
                Ok(value) => frame.bind(&parameter.name.text, value),
                Err(Reported) => failed = true,
            }
        }
        if failed {
            return Err(Reported);
        }
        for condition in &subject.model.conditions {
            if !self.condition(&mut frame, condition)? {
                let message = format!("`{}` cannot be built like this", subject.model.name.text);
                let fact = self.broken(&mut frame, &condition.kind, &[]);
                self.fail::<()>("E0306", condition.span, message, fact)?;
            }
        }
        let before = self.rows.len();
        let mut signature = frame.clone();
        let result = self.body(&mut frame, &subject.model.body)?;
        let outputs = self.outputs(&mut signature, subject.model, result)?;
        let rows = self.rows.split_off(before);
        let weights: Vec<Value<'a>> = self
            .weights
            .trained
            .clone()
            .into_iter()
            .map(|(_, node)| {
                let shape = self.graph.ty(node).shape.clone();
                let dims =
                    shape.iter().map(|size| Dim::constant(i64::try_from(*size).unwrap_or(0))).collect();
                Value::Tensor(self.tensor(node, dims))
            })
            .collect();
        self.predeclared.insert("weights".to_owned(), Value::List(weights));

        let mut finished = Finished { batch, rows, ..Finished::default() };
        if trained {
            let mut names = fields;
            names.module = self.bundle.main_module();
            for parameter in &subject.model.parameters {
                if let Some(value) = frame.names.get(&parameter.name.text) {
                    names.bind(&parameter.name.text, value.clone());
                }
            }
            for (name, _, value) in &outputs {
                self.output_beside_fields(name, subject);
                names.bind(name, value.clone());
            }
            if let Some((_, train)) = subject.train {
                self.loss_and_metrics(train, &mut names, settings, &mut finished)?;
            }
        }
        let untrained_step = self.expansion == Expansion::Training && subject.train.is_none();
        if self.expansion == Expansion::Inference || untrained_step {
            for (name, attributes, value) in &outputs {
                let in_training_only = attributes.iter().any(|attribute| attribute.name.text == "training");
                if in_training_only && !untrained_step {
                    continue;
                }
                let node = self.result_node(value);
                if matches!(value, Value::Tensor(t) if t.dims.first().is_some_and(Dim::is_batch)) {
                    self.graph.batched.insert(name.clone());
                }
                self.graph.results.push((name.clone(), node));
            }
        }
        if self.expansion == Expansion::Training {
            self.state_assignments();
        }
        Ok(finished)
    }

    /// A setting's value, where only constants are known.
    pub(super) fn settled(&mut self, expr: &'a ast::Expr) -> Outcome<Value<'a>> {
        let mut frame = Frame::new(self.bundle.main_module());
        self.expression(&mut frame, expr).map(Value::first)
    }

    /// `@init(he)` before a model or a block.
    pub(super) fn default_init(
        &mut self,
        frame: &mut Frame<'a>,
        attributes: &'a [Attribute],
    ) -> Outcome<Option<super::value::InitSpec>> {
        let Some(attribute) = attributes.iter().find(|attribute| attribute.name.text == "init") else {
            return Ok(None);
        };
        let Some(argument) = attribute.arguments.first() else {
            return self.fail("E0203", attribute.span, "`@init` needs an init", "such as `@init(he)`");
        };
        let value = self.expression(frame, &argument.value)?;
        self.init_spec(&value, argument.span).map(Some)
    }

    /// What states become when the step ends.
    fn state_assignments(&mut self) {
        for (target, value) in self.weights.assignments() {
            let value = self.graph.must(StopGradient, &[value]);
            self.graph.assignments.push(Assignment { target, value });
        }
    }
}

//! One expansion: inputs, the model's body, the loss and the metrics.

use std::rc::Rc;
use std::sync::Arc;

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::Element;

use crate::diagnostic::{Checked, Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::data::{names_in, same_but_for_ones};
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::frame::Frame;
use crate::elaborate::host::HostValue;
use crate::elaborate::scope::Weights;
use crate::elaborate::settings::{TrainSettings, UpdateSettings};
use crate::elaborate::types::Role;
use crate::elaborate::value::{Tensor, Value};
use crate::elaborate::{Bundle, Elaborated, Expansion, Group, OptimizerHandle, Request, Row};
use crate::ir::{Assignment, NodeId, Source};
use crate::ops::StopGradient;
use crate::size::too_large;
use crate::source::Span;
use crate::syntax::ast::{self, Attribute, Definition, DefinitionKind, ExprKind, Item, ItemKind, Parameter};

/// The model to expand and what is said about training it.
struct Subject<'a> {
    item: &'a Item,
    model: &'a Definition,
    module: usize,
    train: Option<(usize, &'a ast::Train)>,
    data: Option<(&'a ast::Data, usize)>,
}

/// What the batch dim is called elsewhere.
const BATCHES: [&str; 5] = ["None", "Batch", "BATCH", "BatchSize", "BS"];

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

pub(super) fn expand(bundle: &Arc<Bundle>, request: &Request) -> Checked<Option<Elaborated>> {
    let mut e = Elaborator::new(bundle, request.expansion, 1);
    e.graph.stored.clone_from(&request.stored);
    e.weights = Weights::beside(&request.stored);
    let subject = match subject(&mut e, request) {
        Ok(subject) => subject,
        Err(Reported) => return Checked { value: None, diagnostics: e.diagnostics.finish() },
    };
    let finished = e.finish(&subject, request);
    if let Some(diagnostic) = too_large(&e.graph, subject.model.name.span) {
        e.report(diagnostic);
    }
    let failed = e.diagnostics.has_errors();
    let (Ok(finished), false) = (finished, failed) else {
        return Checked { value: None, diagnostics: e.diagnostics.finish() };
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
        graph: e.graph,
        loss: finished.loss,
        training: finished.training,
        settings: finished.settings,
        model: subject.model.name.text.clone(),
        batch: finished.batch,
        rows: finished.rows,
        stages: e.stages,
        loss_span: finished.loss_span,
        stops: e.stops,
        unread,
    };
    Checked { value: Some(elaborated), diagnostics: e.diagnostics.finish() }
}

/// The updates of a training step: one of all weights by `loss`, or those of the `update` groups. Where these share the
/// loss of `train`, what is in none of them is moved by its optimizer.
fn groups(
    bundle: &Arc<Bundle>,
    train: usize,
    finished: &Finished,
    trained: &[(String, NodeId)],
) -> Vec<Group> {
    let optimizer = |group| OptimizerHandle::new(bundle.clone(), train, group);
    let home = |path: &str| finished.updates.iter().position(|moved| lies_below(path, &moved.layer));
    let group = |(place, moved): (usize, &Moved)| Group {
        name: moved.layer.clone(),
        loss: moved.loss,
        span: moved.span,
        trained: trained
            .iter()
            .filter(|(path, _)| home(path) == Some(place))
            .map(|(_, node)| *node)
            .collect(),
        optimizer: optimizer(Some(place)),
        clip: moved.clip.or(finished.settings.clip),
        joint: finished.joint,
    };
    let mut groups: Vec<Group> = finished.updates.iter().enumerate().map(group).collect();
    if let (Some(loss), Some(span)) = (finished.loss, finished.loss_span)
        && (groups.is_empty() || finished.joint)
    {
        let rest = trained.iter().filter(|(path, _)| home(path).is_none());
        let rest: Vec<NodeId> = rest.map(|(_, node)| *node).collect();
        if groups.is_empty() || !rest.is_empty() {
            let (name, clip) = (String::new(), finished.settings.clip);
            let (optimizer, joint) = (optimizer(None), finished.joint);
            groups.push(Group { name, loss, span, trained: rest, optimizer, clip, joint });
        }
    }
    groups
}

/// Whether the weight at `path` is `scope` or lies in it; a `*` in `scope` stands for any letters and dots.
pub(super) fn lies_below(path: &str, scope: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with('.');
    let mut parts = scope.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return ends(rest) };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    last.is_empty() || rest.match_indices(last).any(|(at, _)| ends(&rest[at + last.len()..]))
}

/// The name, where a dim is a free dim by itself.
fn free_name(dim: &ast::Expr) -> Option<&str> {
    match &dim.kind {
        ExprKind::Name(name) if name.starts_with(|letter: char| letter.is_uppercase()) => Some(name),
        _ => None,
    }
}

/// How the field `name` comes to the dims of a model's input.
fn brought_to(name: &str, given: &str, tensor: &Tensor, dims: &[Dim]) -> Option<String> {
    if tensor.dims == dims {
        let whole = tensor.element == Element::F32;
        return whole.then(|| format!("write `inputs {{ {name} = to_int({given}) }}` in `train`"));
    }
    let count = |dims: &[Dim]| dims.iter().skip(1).map(Dim::size).product::<usize>();
    if same_but_for_ones(&tensor.dims, dims) {
        let example = crate::elaborate::dim::show_dims(&dims[1..]);
        return Some(format!("declare the field as `f32{example}`: files may lack dims of 1"));
    }
    let flat = dims.len() == 2 && count(dims) == count(&tensor.dims);
    flat.then(|| format!("write `inputs {{ {name} = {given} -> flatten }}` in `train`"))
}

/// Finds the model and its `train` and `data`.
fn subject<'a>(e: &mut Elaborator<'a>, request: &Request) -> Outcome<Subject<'a>> {
    let main = e.bundle.main_module();
    let bundle = e.bundle;
    for diagnostic in bundle.names_given_twice() {
        e.report(diagnostic.clone());
    }
    let items = &bundle.module(main).ast.items;
    let start = Span::new(bundle.module(main).file, 0, 0);
    let trains = items.iter().enumerate().filter_map(|(place, item)| match &item.kind {
        ItemKind::Train(train) => Some((place, train)),
        _ => None,
    });
    let train =
        trains.rev().find(|(_, train)| request.model.as_ref().is_none_or(|name| train.model.text == *name));
    let wanted = match (&request.model, train) {
        (Some(name), _) => Some((name.clone(), start)),
        (None, Some((_, train))) => Some((train.model.text.clone(), train.model.span)),
        (None, None) => None,
    };
    let models: Vec<(&Item, &Definition, usize)> = definitions(bundle, main, DefinitionKind::Model);
    let found = match &wanted {
        Some((name, _)) => models.iter().find(|(_, model, _)| model.name.text == *name),
        None => models.iter().rev().find(|(.., module)| *module == main),
    };
    let Some((item, model, module)) = found.copied() else {
        let names = models.iter().map(|(_, model, _)| model.name.text.as_str());
        return match &wanted {
            Some((name, span)) => {
                let names: Vec<&str> = names.collect();
                let help = did_you_mean(name, names.iter().copied());
                let help =
                    help.or_else(|| (!names.is_empty()).then(|| format!("there is: {}", names.join(", "))));
                let message = format!("unknown model `{name}`");
                Err(e.report(Diagnostic::error("E0201", message, *span).fact("not found").help_maybe(help)))
            }
            None => e.fail("E0201", start, "this file has no model", "nothing to build"),
        };
    };
    let named = train.and_then(|(_, train)| train.data.as_ref());
    let data = match named {
        None => None,
        Some(name) => Some(data_item(e, bundle, main, name)?),
    };
    Ok(Subject { item, model, module, train, data })
}

fn data_item<'a>(
    e: &mut Elaborator<'a>,
    bundle: &'a Bundle,
    main: usize,
    name: &ast::Name,
) -> Outcome<(&'a ast::Data, usize)> {
    let mut modules = vec![main];
    modules.extend(bundle.module(main).uses.iter().map(|(_, used)| *used));
    let mut names = Vec::new();
    for module in modules {
        for item in &bundle.module(module).ast.items {
            if let ItemKind::Data(data) = &item.kind {
                if data.name.text == name.text {
                    return Ok((data, module));
                }
                names.push(data.name.text.as_str());
            }
        }
    }
    let help = did_you_mean(&name.text, names);
    let message = format!("unknown data `{}`", name.text);
    Err(e.report(Diagnostic::error("E0201", message, name.span).fact("not found").help_maybe(help)))
}

/// Definitions of a kind in the main file and those it uses.
pub(super) fn definitions(
    bundle: &Bundle,
    main: usize,
    kind: DefinitionKind,
) -> Vec<(&Item, &Definition, usize)> {
    let mut modules = vec![main];
    modules.extend(bundle.module(main).uses.iter().map(|(_, used)| *used));
    let mut out = Vec::new();
    for module in modules {
        for item in &bundle.module(module).ast.items {
            if let ItemKind::Definition(definition) = &item.kind
                && definition.kind == kind
            {
                out.push((item, definition, module));
            }
        }
    }
    out
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
        let batch = self.batch_size(&settings, request)?;
        let extent = i64::try_from(batch).unwrap_or(i64::MAX);
        self.predeclared.insert(BATCH.to_owned(), Value::Int(Dim::symbol(BATCH, extent)));
        self.free_dims(&settings, request)?;
        self.dims_of_fields(subject, &settings)?;

        let mut frame = Frame::new(subject.module);
        frame.owner = Some((DefinitionKind::Model, subject.model.name.text.clone()));
        frame.init = self.default_init(&mut frame, &subject.item.attributes)?;
        let trained = self.expansion != Expansion::Inference && subject.train.is_some();
        let mut fields = match subject.data.filter(|_| trained) {
            Some((data, module)) => self.fields(data, module)?,
            None => Frame::new(subject.module),
        };
        self.inputs_of_nothing(subject, &settings);
        let mut failed = false;
        for parameter in &subject.model.parameters {
            match self.model_input(&mut frame, &mut fields, subject, &settings, parameter, trained) {
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
                self.loss_and_metrics(train, &mut names, &settings, &mut finished)?;
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
        if let Some((place, train)) = subject.train {
            finished.train = Some(place);
            finished.training = self.training(train, &settings, subject.data, batch)?;
            finished.settings = self.step_settings(&settings)?;
            if finished.loss.is_some() && self.expansion == Expansion::Training {
                self.check_optimizer(train, &settings)?;
            }
        }
        Ok(finished)
    }

    fn batch_size(&mut self, settings: &TrainSettings<'a>, request: &Request) -> Outcome<usize> {
        let said = self.count_setting(settings, "batch")?;
        let wanted = match (request.batch, self.expansion) {
            (Some(batch), _) => batch,
            (None, Expansion::Inference) => 1,
            (None, Expansion::Training | Expansion::Evaluation) => said.unwrap_or(1),
        };
        if wanted > 0 {
            return Ok(wanted);
        }
        let said = settings.values.get("batch").filter(|_| request.batch.is_none());
        let span = said.map_or_else(|| Span::new(self.bundle.main_file(), 0, 0), |expr| expr.span);
        self.fail("E0204", span, "a batch has at least one example", "this is 0")
    }

    /// Free dims from `dims { ... }` and the request.
    fn free_dims(&mut self, settings: &TrainSettings<'a>, request: &Request) -> Outcome<()> {
        self.dims_of_nothing(settings)?;
        for (name, expr) in &settings.dims {
            let value = self.settled(expr)?;
            let extent = self.whole(&value, expr.span)?.extent();
            self.predeclared.insert(name.text.clone(), Value::Int(Dim::symbol(&name.text, extent)));
        }
        for (name, extent) in &request.dims {
            let extent = i64::try_from(*extent).unwrap_or(i64::MAX);
            self.predeclared.insert(name.clone(), Value::Int(Dim::symbol(name, extent)));
        }
        Ok(())
    }

    /// Refuses `dims` that nothing in the file speaks of, and the batch dim among them.
    fn dims_of_nothing(&mut self, settings: &TrainSettings<'a>) -> Outcome<()> {
        if settings.dims.is_empty() {
            return Ok(());
        }
        let known = self.bundle.dims_spoken_of();
        let mut outcome = Ok(());
        for (name, _) in &settings.dims {
            let diagnostic = if name.text == BATCH {
                Diagnostic::error("E0505", "`N` is the batch dim", name.span)
                    .fact("not set among `dims`")
                    .help("write `batch = 64` in `train`")
            } else if known.contains(name.text.as_str()) {
                continue;
            } else {
                let message = format!("nothing has a dim `{}`", name.text);
                let others = known.iter().copied().filter(|known| *known != BATCH);
                Diagnostic::error("E0505", message, name.span)
                    .fact("it would have no effect")
                    .help_maybe(did_you_mean(&name.text, others))
            };
            outcome = Err(self.report(diagnostic));
        }
        outcome
    }

    /// Free dims of the model's inputs that nothing binds, as the data fields they are fed from state them.
    fn dims_of_fields(&mut self, subject: &Subject<'a>, settings: &TrainSettings<'a>) -> Outcome<()> {
        let Some((data, module)) = subject.data else { return Ok(()) };
        let mut frame = Frame::new(module);
        for parameter in &subject.model.parameters {
            let mapped = settings.inputs.iter().find(|(input, _)| input.text == parameter.name.text);
            let field = match mapped.map(|(_, expr)| &expr.kind) {
                Some(ExprKind::Name(field)) => field,
                Some(_) => continue,
                None => &parameter.name.text,
            };
            let declared = data.settings.entries.iter().find_map(|setting| match &setting.kind {
                ast::SettingKind::Field { name, ty } if name.text == *field => ty.dims.as_ref(),
                _ => None,
            });
            let wanted = parameter.ty.as_ref().and_then(|ty| ty.dims.as_ref());
            let (Some(wanted), Some(declared)) = (wanted, declared) else { continue };
            if wanted.len() != declared.len() + 1 {
                continue;
            }
            for (wanted, declared) in wanted.iter().skip(1).zip(declared) {
                let (ast::Dim::One(wanted), ast::Dim::One(declared)) = (wanted, declared) else { continue };
                let (Some(free), None) = (free_name(wanted), free_name(declared)) else { continue };
                if self.lookup(&frame, free, wanted.span)?.is_none() {
                    let value = self.expression(&mut frame, declared)?;
                    let extent = self.whole(&value, declared.span)?;
                    self.predeclared.insert(free.to_owned(), Value::Int(extent));
                }
            }
        }
        Ok(())
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

    /// Reports `inputs` that the model does not have.
    fn inputs_of_nothing(&mut self, subject: &Subject<'a>, settings: &TrainSettings<'a>) {
        let known = || subject.model.parameters.iter().map(|parameter| parameter.name.text.as_str());
        for (name, _) in &settings.inputs {
            if known().any(|known| known == name.text) {
                continue;
            }
            let message = format!("the model `{}` has no input `{}`", subject.model.name.text, name.text);
            let diagnostic = Diagnostic::error("E0201", message, name.span)
                .fact("not found")
                .label(subject.model.name.span, format!("it has {}", known().collect::<Vec<_>>().join(", ")))
                .help_maybe(did_you_mean(&name.text, known()));
            self.report(diagnostic);
        }
    }

    fn model_input(
        &mut self,
        frame: &mut Frame<'a>,
        fields: &mut Frame<'a>,
        subject: &Subject<'a>,
        settings: &TrainSettings<'a>,
        parameter: &'a Parameter,
        trained: bool,
    ) -> Outcome<Value<'a>> {
        let name = &parameter.name.text;
        let Some(ty) = &parameter.ty else {
            let message = format!("the model input `{name}` needs a type");
            return self.fail("E0315", parameter.name.span, message, "such as `: f32[N, 3, 32, 32]`");
        };
        self.batch_dim(ty)?;
        let dims = self.declared_dims(frame, ty)?;
        for expr in ty.dims.iter().flatten() {
            let ast::Dim::One(expr) = expr else { continue };
            let mut names = Vec::new();
            names_in(expr, &mut names);
            for (free, _) in names {
                if let Some(value) = self.predeclared.get(free) {
                    frame.bind(free, value.clone());
                }
            }
        }
        self.fits(|| format!("the input `{name}`"), &dims, ty.span)?;
        let element = self.element(ty)?;
        if element == Element::U8 {
            let message = format!("the model input `{name}` cannot be u8");
            let diagnostic = Diagnostic::error("E0312", message, ty.span)
                .fact("bytes are what a field of `data` has")
                .help("write f32: a model sees the bytes of a field as numbers");
            return Err(self.report(diagnostic));
        }
        if !trained {
            self.mark(parameter.name.span);
            let batched = dims.first().is_some_and(Dim::has_batch);
            let source = Source::Input { name: name.clone(), batched };
            let node = self.graph.source(source, Self::graph_type(element, &dims));
            return Ok(Value::Tensor(self.tensor(node, dims)));
        }
        let mapped = settings.inputs.iter().find(|(input, _)| input.text == *name);
        let (value, span) = match mapped {
            Some((_, expr)) => match self.expression(fields, expr)?.first() {
                Value::Init(spec) => {
                    (Value::Tensor(self.random_input(&spec, dims.clone(), expr.span)?), expr.span)
                }
                value => (value, expr.span),
            },
            None => match fields.names.get(name) {
                Some(Value::Error) => return Err(Reported),
                Some(value) => (value.clone(), parameter.name.span),
                None => return Err(self.no_field(subject, parameter, fields)),
            },
        };
        let value = self.fitting_field(ty, value, &dims, element, subject, parameter, span)?;
        Ok(self.numbers_of_bytes(value, span))
    }

    /// In `train`, a name is an output or a field, not both.
    fn output_beside_fields(&mut self, name: &str, subject: &Subject<'a>) {
        let mut outputs = subject.model.outputs.iter().filter_map(|output| output.name.as_ref());
        let output = outputs.find(|output| output.text == name);
        let entries = subject.data.iter().flat_map(|(data, _)| &data.settings.entries);
        let mut fields = entries.filter_map(|setting| match &setting.kind {
            ast::SettingKind::Field { name: field, .. } => Some(field),
            _ => None,
        });
        let field = fields.find(|field| field.text == name);
        if let (Some(output), Some(field)) = (output, field) {
            let message = format!("`{name}` is an output and a field");
            let diagnostic = Diagnostic::error("E0206", message, output.span)
                .fact("this output hides the field in `train`")
                .label(field.span, "the field")
                .help("give the output another name");
            self.report(diagnostic);
        }
    }

    /// The batch dim under the name that it has elsewhere.
    fn batch_dim(&mut self, ty: &ast::Type) -> Outcome<()> {
        let Some(ast::Dim::One(first)) = ty.dims.iter().flatten().next() else { return Ok(()) };
        let Some(name) = free_name(first).filter(|name| BATCHES.contains(name)) else { return Ok(()) };
        let diagnostic =
            Diagnostic::error("E0307", format!("the batch dim is called `N`, not `{name}`"), first.span)
                .fact("nothing binds this one")
                .help("write `N`: it is as large as `batch` in training, and as `--batch` in use");
        Err(self.report(diagnostic))
    }

    /// The bytes of a field as the numbers that a model computes with.
    fn numbers_of_bytes(&mut self, value: Value<'a>, span: Span) -> Value<'a> {
        match value {
            Value::Tensor(tensor) if tensor.element == Element::U8 => {
                self.mark(span);
                let node = self.graph.map(&[tensor.node], |b, x| b.cast(nnc_wgsl::Scalar::F32, x[0]));
                Value::Tensor(Tensor { node, element: Element::F32, ..tensor })
            }
            other => other,
        }
    }

    fn no_field(&mut self, subject: &Subject<'a>, parameter: &Parameter, fields: &Frame<'a>) -> Reported {
        let name = &parameter.name.text;
        if let (None, Some((_, train))) = (subject.data, subject.train) {
            let items = &self.bundle.main().items;
            let data = items.iter().find_map(|item| match &item.kind {
                ItemKind::Data(data) => Some(data.name.text.as_str()),
                _ => None,
            });
            let model = &train.model.text;
            let diagnostic = Diagnostic::error("E0401", "this training has no data", train.model.span)
                .fact("what feeds the model is not said")
                .label(parameter.name.span, "the model needs this input")
                .help(format!("write `train {model} on {}`", data.unwrap_or("DATA")));
            return self.report(diagnostic);
        }
        let (data, place) = match (subject.data, subject.train) {
            (Some((data, _)), Some((_, train))) => {
                (data.name.text.clone(), train.data.as_ref().map_or(train.model.span, |data| data.span))
            }
            (_, Some((_, train))) => ("nothing".to_owned(), train.model.span),
            _ => ("nothing".to_owned(), parameter.name.span),
        };
        let declared: Vec<&str> = match subject.data {
            Some((data, _)) => data
                .settings
                .entries
                .iter()
                .filter_map(|setting| match &setting.kind {
                    ast::SettingKind::Field { name, .. } => Some(name.text.as_str()),
                    _ => None,
                })
                .collect(),
            None => fields.names.keys().map(String::as_str).collect(),
        };
        let message = format!("data `{data}` has no field for the input `{name}`");
        let mut diagnostic = Diagnostic::error("E0401", message, place)
            .fact(format!("it has {}", declared.join(", ")))
            .label(parameter.name.span, "the model needs this input");
        if let Some(first) = declared.first() {
            diagnostic = diagnostic
                .help(format!("rename the field `{first}`, or map it: `inputs {{ {name} = {first} }}`"));
        }
        self.report(diagnostic)
    }

    /// The value of a field as the model takes it: a free dim of the model to which `dims` gives the field's extent is
    /// that dim.
    #[allow(clippy::too_many_arguments)]
    fn fitting_field(
        &mut self,
        ty: &ast::Type,
        value: Value<'a>,
        dims: &[Dim],
        element: Element,
        subject: &Subject<'a>,
        parameter: &Parameter,
        span: Span,
    ) -> Outcome<Value<'a>> {
        let name = &parameter.name.text;
        let Value::Tensor(tensor) = value else {
            let found = value.describe();
            let message = format!("the input `{name}` needs a tensor");
            return self.fail("E0403", span, message, format!("this is {found}"));
        };
        let stored = if tensor.element == Element::U8 { Element::F32 } else { tensor.element };
        let alike = |(has, takes): (&Dim, &Dim)| {
            has == takes || !has.has_batch() && !takes.has_batch() && has.size() == takes.size()
        };
        if tensor.dims.len() == dims.len() && tensor.dims.iter().zip(dims).all(alike) && stored == element {
            return Ok(Value::Tensor(Tensor { dims: dims.to_vec(), ..tensor }));
        }
        let field = subject.data.and_then(|(data, _)| {
            data.settings.entries.iter().find_map(|setting| match &setting.kind {
                ast::SettingKind::Field { name: field, ty } if field.text == *name => Some(ty.span),
                _ => None,
            })
        });
        let what = if tensor.dims == dims { "type" } else { "shape" };
        let message = format!("the field `{name}` does not have the {what} of the model's input");
        let wanted = if dims.is_empty() {
            element.to_string()
        } else {
            format!("{element}{}", crate::elaborate::dim::show_dims(dims))
        };
        let diagnostic = Diagnostic::error("E0403", message, field.unwrap_or(span))
            .fact(format!("a batch of it is {}", tensor.show()))
            .label(ty.span, format!("the model takes {wanted}"))
            .help_maybe(brought_to(name, self.bundle.sources().slice(span), &tensor, dims));
        Err(self.report(diagnostic))
    }

    /// The declared outputs with their values; `frame` holds the names of the signature, not those of the body.
    fn outputs(
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
                    .label(model.name.span, "the output of this model");
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
            let last = model.body.statements.last().map_or(model.body.span, |last| last.span);
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
    pub(super) fn declared_output(&self, tensor: &Tensor) -> Option<Span> {
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

    fn loss_and_metrics(
        &mut self,
        train: &ast::Train,
        names: &mut Frame<'a>,
        settings: &TrainSettings<'a>,
        finished: &mut Finished,
    ) -> Outcome<()> {
        let mut failed = false;
        if !settings.values.contains_key("loss") && settings.updates.is_empty() && !settings.failed {
            let diagnostic = Diagnostic::error("E0505", "`train` needs a loss", train.model.span)
                .fact("there is neither `loss` nor an `update` with one")
                .help("write `loss = cross_entropy(logits, label)`, or any formula that is one number");
            return Err(self.report(diagnostic));
        }
        if let Some(expr) = settings.values.get("loss").copied() {
            match self.one_number(names, expr, "the loss") {
                Ok(node) => {
                    finished.loss = Some(node);
                    finished.loss_span = Some(expr.span);
                    self.graph.results.push(("loss".to_owned(), node));
                }
                Err(Reported) => failed = true,
            }
        }
        failed |= self.update_losses(names, settings, finished).is_err();
        for (name, expr) in &settings.metrics {
            if name.text == "loss" && finished.loss.is_some() {
                let message = "a metric cannot be called `loss`";
                let diagnostic =
                    Diagnostic::error("E0212", message, name.span).fact("the loss has this name");
                self.report(diagnostic);
                failed = true;
                continue;
            }
            match self.one_number(names, expr, &format!("the metric `{}`", name.text)) {
                Ok(node) => self.graph.results.push((name.text.clone(), node)),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(()) }
    }

    /// The losses of `update` groups, each a result `loss_<layer>`, and their sum as the result `loss`. Groups without a
    /// loss of their own share that of `train`.
    fn update_losses(
        &mut self,
        names: &mut Frame<'a>,
        settings: &TrainSettings<'a>,
        finished: &mut Finished,
    ) -> Outcome<()> {
        let Some(first) = settings.updates.first() else { return Ok(()) };
        let shared = settings.values.get("loss");
        let own = settings.updates.iter().find(|update| update.values.contains_key("loss"));
        if let (Some(expr), Some(own)) = (shared, own) {
            let diagnostic =
                Diagnostic::error("E0505", "`loss` stands beside an `update` with its own", expr.span)
                    .fact("which weights this moves is not said")
                    .label(own.layer.span, "this update has its own")
                    .help("move it into an `update`, or let all updates share it");
            return Err(self.report(diagnostic));
        }
        for update in &settings.updates {
            let moved = self.update_loss(names, update, finished.loss.zip(finished.loss_span))?;
            finished.updates.push(moved);
        }
        if shared.is_some() {
            finished.joint = true;
            return self.optimizer_of_the_rest(settings, first.layer.span, finished);
        }
        let losses: Vec<NodeId> = finished.updates.iter().map(|moved| moved.loss).collect();
        let total = crate::update::sum_of_losses(&mut self.graph, &losses);
        finished.loss = Some(total);
        finished.loss_span = finished.updates.first().map(|moved| moved.span);
        self.graph.results.push(("loss".to_owned(), total));
        for moved in &finished.updates {
            self.graph.results.push((super::training::loss_name(&moved.layer), moved.loss));
        }
        Ok(())
    }

    /// What one `update` moves, and by which loss: its own, or `shared` and where that is written.
    fn update_loss(
        &mut self,
        names: &mut Frame<'a>,
        update: &UpdateSettings<'a>,
        shared: Option<(NodeId, Span)>,
    ) -> Outcome<Moved> {
        let layer = update.layer;
        if self.weights.below(&layer.text).is_empty() {
            let paths = self.weights.below("");
            let scopes = paths.iter().filter_map(|path| path.split('.').next());
            let help = did_you_mean(&layer.text, scopes);
            let message = format!("no weights lie below `{}`", layer.text);
            let diagnostic = Diagnostic::error("E0201", message, layer.span);
            return Err(self.report(diagnostic.fact("not a layer of the model").help_maybe(help)));
        }
        let (loss, span) = match (update.values.get("loss").copied(), shared) {
            (Some(expr), _) => {
                (self.one_number(names, expr, &format!("the loss of `{}`", layer.text))?, expr.span)
            }
            (None, Some(shared)) => shared,
            (None, None) if update.failed => return Err(Reported),
            (None, None) => {
                let message = format!("the update of `{}` needs a loss", layer.text);
                let diagnostic = Diagnostic::error("E0505", message, layer.span);
                let help = "write `loss = ...` in it, or one beside the updates for all of them";
                return Err(self.report(diagnostic.help(help)));
            }
        };
        let clip = match update.values.get("clip").copied() {
            Some(expr) => Some(self.largest_norm(expr)?),
            None => None,
        };
        Ok(Moved { layer: layer.text.clone(), loss, span, clip })
    }

    /// Weights in no update need the optimizer of `train`, where the updates share its loss.
    fn optimizer_of_the_rest(
        &mut self,
        settings: &TrainSettings<'a>,
        span: Span,
        finished: &Finished,
    ) -> Outcome<()> {
        let moved = |path: &str| finished.updates.iter().any(|moved| lies_below(path, &moved.layer));
        let rest = self.weights.trained.iter().find(|(path, _)| !moved(path)).map(|(path, _)| path.clone());
        let Some(path) = rest.filter(|_| !settings.values.contains_key("optimizer")) else { return Ok(()) };
        let diagnostic = Diagnostic::error("E0505", "`train` needs an optimizer", span)
            .fact(format!("`{path}` is in none of the updates"))
            .help("write `optimizer = ...` beside them for all other weights");
        Err(self.report(diagnostic))
    }

    fn one_number(&mut self, names: &mut Frame<'a>, expr: &'a ast::Expr, what: &str) -> Outcome<NodeId> {
        let value = self.expression(names, expr)?.first();
        self.mark(expr.span);
        match &value {
            Value::Tensor(tensor) if tensor.rank() == 0 && tensor.element == Element::F32 => Ok(tensor.node),
            Value::Tensor(tensor) => {
                let found = tensor.show();
                let diagnostic = Diagnostic::error("E0501", format!("{what} must be one number"), expr.span)
                    .fact(format!("found {found}"))
                    .help("take the mean of it: `mean(...)`");
                Err(self.report(diagnostic))
            }
            Value::Int(_) | Value::Float(_) | Value::Host(_) => Ok(self.result_node(&value)),
            other => {
                let found = other.describe();
                self.fail("E0501", expr.span, format!("{what} must be one number"), format!("found {found}"))
            }
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn result_node(&mut self, value: &Value<'a>) -> NodeId {
        let number = crate::ir::TensorType::f32([]);
        match value {
            Value::Tensor(tensor) => tensor.node,
            Value::Host(host) => self.graph.host(host.expr.clone(), host.symbols.clone()),
            Value::Int(dim) => self.graph.constant(dim.extent() as f64, number),
            Value::Float(value) => self.graph.constant(*value, number),
            _ => self.graph.constant(0.0, number),
        }
    }

    /// What states become when the step ends.
    fn state_assignments(&mut self) {
        for (target, value) in self.weights.assignments() {
            let value = self.graph.must(StopGradient, &[value]);
            self.graph.assignments.push(Assignment { target, value });
        }
    }
}

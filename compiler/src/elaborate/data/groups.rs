//! `prepare` and `augment`: bindings over the fields of a batch, run on the device.

use std::rc::Rc;

use crate::diagnostic::{Diagnostic, counted, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::data::names_in;
use crate::elaborate::frame::Frame;
use crate::elaborate::lint::mentions;
use crate::elaborate::model::definitions;
use crate::elaborate::reader::{Binding, Step};
use crate::elaborate::value::{Callable, Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, Expr, ExprKind, ItemKind, Name, SettingKind};

impl<'a> Elaborator<'a> {
    pub(super) fn run_group(
        &mut self,
        frame: &mut Frame<'a>,
        data: &'a ast::Data,
        group: &str,
    ) -> Outcome<()> {
        let mut failed = false;
        for setting in &data.settings.entries {
            let SettingKind::Group { name, settings, .. } = &setting.kind else { continue };
            if name.text != group {
                continue;
            }
            for (names, value) in self.bindings(&name.text, &settings.entries) {
                let weights = self.weights.len();
                failed |= self.prepare(frame, data, group, names, value).is_err();
                if self.weights.len() > weights {
                    let message = format!("`{group}` would own weights");
                    let diagnostic = Diagnostic::error("E0205", message, value.span)
                        .fact("what is done to examples is a formula")
                        .help("move the layer into the model");
                    self.report(diagnostic);
                    failed = true;
                }
            }
        }
        if failed { Err(Reported) } else { Ok(()) }
    }

    /// The bindings of a group; anything else in it is reported.
    pub(super) fn bindings(
        &mut self,
        group: &str,
        entries: &'a [ast::Setting],
    ) -> Vec<(&'a [Name], &'a Expr)> {
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            match &entry.kind {
                SettingKind::Value { names, value } => out.push((names.as_slice(), value)),
                SettingKind::Field { name, .. } | SettingKind::Group { name, .. } => {
                    let message = format!("`{}` binds nothing in `{group}`", name.text);
                    let diagnostic = Diagnostic::error("E0505", message, entry.span)
                        .fact("not a binding")
                        .help(format!("write `{} = ...`, a formula of the fields", name.text));
                    self.report(diagnostic);
                }
            }
        }
        out
    }

    pub(super) fn prepare(
        &mut self,
        frame: &mut Frame<'a>,
        data: &'a ast::Data,
        group: &str,
        names: &'a [Name],
        value: &'a Expr,
    ) -> Outcome<()> {
        let value_expr = value;
        let binding = Binding { group, names };
        let Some(value_found) = self.on_device(frame, binding, value)? else { return Ok(()) };
        let found = match value_found {
            Value::Outputs(values) => values,
            Value::List(values) if names.len() > 1 => values,
            one => vec![one],
        };
        if found.len() < names.len() {
            let message = format!("{} for {}", counted(names.len(), "name"), counted(found.len(), "value"));
            return self.fail("E0210", value.span, message, "too few values");
        }
        for (name, value) in names.iter().zip(found) {
            let field = field_names(data).any(|field| field == name.text);
            if !field && name.text != "_" {
                self.bound_for_nothing(data, name);
            }
            let moved = match (frame.names.get(&name.text), &value) {
                (Some(Value::Tensor(before)), Value::Tensor(after)) => {
                    range_after(before, after, name, value_expr)
                }
                _ => None,
            };
            let bound = match value {
                Value::Tensor(tensor) => Value::Tensor(Tensor { range: moved, ..tensor }),
                Value::Error => return Err(Reported),
                other if field => {
                    let message = format!("the field `{}` needs a tensor", name.text);
                    let found = format!("this is {}", other.describe());
                    return self.fail("E0403", value_expr.span, message, found);
                }
                other => other,
            };
            frame.bind(&name.text, bound);
        }
        Ok(())
    }

    /// Notes that `name`, which a group binds, is no field and is read neither in the groups nor by the training.
    fn bound_for_nothing(&mut self, data: &'a ast::Data, name: &Name) {
        let read = groups_of(data).flat_map(|settings| &settings.entries).any(|entry| match &entry.kind {
            SettingKind::Value { value, .. } => mentions(value, &name.text),
            SettingKind::Field { .. } | SettingKind::Group { .. } => false,
        });
        if read || self.read_in_training(data, &name.text) {
            return;
        }
        let fields: Vec<&str> = field_names(data).collect();
        let diagnostic = Diagnostic::error("E0201", format!("no field is called `{}`", name.text), name.span)
            .fact("bound, and read nowhere")
            .label(data.name.span, format!("it has {}", fields.join(", ")))
            .help_maybe(did_you_mean(&name.text, fields.iter().copied()));
        self.note_unread(diagnostic);
    }

    /// Whether a loss, a metric or an input of a training on `data` reads `name`. What reads data that no `train` of the
    /// file names is not known.
    fn read_in_training(&self, data: &ast::Data, name: &str) -> bool {
        let (bundle, main) = (self.bundle, self.bundle.main_module());
        let trains: Vec<&ast::Train> = bundle
            .main()
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                ItemKind::Train(train) => Some(train),
                _ => None,
            })
            .filter(|train| train.data.as_ref().is_some_and(|named| named.text == data.name.text))
            .collect();
        let set = bundle
            .overrides()
            .iter()
            .any(|set| matches!(set.path.as_slice(), [one] if one == "loss") && mentions(&set.value, name));
        let models = definitions(bundle, main, DefinitionKind::Model);
        let fed = |train: &&ast::Train| {
            let model = models.iter().find(|(_, model, _)| model.name.text == train.model.text);
            model.is_some_and(|(_, model, _)| model.parameters.iter().any(|one| one.name.text == name))
        };
        trains.is_empty() || set || trains.iter().any(|train| reads(train, name) || fed(train))
    }

    /// The part of a binding that runs on the device: `None` where it is the reader's work, because it calls a
    /// function marked `@host` or names something that is no field. What the reader is left with is noted.
    fn on_device(
        &mut self,
        frame: &mut Frame<'a>,
        binding: Binding<'_>,
        value: &'a Expr,
    ) -> Outcome<Option<Value<'a>>> {
        if let ExprKind::Call { callee, arguments } = &value.kind
            && let ExprKind::Name(name) = &callee.kind
            && let Some(called) = self.lookup(frame, name, callee.span)?.filter(is_host)
            && let [
                ast::Argument { name: None, value: Expr { kind: ExprKind::Name(field), .. }, .. },
                rest @ ..,
            ] = arguments.as_slice()
            && self.lookup(frame, field, value.span)?.is_some()
        {
            let step = Step { name, called: &called, on: field, arguments: rest, span: value.span };
            self.host_step(frame, binding, &step)?;
            return Ok(None);
        }
        let ExprKind::Pipeline(pipeline) = &value.kind else {
            let mut words = Vec::new();
            names_in(value, &mut words);
            for (word, span) in words {
                match self.lookup(frame, word, span)? {
                    None => {
                        self.unknown_field(frame, word, span, value.span);
                        return Ok(None);
                    }
                    Some(known) if is_host(&known) => {
                        self.host_step_within(word, span, value.span);
                        return Ok(None);
                    }
                    Some(_) => {}
                }
            }
            return self.expression(frame, value).map(Some);
        };
        if let ExprKind::Name(source) = &pipeline.source.kind
            && self.lookup(frame, source, pipeline.source.span)?.is_none()
        {
            self.unknown_field(frame, source, pipeline.source.span, value.span);
            return Ok(None);
        }
        let mut first = 0;
        for (place, stage) in pipeline.stages.iter().enumerate() {
            let ast::StageKind::Call { path, arguments, .. } = &stage.kind else { continue };
            let Some(name) = path.last() else { continue };
            let Some(called) = self.lookup(frame, &name.text, name.span)?.filter(is_host) else { continue };
            if place != first {
                let message = format!("`{}` is the reader's work and must come first", name.text);
                return self.fail("E0403", name.span, message, "after what the device does");
            }
            match &pipeline.source.kind {
                ExprKind::Name(on) => {
                    let arguments = arguments.as_deref().unwrap_or_default();
                    let step = Step { name: &name.text, called: &called, on, arguments, span: stage.span };
                    self.host_step(frame, binding, &step)?;
                }
                _ => self.host_step_within(&name.text, stage.span, stage.span),
            }
            first = place + 1;
        }
        let source = self.expression(frame, &pipeline.source)?;
        self.stages(frame, &pipeline.stages[first..], source, pipeline.source.span).map(Some)
    }
}

/// The names of the fields.
fn field_names(data: &ast::Data) -> impl Iterator<Item = &str> {
    data.settings.entries.iter().filter_map(|setting| match &setting.kind {
        SettingKind::Field { name, .. } => Some(name.text.as_str()),
        SettingKind::Value { .. } | SettingKind::Group { .. } => None,
    })
}

/// Whether the loss, the metrics, the inputs or the updates of `train` read `name`.
fn reads(train: &ast::Train, name: &str) -> bool {
    let read = |entry: &ast::Setting| match &entry.kind {
        SettingKind::Value { value, .. } => mentions(value, name),
        SettingKind::Field { .. } | SettingKind::Group { .. } => false,
    };
    train.settings.entries.iter().any(|entry| match &entry.kind {
        SettingKind::Value { names, .. } => names.iter().any(|name| name.text == "loss") && read(entry),
        SettingKind::Group { name: group, settings, .. } => {
            ["metrics", "inputs", "update"].contains(&group.text.as_str())
                && settings.entries.iter().any(read)
        }
        SettingKind::Field { .. } => false,
    })
}

/// `prepare` and `augment`.
fn groups_of(data: &ast::Data) -> impl Iterator<Item = &ast::Settings> {
    data.settings.entries.iter().filter_map(|setting| match &setting.kind {
        SettingKind::Group { settings, .. } => Some(settings),
        SettingKind::Value { .. } | SettingKind::Field { .. } => None,
    })
}

/// The values that the field `name` may have after it is bound to `value`: those from before where it is the same, or
/// moved by a whole number, `label - 1`; elsewhere nothing is known.
fn range_after(before: &Tensor, after: &Tensor, name: &Name, value: &Expr) -> Option<Rc<(i64, i64, Span)>> {
    if before.node == after.node {
        return before.range.clone();
    }
    let ExprKind::Binary { operator, left, right, .. } = &value.kind else { return None };
    let (ExprKind::Name(moved), ExprKind::Int(by)) = (&left.kind, &right.kind) else { return None };
    let (low, high, said) = before.range.as_deref().copied().filter(|_| *moved == name.text)?;
    let by = match operator {
        ast::Binary::Add => Some(*by),
        ast::Binary::Subtract => by.checked_neg(),
        _ => None,
    }?;
    Some(Rc::new((low.checked_add(by)?, high.checked_add(by)?, said)))
}

/// Whether `value` is a function that only a reader can compute.
fn is_host(value: &Value<'_>) -> bool {
    match value {
        Value::Callable(Callable::Definition(definition, _)) => {
            definition.attributes.iter().any(|attribute| attribute.name.text == "host")
        }
        _ => false,
    }
}

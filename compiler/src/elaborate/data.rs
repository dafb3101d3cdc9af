//! The fields of one example, where they come from, and what is done to them.

use std::collections::BTreeMap;
use std::rc::Rc;

use nnc_runtime::artifact::{Data, Field, Location};

use crate::diagnostic::{Diagnostic, counted, did_you_mean};
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::{BATCH, Dim, show_dims};
use crate::elaborate::elsewhere::data_setting_help;
use crate::elaborate::frame::Frame;
use crate::elaborate::lint::mentions;
use crate::elaborate::model::definitions;
use crate::elaborate::value::{Callable, InitSpec, Tensor, Value};
use crate::ir::Source;
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, ExprKind, ItemKind, Name, SettingKind, Type};

const GROUPS: [&str; 2] = ["prepare", "augment"];
const PARTS: [&str; 3] = ["train", "test", "valid"];

impl<'a> Elaborator<'a> {
    /// A frame with the fields of a batch of `data`, prepared, and augmented while training.
    pub(super) fn fields(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Frame<'a>> {
        self.unknown_settings(data)?;
        let stored = self.stored_dims(data, module)?;
        let mut frame = self.declared_fields(data, module, &stored)?;
        self.run_group(&mut frame, data, "prepare")?;
        self.as_declared(&frame, data, module)?;
        if self.expansion == Expansion::Training {
            self.run_group(&mut frame, data, "augment")?;
            self.as_declared(&frame, data, module)?;
        }
        Ok(frame)
    }

    /// A frame with the fields as inputs, under the dims given for them or else those declared.
    fn declared_fields(
        &mut self,
        data: &'a ast::Data,
        module: usize,
        stored: &BTreeMap<String, Vec<Dim>>,
    ) -> Outcome<Frame<'a>> {
        let mut frame = Frame::new(module);
        let mut failed = false;
        for setting in &data.settings.entries {
            let SettingKind::Field { name, ty } = &setting.kind else { continue };
            match self.field(&mut frame, name, ty, stored.get(&name.text)) {
                Ok(tensor) => frame.bind(&name.text, Value::Tensor(tensor)),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(frame) }
    }

    /// The dims that the source yields for each field whose shape `prepare` changes. `prepare` must come out at
    /// the declared dims; what it adds to them, the source yields less.
    fn stored_dims(&mut self, data: &'a ast::Data, module: usize) -> Outcome<BTreeMap<String, Vec<Dim>>> {
        let graph = std::mem::take(&mut self.graph);
        let said = self.diagnostics.len();
        let none = BTreeMap::new();
        let frame = self.declared_fields(data, module, &none).and_then(|mut frame| {
            let declared = frame.clone();
            self.run_group(&mut frame, data, "prepare").map(|()| (declared, frame))
        });
        self.graph = graph;
        let (declared, prepared) = frame?;
        self.diagnostics.truncate(said);
        let mut out = BTreeMap::new();
        for (name, value) in &declared.names {
            let (Value::Tensor(before), Some(Value::Tensor(after))) = (value, prepared.names.get(name))
            else {
                continue;
            };
            if before.dims == after.dims || before.rank() != after.rank() {
                continue;
            }
            let less =
                before.dims.iter().zip(&after.dims).map(|(before, after)| {
                    before.add(before)?.subtract(after).filter(|dim| dim.extent() > 0)
                });
            if let Some(dims) = less.collect::<Option<Vec<Dim>>>() {
                out.insert(name.clone(), dims);
            }
        }
        Ok(out)
    }

    fn run_group(&mut self, frame: &mut Frame<'a>, data: &'a ast::Data, group: &str) -> Outcome<()> {
        let mut failed = false;
        for setting in &data.settings.entries {
            let SettingKind::Group { name, settings, .. } = &setting.kind else { continue };
            if name.text != group {
                continue;
            }
            for (names, value) in self.bindings(&name.text, &settings.entries) {
                let weights = self.weights.len();
                failed |= self.prepare(frame, data, names, value).is_err();
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
    fn bindings(&mut self, group: &str, entries: &'a [ast::Setting]) -> Vec<(&'a [Name], &'a ast::Expr)> {
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

    /// What was done to a field leaves it as it is declared.
    fn as_declared(&mut self, frame: &Frame<'a>, data: &'a ast::Data, module: usize) -> Outcome<()> {
        let mut scratch = Frame::new(module);
        for setting in &data.settings.entries {
            let SettingKind::Field { name, ty } = &setting.kind else { continue };
            let Some(Value::Tensor(tensor)) = frame.names.get(&name.text) else { continue };
            let dims = self.declared_dims(&mut scratch, ty)?;
            if tensor.dims.get(1..) != Some(dims.as_slice()) {
                let message = format!("the field `{}` does not come out as it is declared", name.text);
                let mut diagnostic = Diagnostic::error("E0403", message, ty.span)
                    .fact(format!("a batch of it is {}", tensor.show()));
                if let Some((_, prepared)) = tensor.dims.split_first()
                    && same_but_for_ones(prepared, &dims)
                {
                    let example = show_dims(prepared);
                    diagnostic = diagnostic.help(format!(
                        "declare it as `{}: {}{example}` and drop the step: files may lack dims of 1",
                        name.text, tensor.element
                    ));
                }
                return Err(self.report(diagnostic));
            }
        }
        Ok(())
    }

    fn unknown_settings(&mut self, data: &'a ast::Data) -> Outcome<()> {
        let mut failed = self.parts_given_twice(data).is_err();
        for setting in &data.settings.entries {
            if let SettingKind::Group { name, subject: Some(subject), .. } = &setting.kind
                && GROUPS.contains(&name.text.as_str())
            {
                self.group_of_nothing(name, subject);
                failed = true;
            }
            match &setting.kind {
                SettingKind::Group { name, .. } if !GROUPS.contains(&name.text.as_str()) => {
                    self.unknown_part(name);
                    failed = true;
                }
                SettingKind::Value { names, value } => {
                    for name in names.iter().filter(|name| !PARTS.contains(&name.text.as_str())) {
                        match type_written(value) {
                            Some(ty) => self.field_with_equals(name, self.bundle.sources().slice(ty)),
                            None if GROUPS.contains(&name.text.as_str()) => self.group_with_equals(name),
                            None => self.unknown_part(name),
                        }
                        failed = true;
                    }
                }
                SettingKind::Group { .. } | SettingKind::Field { .. } => {}
            }
        }
        if failed { Err(Reported) } else { Ok(()) }
    }

    fn parts_given_twice(&mut self, data: &'a ast::Data) -> Outcome<()> {
        let mut known: BTreeMap<&str, Span> = BTreeMap::new();
        let mut outcome = Ok(());
        for setting in &data.settings.entries {
            let SettingKind::Value { names, .. } = &setting.kind else { continue };
            for name in names {
                if let Some(before) = known.insert(&name.text, name.span) {
                    outcome = Err(self.set_twice(&name.text, name.span, before));
                }
            }
        }
        outcome
    }

    /// `image = f32[3, 32, 32]`
    fn field_with_equals(&mut self, name: &Name, ty: &str) {
        let diagnostic =
            Diagnostic::error("E0505", format!("`{}` is no part of the data", name.text), name.span)
                .fact("a type stands behind it")
                .help(format!("a field is declared with `:`: `{}: {ty}`", name.text));
        self.report(diagnostic);
    }

    /// `prepare = image / 255`
    fn group_with_equals(&mut self, name: &Name) {
        let group = &name.text;
        let diagnostic = Diagnostic::error("E0505", format!("`{group}` is a group of bindings"), name.span)
            .fact("a value stands here")
            .help(format!("write `{group} {{ image = image / 255 }}`"));
        self.report(diagnostic);
    }

    fn unknown_part(&mut self, name: &Name) {
        let similar = || did_you_mean(&name.text, PARTS.into_iter().chain(GROUPS));
        let help = data_setting_help(&name.text).or_else(similar);
        let message = format!("unknown setting `{}`", name.text);
        self.report(
            Diagnostic::error("E0505", message, name.span)
                .fact("not a setting of `data`")
                .note("a field is `name: type`; parts are train, test, valid; groups are prepare, augment")
                .help_maybe(help),
        );
    }

    fn field(
        &mut self,
        frame: &mut Frame<'a>,
        name: &Name,
        ty: &'a Type,
        stored: Option<&Vec<Dim>>,
    ) -> Outcome<Tensor> {
        let element = self.element(ty)?;
        let batch = match self.predeclared.get(BATCH) {
            Some(Value::Int(dim)) => dim.clone(),
            _ => Dim::constant(1),
        };
        let mut dims = vec![batch];
        dims.extend(self.declared_dims(frame, ty)?);
        if dims.iter().skip(1).any(Dim::has_batch) {
            let message = "`N` is not written in `data`: a field is one example";
            return self.fail("E0403", ty.span, message, "the batch dim is added");
        }
        let range = self.field_range(frame, ty)?;
        if let Some(stored) = stored {
            dims.clone_from(stored);
        }
        self.fits(|| format!("the field `{}`", name.text), &dims, ty.span)?;
        self.mark(name.span);
        let source = Source::Input { name: name.text.clone(), batched: true };
        let node = self.graph.source(source, Self::graph_type(element, &dims));
        let mut tensor = self.tensor(node, dims);
        tensor.range = range.map(Rc::new);
        Ok(tensor)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn field_range(&mut self, frame: &mut Frame<'a>, ty: &'a Type) -> Outcome<Option<(i64, i64, Span)>> {
        let Some(range) = &ty.range else { return Ok(None) };
        match self.expression(frame, range)? {
            Value::Range(low, high) if low.fract() != 0.0 || high.fract() != 0.0 => {
                let message = "the values of a field lie between whole numbers";
                self.fail("E0204", range.span, message, format!("this is {low}..{high}"))
            }
            Value::Range(low, high) if low >= high => {
                let diagnostic = Diagnostic::error("E0204", "a field without any values", range.span)
                    .fact(format!("no number lies in {low}..{high}"))
                    .help("the values run from the first up to the second, without it: `0..10`");
                Err(self.report(diagnostic))
            }
            Value::Range(low, high) => Ok(Some((low as i64, high as i64, range.span))),
            other => {
                let found = other.describe();
                self.fail(
                    "E0204",
                    range.span,
                    "a range such as `0..10` is needed",
                    format!("this is {found}"),
                )
            }
        }
    }

    fn prepare(
        &mut self,
        frame: &mut Frame<'a>,
        data: &'a ast::Data,
        names: &'a [Name],
        value: &'a ast::Expr,
    ) -> Outcome<()> {
        let value_expr = value;
        let Some(value_found) = self.on_device(frame, value)? else { return Ok(()) };
        let found = match value_found {
            Value::Outputs(values) => values,
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
    fn on_device(&mut self, frame: &mut Frame<'a>, value: &'a ast::Expr) -> Outcome<Option<Value<'a>>> {
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
                        self.host_step(word, span, value.span);
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
            let ast::StageKind::Call { path, .. } = &stage.kind else { continue };
            let Some(name) = path.last() else { continue };
            let called = self.lookup(frame, &name.text, name.span)?;
            if !called.is_some_and(|called| is_host(&called)) {
                continue;
            }
            if place != first {
                let message = format!("`{}` is the reader's work and must come first", name.text);
                return self.fail("E0403", name.span, message, "after what the device does");
            }
            self.host_step(&name.text, stage.span, stage.span);
            first = place + 1;
        }
        let source = self.expression(frame, &pipeline.source)?;
        self.stages(frame, &pipeline.stages[first..], source, pipeline.source.span).map(Some)
    }

    /// The data set as the runtime reads it.
    pub(super) fn data_set(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Data> {
        let stored = self.stored_dims(data, module)?;
        let mut frame = Frame::new(module);
        let mut fields = Vec::new();
        let mut parts = Vec::new();
        for setting in &data.settings.entries {
            match &setting.kind {
                SettingKind::Field { name, ty } => {
                    let element = self.element(ty)?;
                    let declared = self.declared_dims(&mut frame, ty)?;
                    let dims = stored.get(&name.text).map_or(declared, |dims| dims[1..].to_vec());
                    let range = self.field_range(&mut frame, ty)?;
                    fields.push(Field {
                        name: name.text.clone(),
                        element,
                        shape: dims.iter().map(Dim::size).collect(),
                        range: range.map(|(low, high, _)| (low, high)),
                    });
                }
                SettingKind::Value { .. } | SettingKind::Group { .. } => {}
            }
        }
        for setting in &data.settings.entries {
            let SettingKind::Value { names, value } = &setting.kind else { continue };
            for name in names.iter().filter(|name| PARTS.contains(&name.text.as_str())) {
                parts.push(self.part(&mut frame, &name.text, value, &fields)?);
            }
        }
        Ok(Data { name: data.name.text.clone(), fields, parts })
    }

    /// A place as the artifact keeps it.
    pub(super) fn location(&self, span: Span) -> Location {
        let source = self.bundle.sources().source(span.file);
        let (line, column) = source.position(span.start);
        Location {
            file: source.path().to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// Random numbers for a model input: `inputs { z = normal(0, 1) }`.
    pub(super) fn random_input(&mut self, spec: &InitSpec, dims: Vec<Dim>, span: Span) -> Outcome<Tensor> {
        use nnc_runtime::artifact::Init;
        use nnc_wgsl::{Binary, Unary};
        self.mark(span);
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = match spec {
            InitSpec::Fixed(Init::Uniform { low, high }) => {
                let uniform = self.graph.random(shape);
                self.graph.map(&[uniform], |b, x| {
                    let width = b.real(high - low);
                    let low = b.real(*low);
                    let spread = b.binary(Binary::Mul, x[0], width);
                    b.binary(Binary::Add, spread, low)
                })
            }
            InitSpec::Fixed(Init::Normal { mean, std }) => {
                let radius = self.graph.random(shape.clone());
                let angle = self.graph.random(shape);
                self.graph.map(&[radius, angle], |b, x| {
                    let one = b.real(1.0);
                    let positive = b.binary(Binary::Sub, one, x[0]);
                    let log = b.unary(Unary::Log, positive);
                    let minus_two = b.real(-2.0);
                    let square = b.binary(Binary::Mul, minus_two, log);
                    let radius = b.unary(Unary::Sqrt, square);
                    let turn = b.real(std::f64::consts::TAU);
                    let angle = b.binary(Binary::Mul, turn, x[1]);
                    let cosine = b.unary(Unary::Cos, angle);
                    let normal = b.binary(Binary::Mul, radius, cosine);
                    let std = b.real(*std);
                    let scaled = b.binary(Binary::Mul, normal, std);
                    let mean = b.real(*mean);
                    b.binary(Binary::Add, scaled, mean)
                })
            }
            _ => {
                return self.fail(
                    "E0204",
                    span,
                    "an input is filled by `normal` or `uniform`",
                    "not by this",
                );
            }
        };
        Ok(self.tensor(node, dims))
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
fn range_after(
    before: &Tensor,
    after: &Tensor,
    name: &Name,
    value: &ast::Expr,
) -> Option<Rc<(i64, i64, Span)>> {
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

/// Whether two lists of dims differ in nothing but dims of 1.
pub(super) fn same_but_for_ones(a: &[Dim], b: &[Dim]) -> bool {
    let one = Dim::constant(1);
    a.iter().filter(|dim| **dim != one).eq(b.iter().filter(|dim| **dim != one))
}

/// The names in a formula of calls and operators.
pub(super) fn names_in<'e>(expr: &'e ast::Expr, out: &mut Vec<(&'e str, Span)>) {
    match &expr.kind {
        ExprKind::Name(name) => out.push((name, expr.span)),
        ExprKind::Call { callee, arguments } => {
            names_in(callee, out);
            for argument in arguments {
                names_in(&argument.value, out);
            }
        }
        ExprKind::Binary { left, right, .. } => {
            names_in(left, out);
            names_in(right, out);
        }
        ExprKind::Unary(_, operand) => names_in(operand, out),
        _ => {}
    }
}

/// Where a type stands in place of a value.
fn type_written(value: &ast::Expr) -> Option<Span> {
    let named = match &value.kind {
        ExprKind::Index(operand, _) => operand,
        _ => value,
    };
    let is_type =
        matches!(&named.kind, ExprKind::Name(name) if ["f32", "i32", "u8", "bool"].contains(&name.as_str()));
    is_type.then_some(value.span)
}

//! The fields of one example, where they come from, and what is done to them.

use nnc_runtime::artifact::{Argument, Data, Field, Location, Part};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{InitSpec, Tensor, Value};
use crate::ir::Source;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, Name, SettingKind, Type};

const GROUPS: [&str; 2] = ["prepare", "augment"];
const PARTS: [&str; 3] = ["train", "test", "valid"];

impl<'a> Elaborator<'a> {
    /// A frame with the fields of a batch of `data`, prepared, and augmented while training.
    pub(super) fn fields(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Frame<'a>> {
        let mut frame = Frame::new(module);
        let mut failed = false;
        for setting in &data.settings.entries {
            if let SettingKind::Field { name, ty } = &setting.kind {
                match self.field(&mut frame, name, ty) {
                    Ok(tensor) => frame.bind(&name.text, Value::Tensor(tensor)),
                    Err(Reported) => {
                        failed = true;
                        frame.bind(&name.text, Value::Error);
                    }
                }
            }
        }
        for setting in &data.settings.entries {
            match &setting.kind {
                SettingKind::Group { name, settings, .. } => {
                    let wanted = match name.text.as_str() {
                        "prepare" => true,
                        "augment" => self.expansion == Expansion::Training,
                        _ => {
                            self.unknown_part(name);
                            failed = true;
                            false
                        }
                    };
                    if !wanted {
                        continue;
                    }
                    for entry in &settings.entries {
                        if let SettingKind::Value { names, value } = &entry.kind
                            && self.prepare(&mut frame, names, value).is_err()
                        {
                            failed = true;
                            for name in names {
                                frame.bind(&name.text, Value::Error);
                            }
                        }
                    }
                }
                SettingKind::Value { names, .. } => {
                    for name in names.iter().filter(|name| !PARTS.contains(&name.text.as_str())) {
                        self.unknown_part(name);
                        failed = true;
                    }
                }
                SettingKind::Field { .. } => {}
            }
        }
        if failed { Err(Reported) } else { Ok(frame) }
    }

    fn unknown_part(&mut self, name: &Name) {
        let help = did_you_mean(&name.text, PARTS.into_iter().chain(GROUPS));
        let message = format!("unknown setting `{}`", name.text);
        self.report(
            Diagnostic::error("E0505", message, name.span)
                .fact("not a setting of `data`")
                .note("a field is `name: type`; parts are train, test, valid; groups are prepare, augment")
                .help_maybe(help),
        );
    }

    fn field(&mut self, frame: &mut Frame<'a>, name: &Name, ty: &'a Type) -> Outcome<Tensor> {
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
        self.mark(name.span);
        let source = Source::Input { name: name.text.clone(), batched: true };
        let node = self.graph.source(source, Self::graph_type(element, &dims));
        let mut tensor = self.tensor(node, dims);
        tensor.range = range;
        Ok(tensor)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn field_range(&mut self, frame: &mut Frame<'a>, ty: &'a Type) -> Outcome<Option<(i64, i64, Span)>> {
        let Some(range) = &ty.range else { return Ok(None) };
        match self.expression(frame, range)? {
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

    fn prepare(&mut self, frame: &mut Frame<'a>, names: &'a [Name], value: &'a ast::Expr) -> Outcome<()> {
        let found = match self.expression(frame, value)? {
            Value::Outputs(values) => values,
            one => vec![one],
        };
        if found.len() < names.len() {
            let message = format!("{} names for {} values", names.len(), found.len());
            return self.fail("E0210", value.span, message, "too few values");
        }
        for (name, value) in names.iter().zip(found) {
            let range = match frame.names.get(&name.text) {
                Some(Value::Tensor(tensor)) => tensor.range,
                _ => None,
            };
            let value = match value {
                Value::Tensor(tensor) => Value::Tensor(Tensor { range, ..tensor }),
                other => other,
            };
            frame.bind(&name.text, value);
        }
        Ok(())
    }

    /// The data set as the runtime reads it.
    pub(super) fn data_set(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Data> {
        let mut frame = Frame::new(module);
        let mut fields = Vec::new();
        let mut parts = Vec::new();
        for setting in &data.settings.entries {
            match &setting.kind {
                SettingKind::Field { name, ty } => {
                    let element = self.element(ty)?;
                    let dims = self.declared_dims(&mut frame, ty)?;
                    let range = self.field_range(&mut frame, ty)?;
                    fields.push(Field {
                        name: name.text.clone(),
                        element,
                        shape: dims.iter().map(Dim::size).collect(),
                        range: range.map(|(low, high, _)| (low, high)),
                    });
                }
                SettingKind::Value { names, value } => {
                    for name in names.iter().filter(|name| PARTS.contains(&name.text.as_str())) {
                        parts.push(self.part(&mut frame, &name.text, value)?);
                    }
                }
                SettingKind::Group { .. } => {}
            }
        }
        Ok(Data { name: data.name.text.clone(), fields, parts })
    }

    fn part(&mut self, frame: &mut Frame<'a>, name: &str, value: &'a ast::Expr) -> Outcome<Part> {
        let (reader, arguments) = match &value.kind {
            ExprKind::Call { callee, arguments } => match &callee.kind {
                ExprKind::Name(reader) => (reader, arguments.as_slice()),
                _ => {
                    return self.fail(
                        "E0204",
                        value.span,
                        "a source is a reader",
                        "such as `idx(\"images\")`",
                    );
                }
            },
            ExprKind::Name(reader) => (reader, [].as_slice()),
            _ => return self.fail("E0204", value.span, "a source is a reader", "such as `idx(\"images\")`"),
        };
        let mut paths = Vec::new();
        let mut options = Vec::new();
        for argument in arguments {
            let given = self.expression(frame, &argument.value)?;
            let converted = self.reader_argument(&given, argument.value.span)?;
            match (&argument.name, converted) {
                (Some(name), converted) => options.push((name.text.clone(), converted)),
                (None, Argument::Text(path)) => paths.push(path),
                (None, _) => {
                    let message = "an argument without a name is a path";
                    return self.fail("E0204", argument.span, message, "this is no string");
                }
            }
        }
        let origin = Some(self.location(value.span));
        Ok(Part { name: name.to_owned(), reader: reader.clone(), paths, options, origin })
    }

    fn reader_argument(&mut self, value: &Value<'a>, span: Span) -> Outcome<Argument> {
        match value {
            Value::Int(_) | Value::Float(_) => self.real(value, span).map(Argument::Number),
            Value::Bool(truth) => Ok(Argument::Bool(*truth)),
            Value::Text(text) => Ok(Argument::Text(text.clone())),
            Value::Range(low, high) => Ok(Argument::Range(*low, *high)),
            Value::List(values) => {
                let values: Outcome<Vec<Argument>> =
                    values.iter().map(|value| self.reader_argument(value, span)).collect();
                values.map(Argument::List)
            }
            other => {
                let found = other.describe();
                self.fail(
                    "E0204",
                    span,
                    "a reader takes numbers, strings and lists",
                    format!("this is {found}"),
                )
            }
        }
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

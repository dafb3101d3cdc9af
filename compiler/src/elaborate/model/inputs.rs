//! The model's inputs: fields of the data, formulas of `inputs`, or what a host gives.

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean, nearest};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::data::{names_in, same_but_for_ones};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::model::Subject;
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::Source;
use crate::source::Span;
use crate::syntax::ast::{self, ItemKind, Parameter};

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
    if flat {
        return Some(format!("write `inputs {{ {name} = {given} -> flatten }}` in `train`"));
    }
    let example = crate::elaborate::dim::show_dims(dims.get(1..)?);
    let alike = tensor.dims.len() == dims.len() && dims.len() > 1;
    alike.then(|| {
        let whole = crate::elaborate::dim::show_dims(&tensor.dims);
        format!("declare the field as `f32{example}`, or the input as `f32{whole}`, whichever the files are")
    })
}

impl<'a> Elaborator<'a> {
    /// Reports `inputs` that the model does not have.
    pub(super) fn inputs_of_nothing(&mut self, subject: &Subject<'a>, settings: &TrainSettings<'a>) {
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

    pub(super) fn model_input(
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
            Some((_, expr)) => match self.weightless(fields, expr, &format!("the input `{name}`"))?.first() {
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
    pub(super) fn output_beside_fields(&mut self, name: &str, subject: &Subject<'a>) {
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
        if let Some(first) = meant_by(name, &declared, subject.model) {
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
        let mapped = span != parameter.name.span;
        let field = subject.data.filter(|_| !mapped).and_then(|(data, _)| {
            data.settings.entries.iter().find_map(|setting| match &setting.kind {
                ast::SettingKind::Field { name: field, ty } if field.text == *name => Some(ty.span),
                _ => None,
            })
        });
        let what = if tensor.dims == dims { "type" } else { "shape" };
        let given =
            if mapped { format!("what `inputs` gives `{name}`") } else { format!("the field `{name}`") };
        let message = format!("{given} does not have the {what} of the model's input");
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
}

/// The field that was probably meant for the input `name`: the nearest by its letters, else, of the fields that feed no
/// input, the one at the input's place among those that no field feeds.
fn meant_by<'f>(name: &str, fields: &[&'f str], model: &ast::Definition) -> Option<&'f str> {
    let inputs: Vec<&str> = model.parameters.iter().map(|parameter| parameter.name.text.as_str()).collect();
    let free: Vec<&str> = fields.iter().copied().filter(|field| !inputs.contains(field)).collect();
    let unfed = inputs.iter().filter(|input| !fields.contains(*input));
    let place = unfed.take_while(|input| **input != name).count();
    let near = nearest(name, free.iter().copied());
    near.or_else(|| free.get(place).copied()).or_else(|| fields.first().copied())
}

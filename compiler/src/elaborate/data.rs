//! The fields of one example, where they come from, and what is done to them.

mod field;
mod groups;
mod parts;
mod random;

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Data, Field, Location};
use nnc_wgsl::Element;

use crate::diagnostic::Diagnostic;
use crate::elaborate::Expansion;
use crate::elaborate::context::{Elaborator, Outcome, Several};
use crate::elaborate::data::parts::PARTS;
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, SettingKind};

impl<'a> Elaborator<'a> {
    /// A frame with the fields of a batch of `data`, prepared, and augmented while training.
    pub(super) fn fields(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Frame<'a>> {
        let mut all = Several::default();
        all.keep(self.unknown_settings(data));
        let stored = all.keep(self.stored_dims(data, module));
        all.end()?;
        let stored = stored.unwrap_or_default();
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
        let mut all = Several::default();
        for setting in &data.settings.entries {
            let SettingKind::Field { name, ty } = &setting.kind else { continue };
            if let Some(tensor) = all.keep(self.field(&mut frame, name, ty, stored.get(&name.text))) {
                frame.bind(&name.text, Value::Tensor(tensor));
            }
        }
        all.end().map(|()| frame)
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

    /// The data set as the runtime reads it.
    pub(super) fn data_set(&mut self, data: &'a ast::Data, module: usize) -> Outcome<Data> {
        let mut all = Several::default();
        let stored = all.keep(self.stored_dims(data, module)).unwrap_or_default();
        let mut frame = Frame::new(module);
        let mut fields = Vec::new();
        let mut parts = Vec::new();
        for setting in &data.settings.entries {
            match &setting.kind {
                SettingKind::Field { name, ty } => {
                    let element = all.keep(self.element(ty)).unwrap_or(Element::F32);
                    let declared = all.keep(self.declared_dims(&mut frame, ty)).unwrap_or_default();
                    let dims = stored.get(&name.text).map_or(declared, |dims| dims[1..].to_vec());
                    let range = all.keep(self.field_range(&mut frame, ty)).flatten();
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
                parts.extend(all.keep(self.part(&mut frame, &name.text, value, &fields)));
            }
        }
        all.end()?;
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
}

/// The names of the parts that have a source.
pub(super) fn parts_of(data: &ast::Data) -> impl Iterator<Item = &ast::Name> {
    let named = data.settings.entries.iter().flat_map(|setting| match &setting.kind {
        SettingKind::Value { names, .. } => names.as_slice(),
        SettingKind::Group { .. } | SettingKind::Field { .. } => &[],
    });
    named.filter(|name| PARTS.contains(&name.text.as_str()))
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

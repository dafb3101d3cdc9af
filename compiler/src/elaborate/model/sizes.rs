//! The batch size and the free dims: what binds them, and names of dims that nothing has.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Several};
use crate::elaborate::data::names_in;
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::frame::Frame;
use crate::elaborate::model::Subject;
use crate::elaborate::settings::TrainSettings;
use crate::elaborate::value::Value;
use crate::elaborate::{Expansion, Request};
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind};

/// What the batch dim is called elsewhere.
const BATCHES: [&str; 5] = ["None", "Batch", "BATCH", "BatchSize", "BS"];

/// The name, where a dim is a free dim by itself.
fn free_name(dim: &ast::Expr) -> Option<&str> {
    match &dim.kind {
        ExprKind::Name(name) if name.starts_with(|letter: char| letter.is_uppercase()) => Some(name),
        _ => None,
    }
}

impl<'a> Elaborator<'a> {
    pub(super) fn batch_size(&mut self, settings: &TrainSettings<'a>, request: &Request) -> Outcome<usize> {
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
    pub(super) fn free_dims(&mut self, settings: &TrainSettings<'a>, request: &Request) -> Outcome<()> {
        let mut all = Several::default();
        all.keep(self.dims_of_nothing(settings));
        for (name, expr) in &settings.dims {
            let value = self.settled(expr).and_then(|value| self.whole(&value, expr.span));
            let Some(extent) = all.keep(value).map(|dim| dim.extent()) else { continue };
            self.predeclared.insert(name.text.clone(), Value::Int(Dim::symbol(&name.text, extent)));
        }
        for (name, extent) in &request.dims {
            let extent = i64::try_from(*extent).unwrap_or(i64::MAX);
            self.predeclared.insert(name.clone(), Value::Int(Dim::symbol(name, extent)));
        }
        all.end()
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
    pub(super) fn dims_of_fields(
        &mut self,
        subject: &Subject<'a>,
        settings: &TrainSettings<'a>,
    ) -> Outcome<()> {
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
                if free_name(declared).is_some() {
                    continue;
                }
                let Some(free) = self.unbound(subject, wanted)? else { continue };
                let value = self.expression(&mut frame, declared)?;
                let extent = self.whole(&value, declared.span)?;
                let extent = if free_name(wanted).is_some() {
                    Some(extent)
                } else {
                    self.solved(subject, free, wanted, (&extent, declared.span))?
                };
                if let Some(extent) = extent {
                    self.predeclared.insert(free.to_owned(), Value::Int(extent));
                }
            }
        }
        Ok(())
    }

    /// The only free dim in `wanted`, where nothing binds it yet.
    fn unbound(&mut self, subject: &Subject<'a>, wanted: &'a ast::Expr) -> Outcome<Option<&'a str>> {
        let frame = Frame::new(subject.module);
        let mut names = Vec::new();
        names_in(wanted, &mut names);
        let mut free: Vec<&str> = Vec::new();
        for (name, span) in names {
            if free.contains(&name) || self.lookup(&frame, name, span)?.is_some() {
                continue;
            }
            if !name.starts_with(char::is_uppercase) {
                return Ok(None);
            }
            free.push(name);
        }
        Ok(if let [one] = free.as_slice() { Some(*one) } else { None })
    }

    /// What `free` must be for the dim `wanted` of an input to be the `extent` of its field; `None` where that is not
    /// one number times `free` and one added.
    fn solved(
        &mut self,
        subject: &Subject<'a>,
        free: &str,
        wanted: &'a ast::Expr,
        (extent, declared): (&Dim, Span),
    ) -> Outcome<Option<Dim>> {
        let mut frame = Frame::new(subject.module);
        frame.bind(free, Value::Int(Dim::symbol(free, extent.extent())));
        let value = self.expression(&mut frame, wanted)?;
        let formula = self.whole(&value, wanted.span)?;
        let Some((slope, rest)) = formula.linear_in(free) else { return Ok(None) };
        let whole = extent.extent().checked_sub(rest).filter(|left| left.checked_rem(slope) == Some(0));
        match whole.and_then(|left| left.checked_div(slope)).filter(|size| *size > 0) {
            Some(size) => Ok(Some(Dim::constant(size))),
            None => {
                let message = format!("no `{free}` makes this dim {extent}");
                let diagnostic = Diagnostic::error("E0307", message, wanted.span)
                    .fact(format!("{formula}"))
                    .label(declared, "as the field that feeds the input says");
                Err(self.report(diagnostic))
            }
        }
    }

    /// The batch dim under the name that it has elsewhere.
    pub(super) fn batch_dim(&mut self, ty: &ast::Type) -> Outcome<()> {
        let Some(ast::Dim::One(first)) = ty.dims.iter().flatten().next() else { return Ok(()) };
        let Some(name) = free_name(first).filter(|name| BATCHES.contains(name)) else { return Ok(()) };
        let diagnostic =
            Diagnostic::error("E0307", format!("the batch dim is called `N`, not `{name}`"), first.span)
                .fact("nothing binds this one")
                .help("write `N`: it is as large as `batch` in training, and as `--batch` in use");
        Err(self.report(diagnostic))
    }
}

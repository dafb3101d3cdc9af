//! One field: its element type, its dims and the values it may have.

use std::rc::Rc;

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::Source;
use crate::source::Span;
use crate::syntax::ast::{Name, Type};

impl<'a> Elaborator<'a> {
    pub(super) fn field(
        &mut self,
        frame: &mut Frame<'a>,
        name: &Name,
        ty: &'a Type,
        stored: Option<&Vec<Dim>>,
    ) -> Outcome<Tensor> {
        let element = self.element(ty)?;
        let mut dims = vec![self.batch()];
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
    pub(super) fn field_range(
        &mut self,
        frame: &mut Frame<'a>,
        ty: &'a Type,
    ) -> Outcome<Option<(i64, i64, Span)>> {
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
}

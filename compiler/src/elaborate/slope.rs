//! `grad x = formula`: the formula is taken for `dy = 1` and multiplied by what comes from above, so that it must be a
//! multiple of `dy`, and belong to a parameter of the `fn` or `block` in whose body it stands.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::multiple::{Dependence, UPSTREAM};
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::{DefinitionKind, Expr, Name, StatementKind};

impl<'a> Elaborator<'a> {
    /// `grad name = value` in the body of `frame`.
    pub(super) fn slope(&mut self, frame: &mut Frame<'a>, name: &'a Name, value: &'a Expr) -> Outcome<()> {
        let Some(definition) = frame.definition else {
            let message = "`grad` stands in a `fn` or a `block`";
            let diagnostic = Diagnostic::error("E0504", message, name.span).fact("not here");
            let help = "write a `fn` whose parameter it is about, and call it here";
            return Err(self.report(diagnostic.help(help)));
        };
        let parameters = || definition.parameters.iter().map(|parameter| parameter.name.text.as_str());
        let called = &definition.name.text;
        if !parameters().any(|parameter| parameter == name.text) {
            let message = format!("`{called}` has no parameter `{}`", name.text);
            let diagnostic = Diagnostic::error("E0504", message, name.span)
                .fact("whose gradient would this be")
                .label(
                    definition.name.span,
                    format!("it has {}", parameters().collect::<Vec<_>>().join(", ")),
                )
                .help_maybe(did_you_mean(&name.text, parameters()));
            return Err(self.report(diagnostic));
        }
        let at_top = definition.body.statements.iter().any(|statement| match &statement.kind {
            StatementKind::Grad { name: other, .. } => other.span == name.span,
            _ => false,
        });
        if !at_top {
            let message = "`grad` stands inside an `if` or a `scan`";
            let diagnostic = Diagnostic::error("E0504", message, name.span).fact("it would not be looked at");
            let help = format!("move it to the top of `{called}`: `grad x = if c {{ dy }} else {{ 0 }}`");
            return Err(self.report(diagnostic.help(help)));
        }
        let before = definition.body.statements.iter().find_map(|statement| match &statement.kind {
            StatementKind::Grad { name: other, .. } if other.text == name.text => Some(other.span),
            _ => None,
        });
        if let Some(before) = before.filter(|before| *before != name.span) {
            return Err(self.set_twice(&format!("grad {}", name.text), name.span, before));
        }
        self.multiple(frame, value)?;
        let hidden = frame.names.get(UPSTREAM).cloned();
        frame.bind(UPSTREAM, Value::Float(1.0));
        let slope = self.expression(frame, value);
        frame.names.remove(UPSTREAM);
        if let Some(hidden) = hidden {
            frame.bind(UPSTREAM, hidden);
        }
        frame.grads.insert(name.text.clone(), slope?.first());
        Ok(())
    }

    fn multiple(&mut self, frame: &Frame<'a>, value: &'a Expr) -> Outcome<()> {
        let message = "a `grad` formula is a multiple of `dy`";
        let factor = "write `dy * (...)`, with a formula of the parameters in the parentheses";
        let diagnostic = match self.dependence(frame, value) {
            Dependence::Zero | Dependence::Multiple => return Ok(()),
            Dependence::Without => {
                Diagnostic::error("E0504", message, value.span).fact("`dy` does not stand in it").help(factor)
            }
            Dependence::Other(span) => {
                Diagnostic::error("E0504", message, span).fact("not a multiple because of this").help(factor)
            }
            Dependence::Given(span, function) => {
                let message =
                    "`dy` may only be multiplied, divided, added or chosen here, not given to a function";
                let help = match function {
                    "min" | "max" => "a gradient is clipped by `clip` of `train`, all of it together",
                    _ => "take the factor out: `dy * f(x)`",
                };
                Diagnostic::error("E0504", message, span).fact(format!("given to `{function}`")).help(help)
            }
        };
        Err(self.report(diagnostic))
    }

    /// Refuses a slope that cannot be laid along `original`.
    pub(super) fn slope_fits(
        &mut self,
        name: &str,
        slope: &Tensor,
        original: &Tensor,
        span: Span,
    ) -> Outcome<()> {
        let behind = original.rank().checked_sub(slope.rank());
        let one = Dim::constant(1);
        let fits = behind.is_some_and(|behind| {
            slope
                .dims
                .iter()
                .zip(&original.dims[behind..])
                .all(|(mine, theirs)| *mine == one || mine == theirs)
        });
        if fits {
            return Ok(());
        }
        let message = format!("`grad {name}` does not have the shape of `{name}`");
        self.fail("E0504", span, message, format!("{} for {}", slope.show(), original.show()))
    }
}

/// Whether `kind` is one whose parameters can have a `grad`.
pub(super) fn has_slopes(kind: DefinitionKind) -> bool {
    matches!(kind, DefinitionKind::Fn | DefinitionKind::Block)
}

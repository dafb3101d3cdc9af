//! Values that are not of the type declared for them: of another kind, with another number of dims, or another dim.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::elsewhere::number_help;
use crate::elaborate::types::Role;
use crate::elaborate::value::{Tensor, Value};
use crate::source::Span;
use crate::syntax::ast::Type;

impl<'a> Elaborator<'a> {
    pub(super) fn wrong_kind<T>(
        &mut self,
        ty: &Type,
        value: &Value<'a>,
        span: Span,
        role: Role<'_>,
    ) -> Outcome<T> {
        let declared = self.bundle.sources().slice(ty.span).to_owned();
        let message = match role {
            Role::Parameter { of, name } => format!("`{name}` of `{of}` must be {declared}"),
            Role::Output { name } => format!("output `{name}` must be {declared}"),
            Role::Result { of } => format!("`{of}` must give {declared}"),
            Role::Stated => format!("this must be {declared}"),
        };
        let help = match (role, value) {
            (Role::Parameter { .. }, Value::Int(dim))
                if declared == "bool" && dim.as_constant() == Some(0) =>
            {
                Some("truth is `true` and `false`: write `false`")
            }
            (Role::Parameter { name, .. }, Value::Int(_)) if declared == "bool" => number_help(name),
            _ => None,
        };
        let help = help.map(str::to_owned).or_else(|| known_at_build_time(ty, value, role));
        let help = help.or_else(|| self.weight_for(ty, value, span, role));
        let diagnostic = Diagnostic::error("E0204", message, span)
            .fact(format!("this is {}", value.describe()))
            .help_maybe(help);
        Err(self.report(diagnostic))
    }

    /// What to write where an init is bound to a name with the type of a tensor.
    fn weight_for(&self, ty: &Type, value: &Value<'a>, init: Span, role: Role<'_>) -> Option<String> {
        if !matches!((value, role), (Value::Init(_), Role::Stated)) {
            return None;
        }
        let sources = self.bundle.sources();
        let before = sources.source(ty.span.file).text().get(..ty.span.start as usize)?;
        let name = before.lines().next_back()?.trim().strip_suffix(':')?.trim();
        Some(format!(
            "a weight is declared: `weight {name}: {} = {}`",
            sources.slice(ty.span),
            sources.slice(init)
        ))
    }

    pub(super) fn wrong_rank<T>(
        &mut self,
        ty: &Type,
        tensor: &Tensor,
        span: Span,
        role: Role<'_>,
    ) -> Outcome<T> {
        let declared = self.bundle.sources().slice(ty.span).to_owned();
        let found = format!("found {}", tensor.show());
        let diagnostic = match role {
            Role::Parameter { of, .. } => {
                let of = if self.bundle.is_library(ty.span) { self.spoken_name(of) } else { of };
                let place = self.sites.last().map_or(span, |site| site.span);
                let diagnostic =
                    Diagnostic::error("E0303", format!("`{of}` needs an input {declared}"), place)
                        .fact(found);
                match tensor.made.as_deref() {
                    Some((made, maker)) if !place.contains(*made) => {
                        diagnostic.label(*made, format!("made by `{maker}` here"))
                    }
                    _ => diagnostic,
                }
            }
            Role::Output { .. } | Role::Result { .. } => {
                let place = tensor.made.as_ref().map_or(span, |made| made.0);
                let written = declared
                    .split_once('[')
                    .filter(|_| tensor.rank() == ty.dims.iter().flatten().count() + 1);
                let batched = tensor.dims.first().is_some_and(Dim::is_batch);
                let help = written
                    .filter(|_| batched && !declared.contains("[N"))
                    .map(|(element, dims)| format!("the batch dim is declared, too: `{element}[N, {dims}`"));
                Diagnostic::error("E0302", wrong_shape(role), place)
                    .fact(found)
                    .label(ty.span, format!("declared {declared} here"))
                    .help_maybe(help)
            }
            Role::Stated => Diagnostic::error("E0302", "the value has another shape", span)
                .fact(found)
                .label(ty.span, format!("stated {declared} here")),
        };
        Err(self.report(diagnostic))
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn wrong_dim<T>(
        &mut self,
        wanted: &Dim,
        axis: usize,
        ty: &Type,
        place: Span,
        tensor: &Tensor,
        span: Span,
        role: Role<'_>,
    ) -> Outcome<T> {
        let actual = &tensor.dims[axis];
        let diagnostic = match role {
            Role::Parameter { of, name } => {
                let message = format!("`{name}` of `{of}` has the wrong shape");
                Diagnostic::error("E0302", message, span)
                    .fact(format!("found {}", tensor.show()))
                    .label(place, format!("{wanted} here, found {actual}"))
                    .note(format!("dim {axis} of `{name}` is declared as {wanted}"))
            }
            Role::Output { .. } | Role::Result { .. } => {
                let made = tensor.made.as_ref().map_or(span, |made| made.0);
                Diagnostic::error("E0302", wrong_shape(role), made)
                    .fact(format!("found {}", crate::elaborate::dim::show_dims(&tensor.dims)))
                    .label(place, format!("declared {wanted} here, found {actual}"))
            }
            Role::Stated => Diagnostic::error("E0302", "the value has another shape", ty.span)
                .fact(format!("found {}", tensor.show()))
                .note(format!("dim {axis} is stated as {wanted} and is {actual}")),
        };
        Err(self.report(diagnostic))
    }
}

/// What to write where a number known at build time is declared as another type.
fn known_at_build_time(ty: &Type, value: &Value<'_>, role: Role<'_>) -> Option<String> {
    match (ty.name.text.as_str(), value) {
        ("int", Value::Float(number)) if number.fract() == 0.0 && number.abs() < 1e15 => Some(format!(
            "a whole number of it is `to_int(...)`, or `{number:.0}`; `//` divides whole numbers"
        )),
        ("i32", Value::Int(_))
            if ty.dims.is_none() && matches!(role, Role::Result { .. } | Role::Output { .. }) =>
        {
            Some(
                "a whole number known at build time is `int`: write `-> int`, or leave the type out"
                    .to_owned(),
            )
        }
        _ => None,
    }
}

fn wrong_shape(role: Role<'_>) -> String {
    match role {
        Role::Output { name } => format!("output `{name}` has the wrong shape"),
        Role::Result { of } => format!("`{of}` gives another shape than it declares"),
        Role::Parameter { name, .. } => format!("`{name}` has the wrong shape"),
        Role::Stated => "the value has another shape".to_owned(),
    }
}

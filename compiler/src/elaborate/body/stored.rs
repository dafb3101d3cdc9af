//! Weights and states that a body declares, and how they begin.

use nnc_runtime::artifact::{Init, StoredKind};
use nnc_wgsl::Element;

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::frame::Frame;
use crate::elaborate::names::unquoted;
use crate::elaborate::value::{Callable, InitSpec, Tensor, Value};
use crate::ir::Source;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, ExprKind, Name, Statement, Type};

const INITS: &str = "he, xavier, orthogonal, zeros, ones, normal(mean, std), uniform(low, high), a number";

impl<'a> Elaborator<'a> {
    /// A weight or state, and its path.
    pub(super) fn declare(
        &mut self,
        frame: &mut Frame<'a>,
        statement: &'a Statement,
        name: &Name,
        ty: &'a Type,
        init: Option<&'a Expr>,
        kind: StoredKind,
    ) -> Outcome<(Tensor, String)> {
        if self.element(ty)? != Element::F32 {
            return self.fail("E0312", ty.span, "weights and states are f32", "another element type");
        }
        let dims = self.declared_dims(frame, ty)?;
        let spec = match init {
            Some(expr) => {
                let value = self.expression(frame, expr)?;
                let place = self.argument_place(frame, expr);
                self.init_spec(&value, place)?
            }
            None if kind == StoredKind::State => InitSpec::Fixed(Init::Constant(0.0)),
            None => InitSpec::Default,
        };
        let spec = match (&spec, &frame.init) {
            (InitSpec::Default, Some(wanted)) => wanted.clone(),
            _ => spec,
        };
        let renamed = statement.attributes.iter().find(|attribute| attribute.name.text == "name");
        let renamed = renamed.and_then(|attribute| attribute.arguments.first());
        let stored = match renamed {
            Some(argument) => match self.expression(frame, &argument.value)? {
                Value::Text(text) => text,
                other => {
                    let found = other.describe();
                    let message = "`@name` takes a string";
                    return self.fail("E0204", argument.span, message, format!("this is {found}"));
                }
            },
            None => name.text.clone(),
        };
        self.empty_dim(frame, ty, &stored)?;
        let tensor = self.stored(&stored, kind, &dims, &spec, statement.span)?;
        Ok((tensor, self.stored_path(&stored)))
    }

    /// Refuses a weight whose dim is a parameter that is no number of elements, where that was given.
    fn empty_dim(&mut self, frame: &Frame<'a>, ty: &Type, name: &str) -> Outcome<()> {
        for dim in ty.dims.iter().flatten() {
            let ast::Dim::One(Expr { kind: ExprKind::Name(parameter), .. }) = dim else { continue };
            let (Some(Value::Int(extent)), Some(place)) =
                (frame.names.get(parameter), frame.places.get(parameter).copied())
            else {
                continue;
            };
            if extent.extent() <= 0 && extent.as_constant().is_some() {
                let message = format!("the weight `{}` has no elements", self.stored_path(name));
                let fact = format!("`{parameter}` is {extent}");
                let place = self.visible(place);
                return self.fail("E0307", place, message, fact);
            }
        }
        Ok(())
    }

    /// `value` as the way a weight begins.
    pub(in crate::elaborate) fn init_spec(&mut self, value: &Value<'a>, span: Span) -> Outcome<InitSpec> {
        match value {
            Value::Init(spec) => Ok(spec.clone()),
            Value::Int(_) | Value::Float(_) => {
                let number = self.real(value, span)?;
                Ok(InitSpec::Fixed(Init::Constant(number)))
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) if intrinsic.name == "zeros" => {
                Ok(InitSpec::Fixed(Init::Constant(0.0)))
            }
            Value::Callable(Callable::Intrinsic(intrinsic)) if intrinsic.name == "ones" => {
                Ok(InitSpec::Fixed(Init::Constant(1.0)))
            }
            other => {
                let found = other.describe();
                let diagnostic = Diagnostic::error("E0204", "an init is needed here", span)
                    .fact(format!("this is {found}"))
                    .help(
                        unquoted(other).or_else(|| with_numbers(other)).unwrap_or_else(|| INITS.to_owned()),
                    );
                Err(self.report(diagnostic))
            }
        }
    }

    pub(super) fn optimizer_state(
        &mut self,
        frame: &mut Frame<'a>,
        name: &Name,
        init: Option<&'a Expr>,
    ) -> Outcome<()> {
        let fill = match init {
            Some(expr) => {
                let value = self.expression(frame, expr)?;
                match self.init_spec(&value, expr.span)? {
                    InitSpec::Fixed(Init::Constant(number)) => number,
                    _ => {
                        return self.fail(
                            "E0204",
                            expr.span,
                            "a state of an optimizer begins as a number",
                            "",
                        );
                    }
                }
            }
            None => 0.0,
        };
        self.mark(name.span);
        if let Some(before) = self.update.as_ref().and_then(|update| update.declared.get(&name.text).copied())
        {
            return Err(self.given_twice(&format!("state `{}`", name.text), name.span, before));
        }
        let Some(update) = &mut self.update else { return Err(Reported) };
        update.declared.insert(name.text.clone(), name.span);
        let ty = self.graph.ty(update.like.node).clone();
        let node = self.graph.source(Source::Region(format!("{}.{}", self.region, name.text)), ty);
        update.states.push((name.text.clone(), fill, node, node));
        let tensor = Tensor { node, ..update.like.clone() };
        frame.bind_state(&name.text, name.text.clone(), Value::Tensor(tensor));
        Ok(())
    }
}

/// What to write for an init whose numbers are left out.
fn with_numbers(value: &Value<'_>) -> Option<String> {
    let Value::Callable(called) = value else { return None };
    let written = match called.name() {
        "uniform" => "uniform(-0.1, 0.1)",
        "normal" => "normal(0, 0.02)",
        "constant" => "constant(0.5)",
        _ => return None,
    };
    Some(format!("it takes its numbers: `{written}`"))
}

//! Declared types against the values that arrive.

mod dims;
mod mismatch;

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::elsewhere::type_help;
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::TensorType;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, Type};

/// Where a type is declared, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'r> {
    /// Parameter `name` of `of`.
    Parameter {
        /// The block or function.
        of: &'r str,
        /// The parameter.
        name: &'r str,
    },
    /// Output of a model or block.
    Output {
        /// Its name.
        name: &'r str,
    },
    /// The only output, without a name, of a `fn` or block.
    Result {
        /// The `fn` or block.
        of: &'r str,
    },
    /// A type written beside a value.
    Stated,
}

impl<'a> Elaborator<'a> {
    /// `value` as `ty` says it must be; free dims that are not bound yet are bound in `frame`.
    pub(super) fn check(
        &mut self,
        frame: &mut Frame<'a>,
        ty: &'a Type,
        value: Value<'a>,
        span: Span,
        role: Role<'_>,
    ) -> Outcome<Value<'a>> {
        let value = value.first();
        let fits = match (ty.name.text.as_str(), &value) {
            (_, Value::Error) => return Err(Reported),
            ("int", Value::Int(_)) | ("bool", Value::Bool(_)) | ("str", Value::Text(_)) => return Ok(value),
            ("float", Value::Int(_) | Value::Float(_) | Value::Host(_)) => return Ok(value),
            ("f32", Value::Int(_) | Value::Float(_) | Value::Host(_)) if ty.dims.is_none() => {
                return Ok(value);
            }
            ("int" | "float" | "str", _) => false,
            (_, Value::Tensor(_)) => true,
            _ => false,
        };
        let Value::Tensor(tensor) = &value else {
            return self.wrong_kind(ty, &value, span, role);
        };
        if !fits {
            return self.wrong_kind(ty, &value, span, role);
        }
        let wanted = self.element(ty)?;
        let stored = if tensor.element == Element::U8 { Element::F32 } else { tensor.element };
        if wanted != stored {
            let (declared, found) = (wanted.to_string(), tensor.show());
            let message = match role {
                Role::Parameter { of, name } => format!("`{of}` takes {declared} for `{name}`"),
                Role::Output { name } => format!("output `{name}` is declared as {declared}"),
                Role::Result { of } => format!("`{of}` is declared to give {declared}"),
                Role::Stated => format!("{declared} is stated here"),
            };
            let help = match (role, wanted, stored) {
                (Role::Parameter { .. }, Element::F32, Element::I32) => Some(
                    "whole numbers become vectors with `embed(count, 64)`, or numbers with `to_float`"
                        .to_owned(),
                ),
                (Role::Parameter { .. }, Element::I32, Element::F32) => {
                    Some("declare the input as `i32`, or make whole numbers of it with `to_int`".to_owned())
                }
                _ => None,
            };
            let diagnostic = Diagnostic::error("E0312", message, span)
                .fact(format!("found {found}"))
                .label(ty.span, declared)
                .help_maybe(help);
            return Err(self.report(diagnostic));
        }
        self.unify(frame, ty, tensor, span, role)?;
        Ok(value)
    }

    /// The element type that `ty` names.
    pub(super) fn element(&mut self, ty: &Type) -> Outcome<Element> {
        match ty.name.text.as_str() {
            "f32" | "f16" => Ok(Element::F32),
            "i32" => Ok(Element::I32),
            "bool" => Ok(Element::Bool),
            "u8" => Ok(Element::U8),
            "int" | "float" | "str" => {
                let name = &ty.name.text;
                let message = format!("`{name}` is no type of a tensor");
                let help = match name.as_str() {
                    "float" => {
                        "its elements are `f32`: `f32[N, 8]`; a number known at build time is a `const`"
                    }
                    "int" if ty.dims.is_none() => {
                        "a whole number of an example is `i32`; one known at build time is a `const`"
                    }
                    "int" => "its elements are `i32`: `i32[N, 8]`; a number known at build time is a `const`",
                    _ => "a string is known at build time: make it a `const`",
                };
                let diagnostic = Diagnostic::error("E0201", message, ty.name.span)
                    .fact("what is known at build time")
                    .note("the types of tensors are f32, i32 and bool")
                    .help(help);
                Err(self.report(diagnostic))
            }
            other => {
                let similar = || did_you_mean(other, ["f32", "f16", "i32", "bool", "int", "float", "str"]);
                let help = type_help(other).map(str::to_owned).or_else(similar);
                let alone = ty.dims.is_none() && ty.span == ty.name.span;
                let help = help.or_else(|| {
                    alone.then(|| format!("behind a name stands its type: `{other}: f32[N, 8]`"))
                });
                let message = format!("unknown type `{other}`");
                let diagnostic = Diagnostic::error("E0201", message, ty.name.span)
                    .fact("not found")
                    .note("the types are f32, f16, i32, bool, and int, float, bool, str at build time")
                    .help_maybe(help);
                Err(self.report(diagnostic))
            }
        }
    }

    /// Holds the dims of `tensor` against those of `ty`.
    fn unify(
        &mut self,
        frame: &mut Frame<'a>,
        ty: &'a Type,
        tensor: &Tensor,
        span: Span,
        role: Role<'_>,
    ) -> Outcome<()> {
        let declared: &'a [ast::Dim] = ty.dims.as_deref().unwrap_or(&[]);
        let mut rests = declared.iter().filter(|dim| matches!(dim, ast::Dim::Rest(_)));
        if let (Some(first), Some(again)) = (rests.next(), rests.next()) {
            let diagnostic = Diagnostic::error("E0315", "`..` stands twice in one type", again.span())
                .fact("which dims each stands for is not said")
                .label(first.span(), "here first");
            return Err(self.report(diagnostic));
        }
        let rest = declared.iter().position(|dim| matches!(dim, ast::Dim::Rest(_)));
        let fixed = declared.len() - usize::from(rest.is_some());
        let fits = if rest.is_some() { tensor.rank() >= fixed } else { tensor.rank() == fixed };
        if !fits {
            return self.wrong_rank(ty, tensor, span, role);
        }
        let skipped = tensor.rank() - fixed;
        for (place, dim) in declared.iter().enumerate() {
            let ast::Dim::One(expr) = dim else { continue };
            let axis = match rest {
                Some(rest) if place > rest => place - 1 + skipped,
                _ => place,
            };
            let actual = tensor.dims[axis].clone();
            if let ExprKind::Name(name) = &expr.kind
                && name.starts_with(|letter: char| letter.is_uppercase())
                && !frame.names.contains_key(name)
                && !self.is_constant(frame, name, expr.span)?
            {
                frame.bind(name, Value::Int(actual));
                continue;
            }
            let wanted = self.dim(frame, expr)?;
            if wanted != actual {
                return self.wrong_dim(&wanted, axis, ty, expr.span, tensor, span, role);
            }
        }
        Ok(())
    }

    /// The type of the graph for `element` and `dims`.
    pub(super) fn graph_type(element: Element, dims: &[Dim]) -> TensorType {
        TensorType::new(element, dims.iter().map(Dim::size).collect::<Vec<_>>())
    }
}

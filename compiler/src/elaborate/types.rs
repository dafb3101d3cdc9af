//! Declared types against the values that arrive.

use nnc_wgsl::Element;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::data::names_in;
use crate::elaborate::dim::Dim;
use crate::elaborate::elsewhere::{number_help, type_help};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Tensor, Value};
use crate::ir::TensorType;
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, ExprKind, Type};

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

    fn wrong_kind<T>(&mut self, ty: &Type, value: &Value<'a>, span: Span, role: Role<'_>) -> Outcome<T> {
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

    fn wrong_rank<T>(&mut self, ty: &Type, tensor: &Tensor, span: Span, role: Role<'_>) -> Outcome<T> {
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
    fn wrong_dim<T>(
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

    /// The value of a dim expression.
    pub(super) fn dim(&mut self, frame: &mut Frame<'a>, expr: &'a ast::Expr) -> Outcome<Dim> {
        self.known_dims(frame, expr)?;
        let value = self.expression(frame, expr)?;
        self.whole(&value, expr.span)
    }

    /// Reports the first name in a dim expression that stands for nothing.
    pub(super) fn known_dims(&mut self, frame: &Frame<'a>, expr: &'a ast::Expr) -> Outcome<()> {
        let mut names = Vec::new();
        names_in(expr, &mut names);
        for (name, span) in names {
            if self.lookup(frame, name, span)?.is_none() {
                return Err(self.unknown_dim(frame, name, span));
            }
        }
        Ok(())
    }

    fn unknown_dim(&mut self, frame: &Frame<'a>, name: &str, span: Span) -> Reported {
        let mut names: Vec<&str> = frame.names.keys().map(String::as_str).collect();
        let module = self.bundle.module(frame.module);
        names.extend(module.ast.items.iter().filter_map(|item| match &item.kind {
            ast::ItemKind::Const(constant) => Some(constant.name.text.as_str()),
            _ => None,
        }));
        let similar = if name == "n" || name == "b" || name == "batch" {
            Some("the batch dim is called `N`".to_owned())
        } else {
            did_you_mean(name, names)
        };
        if !name.starts_with(char::is_uppercase) {
            let diagnostic = Diagnostic::error("E0307", format!("unknown dim `{name}`"), span)
                .fact("no constant or parameter has this name")
                .note("a free dim starts with a capital letter: `f32[N, T]`")
                .help_maybe(similar);
            return self.report(diagnostic);
        }
        let bound_by_inputs = matches!(&frame.owner, Some((kind, _)) if *kind != DefinitionKind::Model);
        let way = if bound_by_inputs {
            format!("a tensor parameter binds it where it stands alone: `x: f32[N, {name}]`")
        } else {
            format!("write `dims {{ {name} = 128 }}` in `train`, or `--dim {name}=128`")
        };
        let diagnostic = Diagnostic::error("E0307", format!("nothing says how large `{name}` is"), span)
            .fact("a free dim")
            .help(similar.filter(|_| bound_by_inputs).unwrap_or(way));
        let diagnostic =
            if name == "B" { diagnostic.note("the batch dim is called `N`") } else { diagnostic };
        self.report(diagnostic)
    }

    /// The dims of a declared type. A dim that is a list stands for several; free dims are not allowed.
    pub(super) fn declared_dims(&mut self, frame: &mut Frame<'a>, ty: &'a Type) -> Outcome<Vec<Dim>> {
        let mut dims = Vec::new();
        for dim in ty.dims.iter().flatten() {
            match dim {
                ast::Dim::Rest(span) => {
                    return self.fail("E0315", *span, "the number of dims must be stated here", "`..`");
                }
                ast::Dim::One(expr) => {
                    self.known_dims(frame, expr)?;
                    match self.expression(frame, expr)? {
                        Value::List(values) => {
                            for value in values {
                                dims.push(self.whole(&value, expr.span)?);
                            }
                        }
                        value => dims.push(self.whole(&value, expr.span)?),
                    }
                }
            }
        }
        Ok(dims)
    }

    /// The type of the graph for `element` and `dims`.
    pub(super) fn graph_type(element: Element, dims: &[Dim]) -> TensorType {
        TensorType::new(element, dims.iter().map(Dim::size).collect::<Vec<_>>())
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

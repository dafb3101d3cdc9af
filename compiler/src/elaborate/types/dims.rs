//! The dims of declared types: what their formulas come to, and names that say nothing.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::data::names_in;
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, Type};

impl<'a> Elaborator<'a> {
    /// The value of a dim expression.
    pub(in crate::elaborate) fn dim(&mut self, frame: &mut Frame<'a>, expr: &'a ast::Expr) -> Outcome<Dim> {
        self.known_dims(frame, expr)?;
        let value = self.expression(frame, expr)?;
        self.whole(&value, expr.span)
    }

    /// Reports the first name in a dim expression that stands for nothing.
    pub(in crate::elaborate) fn known_dims(&mut self, frame: &Frame<'a>, expr: &'a ast::Expr) -> Outcome<()> {
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
    pub(in crate::elaborate) fn declared_dims(
        &mut self,
        frame: &mut Frame<'a>,
        ty: &'a Type,
    ) -> Outcome<Vec<Dim>> {
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
}

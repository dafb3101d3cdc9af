//! What can be said of an item without expanding it: names that stand for nothing, types that do not exist, constants
//! and data that nothing uses.
//!
//! A model is expanded, and so is everything that it uses. Blocks, functions and optimizers that nothing uses yet, and
//! the sides of an `if` that are not taken, are only read here: every name in them must be bound before it, or be an
//! item, a name of the library or a primitive.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::Elaborator;
use crate::elaborate::data::names_in;
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::Value;
use crate::elaborate::{Bundle, Expansion};
use crate::source::Span;
use crate::syntax::ast::{
    self, Argument, Body, Chain, Data, Definition, DefinitionKind, Expr, ExprKind, Index, ItemKind, Name,
    Pipeline, SettingKind, Stage, StageKind, StatementKind, Type,
};

/// Types of what is known at build time.
const BUILD_TYPES: [&str; 4] = ["int", "float", "bool", "str"];

/// The extent of a free dim that nothing binds.
const ASSUMED: i64 = 16;

/// What is wrong with the items of the model's own file, whether or not a model uses them. `dims` are bound from outside.
#[must_use]
pub fn items(bundle: &Bundle, dims: &[(String, usize)]) -> Vec<Diagnostic> {
    let mut e = Elaborator::new(bundle, Expansion::Training, 1);
    let free = bundle.free_dims().into_iter().chain(dims.iter().map(|(name, _)| name.as_str()));
    for name in free.chain(dims_of_fields(bundle)).filter(|name| *name != BATCH) {
        e.predeclared.insert(name.to_owned(), Value::Int(Dim::symbol(name, ASSUMED)));
    }
    for name in ["weights", "step", "epoch", "total_steps", "steps_per_epoch"] {
        e.predeclared.insert(name.to_owned(), Value::Error);
    }
    let main = bundle.main_module();
    let items = &bundle.main().items;
    let fed: Vec<&str> = items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Train(train) => train.data.as_ref().map(|data| data.text.as_str()),
            _ => None,
        })
        .collect();
    for item in items {
        match &item.kind {
            ItemKind::Definition(one) => Reading { e: &mut e, frame: Frame::new(main) }.definition(one),
            ItemKind::Const(one) => {
                let frame = Frame::new(main);
                let _ = e.lookup(&frame, &one.name.text, one.name.span);
            }
            ItemKind::Data(data) if !fed.contains(&data.name.text.as_str()) => {
                unused_data(&mut e, data, main)
            }
            ItemKind::Data(_) | ItemKind::Use(_) | ItemKind::Train(_) => {}
        }
    }
    e.diagnostics.finish()
}

/// The free dims in the types of the fields of data.
fn dims_of_fields(bundle: &Bundle) -> impl Iterator<Item = &str> {
    let mut names = Vec::new();
    for item in &bundle.main().items {
        let ItemKind::Data(data) = &item.kind else { continue };
        for setting in &data.settings.entries {
            let SettingKind::Field { ty, .. } = &setting.kind else { continue };
            for dim in ty.dims.iter().flatten() {
                if let ast::Dim::One(expr) = dim {
                    names_in(expr, &mut names);
                }
            }
        }
    }
    names
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(|letter: char| letter.is_uppercase()))
}

/// Data that no `train` names.
fn unused_data<'a>(e: &mut Elaborator<'a>, data: &'a Data, module: usize) {
    if e.fields(data, module).is_ok() && e.data_set(data, module).is_ok() {
        for diagnostic in e.unread() {
            if diagnostic.code != "E0508" {
                e.report(diagnostic);
            }
        }
    }
}

/// An item that is being read, and the names that are bound so far.
struct Reading<'e, 'a> {
    e: &'e mut Elaborator<'a>,
    frame: Frame<'a>,
}

impl<'a> Reading<'_, 'a> {
    fn definition(&mut self, definition: &'a Definition) {
        for parameter in &definition.parameters {
            parameter.ty.iter().for_each(|ty| self.free_dims(ty));
            parameter.default.iter().for_each(|default| self.expr(default));
            self.bind(&parameter.name);
        }
        definition.parameters.iter().filter_map(|one| one.ty.as_ref()).for_each(|ty| self.ty(ty));
        if definition.kind == DefinitionKind::Optimizer {
            self.frame.owner = Some((definition.kind, definition.name.text.clone()));
            self.frame.bind("w", Value::Error);
            self.frame.bind("g", Value::Error);
        }
        definition.conditions.iter().for_each(|condition| self.expr(condition));
        definition.outputs.iter().for_each(|output| self.ty(&output.ty));
        self.body(&definition.body);
    }

    fn bind(&mut self, name: &Name) {
        self.frame.bind(&name.text, Value::Error);
    }

    /// A type: its dims bind the free dims that they name.
    fn ty(&mut self, ty: &'a Type) {
        if !BUILD_TYPES.contains(&ty.name.text.as_str()) {
            let _ = self.e.element(ty);
        }
        if let Some(range) = &ty.range {
            let diagnostic =
                Diagnostic::error("E0315", "only a field of `data` has a range of values", range.span)
                    .fact("not held against anything here")
                    .help("leave `in ..` out; `where` states what must hold of a number");
            self.e.report(diagnostic);
        }
        self.free_dims(ty);
        for dim in ty.dims.iter().flatten() {
            if let ast::Dim::One(expr) = dim {
                let _ = self.e.known_dims(&self.frame, expr);
            }
        }
    }

    /// Binds the free dims that a type names.
    fn free_dims(&mut self, ty: &'a Type) {
        for dim in ty.dims.iter().flatten() {
            let ast::Dim::One(expr) = dim else { continue };
            let mut names = Vec::new();
            names_in(expr, &mut names);
            for (name, _) in names {
                if name.starts_with(|letter: char| letter.is_uppercase()) {
                    self.frame.bind(name, Value::Error);
                }
            }
        }
    }

    fn body(&mut self, body: &'a Body) {
        for statement in &body.statements {
            match &statement.kind {
                StatementKind::Layer { name, chain } => {
                    self.chain(chain);
                    self.bind(name);
                }
                StatementKind::Weight { name, ty, init } => {
                    self.ty(ty);
                    init.iter().for_each(|init| self.expr(init));
                    self.bind(name);
                }
                StatementKind::State { name, ty, init } => {
                    ty.iter().for_each(|ty| self.ty(ty));
                    init.iter().for_each(|init| self.expr(init));
                    self.bind(name);
                }
                StatementKind::Grad { value, .. } => {
                    self.frame.bind("dy", Value::Error);
                    self.expr(value);
                }
                StatementKind::Bind { targets, values } => {
                    values.iter().for_each(|value| self.expr(value));
                    for target in targets {
                        target.ty.iter().for_each(|ty| self.ty(ty));
                        self.bind(&target.name);
                    }
                }
                StatementKind::Value(values) => values.iter().for_each(|value| self.expr(value)),
            }
        }
    }

    /// A body inside another, the names of which end with it.
    fn inner_body(&mut self, body: &'a Body) {
        let brace = self.frame.open_brace();
        self.body(body);
        self.frame.close_brace(brace);
    }

    fn chain(&mut self, chain: &'a Chain) {
        chain.stages.iter().for_each(|stage| self.stage(stage));
    }

    fn stage(&mut self, stage: &'a Stage) {
        match &stage.kind {
            StageKind::Call { path, arguments, branches } => {
                self.called(path);
                self.arguments(arguments.as_deref().unwrap_or(&[]));
                branches.iter().flatten().for_each(|chain| self.chain(chain));
            }
            StageKind::Repeat { variable, count, chain } => {
                self.expr(count);
                let before = variable.as_ref().map(|variable| self.frame.before(&variable.text));
                variable.iter().for_each(|variable| self.bind(variable));
                self.chain(chain);
                before.into_iter().for_each(|before| self.frame.restore(before));
            }
            StageKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.chain(then);
                otherwise.iter().for_each(|chain| self.chain(chain));
            }
        }
        self.labelled(stage.label.as_ref(), stage.ty.as_ref());
    }

    fn labelled(&mut self, label: Option<&'a Name>, ty: Option<&'a Type>) {
        ty.iter().for_each(|ty| self.ty(ty));
        label.iter().for_each(|label| self.bind(label));
    }

    fn called(&mut self, path: &'a [Name]) {
        let known = match path {
            [name] => self.e.known(&self.frame, &name.text, name.span, "layer or function").map(|_| ()),
            _ => match self.e.prefixed(&self.frame, path) {
                Ok(None) => Err(self.e.no_such_prefix(&self.frame, path)),
                other => other.map(|_| ()),
            },
        };
        let _ = known;
    }

    fn arguments(&mut self, arguments: &'a [Argument]) {
        arguments.iter().for_each(|argument| self.expr(&argument.value));
    }

    /// A name, of which it is said once in an item that it stands for nothing.
    fn name(&mut self, text: &str, span: Span, what: &str) {
        if self.e.known(&self.frame, text, span, what).is_err() {
            self.frame.bind(text, Value::Error);
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Text(_) | ExprKind::Bool(_) => {}
            ExprKind::Name(text) => self.name(text, expr.span, "name"),
            ExprKind::Tuple(values) | ExprKind::List(values) => values.iter().for_each(|one| self.expr(one)),
            ExprKind::Unary(_, operand) => self.expr(operand),
            ExprKind::Binary { left, right, .. } | ExprKind::Range(left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Call { callee, arguments } => {
                match &callee.kind {
                    ExprKind::Name(text) => self.name(text, callee.span, "layer or function"),
                    _ => self.expr(callee),
                }
                self.arguments(arguments);
            }
            ExprKind::Field(owner, field) => match &owner.kind {
                ExprKind::Name(prefix) => {
                    let path = [Name { text: prefix.clone(), span: owner.span }, field.clone()];
                    let _ = self.e.prefixed(&self.frame, &path);
                }
                _ => self.expr(owner),
            },
            ExprKind::Index(operand, indices) => {
                self.expr(operand);
                indices.iter().for_each(|index| self.index(index));
            }
            ExprKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.inner_body(then);
                otherwise.iter().for_each(|body| self.inner_body(body));
            }
            ExprKind::Pipeline(pipeline) => self.pipeline(pipeline),
            ExprKind::Scan(scan) => {
                self.expr(&scan.over);
                let brace = self.frame.open_brace();
                for (name, begin) in &scan.carried {
                    self.expr(begin);
                    self.bind(name);
                }
                self.bind(&scan.row);
                self.body(&scan.body);
                self.frame.close_brace(brace);
            }
        }
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline) {
        self.expr(&pipeline.source);
        self.labelled(pipeline.label.as_ref(), pipeline.ty.as_ref());
        pipeline.stages.iter().for_each(|stage| self.stage(stage));
    }

    fn index(&mut self, index: &'a Index) {
        match index {
            Index::Rest(_) => {}
            Index::At(at) => self.expr(at),
            Index::Slice(slice) => {
                [&slice.from, &slice.to, &slice.step]
                    .into_iter()
                    .flatten()
                    .for_each(|bound| self.expr(bound));
            }
        }
    }
}

//! What the text alone shows: attributes that mean nothing, bindings that nothing reads.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::syntax::ast::{
    Argument, Attribute, Body, Chain, Dim, Expr, ExprKind, File, Index, ItemKind, Name, SettingKind,
    Settings, Stage, StageKind, Statement, StatementKind, Type,
};

/// Attributes that mean something.
const ATTRIBUTES: [&str; 8] = ["init", "training", "name", "shape", "inline", "host", "precision", "private"];

/// What `@precision` takes.
const PRECISIONS: [&str; 3] = ["f32", "f16", "mixed"];

/// Attributes of `file` that mean nothing.
pub(super) fn unknown_attributes(file: &File) -> Vec<Diagnostic> {
    let mut all: Vec<&Attribute> = Vec::new();
    for item in &file.items {
        all.extend(&item.attributes);
        if let ItemKind::Definition(definition) = &item.kind {
            all.extend(definition.parameters.iter().flat_map(|parameter| &parameter.attributes));
            all.extend(definition.outputs.iter().flat_map(|output| &output.attributes));
            all.extend(definition.body.statements.iter().flat_map(|statement| &statement.attributes));
        }
    }
    let precisions: Vec<Diagnostic> =
        all.iter().filter_map(|attribute| unknown_precision(attribute)).collect();
    all.into_iter()
        .filter(|attribute| !ATTRIBUTES.contains(&attribute.name.text.as_str()))
        .map(|attribute| {
            let name = &attribute.name;
            Diagnostic::error("E0201", format!("unknown attribute `@{}`", name.text), name.span)
                .fact("not found")
                .help_maybe(did_you_mean(&name.text, ATTRIBUTES))
        })
        .chain(precisions)
        .collect()
}

/// `@precision(..)` with something that is none.
fn unknown_precision(attribute: &Attribute) -> Option<Diagnostic> {
    if attribute.name.text != "precision" {
        return None;
    }
    let span = match attribute.arguments.as_slice() {
        [one] if matches!(&one.value.kind, ExprKind::Name(name) if PRECISIONS.contains(&name.as_str())) => {
            return None;
        }
        [one] => one.span,
        _ => attribute.span,
    };
    let help = format!("write one of {}", PRECISIONS.join(", "));
    Some(Diagnostic::error("E0204", "`@precision` takes a precision", span).fact("this is none").help(help))
}

/// Bindings of `file` that nothing reads.
pub(super) fn unused_bindings(file: &File) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for item in &file.items {
        if let ItemKind::Definition(definition) = &item.kind {
            let mut names = Names::default();
            names.body(&definition.body);
            let states: BTreeSet<&str> = names.states.iter().copied().collect();
            let updates = definition.kind == crate::syntax::ast::DefinitionKind::Optimizer;
            for name in names.bound {
                let text = name.text.as_str();
                let weight = updates && text == "w";
                if text != "_" && !weight && !names.read.contains(text) && !states.contains(text) {
                    out.push(
                        Diagnostic::warning("W0201", format!("`{text}` is never used"), name.span)
                            .fact("bound here")
                            .help("drop the line, or bind it to `_`"),
                    );
                }
            }
        }
    }
    out
}

/// Whether `expr` reads `name`.
pub(super) fn mentions(expr: &Expr, name: &str) -> bool {
    let mut names = Names::default();
    names.expr(expr);
    names.read.contains(name)
}

/// The names that a body binds, the bodies inside it among them.
pub(super) fn names_bound(body: &Body) -> BTreeSet<&str> {
    let mut names = Names::default();
    names.body(body);
    names.bound.iter().map(|name| name.text.as_str()).collect()
}

/// The names that the types, formulas and settings of `file` read.
pub(super) fn names_read(file: &File) -> BTreeSet<&str> {
    let mut names = Names::default();
    for item in &file.items {
        match &item.kind {
            ItemKind::Definition(one) => {
                one.parameters
                    .iter()
                    .filter_map(|parameter| parameter.ty.as_ref())
                    .for_each(|ty| names.ty(ty));
                one.parameters.iter().filter_map(|one| one.default.as_ref()).for_each(|one| names.expr(one));
                one.outputs.iter().for_each(|output| names.ty(&output.ty));
                one.conditions.iter().for_each(|condition| names.expr(condition));
                names.body(&one.body);
            }
            ItemKind::Data(data) => names.settings(&data.settings),
            ItemKind::Train(train) => names.settings(&train.settings),
            ItemKind::Const(one) => names.expr(&one.value),
            ItemKind::Use(_) => {}
        }
    }
    names.read
}

/// The names that a body binds and reads.
#[derive(Default)]
struct Names<'a> {
    bound: Vec<&'a Name>,
    states: Vec<&'a str>,
    read: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn body(&mut self, body: &'a Body) {
        for Statement { kind, .. } in &body.statements {
            match kind {
                StatementKind::Layer { name, chain } => {
                    self.bound.push(name);
                    self.chain(chain);
                }
                StatementKind::Weight { name, ty, init } => {
                    self.bound.push(name);
                    self.ty(ty);
                    init.iter().for_each(|init| self.expr(init));
                }
                StatementKind::State { name, ty, init } => {
                    self.states.push(&name.text);
                    ty.iter().for_each(|ty| self.ty(ty));
                    init.iter().for_each(|init| self.expr(init));
                }
                StatementKind::Grad { value, .. } => self.expr(value),
                StatementKind::Bind { targets, values } => {
                    self.bound.extend(targets.iter().map(|target| &target.name));
                    targets.iter().filter_map(|target| target.ty.as_ref()).for_each(|ty| self.ty(ty));
                    values.iter().for_each(|value| self.expr(value));
                }
                StatementKind::Value(values) => values.iter().for_each(|value| self.expr(value)),
            }
        }
    }

    fn ty(&mut self, ty: &'a Type) {
        for dim in ty.dims.iter().flatten() {
            if let Dim::One(expr) = dim {
                self.expr(expr);
            }
        }
    }

    fn settings(&mut self, settings: &'a Settings) {
        for setting in &settings.entries {
            match &setting.kind {
                SettingKind::Value { value, .. } => self.expr(value),
                SettingKind::Field { ty, .. } => self.ty(ty),
                SettingKind::Group { settings, .. } => self.settings(settings),
            }
        }
    }

    fn chain(&mut self, chain: &'a Chain) {
        chain.stages.iter().for_each(|stage| self.stage(stage));
    }

    fn stage(&mut self, stage: &'a Stage) {
        match &stage.kind {
            StageKind::Call { path, arguments, branches } => {
                self.read.extend(path.iter().map(|name| name.text.as_str()));
                self.arguments(arguments.as_deref().unwrap_or(&[]));
                branches.iter().flatten().for_each(|chain| self.chain(chain));
            }
            StageKind::Repeat { count, chain, .. } => {
                self.expr(count);
                self.chain(chain);
            }
            StageKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.chain(then);
                otherwise.iter().for_each(|chain| self.chain(chain));
            }
        }
    }

    fn arguments(&mut self, arguments: &'a [Argument]) {
        arguments.iter().for_each(|argument| self.expr(&argument.value));
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Text(_) | ExprKind::Bool(_) => {}
            ExprKind::Name(name) => {
                self.read.insert(name);
            }
            ExprKind::Tuple(values) | ExprKind::List(values) => {
                values.iter().for_each(|value| self.expr(value))
            }
            ExprKind::Unary(_, operand) | ExprKind::Field(operand, _) => self.expr(operand),
            ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Range(from, to) => {
                self.expr(from);
                self.expr(to);
            }
            ExprKind::Call { callee, arguments } => {
                self.expr(callee);
                self.arguments(arguments);
            }
            ExprKind::Index(operand, indices) => {
                self.expr(operand);
                for index in indices {
                    match index {
                        Index::Rest(_) => {}
                        Index::At(at) => self.expr(at),
                        Index::Slice(slice) => {
                            let bounds = [&slice.from, &slice.to, &slice.step];
                            bounds.into_iter().flatten().for_each(|bound| self.expr(bound));
                        }
                    }
                }
            }
            ExprKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.body(then);
                otherwise.iter().for_each(|body| self.body(body));
            }
            ExprKind::Pipeline(pipeline) => {
                self.expr(&pipeline.source);
                pipeline.stages.iter().for_each(|stage| self.stage(stage));
            }
            ExprKind::Scan(scan) => {
                self.expr(&scan.over);
                scan.carried.iter().for_each(|(name, value)| {
                    self.read.insert(&name.text);
                    self.expr(value);
                });
                self.body(&scan.body);
            }
        }
    }
}

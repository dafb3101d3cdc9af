//! What the text alone shows of names: those that are bound, those that are read, bindings that nothing reads.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{
    Argument, Body, Chain, Definition, Dim, Expr, ExprKind, File, Index, ItemKind, Name, SettingKind,
    Settings, Stage, StageKind, Statement, StatementKind, Type,
};

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

/// The statements of a body, those of the bodies inside it among them.
pub(super) fn statements(body: &Body) -> Vec<&Statement> {
    let mut names = Names::default();
    names.body(body);
    names.statements
}

/// The names that `definition` reads and does not bind itself: items, names of the library, primitives.
pub(crate) fn names_from_outside(definition: &Definition) -> BTreeSet<&str> {
    let mut names = Names::default();
    names.definition(definition);
    let parameters = definition.parameters.iter().map(|parameter| parameter.name.text.as_str());
    let own: BTreeSet<&str> = names.bound.iter().map(|name| name.text.as_str()).chain(parameters).collect();
    names.read.into_iter().filter(|name| !own.contains(name)).collect()
}

/// The names that the types, formulas and settings of `file` read.
pub(super) fn names_read(file: &File) -> BTreeSet<&str> {
    let mut names = Names::default();
    for item in &file.items {
        match &item.kind {
            ItemKind::Definition(one) => names.definition(one),
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
    statements: Vec<&'a Statement>,
}

impl<'a> Names<'a> {
    fn definition(&mut self, one: &'a Definition) {
        one.parameters.iter().filter_map(|parameter| parameter.ty.as_ref()).for_each(|ty| self.ty(ty));
        one.parameters.iter().filter_map(|one| one.default.as_ref()).for_each(|one| self.expr(one));
        one.outputs.iter().for_each(|output| self.ty(&output.ty));
        one.conditions.iter().for_each(|condition| self.expr(condition));
        self.body(&one.body);
    }

    fn body(&mut self, body: &'a Body) {
        for statement in &body.statements {
            self.statements.push(statement);
            match &statement.kind {
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

//! Names that are given twice: by two items of a file and those it uses, or by one item to two of its parts.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Findings};
use crate::elaborate::bundle::{Bundle, is_private};
use crate::elaborate::context::{Elaborator, Reported};
use crate::elaborate::dim::BATCH;
use crate::source::Span;
use crate::syntax::ast::{
    Definition, DefinitionKind, Dim, Expr, ExprKind, ItemKind, Name, SettingKind, StatementKind, Use,
};

/// `E0206` and `E0207` for names of items that stand before in the model's own file or in one that it uses, and
/// `E0206` for names that an item of the model's own file gives to two of its parts.
pub(super) fn names_given_twice(bundle: &Bundle) -> Vec<Diagnostic> {
    let mut found = Findings::default();
    taken_names(bundle, &mut found);
    used_twice(bundle, &mut found);
    trained_twice(bundle, &mut found);
    for item in &bundle.main().items {
        match &item.kind {
            ItemKind::Definition(one) => {
                dims_beside_parameters(one, &mut found);
                let is_model = one.kind == DefinitionKind::Model;
                let what = if is_model { "input" } else { "parameter" };
                distinct(what, one.parameters.iter().map(|parameter| &parameter.name), &mut found);
                let outputs = one.outputs.iter().filter_map(|output| output.name.as_ref());
                distinct("output", outputs, &mut found);
                let layers = one.body.statements.iter().filter_map(|statement| match &statement.kind {
                    StatementKind::Layer { name, .. } => Some(name),
                    _ => None,
                });
                distinct("layer", layers, &mut found);
            }
            ItemKind::Data(one) => {
                let fields = one.settings.entries.iter().filter_map(|setting| match &setting.kind {
                    SettingKind::Field { name, .. } => Some(name),
                    _ => None,
                });
                distinct("field", fields, &mut found);
            }
            ItemKind::Const(one) if one.name.text == BATCH => {
                let message = format!("`{BATCH}` is the batch dim");
                let diagnostic = Diagnostic::error("E0206", message, one.name.span)
                    .fact("no constant can have this name")
                    .help("give it another name; how many examples a step takes says `batch` in `train`");
                found.add(diagnostic);
            }
            ItemKind::Const(_) | ItemKind::Use(_) | ItemKind::Train(_) => {}
        }
    }
    found.finish()
}

/// Two items of one name in the main file and those that it uses without a prefix.
fn taken_names(bundle: &Bundle, found: &mut Findings) {
    let main = bundle.main_module();
    let mut known: BTreeMap<&str, Span> = BTreeMap::new();
    let used = bundle.module(main).uses.iter().filter(|(prefix, _)| prefix.is_none());
    let mut read: BTreeSet<usize> = BTreeSet::new();
    for module in std::iter::once(main).chain(used.map(|(_, used)| *used)) {
        if !read.insert(module) {
            continue;
        }
        let import = use_of(bundle, module);
        for item in &bundle.module(module).ast.items {
            let name = match &item.kind {
                ItemKind::Definition(one) => &one.name,
                ItemKind::Const(one) => &one.name,
                ItemKind::Data(one) => &one.name,
                ItemKind::Use(_) | ItemKind::Train(_) => continue,
            };
            if module != main && is_private(item) {
                continue;
            }
            let Some(before) = known.get(name.text.as_str()) else {
                known.insert(&name.text, name.span);
                continue;
            };
            let message = format!("the name `{}` is taken", name.text);
            found.add(match import {
                None => Diagnostic::error("E0206", message, name.span)
                    .fact("again here")
                    .label(*before, "here first"),
                Some(import) => Diagnostic::error("E0207", message, import.path_span)
                    .fact(format!("this file brings in another `{}`", name.text))
                    .label(*before, "here first")
                    .label(name.span, "again here")
                    .help(format!("use the file with a prefix: `use \"{}\" as p`", import.path)),
            });
        }
    }
}

/// The line of the main file that uses `module` without a prefix; none for the main file itself.
fn use_of(bundle: &Bundle, module: usize) -> Option<&Use> {
    let main = bundle.module(bundle.main_module());
    let lines = main.ast.items.iter().filter_map(|item| match &item.kind {
        ItemKind::Use(one) => Some(one),
        _ => None,
    });
    let mut pairs = lines.zip(&main.uses);
    pairs.find(|(_, (prefix, used))| prefix.is_none() && *used == module).map(|(line, _)| line)
}

/// `E0206` for a prefix that two files are used with, and for a file that is used twice in the same way.
fn used_twice(bundle: &Bundle, found: &mut Findings) {
    let mut prefixes: BTreeMap<&str, Span> = BTreeMap::new();
    let mut paths: BTreeMap<&str, Span> = BTreeMap::new();
    for item in &bundle.main().items {
        let ItemKind::Use(one) = &item.kind else { continue };
        let (known, name, span) = match &one.prefix {
            Some(prefix) => (&mut prefixes, prefix.text.as_str(), prefix.span),
            None => (&mut paths, one.path.as_str(), one.path_span),
        };
        let Some(before) = known.insert(name, span) else { continue };
        let message = match &one.prefix {
            Some(_) => format!("the prefix `{name}` is taken"),
            None => format!("`{name}` is used twice"),
        };
        let help =
            if one.prefix.is_some() { "give each file a prefix of its own" } else { "drop one of the lines" };
        let diagnostic = Diagnostic::error("E0206", message, span).fact("again here");
        found.add(diagnostic.label(before, "here first").help(help));
    }
}

/// `E0212` for a model that two `train` items train.
fn trained_twice(bundle: &Bundle, found: &mut Findings) {
    let mut known: BTreeMap<&str, Span> = BTreeMap::new();
    for item in &bundle.main().items {
        let ItemKind::Train(train) = &item.kind else { continue };
        let Some(before) = known.insert(&train.model.text, train.model.span) else { continue };
        let message = format!("`{}` is trained by two `train` items", train.model.text);
        let diagnostic = Diagnostic::error("E0212", message, train.model.span)
            .fact("again here")
            .label(before, "here first")
            .help("keep one; `--set NAME=VALUE` varies it, several updates a step are `update` groups");
        found.add(diagnostic);
    }
}

/// `E0206` for a parameter with the name of a dim that the type of a parameter before it binds.
fn dims_beside_parameters(definition: &Definition, found: &mut Findings) {
    let mut bound: BTreeMap<&str, Span> = BTreeMap::new();
    for parameter in &definition.parameters {
        let name = &parameter.name;
        if let Some(&dim) = bound.get(name.text.as_str()) {
            let message = format!("`{}` is a dim and a parameter", name.text);
            let diagnostic = Diagnostic::error("E0206", message, name.span)
                .fact("which of the two a formula means is not said")
                .label(dim, "the dim")
                .help("give the parameter another name");
            found.add(diagnostic);
        }
        for dim in parameter.ty.iter().filter_map(|ty| ty.dims.as_ref()).flatten() {
            if let Dim::One(Expr { kind: ExprKind::Name(text), span }) = dim
                && text.starts_with(char::is_uppercase)
            {
                bound.entry(text).or_insert(*span);
            }
        }
    }
}

/// `E0206` for every name that stands before among `names`, of which each is a `what`.
fn distinct<'n>(what: &str, names: impl IntoIterator<Item = &'n Name>, found: &mut Findings) {
    let mut known: BTreeMap<&str, Span> = BTreeMap::new();
    for name in names {
        match known.get(name.text.as_str()) {
            Some(&before) => found.add(given_twice(&format!("{what} `{}`", name.text), name.span, before)),
            None => {
                known.insert(&name.text, name.span);
            }
        }
    }
}

fn given_twice(what: &str, again: Span, before: Span) -> Diagnostic {
    Diagnostic::error("E0206", format!("the {what} is declared twice"), again)
        .fact("again here")
        .label(before, "here first")
        .help("give one of them another name")
}

impl Elaborator<'_> {
    /// `E0206` for the thing in words that is declared at `again` and before.
    pub(super) fn given_twice(&mut self, what: &str, again: Span, before: Span) -> Reported {
        self.report(given_twice(what, again, before))
    }
}

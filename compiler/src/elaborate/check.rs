//! What of a file is checked: its models in their expansions, what its text alone shows, and weights that never learn.

use std::collections::BTreeSet;

use nnc_runtime::artifact::StoredKind;

use crate::diagnostic::Diagnostic;
use crate::elaborate::attributes::misused_attributes;
use crate::elaborate::data::names_in;
use crate::elaborate::{Bundle, Elaborated, Expansion, lint};
use crate::ir::{Kind, NodeId, Source};
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, ItemKind};

/// The extent that a free dim is given where nothing binds it: two dims of one extent still differ.
const ASSUMED: usize = 16;

/// A model of the file, and what is to be expanded of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name; absent for the model of the last `train`, if that is no model of the file.
    pub model: Option<String>,
    /// Free dims by name.
    pub dims: Vec<(String, usize)>,
    /// Whether the file trains it.
    pub trained: bool,
}

impl Subject {
    /// The expansions that it has: all if the file trains it.
    #[must_use]
    pub fn expansions(&self) -> &'static [Expansion] {
        if self.trained {
            &[Expansion::Training, Expansion::Evaluation, Expansion::Inference]
        } else {
            &[Expansion::Inference]
        }
    }
}

/// Every model of the file, and those that it trains.
#[must_use]
pub fn subjects(bundle: &Bundle, dims: &[(String, usize)]) -> Vec<Subject> {
    let items = &bundle.main().items;
    let trained: Vec<&str> = items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Train(train) => Some(train.model.text.as_str()),
            _ => None,
        })
        .collect();
    let known: BTreeSet<&str> = trained.iter().copied().collect();
    let mut subjects = Vec::new();
    let mut models: BTreeSet<&str> = BTreeSet::new();
    for item in items {
        let ItemKind::Definition(model) = &item.kind else { continue };
        if model.kind != DefinitionKind::Model || !models.insert(&model.name.text) {
            continue;
        }
        let trained = known.contains(model.name.text.as_str());
        let dims = if trained { dims.to_vec() } else { with_assumed(model, dims) };
        subjects.push(Subject { model: Some(model.name.text.clone()), dims, trained });
    }
    let elsewhere = trained.iter().enumerate().filter(|(_, name)| !models.contains(*name));
    for (place, name) in elsewhere {
        let model = (place + 1 < trained.len()).then(|| (*name).to_owned());
        subjects.push(Subject { model, dims: dims.to_vec(), trained: true });
    }
    subjects
}

/// What can be said about the file's text alone: attributes that mean nothing and, where nothing is wrong, bindings
/// that nothing reads.
#[must_use]
pub fn lints(bundle: &Bundle, clean: bool) -> Vec<Diagnostic> {
    let found = misused_attributes(bundle);
    if clean && found.is_empty() { lint::unused_bindings(bundle.main()) } else { found }
}

/// Weights without a gradient (`W0502`), or that none has one (`E0502`). `gradients` stand in the order of
/// [`Elaborated::trained`].
#[must_use]
pub fn missing_gradients(elaborated: &Elaborated, gradients: &[Option<NodeId>]) -> Option<Diagnostic> {
    let without: Vec<NodeId> = elaborated
        .trained
        .iter()
        .zip(gradients)
        .filter(|(_, gradient)| gradient.is_none())
        .map(|(weight, _)| *weight)
        .collect();
    let missing: Vec<(String, Span)> = without.iter().map(|weight| place_of(elaborated, *weight)).collect();
    let (first, span) = missing.first()?;
    if missing.len() == elaborated.trained.len() {
        let message = "no gradient flows from this loss to any weight";
        let diagnostic = Diagnostic::error("E0502", message, elaborated.loss_span.unwrap_or(*span));
        return Some(match elaborated.stops.first() {
            Some((place, name)) => {
                let help =
                    format!("use a smooth function in place of `{name}`, or give it a gradient with `grad`");
                diagnostic.label(*place, format!("`{name}` stops the gradient here")).help(help)
            }
            None => diagnostic.note("the loss does not depend on the weights"),
        });
    }
    let count = missing.len();
    let noun = if count == 1 { "weight never gets" } else { "weights never get" };
    let diagnostic = Diagnostic::warning("W0502", format!("{count} {noun} a gradient"), *span);
    let moved = elaborated.groups.iter().any(|group| group.trained.contains(&without[0]));
    let diagnostic = if moved || elaborated.groups.is_empty() {
        diagnostic
            .fact(format!("`{first}` does not reach the loss"))
            .help("use its output in `loss`, or freeze it: `freeze = [...]`")
    } else {
        let layer = first.split('.').next().unwrap_or(first);
        diagnostic
            .fact(format!("no `update` moves `{first}`"))
            .help(format!("write `update {layer} {{ .. }}`, or freeze it: `freeze = [{layer}]`"))
    };
    Some(beside_others(diagnostic, &missing))
}

/// Weights that the expansion has and training does not (`W0502`); `known` are the stored tensors of training.
#[must_use]
pub fn only_in_use(elaborated: &Elaborated, known: usize) -> Option<Diagnostic> {
    let graph = &elaborated.graph;
    let new = |node: &NodeId| match &graph.node(*node).kind {
        Kind::Source(Source::Stored(id)) => id.0 >= known && graph.stored[id.0].kind == StoredKind::Weight,
        _ => false,
    };
    let missing: Vec<(String, Span)> =
        graph.nodes().into_iter().filter(new).map(|weight| place_of(elaborated, weight)).collect();
    let (first, span) = missing.first()?;
    let noun = if missing.len() == 1 { "weight never gets" } else { "weights never get" };
    let diagnostic = Diagnostic::warning("W0502", format!("{} {noun} a gradient", missing.len()), *span)
        .fact(format!("training does not have `{first}`"))
        .help("what both are to have is a `layer` that both use");
    Some(beside_others(diagnostic, &missing))
}

/// `diagnostic` about the first of `missing`, with the paths of the others.
fn beside_others(diagnostic: Diagnostic, missing: &[(String, Span)]) -> Diagnostic {
    let others: Vec<&str> = missing.iter().skip(1).take(5).map(|(path, _)| path.as_str()).collect();
    let more = missing.len().saturating_sub(1 + others.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    if others.is_empty() {
        diagnostic
    } else {
        diagnostic.note(format!("the others: {}{rest}", others.join(", ")))
    }
}

/// The path of a weight and the stage that owns it.
fn place_of(elaborated: &Elaborated, weight: NodeId) -> (String, Span) {
    let node = elaborated.graph.node(weight);
    let path = match &node.kind {
        Kind::Source(Source::Stored(id)) => elaborated.graph.stored[id.0].path.clone(),
        _ => node.origin.path.clone(),
    };
    (path, node.origin.spans.first().copied().unwrap_or_default())
}

/// `dims`, and an extent for every free dim of the model's inputs that has none.
fn with_assumed(model: &ast::Definition, dims: &[(String, usize)]) -> Vec<(String, usize)> {
    let mut out = dims.to_vec();
    let types = model.parameters.iter().filter_map(|parameter| parameter.ty.as_ref());
    for dim in types.flat_map(|ty| ty.dims.iter().flatten()) {
        let ast::Dim::One(expr) = dim else { continue };
        let mut names = Vec::new();
        names_in(expr, &mut names);
        for (name, _) in names {
            if name.starts_with(|letter: char| letter.is_uppercase())
                && name != crate::elaborate::dim::BATCH
                && !out.iter().any(|(known, _)| known == name)
            {
                out.push((name.to_owned(), ASSUMED));
            }
        }
    }
    out
}

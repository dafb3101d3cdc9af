//! Everything that can be said about a file without a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::elaborate::{Bundle, Elaborated, Expansion, Request, elaborate, lint};
use crate::gradient::differentiate;
use crate::ir::{Kind, NodeId, Source};
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, ExprKind, ItemKind};

/// The extent that a free dim is given where nothing binds it: two dims of one extent still differ.
const ASSUMED: usize = 16;

/// The diagnostics of every model of the file, in every expansion that it has.
#[must_use]
pub fn check(bundle: &Arc<Bundle>, dims: &[(String, usize)]) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let items = &bundle.main().items;
    let mut models: Vec<&ast::Definition> = Vec::new();
    for item in items {
        match &item.kind {
            ItemKind::Definition(one) if one.kind == DefinitionKind::Model => models.push(one),
            _ => {}
        }
    }
    let trained: Vec<&str> = items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Train(train) => Some(train.model.text.as_str()),
            _ => None,
        })
        .collect();
    for model in &models {
        let mut request = Request::new(Expansion::Training);
        request.model = Some(model.name.text.clone());
        let trained = trained.contains(&model.name.text.as_str());
        request.dims = if trained { dims.to_vec() } else { with_assumed(model, dims) };
        let expansions: &[Expansion] = if trained {
            &[Expansion::Training, Expansion::Evaluation, Expansion::Inference]
        } else {
            &[Expansion::Inference]
        };
        for expansion in expansions {
            request.expansion = *expansion;
            merge(&mut out, expanded(bundle, &mut request));
        }
    }
    let known = |name: &str| models.iter().any(|model| model.name.text == name);
    if trained.iter().any(|name| !known(name)) {
        merge(&mut out, elaborate(bundle, &Request::new(Expansion::Training)).diagnostics);
    }
    merge(&mut out, lint::unknown_attributes(bundle.main()));
    if !out.iter().any(Diagnostic::is_error) {
        merge(&mut out, lint::unused_bindings(bundle.main()));
    }
    out
}

/// Weights without a gradient (`W0502`), or that none has one (`E0502`). `gradients` stand in the order of
/// [`Elaborated::trained`].
#[must_use]
pub fn missing_gradients(elaborated: &Elaborated, gradients: &[Option<NodeId>]) -> Option<Diagnostic> {
    let missing: Vec<(String, Span)> = elaborated
        .trained
        .iter()
        .zip(gradients)
        .filter(|(_, gradient)| gradient.is_none())
        .map(|(weight, _)| place_of(elaborated, *weight))
        .collect();
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
    let diagnostic = Diagnostic::warning("W0502", format!("{count} {noun} a gradient"), *span)
        .fact(format!("`{first}` does not reach the loss"))
        .help("use its output in `loss`, or freeze it: `freeze = [...]`");
    let others: Vec<&str> = missing.iter().skip(1).take(5).map(|(path, _)| path.as_str()).collect();
    let more = missing.len().saturating_sub(1 + others.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(if others.is_empty() {
        diagnostic
    } else {
        diagnostic.note(format!("the others: {}{rest}", others.join(", ")))
    })
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

fn expanded(bundle: &Arc<Bundle>, request: &mut Request) -> Vec<Diagnostic> {
    let checked = elaborate(bundle, request);
    let mut diagnostics = checked.diagnostics;
    let Some(mut elaborated) = checked.value else { return diagnostics };
    request.stored.clone_from(&elaborated.graph.stored);
    if request.expansion != Expansion::Training || elaborated.groups.is_empty() {
        return diagnostics;
    }
    let mut found: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for group in elaborated.groups.clone() {
        match differentiate(&mut elaborated.graph, group.loss, &group.trained) {
            Ok(gradients) => found.extend(
                group
                    .trained
                    .iter()
                    .zip(gradients)
                    .filter_map(|(weight, gradient)| Some((*weight, gradient?))),
            ),
            Err(missing) => {
                let span = elaborated.graph.node(missing.node).origin.spans.first().copied();
                let diagnostic =
                    Diagnostic::error("E0503", missing.reason.to_string(), span.unwrap_or(group.span))
                        .fact("between a weight and the loss")
                        .help("stop it with `stop_grad`, or give a formula with `grad`");
                diagnostics.push(diagnostic);
                return diagnostics;
            }
        }
    }
    let gradients: Vec<Option<NodeId>> =
        elaborated.trained.iter().map(|weight| found.get(weight).copied()).collect();
    diagnostics.extend(missing_gradients(&elaborated, &gradients));
    diagnostics
}

/// `dims`, and an extent for every free dim of the model's inputs that has none.
fn with_assumed(model: &ast::Definition, dims: &[(String, usize)]) -> Vec<(String, usize)> {
    let mut out = dims.to_vec();
    let types = model.parameters.iter().filter_map(|parameter| parameter.ty.as_ref());
    for dim in types.flat_map(|ty| ty.dims.iter().flatten()) {
        if let ast::Dim::One(expr) = dim
            && let ExprKind::Name(name) = &expr.kind
            && name.starts_with(|letter: char| letter.is_uppercase())
            && name != crate::elaborate::dim::BATCH
            && !out.iter().any(|(known, _)| known == name)
        {
            out.push((name.clone(), ASSUMED));
        }
    }
    out
}

/// Adds what is not known yet: two expansions of one file find one mistake twice.
fn merge(known: &mut Vec<Diagnostic>, found: Vec<Diagnostic>) {
    for diagnostic in found {
        let same = |other: &Diagnostic| {
            other.code == diagnostic.code
                && other.primary.span == diagnostic.primary.span
                && other.message == diagnostic.message
        };
        if !known.iter().any(same) {
            known.push(diagnostic);
        }
    }
}

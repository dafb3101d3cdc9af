//! Names of weights: the path of scopes down to them, and the tensors they stand for.

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Init, StoredKind};

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::model::lies_below;
use crate::elaborate::value::{InitSpec, Tensor};
use crate::ir::{NodeId, Source, StoredId, StoredTensor, TensorType};
use crate::source::Span;

/// The weights and states of an expansion, and the scope that is open.
#[derive(Debug, Default)]
pub(super) struct Weights {
    scope: String,
    counts: BTreeMap<String, usize>,
    /// Weights and states by path.
    known: BTreeMap<String, Declared>,
    /// The places of the graph's stored tensors, by path.
    places: BTreeMap<String, usize>,
    /// The nodes of the trained weights, in the order of their creation.
    pub(super) trained: Vec<(String, NodeId)>,
    /// The states that were assigned, in order.
    assigned: Vec<String>,
}

/// A weight or state of an expansion.
#[derive(Debug)]
struct Declared {
    tensor: Tensor,
    /// Where it was declared first, as the model's author sees it.
    place: Span,
    /// The statement itself.
    statement: Span,
    /// The value of a state that was assigned.
    assigned: Option<Tensor>,
}

impl Weights {
    /// No weights yet, beside tensors that another expansion of the model has stored.
    pub(super) fn beside(stored: &[StoredTensor]) -> Weights {
        let places = stored.iter().enumerate().map(|(place, one)| (one.path.clone(), place)).collect();
        Weights { places, ..Weights::default() }
    }

    /// The value of the state at `path`: what was assigned last, or what it is before the step.
    pub(super) fn current(&self, path: &str) -> Option<&Tensor> {
        self.known.get(path).map(|known| known.assigned.as_ref().unwrap_or(&known.tensor))
    }

    /// Assigns `value` to the state at `path`.
    pub(super) fn assign(&mut self, path: String, value: Tensor) {
        if let Some(known) = self.known.get_mut(&path)
            && known.assigned.replace(value).is_none()
        {
            self.assigned.push(path);
        }
    }

    /// The states that were assigned, in order: the nodes before and after.
    pub(super) fn assignments(&self) -> Vec<(NodeId, NodeId)> {
        let states = self.assigned.iter().filter_map(|path| self.known.get(path));
        states.filter_map(|known| Some((known.tensor.node, known.assigned.as_ref()?.node))).collect()
    }

    /// How many weights and states there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The path of the open scope.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// Opens the scope `name` inside the open one, numbered from the second of its name on; the path that was
    /// open before.
    pub(super) fn open(&mut self, name: &str) -> String {
        let wanted = join(&self.scope, name);
        let count = self.counts.entry(wanted.clone()).or_insert(0);
        *count += 1;
        let path = if *count == 1 { wanted } else { format!("{wanted}_{count}") };
        self.open_path(path)
    }

    /// Opens the scope `path` afresh, as every use of a shared layer does.
    pub(super) fn open_path(&mut self, path: String) -> String {
        self.forget_inside(&path);
        std::mem::replace(&mut self.scope, path)
    }

    /// Returns to the scope `path`.
    pub(super) fn close(&mut self, path: String) {
        self.scope = path;
    }

    /// A path for a shared layer called `name` in the open scope.
    pub(super) fn reserve(&mut self, name: &str) -> String {
        let before = self.open(name);
        std::mem::replace(&mut self.scope, before)
    }

    /// Lets the next scope called `name` in the open one be its first.
    pub(super) fn forget(&mut self, name: &str) {
        let path = join(&self.scope, name);
        self.counts.remove(&path);
        self.forget_inside(&path);
    }

    fn forget_inside(&mut self, path: &str) {
        let inside = format!("{path}.");
        let known = self.counts.range(inside.clone()..).map(|(known, _)| known);
        let known: Vec<String> = known.take_while(|known| known.starts_with(&inside)).cloned().collect();
        for one in known {
            self.counts.remove(&one);
        }
    }

    /// The paths of the weights that lie in or below `scope`; of a weight, its own.
    pub(super) fn below(&self, scope: &str) -> Vec<String> {
        let below = |path: &&String| scope.is_empty() || lies_below(path, scope);
        self.known.keys().filter(below).cloned().collect()
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

impl Elaborator<'_> {
    /// The weight or state called `name` in the open scope.
    ///
    /// A second declaration under the same path (a shared layer) is the same tensor, whose shape must agree.
    pub(super) fn stored(
        &mut self,
        name: &str,
        kind: StoredKind,
        dims: &[Dim],
        init: &InitSpec,
        span: Span,
    ) -> Outcome<Tensor> {
        let path = join(self.weights.scope(), name);
        if let Some(dim) = dims.iter().find(|dim| dim.has_batch()) {
            let message = format!("the weight `{path}` would depend on the batch dim");
            return self.fail("E0307", span, message, format!("dim {dim}"));
        }
        if let Some(dim) = dims.iter().find(|dim| dim.extent() <= 0) {
            let message = format!("the weight `{path}` has no elements");
            return self.fail("E0307", span, message, format!("a dim is {dim}"));
        }
        let word = if kind == StoredKind::Weight { "weight" } else { "state" };
        self.fits(|| format!("the {word} `{path}`"), dims, span)?;
        if let Some(known) = self.weights.known.get(&path) {
            if known.statement != span {
                let before = known.statement;
                return Err(self.given_twice(&format!("{word} `{path}`"), span, before));
            }
            let (place, known) = (known.place, &known.tensor);
            if known.shape() == dims.iter().map(Dim::size).collect::<Vec<_>>() {
                return Ok(known.clone());
            }
            let diagnostic = Diagnostic::error("E0310", "a shared layer is used with two shapes", span)
                .fact(format!("`{path}` would be {}", show_dims(dims)))
                .note(format!("it is {} elsewhere", show_dims(&known.dims)))
                .help("give each use a layer of its own");
            let diagnostic = if place == self.visible(span) {
                diagnostic
            } else {
                diagnostic.label(place, format!("{} here", show_dims(&known.dims)))
            };
            return Err(self.report(diagnostic));
        }
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let ty = TensorType::f32(shape.clone());
        let wanted = StoredTensor { path: path.clone(), kind, ty: ty.clone(), init: settle(init, &shape) };
        let id = match self.weights.places.get(&path).copied() {
            Some(place) if self.graph.stored[place].ty == ty => place,
            Some(place) => {
                let other = self.graph.stored[place].ty.clone();
                let message = format!("`{path}` is {ty} here and {other} in another use of the model");
                return self.fail("E0310", span, message, "this use differs");
            }
            None => {
                self.weights.places.insert(path.clone(), self.graph.stored.len());
                self.graph.stored.push(wanted);
                self.graph.stored.len() - 1
            }
        };
        self.mark(span);
        let node = self.graph.source(Source::Stored(StoredId(id)), ty);
        let tensor = self.tensor(node, dims.to_vec());
        if kind == StoredKind::Weight {
            self.weights.trained.push((path.clone(), node));
        }
        let declared =
            Declared { tensor: tensor.clone(), place: self.visible(span), statement: span, assigned: None };
        self.weights.known.insert(path, declared);
        Ok(tensor)
    }

    /// The path of `name` in the open scope.
    pub(super) fn stored_path(&self, name: &str) -> String {
        join(self.weights.scope(), name)
    }
}

/// How a weight of `shape` begins. The fan in of `[out, in, ..]` is the product of all axes but the first.
#[allow(clippy::cast_precision_loss)]
fn settle(init: &InitSpec, shape: &[usize]) -> Init {
    let product = |skipped: usize| shape.iter().skip(skipped).map(|extent| *extent as f64).product::<f64>();
    let fan_in = product(1).max(1.0);
    let fan_out = shape.first().copied().unwrap_or(1) as f64 * product(2);
    let within = |bound: f64| Init::Uniform { low: -bound, high: bound };
    match init {
        InitSpec::Default => within(1.0 / fan_in.sqrt()),
        InitSpec::He => Init::Normal { mean: 0.0, std: (2.0 / fan_in).sqrt() },
        InitSpec::Xavier => within((6.0 / (fan_in + fan_out)).sqrt()),
        InitSpec::Orthogonal => Init::Orthogonal { gain: 1.0 },
        InitSpec::Fixed(init) => init.clone(),
    }
}

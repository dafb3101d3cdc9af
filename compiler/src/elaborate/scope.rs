//! Names of weights: the path of scopes down to them, and the tensors they stand for.

mod levels;

use std::collections::BTreeMap;

use nnc_runtime::artifact::{Init, StoredKind};

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::{Dim, show_dims};
use crate::elaborate::frame::Frame;
use crate::elaborate::model::lies_below;
use crate::elaborate::scope::levels::{Declaration, Levels};
use crate::elaborate::value::{InitSpec, Tensor, Value};
use crate::ir::{NodeId, Source, StoredId, StoredTensor, TensorType};
use crate::source::Span;
use crate::syntax::ast::Expr;

/// The weights and states of an expansion, and the scopes that are open.
#[derive(Debug, Default)]
pub(super) struct Weights {
    levels: Levels,
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
        self.levels.path()
    }

    /// Opens the scope `name` inside the open one, numbered from the second of its name on.
    pub(super) fn open(&mut self, name: &str) {
        self.levels.open(name, false);
    }

    /// Opens the scope that a label names. Its name is free again where nothing is made in it.
    pub(super) fn open_label(&mut self, name: &str) {
        self.levels.open(name, true);
    }

    /// Opens the scope `path` of a shared layer, as every use of it does.
    pub(super) fn open_shared(&mut self, path: String) {
        self.levels.open_again(path);
    }

    /// Keeps the name of the open scope, whether or not anything is made in it.
    pub(super) fn keep(&mut self) {
        self.levels.keep();
    }

    /// Leaves the open scope.
    pub(super) fn close(&mut self) {
        self.levels.close();
    }

    /// Begins the body of a walk: every step makes what the first one does.
    pub(super) fn begin_walk(&mut self) {
        self.levels.begin_walk();
    }

    /// Begins the next step of the walk.
    pub(super) fn next_step(&mut self) {
        self.levels.next_step();
    }

    /// Ends the walk.
    pub(super) fn end_walk(&mut self) {
        self.levels.end_walk();
    }

    /// A path for a shared layer called `name` in the open scope.
    pub(super) fn reserve(&mut self, name: &str) -> String {
        self.levels.reserve(name)
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

impl<'a> Elaborator<'a> {
    /// The value of the formula that `what` is; only the model owns weights.
    pub(super) fn weightless(
        &mut self,
        frame: &mut Frame<'a>,
        expr: &'a Expr,
        what: &str,
    ) -> Outcome<Value<'a>> {
        let before = self.weights.len();
        let value = self.expression(frame, expr);
        if self.weights.len() == before {
            return value;
        }
        let diagnostic = Diagnostic::error("E0205", format!("{what} would own weights"), expr.span)
            .fact("not a part of the model")
            .help("move the layer into the model");
        Err(self.report(diagnostic))
    }
}

impl Elaborator<'_> {
    /// The weight or state called `name` in the open scope.
    ///
    /// A further use of a shared layer and a further step of a walk declare the same tensor, whose shape must agree.
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
        let site = self.sites.last().map(|site| site.span);
        if let Some(before) = self.weights.levels.declare(name, Declaration { statement: span, site }) {
            return Err(self.made_twice(&format!("{word} `{path}`"), span, before));
        }
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

    /// Reports what the statement at `span` makes a second time in one scope.
    fn made_twice(&mut self, what: &str, span: Span, before: Declaration) -> Reported {
        let (Some(site), Some(first)) = (self.sites.last().cloned(), before.site) else {
            return self.given_twice(what, span, before.statement);
        };
        if before.statement != span {
            return self.given_twice(what, span, before.statement);
        }
        let diagnostic = Diagnostic::error("E0206", format!("the {what} is made twice"), site.span)
            .fact("again by this use")
            .label(first, "here first")
            .label(span, "declared here")
            .help(format!("without `@inline` each use of `{}` has weights of its own", site.name));
        self.report(diagnostic)
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

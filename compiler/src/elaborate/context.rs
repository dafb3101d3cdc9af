//! What is known while a model is expanded, and how a mistake is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Findings};
use crate::elaborate::attributes::is_wide;
use crate::elaborate::bundle::Bundle;
use crate::elaborate::dim::{BATCH, Dim};
use crate::elaborate::intrinsic::Requirement;
use crate::elaborate::limits::WORK;
use crate::elaborate::reader::HostStep;
use crate::elaborate::scope::Weights;
use crate::elaborate::value::{Tensor, Value};
use crate::elaborate::{Expansion, Row};
use crate::ir::{Graph, NodeId, Origin};
use crate::source::Span;
use crate::syntax::ast::Attribute;

/// A mistake that has been reported; what follows from it is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// A value, or a mistake that has been reported.
pub(super) type Outcome<T> = Result<T, Reported>;

/// Outcomes that do not need one another: each is looked at, whatever became of those before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Several {
    failed: bool,
}

impl Several {
    /// The value, if there is one.
    pub(super) fn keep<T>(&mut self, outcome: Outcome<T>) -> Option<T> {
        self.failed |= outcome.is_err();
        outcome.ok()
    }

    /// # Errors
    /// If one of them was a mistake.
    pub(super) fn end(self) -> Outcome<()> {
        if self.failed { Err(Reported) } else { Ok(()) }
    }
}

/// A use of something that can be called.
#[derive(Clone, Debug)]
pub(super) struct Site<'a> {
    /// The stage or call.
    pub(super) span: Span,
    /// What is called.
    pub(super) name: &'a str,
}

/// The expansion of one model.
pub(super) struct Elaborator<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) graph: Graph,
    pub(super) diagnostics: Findings,
    pub(super) expansion: Expansion,
    /// The uses that are open, outermost first.
    pub(super) sites: Vec<Site<'a>>,
    /// How many of the open uses, layers and bindings say `@precision(f32)`.
    pub(super) wide: usize,
    /// The turns of `repeat` that are open.
    pub(super) turns: Vec<String>,
    pub(super) weights: Weights,
    /// What names stand for that no file declares: `N`, `training`, `step`, the model's outputs in `train`.
    pub(super) predeclared: BTreeMap<String, Value<'a>>,
    /// Names of which it was said that they stand for nothing.
    pub(super) unknown: BTreeSet<String>,
    /// Constants that are known, by module and name; `None` while one is being computed.
    pub(super) constants: BTreeMap<(usize, String), Option<Value<'a>>>,
    /// Where a gradient ends, and what ends it.
    pub(super) stops: Vec<(Span, String)>,
    /// What `prepare` and `augment` leave to the reader.
    pub(super) host_steps: Vec<HostStep>,
    /// What formulas require.
    pub(super) required: Vec<Requirement>,
    /// Values without the examples that an evaluation does not count.
    pub(super) masks: BTreeSet<NodeId>,
    /// By what a measurement weighs each batch's value of a node, where that is not its examples.
    pub(super) weighed: BTreeMap<NodeId, NodeId>,
    /// How many steps a run has, where the file alone says so.
    pub(super) total_steps: Option<usize>,
    /// Whether a source names a reader of the language that is not built yet, and may give more than the fields.
    pub(super) planned_reader: bool,
    /// Why the examples cannot be read.
    pub(super) unread: Vec<Diagnostic>,
    /// The model's outputs and where they are declared.
    pub(super) declared: Vec<(NodeId, Span)>,
    /// The layer table.
    pub(super) rows: Vec<Row>,
    /// What each stage gives.
    pub(super) stages: Vec<(Span, String)>,
    /// The work that this expansion may do.
    pub(super) work: usize,
    /// The work done so far, besides the values of the graph.
    pub(super) spent: usize,
    /// How deep the expression that is being evaluated lies in others.
    pub(super) depth: usize,
    /// Extents that `concat` made of the batch dim several times, in an evaluation.
    pub(super) joined: Vec<Dim>,
    /// Whether the model's own text reads `training` or sets a state.
    pub(super) differs_in_training: bool,
    /// How many walks the body that is being expanded lies in.
    pub(super) walks: usize,
    /// The values that are probabilities or their logarithms: the call that made each, and its name.
    pub(super) probabilities: BTreeMap<NodeId, (Span, String)>,
    /// The update step that is being elaborated.
    pub(super) update: Option<UpdateInProgress>,
    /// Before the name of each state of the optimizer that is being applied.
    pub(super) region: String,
    /// What made the tensor before.
    maker: Option<Rc<(Span, String)>>,
    /// Room for the places of an origin.
    trail: Vec<Span>,
}

/// An optimizer's formula while it is applied.
#[derive(Debug)]
pub(super) struct UpdateInProgress {
    /// The type of the weights.
    pub(super) like: Tensor,
    /// Where the optimizer's name is declared.
    pub(super) name: Span,
    /// Where each state is declared.
    pub(super) declared: BTreeMap<String, Span>,
    /// Name, first value, value before, value after of each state.
    pub(super) states: Vec<(String, f64, NodeId, NodeId)>,
}

impl<'a> Elaborator<'a> {
    pub(super) fn new(bundle: &'a Bundle, expansion: Expansion, batch: usize) -> Elaborator<'a> {
        let mut predeclared = BTreeMap::new();
        let extent = i64::try_from(batch).unwrap_or(i64::MAX);
        predeclared.insert(BATCH.to_owned(), Value::Int(Dim::symbol(BATCH, extent)));
        predeclared.insert("training".to_owned(), Value::Bool(expansion == Expansion::Training));
        Elaborator {
            bundle,
            graph: Graph::new(),
            diagnostics: Findings::default(),
            expansion,
            sites: Vec::new(),
            wide: 0,
            turns: Vec::new(),
            weights: Weights::default(),
            predeclared,
            unknown: BTreeSet::new(),
            constants: BTreeMap::new(),
            stops: Vec::new(),
            host_steps: Vec::new(),
            required: Vec::new(),
            masks: BTreeSet::new(),
            weighed: BTreeMap::new(),
            total_steps: None,
            planned_reader: false,
            unread: Vec::new(),
            declared: Vec::new(),
            rows: Vec::new(),
            stages: Vec::new(),
            work: WORK,
            spent: 0,
            depth: 0,
            joined: Vec::new(),
            differs_in_training: false,
            walks: 0,
            probabilities: BTreeMap::new(),
            update: None,
            region: String::new(),
            maker: None,
            trail: Vec::new(),
        }
    }

    /// Reports `diagnostic`. A mistake found inside the standard library is shown where the model uses it, and
    /// every further use that leads there is named.
    pub(super) fn report(&mut self, mut diagnostic: Diagnostic) -> Reported {
        self.spend_on_report(&diagnostic);
        let mut sites = self.sites.clone();
        while self.bundle.is_library(diagnostic.primary.span) {
            let Some(site) = sites.pop() else { break };
            diagnostic.primary.span = site.span;
        }
        diagnostic.secondary.retain(|label| !self.bundle.is_library(label.span));
        for site in sites.iter().rev() {
            let shown = diagnostic.primary.span;
            if self.bundle.is_library(site.span) || site.span.contains(shown) {
                continue;
            }
            let message = format!("in this use of `{}`", site.name);
            diagnostic = diagnostic.label(site.span, message);
        }
        if let Some(turn) = self.turns.last()
            && !diagnostic.notes.contains(turn)
        {
            diagnostic = diagnostic.note(turn.clone());
        }
        self.diagnostics.add(diagnostic);
        Reported
    }

    /// Reports the error `code` at `span`, with `fact` beside the place.
    pub(super) fn fail<T>(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        fact: impl Into<String>,
    ) -> Outcome<T> {
        Err(self.report(Diagnostic::error(code, message, span).fact(fact)))
    }

    /// The name the model's author wrote for what is being called: the outermost use inside the library, or
    /// else `name`.
    pub(super) fn spoken_name<'n>(&self, name: &'n str) -> &'n str
    where
        'a: 'n,
    {
        let own = self.sites.iter().rposition(|site| !self.bundle.is_library(site.span));
        self.sites.get(own.unwrap_or(0)).map_or(name, |site| site.name)
    }

    /// States that the nodes added from now on come from `span`.
    ///
    /// All nodes that a use of the library adds come from one place, which they share.
    pub(super) fn mark(&mut self, span: Span) {
        let mut spans = std::mem::take(&mut self.trail);
        spans.clear();
        spans.push(span);
        spans.extend(self.sites.iter().rev().map(|site| site.span));
        spans.dedup();
        if spans.iter().any(|span| !self.bundle.is_library(*span)) {
            spans.retain(|span| !self.bundle.is_library(*span));
        }
        let (origin, path) = (self.graph.origin(), self.weights.scope());
        let wide = self.wide > 0;
        if origin.spans != spans || origin.path != path || origin.wide != wide {
            self.graph.set_origin(Arc::new(Origin {
                spans: spans.clone(),
                path: path.to_owned(),
                requires: None,
                wide,
            }));
        }
        self.trail = spans;
    }

    /// Does `work`; where these attributes say `@precision(f32)`, what it adds is stored in `f32`.
    pub(super) fn precisely<T>(&mut self, attributes: &[Attribute], work: impl FnOnce(&mut Self) -> T) -> T {
        let wide = usize::from(is_wide(attributes));
        self.wide += wide;
        let done = work(self);
        self.wide -= wide;
        done
    }

    /// What makes a tensor at `span` by calling `name`, as the model's author knows it.
    pub(super) fn made(&mut self, span: Span, name: &str) -> Option<Rc<(Span, String)>> {
        let spoken = if self.bundle.is_library(span) { self.spoken_name(name) } else { name };
        self.made_as(span, spoken)
    }

    /// What makes a tensor at `span`, called `name`. One use of the library makes many, which share it.
    pub(super) fn made_as(&mut self, span: Span, name: &str) -> Option<Rc<(Span, String)>> {
        let place = self.visible(span);
        let same = self.maker.as_ref().filter(|maker| maker.0 == place && maker.1 == name);
        let made = same.cloned().unwrap_or_else(|| Rc::new((place, name.to_owned())));
        self.maker = Some(made.clone());
        Some(made)
    }

    /// The place the model's author knows: `span`, or the use of the library that leads to it.
    pub(super) fn visible(&self, span: Span) -> Span {
        if !self.bundle.is_library(span) {
            return span;
        }
        let sites = self.sites.iter().rev().map(|site| site.span);
        sites.into_iter().find(|span| !self.bundle.is_library(*span)).unwrap_or(span)
    }

    /// How many examples a batch has.
    pub(super) fn batch(&self) -> Dim {
        match self.predeclared.get(BATCH) {
            Some(Value::Int(batch)) => batch.clone(),
            _ => Dim::constant(1),
        }
    }

    /// A tensor for `node`, whose axes are `dims`.
    pub(super) fn tensor(&self, node: NodeId, dims: Vec<Dim>) -> Tensor {
        Tensor { node, element: self.graph.ty(node).element, dims, made: None, range: None }
    }
}

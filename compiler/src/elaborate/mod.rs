//! Syntax tree to typed graph: names, shapes, parameters, blocks unrolled, the standard library.
//!
//! [`load`] reads a model's file with all it uses; [`elaborate`] expands the model once for one purpose, a
//! training step, an evaluation or inference, into a [`Graph`](crate::ir::Graph) of primitive operators. Weights are known by their
//! paths, so that the expansions of a model share them. What is wrong is said in diagnostics; a value that is
//! in error is not complained about again.

mod arithmetic;
mod attributes;
mod body;
mod bundle;
mod call;
mod check;
mod context;
mod data;
pub mod dim;
mod elementwise;
mod elsewhere;
mod expression;
mod frame;
mod given;
mod host;
mod host_expression;
mod intrinsic;
mod limits;
mod lint;
mod model;
mod multiple;
mod names;
mod optimizer;
mod pipeline;
mod reader;
mod resolve;
mod scan;
mod schedule;
mod scope;
mod settings;
mod slope;
mod suspicious;
mod training;
mod twice;
mod types;
mod value;

use std::sync::Arc;

pub(crate) use bundle::shelved;
pub use bundle::{Bundle, library_files, load};
pub use check::{Subject, lints, missing_gradients, only_in_use, subjects};
pub(crate) use lint::names_from_outside;
pub use optimizer::{OptimizerHandle, Update, UpdateState};
pub use resolve::items;
pub use settings::setting_path;

use crate::diagnostic::{Checked, Diagnostic};
use crate::ir::{Graph, NodeId, StoredTensor};
use crate::source::Span;

/// For what a model is expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expansion {
    /// One training step: loss and metrics of a full batch, batch statistics, dropout.
    Training,
    /// Loss and metrics with the network in use mode, over the examples that count.
    Evaluation,
    /// The model's outputs from its inputs.
    Inference,
}

/// What is to be expanded.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model; without it that of the last `train`, else the last model.
    pub model: Option<String>,
    /// For what.
    pub expansion: Expansion,
    /// The batch size; without it that of `train`, for inference 1.
    pub batch: Option<usize>,
    /// Free dims by name; these go before the `dims` of `train`.
    pub dims: Vec<(String, usize)>,
    /// The stored tensors of another expansion of the same model, which keep their places.
    pub stored: Vec<StoredTensor>,
}

impl Request {
    /// The expansion of the file's last model with what the file says.
    #[must_use]
    pub fn new(expansion: Expansion) -> Request {
        Request { model: None, expansion, batch: None, dims: Vec::new(), stored: Vec::new() }
    }
}

/// An expanded model.
#[derive(Debug)]
pub struct Elaborated {
    /// The program. Its results are the outputs (inference), or `loss` and the metrics.
    pub graph: Graph,
    /// The loss, a single number; the sum where several updates have one each. Absent for inference and for models
    /// that are not trained.
    pub loss: Option<NodeId>,
    /// The weights that the program reads and trains, in the order of their creation; frozen ones are not here.
    pub trained: Vec<NodeId>,
    /// The updates of a training step, in order; none in other expansions.
    pub groups: Vec<Group>,
    /// How the model is trained, if the file says so.
    pub training: Option<nnc_runtime::artifact::Training>,
    /// Further settings of `train`.
    pub settings: Settings,
    /// The model's name.
    pub model: String,
    /// The batch size.
    pub batch: usize,
    /// All uses of layers and functions in the model's files, each behind those inside it.
    pub rows: Vec<Row>,
    /// What each stage of the model's files gives, once for each time it is expanded: `f32[N, 10]`.
    pub stages: Vec<(Span, String)>,
    /// Where the loss is written.
    pub loss_span: Option<Span>,
    /// Where a gradient ends in the model's own text, and what ends it.
    pub stops: Vec<(Span, String)>,
    /// Whether the model's own text says that training differs from use: it reads `training` or sets a state.
    pub differs_in_training: bool,
    /// Why the examples cannot be read as `data` says; errors where they are to be read.
    pub unread: Vec<Diagnostic>,
}

/// Weights that one update of the training step moves.
#[derive(Clone, Debug)]
pub struct Group {
    /// The layer they belong to; empty where one update moves all.
    pub name: String,
    /// What they are moved to lessen: a single number.
    pub loss: NodeId,
    /// Where that is written.
    pub span: Span,
    /// Those of [`Elaborated::trained`] that are in the group.
    pub trained: Vec<NodeId>,
    /// How they are moved.
    pub optimizer: OptimizerHandle,
    /// The largest norm of their gradient alone, where the group sets one.
    pub clip: Option<f64>,
    /// Whether all groups share one loss and move at once, each by its own optimizer.
    pub joint: bool,
}

/// What `train` says about a step besides loss and optimizer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The largest norm of the gradients of all weights that move at once, of groups that set none of their own.
    pub clip: Option<f64>,
    /// How many batches an update gathers.
    pub accumulate: Option<usize>,
    /// Weights below these paths are not trained.
    pub freeze: Vec<String>,
    /// The memory that a step may take, in bytes.
    pub memory: Option<u64>,
    /// `f32` or `mixed`.
    pub precision: Option<String>,
    /// Where the loss scale of mixed precision begins, if not where it always does.
    pub loss_scale: Option<f64>,
    /// Where `precision` is written.
    pub precision_span: Option<Span>,
    /// Where `memory` is written.
    pub memory_span: Option<Span>,
    /// Where `freeze` is written.
    pub freeze_span: Option<Span>,
}

impl Settings {
    /// Whether the step is to be in mixed precision.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.precision.as_deref() == Some("mixed")
    }
}

/// A use of a layer or function: a line of the layer table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The scope or label.
    pub path: String,
    /// The stage as written.
    pub operation: String,
    /// The output, with free dims: `f32[N, 10]`.
    pub shape: String,
    /// The extents of the output in this expansion.
    pub extents: Vec<usize>,
    /// The paths of the weights it made.
    pub weights: Vec<String>,
    /// Where it is written.
    pub span: Span,
    /// Whether it is a block of the model's own, whose stages have rows themselves.
    pub block: bool,
    /// How many blocks of the model's own it lies in.
    pub depth: usize,
    /// The numbers of the nodes that it made.
    pub nodes: std::ops::Range<usize>,
}

/// The names of what no formula can say, in the order of the alphabet.
#[must_use]
pub fn primitives() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = intrinsic::names().collect();
    names.sort_unstable();
    names
}

/// Expands the model that `request` names. The value is absent after an error.
///
/// Diagnostics: everything from `E02` to `E05` that can be known without gradients.
#[must_use]
pub fn elaborate(bundle: &Arc<Bundle>, request: &Request) -> Checked<Option<Elaborated>> {
    let mut left = limits::WORK;
    model::expand(bundle, request, &mut left)
}

/// As [`elaborate`], where the models of one file share the work that is left to them.
pub(crate) fn elaborate_within(
    bundle: &Arc<Bundle>,
    request: &Request,
    left: &mut usize,
) -> Checked<Option<Elaborated>> {
    model::expand(bundle, request, left)
}

/// The work that all expansions of a file may do together.
pub(crate) const WORK_OF_A_FILE: usize = 3 * limits::WORK;

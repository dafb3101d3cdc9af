//! The layer table: what each layer of a model gives, how many weights it has, and how much it computes.
//!
//! Figures are those of one example in use: operations count a multiplication and an addition as two, as the formulas
//! say it, before any kernel is formed; bytes are those of the outputs.

mod flops;

use std::collections::BTreeSet;

use nnc_runtime::artifact::StoredKind;

use crate::elaborate::Elaborated;
use crate::ir::{Graph, NodeId};

pub use flops::flops;

/// The layer table of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The model's name.
    pub model: String,
    /// The layers in the order in which they are computed, then weights that belong to none.
    pub rows: Vec<SummaryRow>,
    /// All trained numbers.
    pub weights: usize,
    /// All numbers that are kept and not trained.
    pub states: usize,
    /// Operations of the outputs in use, for one example; those of formulas between layers are among them.
    pub flops: u64,
    /// Bytes of all layers' outputs in use, for one example.
    pub bytes: u64,
}

/// A line of the layer table.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The scope or label.
    pub path: String,
    /// The stage as written.
    pub operation: String,
    /// The output, with free dims: `f32[N, 10]`.
    pub shape: String,
    /// The weights it made.
    pub weights: usize,
    /// Its operations, for one example.
    pub flops: u64,
    /// The bytes of its output, for one example.
    pub bytes: u64,
    /// Whether nothing in use needs it.
    pub training_only: bool,
}

/// The layer table of `elaborated`, an expansion for inference of a batch of one.
#[must_use]
pub fn summarize(elaborated: &Elaborated) -> Summary {
    let graph = &elaborated.graph;
    let alive = alive(graph);
    let weight = |path: &String| {
        graph
            .stored
            .iter()
            .find(|t| t.kind == StoredKind::Weight && t.path == *path)
            .map_or(0, |t| t.ty.size())
    };
    let all = graph.nodes();
    let mut rows = Vec::new();
    let mut named = BTreeSet::new();
    for row in elaborated.rows.iter().filter(|row| !row.block) {
        let before = |end: usize| all.partition_point(|node| node.index() < end);
        let nodes = &all[before(row.nodes.start)..before(row.nodes.end)];
        named.extend(row.weights.iter().cloned());
        rows.push(SummaryRow {
            path: row.path.clone(),
            operation: row.operation.clone(),
            shape: row.shape.clone(),
            weights: row.weights.iter().map(weight).sum(),
            flops: nodes.iter().map(|node| flops(graph, *node)).sum(),
            bytes: 4 * row.extents.iter().product::<usize>() as u64,
            training_only: !nodes.is_empty() && !nodes.iter().any(|node| alive.contains(node)),
        });
    }
    let stored = |kind| graph.stored.iter().filter(move |t| t.kind == kind);
    for tensor in stored(StoredKind::Weight).filter(|tensor| !named.contains(&tensor.path)) {
        rows.push(SummaryRow {
            path: tensor.path.clone(),
            operation: "weight".to_owned(),
            shape: tensor.ty.to_string(),
            weights: tensor.ty.size(),
            flops: 0,
            bytes: 0,
            training_only: false,
        });
    }
    Summary {
        model: elaborated.model.clone(),
        weights: stored(StoredKind::Weight).map(|t| t.ty.size()).sum(),
        states: stored(StoredKind::State).map(|t| t.ty.size()).sum(),
        flops: alive.iter().map(|node| flops(graph, *node)).sum(),
        bytes: rows.iter().filter(|row| !row.training_only).map(|row| row.bytes).sum(),
        rows,
    }
}

/// The nodes that the results need.
#[must_use]
pub fn alive(graph: &Graph) -> BTreeSet<NodeId> {
    let mut alive = BTreeSet::new();
    let mut open: Vec<NodeId> = graph.results.iter().map(|(_, node)| *node).collect();
    while let Some(node) = open.pop() {
        if alive.insert(node) {
            open.extend(graph.operands(node));
        }
    }
    alive
}

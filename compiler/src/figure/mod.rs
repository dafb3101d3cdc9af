//! A picture of a model: its stages as boxes, and what goes from one to the next.
//!
//! [`figure`] finds boxes and edges, [`dot`] writes them for Graphviz, and [`svg`] places and draws them itself.

mod dot;
mod layers;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

use crate::elaborate::{Elaborated, Row};
use crate::ir::{Kind, NodeId, Source, TensorType};
use crate::summary::alive;

pub use dot::dot;
pub use svg::svg;

/// Boxes and the edges between them; every edge goes from an earlier box to a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// The model's name.
    pub title: String,
    /// The boxes.
    pub boxes: Vec<Part>,
    /// Places in `boxes`, from producer to reader.
    pub edges: BTreeSet<(usize, usize)>,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub role: Role,
    /// The stage as written, or the name of an input or output.
    pub title: String,
    /// The shape of what comes out of it.
    pub shape: String,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An input of the model.
    Input,
    /// A stage.
    Stage,
    /// A stage that only training needs.
    Training,
    /// An output of the model.
    Output,
}

/// The picture of `elaborated`, an expansion for inference. Blocks of the model's own that use others, or that fork, are
/// opened up to `depth` levels: with 1 every stage of the model's body is a box.
#[must_use]
pub fn figure(elaborated: &Elaborated, depth: usize) -> Figure {
    let graph = &elaborated.graph;
    let alive: BTreeSet<usize> = alive(graph).into_iter().map(NodeId::index).collect();
    let mut rows: Vec<&Row> =
        elaborated.rows.iter().filter(|row| row.depth < depth && !row.nodes.is_empty()).collect();
    rows.sort_by_key(|row| (row.nodes.start, row.depth));
    let opened: Vec<bool> = rows.iter().map(|row| is_opened(row, &rows)).collect();
    let closed: Vec<&Row> =
        rows.iter().zip(&opened).filter(|(_, opened)| !**opened).map(|(row, _)| *row).collect();
    rows = closed.iter().filter(|row| !closed.iter().any(|other| lies_in(row, other))).copied().collect();
    let mut figure = Figure { title: elaborated.model.clone(), ..Figure::default() };
    let mut inputs: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in graph.nodes() {
        if let Kind::Source(Source::Input { name, batched }) = &graph.node(node).kind {
            inputs.insert(node, figure.boxes.len());
            let shape = with_batch(graph.ty(node), *batched);
            figure.boxes.push(Part { role: Role::Input, title: name.clone(), shape });
        }
    }
    let mut of_row: Vec<usize> = vec![0; rows.len()];
    for (place, row) in rows.iter().enumerate() {
        let used = alive.range(row.nodes.clone()).next().is_some();
        let role = if used { Role::Stage } else { Role::Training };
        of_row[place] = figure.boxes.len();
        figure.boxes.push(Part { role, title: row.operation.clone(), shape: row.shape.clone() });
    }
    let mut comes_from: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    for node in graph.order() {
        let after = rows.partition_point(|row| row.nodes.start <= node.index());
        let place = after.checked_sub(1).filter(|place| rows[*place].nodes.contains(&node.index()));
        let mut found: BTreeSet<usize> = inputs.get(&node).copied().into_iter().collect();
        for operand in graph.operands(node) {
            found.extend(comes_from[&operand].iter().copied());
        }
        if let Some(own) = place.map(|place| of_row[place]) {
            figure.edges.extend(found.iter().filter(|from| **from != own).map(|from| (*from, own)));
            found = BTreeSet::from([own]);
        }
        comes_from.insert(node, found);
    }
    for (name, node) in &graph.results {
        let output = figure.boxes.len();
        let shape = with_batch(graph.ty(*node), graph.batched.contains(name));
        figure.boxes.push(Part { role: Role::Output, title: name.clone(), shape });
        figure.edges.extend(comes_from[node].iter().map(|from| (*from, output)));
    }
    figure
}

/// Whether `row` is a use inside the block `other`.
fn lies_in(row: &Row, other: &Row) -> bool {
    row.depth > other.depth && other.nodes.start <= row.nodes.start && row.nodes.end <= other.nodes.end
}

/// Whether `row` is a block of the model's own in which others are used or which forks.
fn is_opened(row: &Row, rows: &[&Row]) -> bool {
    let has_parts = |other: &Row| other.block || other.operation.ends_with('}');
    row.block && rows.iter().filter(|other| lies_in(other, row)).any(|other| has_parts(other))
}

/// `f32[N, 10]`
fn with_batch(ty: &TensorType, batched: bool) -> String {
    if !batched {
        return ty.to_string();
    }
    let extents = ty.shape.iter().skip(1).map(ToString::to_string);
    let dims: Vec<String> = std::iter::once("N".to_owned()).chain(extents).collect();
    format!("{}[{}]", ty.element, dims.join(", "))
}

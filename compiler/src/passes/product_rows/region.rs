//! The values over one space between products.

use std::collections::BTreeSet;

use super::base;
use crate::ir::{Graph, NodeId, Refusal};
use crate::lower::{contract_groups, is_view};
use crate::ops::Lowering;

/// Products that are summed over more terms are left to tiles, which share their operands better.
const DEPTH: usize = 256;

/// The chain between products; every list is in the graph's order.
pub(super) struct Region {
    /// The axis along which its values are reduced.
    pub(super) axis: usize,
    /// Its values over the whole space: the products that open it, and maps.
    pub(super) values: BTreeSet<NodeId>,
    /// The products that open it.
    pub(super) openings: BTreeSet<NodeId>,
    /// The reductions of its values, and the maps of one element a row through which they lead back to its values.
    pub(super) rows: Vec<NodeId>,
    /// The products that sum its values.
    pub(super) closings: Vec<NodeId>,
}

/// Whether a value is a product that may open rows: independent ones for each point of a batch, of a short sum.
pub(super) fn opens(graph: &Graph, id: NodeId) -> bool {
    let Some(Lowering::Contract { left, right, result }) = graph.operator(id).map(|op| op.lower()) else {
        return false;
    };
    let groups = contract_groups(&left, &right, &result);
    let extents = &graph.ty(graph.operands(id)[0]).shape;
    let depth = left.iter().zip(extents).filter(|(c, _)| groups.k.contains(c)).map(|(_, extent)| extent);
    !groups.batch.is_empty() && groups.k.len() == 1 && depth.product::<usize>() <= DEPTH
}

impl Region {
    /// The region around a product that opens it; `Ok(None)` where nothing reduces its values, or no product sums them.
    ///
    /// # Errors
    /// If its values leave it, are reduced along several axes, or are held against each other for equality.
    pub(super) fn around(graph: &Graph, opening: NodeId) -> Result<Option<Region>, Refusal> {
        let space = &graph.ty(opening).shape;
        let mut values = BTreeSet::from([opening]);
        let (mut reductions, mut closings, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![opening]);
        let mut refused = None;
        while let Some(value) = open.pop() {
            let lowering = |id: NodeId| graph.operator(id).expect("what reads a value is computed").lower();
            if matches!(lowering(value), Lowering::Map(expr) if expr.tests_equality()) {
                refused.get_or_insert(Refusal::Equality);
            }
            if graph.is_output(value) {
                refused.get_or_insert(Refusal::Leave);
            }
            for (reader, _) in graph.readers(value) {
                match lowering(reader) {
                    Lowering::Map(_) if graph.ty(reader).shape == *space => {
                        if values.insert(reader) {
                            open.push(reader);
                        }
                    }
                    Lowering::Reduce { .. } => {
                        reductions.insert(reader);
                    }
                    Lowering::Contract { .. } => {
                        closings.insert(reader);
                    }
                    _ => {
                        refused.get_or_insert(Refusal::Leave);
                    }
                }
            }
            if opens(graph, value) {
                continue;
            }
            for operand in graph.operands(value) {
                let is_map = matches!(graph.operator(operand).map(|op| op.lower()), Some(Lowering::Map(_)));
                let joins = (is_map || opens(graph, operand)) && !closings.contains(&operand);
                if joins && graph.ty(operand).shape == *space && values.insert(operand) {
                    open.push(operand);
                }
            }
        }
        if reductions.is_empty() || closings.is_empty() {
            return Ok(None);
        }
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        let axis = common_axis(graph, &reductions).ok_or(Refusal::Axes)?;
        if values.iter().any(|value| closings.contains(value)) {
            return Err(Refusal::Form);
        }
        let openings = values.iter().copied().filter(|&value| opens(graph, value)).collect();
        let maps = row_maps(graph, &values, &reductions, space, axis);
        let order = graph.order();
        let in_order = |all: &BTreeSet<NodeId>| order.iter().copied().filter(|id| all.contains(id)).collect();
        let rows = in_order(&reductions.union(&maps).copied().collect());
        Ok(Some(Region { axis, values, openings, rows, closings: in_order(&closings) }))
    }
}

/// The one axis over which all of these reduce.
fn common_axis(graph: &Graph, reductions: &BTreeSet<NodeId>) -> Option<usize> {
    let mut common = None;
    for id in reductions {
        let Lowering::Reduce { axes, .. } = graph.operator(*id)?.lower() else { return None };
        let [axis] = axes[..] else { return None };
        if *common.get_or_insert(axis) != axis {
            return None;
        }
    }
    common
}

/// The maps of one element a row between reductions and values.
fn row_maps(
    graph: &Graph,
    values: &BTreeSet<NodeId>,
    reductions: &BTreeSet<NodeId>,
    space: &[usize],
    axis: usize,
) -> BTreeSet<NodeId> {
    let mut with_one = space.to_vec();
    with_one[axis] = 1;
    let mut without = space.to_vec();
    without.remove(axis);
    let mut after: BTreeSet<NodeId> = BTreeSet::new();
    let mut open: Vec<NodeId> = reductions.iter().copied().collect();
    while let Some(at) = open.pop() {
        for (reader, _) in graph.readers(at) {
            let shape = &graph.ty(reader).shape;
            let follows = match graph.operator(reader).map(|op| op.lower()) {
                Some(Lowering::Map(_)) => *shape == with_one || *shape == without,
                Some(lowering) => is_view(&lowering),
                None => false,
            };
            if follows && !values.contains(&reader) && after.insert(reader) {
                open.push(reader);
            }
        }
    }
    let mut between = BTreeSet::new();
    let mut open: Vec<NodeId> = values.iter().copied().collect();
    while let Some(at) = open.pop() {
        for operand in graph.operands(at) {
            let map = base(graph, operand);
            if after.contains(&map) && between.insert(map) {
                open.push(map);
            }
        }
    }
    between
}

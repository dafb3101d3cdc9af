//! Which kernels compute a region: one for each product that closes it, with the reductions that it needs first.

use std::collections::{BTreeMap, BTreeSet};

use super::base;
use super::region::Region;
use crate::ir::{Graph, NodeId};
use crate::lower::closing_axis;
use crate::ops::Lowering;

/// What one kernel computes.
#[derive(Default)]
pub(super) struct RowKernel {
    /// The products that close its rows.
    pub(super) closings: Vec<NodeId>,
    /// The reductions, and the maps of one element a row, in order.
    pub(super) rows: Vec<NodeId>,
}

/// The kernels of a region. Products that sum its values over another axis than that of the reductions have one kernel an
/// axis where `together` says so. `None` where a product does not close a row, or `together` changes nothing.
pub(super) fn kernels(graph: &Graph, region: &Region, together: bool) -> Option<Vec<RowKernel>> {
    let mut kernels: Vec<RowKernel> = Vec::new();
    let mut across: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
    let mut taken: BTreeSet<NodeId> = BTreeSet::new();
    for &closing in &region.closings {
        let operands = graph.operands(closing);
        let mut inside = (0..2).filter(|&slot| region.values.contains(&operands[slot]));
        let (Some(slot), None) = (inside.next(), inside.next()) else { return None };
        let axis = closing_axis(graph, closing, slot)?;
        if axis != region.axis {
            across.entry(axis).or_default().push(closing);
            continue;
        }
        let needed = needed_rows(graph, region, operands[slot], &taken);
        let rows: Vec<NodeId> = region.rows.iter().copied().filter(|id| needed.contains(id)).collect();
        taken.extend(&rows);
        kernels.push(RowKernel { closings: vec![closing], rows });
    }
    let rest: Vec<NodeId> = region.rows.iter().copied().filter(|id| !taken.contains(id)).collect();
    if !rest.is_empty() {
        kernels.push(RowKernel { closings: Vec::new(), rows: rest });
    }
    if together && across.values().all(|closings| closings.len() == 1) {
        return None;
    }
    for closings in across.into_values() {
        let share = if together { closings.len() } else { 1 };
        let shares = closings.chunks(share).map(<[NodeId]>::to_vec);
        kernels.extend(shares.map(|closings| RowKernel { closings, rows: Vec::new() }));
    }
    Some(kernels)
}

/// The values of one element a row that `value` needs and no kernel has `taken`.
fn needed_rows(graph: &Graph, region: &Region, value: NodeId, taken: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let (mut needed, mut seen, mut open) = (BTreeSet::new(), BTreeSet::from([value]), vec![value]);
    while let Some(at) = open.pop() {
        let opening = matches!(graph.operator(at).map(|op| op.lower()), Some(Lowering::Contract { .. }));
        for operand in graph.operands(at).into_iter().filter(|_| !opening) {
            let row = base(graph, operand);
            let next = if region.values.contains(&operand) {
                operand
            } else if region.rows.contains(&row) && !taken.contains(&row) {
                needed.insert(row);
                row
            } else {
                continue;
            };
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    needed
}

//! The computed values of a graph in the order in which kernels can be formed: those of one row between products come
//! together.

use std::collections::{BTreeMap, BTreeSet};

use super::base;
use crate::ir::{Graph, NodeId};
use crate::lower::is_view;
use crate::ops::Lowering;

/// The values that are computed, in units that one kernel computes; each after those it reads from, and among those that
/// are ready the first of the graph's order. `None` where a row between products needs itself.
pub(in crate::passes) fn units(graph: &Graph) -> Option<Vec<Vec<NodeId>>> {
    let computed = |id: &NodeId| {
        graph.operator(*id).is_some_and(|op| {
            let lowering = op.lower();
            !is_view(&lowering) && !matches!(lowering, Lowering::Iota { .. })
        })
    };
    let order: Vec<NodeId> = graph.order().into_iter().filter(computed).collect();
    let mut units: Vec<Vec<NodeId>> = Vec::new();
    let (mut rows, mut home) = (BTreeMap::<u32, usize>::new(), BTreeMap::<NodeId, usize>::new());
    for &id in &order {
        let fresh = units.len();
        let unit = graph.node(id).product_row.map_or(fresh, |row| *rows.entry(row).or_insert(fresh));
        if unit == fresh {
            units.push(Vec::new());
        }
        units[unit].push(id);
        home.insert(id, unit);
    }
    if rows.is_empty() {
        return Some(units);
    }
    let mut readers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); units.len()];
    let mut missing = vec![0; units.len()];
    for (unit, members) in units.iter().enumerate() {
        let operands = members.iter().flat_map(|id| graph.operands(*id));
        for source in operands.filter_map(|operand| home.get(&base(graph, operand))) {
            if *source != unit && readers[*source].insert(unit) {
                missing[unit] += 1;
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..units.len()).filter(|&unit| missing[unit] == 0).collect();
    let mut sorted = Vec::with_capacity(units.len());
    while let Some(unit) = ready.pop_first() {
        sorted.push(std::mem::take(&mut units[unit]));
        for &reader in &readers[unit] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    (sorted.len() == units.len()).then_some(sorted)
}

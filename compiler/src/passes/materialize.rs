//! Materialize: copies where a view will not do.
//!
//! Convolutions and poolings walk contiguous memory, matrix products walk rows and columns with one stride each, work
//! along lines walks whatever lies in memory, rows between products walk any strides, and what leaves the program lies in memory of its own. Where the layout of an operand does not fit, a copy
//! (a `map` of the identity) is put before it; a product whose result mixes rows with columns is computed in order
//! and permuted. A reshape that no strides express copies its operand.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::{Element, Expr, Profile};

use super::Pass;
use super::algebra::along_one_axis;
use crate::ir::{Graph, NodeId};
use crate::lower::{Layout, contract_groups, is_in_memory, is_view, layouts, settle};
use crate::ops::{Contract, Lowering, Map, Permute};

pub(super) const PASS: Pass = Pass {
    name: "materialize",
    about: "copies are made where a kernel cannot read a view",
    needed: Some("kernels find some operands in memory only because it copies them there"),
    parts: &[],
    run,
};

fn run(graph: &mut Graph, _: &Profile) {
    line_up_coordinates(graph);
    copy_under_reshapes(graph);
    let mut known = layouts(graph);
    let mut replaced: Vec<NodeId> = Vec::new();
    for id in graph.order() {
        let Some(lowering) = graph.operator(id).map(|op| op.lower()) else { continue };
        settle(graph, id, &mut known);
        graph.set_origin(graph.node(id).origin.clone());
        match lowering {
            Lowering::Conv { .. } | Lowering::Window { .. } => {
                for (slot, operand) in graph.operands(id).into_iter().enumerate() {
                    let layout = &known[&operand];
                    if !layout.is_contiguous() || !in_memory(graph, layout) {
                        let copy = copied(graph, operand);
                        graph.set_operand(id, slot, copy);
                    }
                }
            }
            Lowering::Lines { .. } => {
                for (slot, operand) in graph.operands(id).into_iter().enumerate() {
                    let base = known[&operand].base;
                    if !is_in_memory(graph, base) || graph.ty(base).element == Element::U8 {
                        let copy = copied(graph, operand);
                        graph.set_operand(id, slot, copy);
                    }
                }
            }
            Lowering::Pad { .. } => {
                let operand = graph.operands(id)[0];
                if !is_in_memory(graph, known[&operand].base) {
                    let copy = copied(graph, operand);
                    graph.set_operand(id, 0, copy);
                }
            }
            Lowering::Contract { .. } if graph.node(id).product_row.is_some() => {
                for (slot, operand) in graph.operands(id).into_iter().enumerate() {
                    if !in_memory(graph, &known[&operand]) {
                        let copy = copied(graph, operand);
                        graph.set_operand(id, slot, copy);
                    }
                }
            }
            Lowering::Contract { left, right, result } => {
                let is_replaced = fit_contract(graph, id, &known, &left, &right, &result);
                replaced.extend(is_replaced.then_some(id));
            }
            _ => {}
        }
    }
    replaced.into_iter().for_each(|id| graph.remove(id));
    copy_under_reshapes(graph);
    copy_outputs(graph);
}

/// A copy of the value: the identity map, which reads any layout and widens bytes.
fn copied(graph: &mut Graph, value: NodeId) -> NodeId {
    let scalar = graph.ty(value).element.scalar();
    graph.must(Map::new(Expr::identity(scalar)), &[value])
}

/// Whether the elements lie in memory as `f32`, not computed where they are read.
fn in_memory(graph: &Graph, layout: &Layout) -> bool {
    is_in_memory(graph, layout.base) && graph.ty(layout.base).element == Element::F32
}

/// Kernels count along one axis: coordinates over several, which the pass `algebra` may have left, are broadcast.
fn line_up_coordinates(graph: &mut Graph) {
    for id in graph.order() {
        let Some(Lowering::Iota { axis }) = graph.operator(id).map(|op| op.lower()) else { continue };
        let shape = graph.ty(id).shape.clone();
        if shape.len() > 1 {
            graph.set_origin(graph.node(id).origin.clone());
            let line = along_one_axis(graph, &shape, axis);
            graph.replace(id, line);
            graph.remove(id);
        }
    }
}

fn copy_under_reshapes(graph: &mut Graph) {
    let mut known = layouts(graph);
    for id in graph.order() {
        let Some(op) = graph.operator(id).cloned() else { continue };
        settle(graph, id, &mut known);
        if is_view(&op.lower()) && known[&id].base == id {
            graph.set_origin(graph.node(id).origin.clone());
            let copy = copied(graph, graph.operands(id)[0]);
            graph.set_operand(id, 0, copy);
            settle(graph, id, &mut known);
        }
    }
}

/// Gives a product operands and a result whose axes collapse into batch, row and column, in that order where they
/// do not. Whether another product has its place now.
fn fit_contract(
    graph: &mut Graph,
    id: NodeId,
    layouts: &BTreeMap<NodeId, Layout>,
    left: &[char],
    right: &[char],
    result: &[char],
) -> bool {
    let operands = graph.operands(id);
    let groups = contract_groups(left, right, result);
    let wanted = [[&groups.batch, &groups.m, &groups.k], [&groups.batch, &groups.k, &groups.n]];
    let mut letters = [left.to_vec(), right.to_vec()];
    let mut values = operands.clone();
    for side in 0..2 {
        let layout = &layouts[&operands[side]];
        let collapses =
            wanted[side].iter().all(|group| groups.collapse(&letters[side], layout, group).is_some());
        if collapses && in_memory(graph, layout) {
            continue;
        }
        let order: Vec<char> = wanted[side].iter().flat_map(|group| group.iter().copied()).collect();
        let axes: Vec<usize> = order
            .iter()
            .map(|c| {
                letters[side].iter().position(|l| l == c).expect("a group's letter stands in its operand")
            })
            .collect();
        let permuted = graph.must(Permute::new(&axes), &[operands[side]]);
        values[side] = copied(graph, permuted);
        letters[side] = order;
    }
    let own = Layout::own(id, &graph.ty(id).shape);
    let all = [&groups.batch, &groups.m, &groups.n];
    let in_order = all.iter().all(|group| groups.collapse(result, &own, group).is_some());
    if values == operands && in_order {
        return false;
    }
    let order = if in_order { result.to_vec() } else { all.into_iter().flatten().copied().collect() };
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let op = Contract::new(&text(&letters[0]), &text(&letters[1]), &text(&order));
    let mut fitted = graph.must(op, &values);
    if !in_order {
        let place = |c: &char| order.iter().position(|o| o == c).expect("the orders have the same letters");
        let axes: Vec<usize> = result.iter().map(place).collect();
        fitted = graph.must(Permute::new(&axes), &[fitted]);
    }
    graph.replace(id, fitted);
    true
}

/// Every result and next value becomes the value of a kernel, and of one destination only.
fn copy_outputs(graph: &mut Graph) {
    let mut taken: BTreeSet<NodeId> = BTreeSet::new();
    for k in 0..graph.results.len() {
        let value = graph.results[k].1;
        graph.results[k].1 = owned(graph, value, &mut taken);
    }
    for k in 0..graph.assignments.len() {
        let value = graph.assignments[k].value;
        graph.assignments[k].value = owned(graph, value, &mut taken);
    }
}

fn owned(graph: &mut Graph, value: NodeId, taken: &mut BTreeSet<NodeId>) -> NodeId {
    let computed = graph.operator(value).is_some_and(|op| {
        let lowering = op.lower();
        !is_view(&lowering) && !matches!(lowering, Lowering::Iota { .. })
    });
    let own = if computed && !taken.contains(&value) {
        value
    } else {
        graph.set_origin(graph.node(value).origin.clone());
        copied(graph, value)
    };
    taken.insert(own);
    own
}

//! The sum of the gradients that the readers of one value send.
//!
//! Most values have few readers, whose gradients are added. Recurrences have one for every step, and there the sum
//! has a better form: what came from slices that tile the value is put together instead of being padded and added,
//! and products or sums over one axis become one over a stack of their operands, the stack that the graph has already
//! where it has one.

use std::collections::BTreeMap;

use nnc_wgsl::Binary;
use nnc_wgsl::schedule::Reduction;

use crate::ir::{Graph, NodeId};
use crate::ops::{Concat, Contract, Lowering, Reduce};

/// The fewest products or sums that are worth laying their operands one after the other.
const ALIKE: usize = 4;
/// The most operands of one addition: a kernel binds no more than 8 tensors on every device.
const OPERANDS: usize = 6;

/// The sum of `parts`, all of one type.
pub(super) fn total(graph: &mut Graph, parts: &[NodeId]) -> NodeId {
    if let [one] = parts {
        return *one;
    }
    let parts = pads_joined(graph, parts);
    let parts = tiles_joined(graph, &parts);
    let parts = alike_joined(graph, &parts, joined_product);
    let mut parts = alike_joined(graph, &parts, joined_sum);
    while parts.len() > 1 {
        parts = parts.chunks(OPERANDS).map(|some| added(graph, some)).collect();
    }
    parts[0]
}

fn added(graph: &mut Graph, parts: &[NodeId]) -> NodeId {
    if let [one] = parts {
        return *one;
    }
    graph.map(parts, |b, x| x[1..].iter().fold(x[0], |sum, &part| b.binary(Binary::Add, sum, part)))
}

/// The parts, where those that are padded with zeros in one way are the padded sum of what they pad: a slice that every
/// step takes is a part of the value like any other.
fn pads_joined(graph: &mut Graph, parts: &[NodeId]) -> Vec<NodeId> {
    let mut by_form: BTreeMap<Vec<usize>, Vec<NodeId>> = BTreeMap::new();
    for &part in parts {
        if let Some(Lowering::Pad { mut low, value: 0.0 }) = graph.operator(part).map(|op| op.lower()) {
            low.extend(&graph.ty(graph.operands(part)[0]).shape);
            by_form.entry(low).or_default().push(part);
        }
    }
    let mut left = parts.to_vec();
    for alike in by_form.into_values().filter(|alike| alike.len() > 1) {
        let inner: Vec<NodeId> = alike.iter().map(|part| graph.operands(*part)[0]).collect();
        let sum = total(graph, &inner);
        let pad = graph.operator(alike[0]).cloned().expect("a padded value is computed");
        left.retain(|part| !alike.contains(part));
        left.push(graph.must_shared(pad, &[sum]));
    }
    left
}

/// Values padded with zeros along one axis, each to another place, which together fill it: their concatenation.
fn tiles_joined(graph: &mut Graph, parts: &[NodeId]) -> Vec<NodeId> {
    let mut by_axis: BTreeMap<usize, Vec<(usize, NodeId)>> = BTreeMap::new();
    for &part in parts {
        if let Some((axis, begin)) = tile(graph, part) {
            by_axis.entry(axis).or_default().push((begin, part));
        }
    }
    let mut left = parts.to_vec();
    for (axis, mut tiles) in by_axis {
        tiles.sort_unstable();
        let operands: Vec<NodeId> = tiles.iter().map(|(_, part)| graph.operands(*part)[0]).collect();
        let mut end = 0;
        let follow = tiles.iter().zip(&operands).all(|((begin, _), operand)| {
            let follows = *begin == end;
            end += graph.ty(*operand).shape[axis];
            follows
        });
        if tiles.len() > 1 && follow && end == graph.ty(parts[0]).shape[axis] {
            left.retain(|part| tiles.iter().all(|(_, tile)| tile != part));
            left.push(graph.must(Concat::new(axis), &operands));
        }
    }
    left
}

/// The one axis along which a value is padded with zeros, and where it begins there.
fn tile(graph: &Graph, part: NodeId) -> Option<(usize, usize)> {
    let Lowering::Pad { low, value } = graph.operator(part)?.lower() else { return None };
    let (inner, outer) = (&graph.ty(graph.operands(part)[0]).shape, &graph.ty(part).shape);
    let mut padded = (0..outer.len()).filter(|&axis| inner[axis] != outer[axis]);
    let (axis, none) = (padded.next()?, padded.next());
    (value == 0.0 && none.is_none()).then(|| (axis, low[axis]))
}

/// The parts, where those that are one operator on operands of one type are put together by `join` if they are many.
fn alike_joined(
    graph: &mut Graph,
    parts: &[NodeId],
    join: impl Fn(&mut Graph, &[NodeId]) -> Option<NodeId>,
) -> Vec<NodeId> {
    let mut by_form: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for &part in parts {
        let Some(op) = graph.operator(part) else { continue };
        let types: Vec<String> =
            graph.operands(part).iter().map(|operand| graph.ty(*operand).to_string()).collect();
        by_form.entry(format!("{} {types:?}", op.label())).or_default().push(part);
    }
    let mut left = parts.to_vec();
    for alike in by_form.into_values().filter(|alike| alike.len() >= ALIKE) {
        if let Some(joined) = join(graph, &alike) {
            left.retain(|part| !alike.contains(part));
            left.push(joined);
        }
    }
    left
}

/// Sums over the same axes: one sum of the operands stacked.
fn joined_sum(graph: &mut Graph, sums: &[NodeId]) -> Option<NodeId> {
    let Lowering::Reduce { reduction: Reduction::Sum, mut axes } = graph.operator(sums[0])?.lower() else {
        return None;
    };
    let operands: Vec<NodeId> = sums.iter().map(|sum| graph.operands(*sum)[0]).collect();
    let side = Side { operands, letters: Vec::new(), axis: *axes.first()? };
    let (order, after) = side.order(graph);
    let place = side.axis + usize::from(after);
    axes.iter_mut().filter(|axis| **axis >= place).for_each(|axis| *axis += 1);
    axes.push(place);
    axes.sort_unstable();
    let stacked = stack(graph, &side.operands, &order, place);
    Some(graph.must(Reduce::new(Reduction::Sum, &axes), &[stacked]))
}

/// Products summed over one axis: one product of the operands stacked, which is summed over the stack as well.
fn joined_product(graph: &mut Graph, products: &[NodeId]) -> Option<NodeId> {
    let Lowering::Contract { left, right, result } = graph.operator(products[0])?.lower() else {
        return None;
    };
    let summed = *left.iter().find(|letter| right.contains(letter) && !result.contains(letter))?;
    let mut sides: Vec<Side> = Vec::with_capacity(2);
    for (side, letters) in [&left, &right].into_iter().enumerate() {
        let axis = letters.iter().position(|letter| *letter == summed)?;
        let operands: Vec<NodeId> = products.iter().map(|product| graph.operands(*product)[side]).collect();
        if operands.iter().all(|operand| *operand == operands[0]) {
            return None;
        }
        sides.push(Side { operands, letters: letters.clone(), axis });
    }
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let known = sides.iter().find_map(|side| known_stack(graph, side));
    let (order, after) = known.unwrap_or_else(|| sides[0].order(graph));
    let step = ('a'..='z').find(|letter| ![&left, &right, &result].iter().any(|all| all.contains(letter)))?;
    let mut stacks = Vec::with_capacity(2);
    for side in &mut sides {
        let place = side.axis + usize::from(after);
        side.letters.insert(place, step);
        stacks.push(stack(graph, &side.operands, &order, place));
    }
    let op = Contract::new(&text(&sides[0].letters), &text(&sides[1].letters), &text(&result));
    Some(graph.must(op, &stacks))
}

/// One operand of several products or sums of one form.
struct Side {
    operands: Vec<NodeId>,
    letters: Vec<char>,
    /// The axis that is summed.
    axis: usize,
}

impl Side {
    /// The order of the operands in a stack, and whether its axis lies after the summed one.
    fn order(&self, graph: &Graph) -> (Vec<usize>, bool) {
        known_stack(graph, self).unwrap_or_else(|| ((0..self.operands.len()).collect(), true))
    }
}

/// The order in which the graph already stacks these operands along a new axis next to the summed one, and whether
/// that lies after it: the same stack takes no copy.
fn known_stack(graph: &Graph, side: &Side) -> Option<(Vec<usize>, bool)> {
    let shape = &graph.ty(side.operands[0]).shape;
    for (row, _) in graph.readers(side.operands[0]) {
        for (whole, _) in graph.readers(row) {
            let Some(Lowering::Concat { axis }) = graph.operator(whole).map(|op| op.lower()) else {
                continue;
            };
            let mut stacked = shape.clone();
            stacked.insert(axis.min(shape.len()), 1);
            if ![side.axis, side.axis + 1].contains(&axis) || graph.ty(row).shape != stacked {
                continue;
            }
            let rows: Vec<NodeId> = graph
                .operands(whole)
                .iter()
                .filter_map(|row| graph.operands(*row).first().copied())
                .collect();
            let place = |row: &NodeId| side.operands.iter().position(|operand| operand == row);
            let order: Vec<usize> = rows.iter().filter_map(place).collect();
            let mut once = order.clone();
            once.sort_unstable();
            if once.into_iter().eq(0..side.operands.len()) && rows.len() == order.len() {
                return Some((order, axis > side.axis));
            }
        }
    }
    None
}

/// Values in this order along a new axis.
fn stack(graph: &mut Graph, values: &[NodeId], order: &[usize], axis: usize) -> NodeId {
    let mut shape = graph.ty(values[0]).shape.clone();
    shape.insert(axis, 1);
    let rows: Vec<NodeId> = order.iter().map(|&k| graph.reshape(values[k], &shape)).collect();
    graph.must(Concat::new(axis), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Environment, Source, Tensor, TensorType, evaluate};
    use crate::ops::{Operator, Pad};

    fn input(graph: &mut Graph, environment: &mut Environment, shape: &[usize]) -> NodeId {
        let name = format!("x{}", graph.len());
        let size: usize = shape.iter().product();
        let salt = graph.len();
        #[allow(clippy::cast_precision_loss)]
        let data = (0..size).map(|k| ((k * 17 + salt * 7) % 23) as f64 / 11.0 - 1.0).collect();
        environment.inputs.insert(name.clone(), Tensor::new(shape, data));
        graph.source(Source::Input { name, batched: false }, TensorType::f32(shape))
    }

    /// The operator that makes the sum of these parts, which is checked against adding their values.
    fn summed(parts: impl FnOnce(&mut Graph, &mut Environment) -> Vec<NodeId>) -> String {
        let (mut graph, mut environment) = (Graph::new(), Environment::default());
        let parts = parts(&mut graph, &mut environment);
        let sum = total(&mut graph, &parts);
        let values = evaluate(&graph, &environment);
        for (place, found) in values[&sum].data().iter().enumerate() {
            let wanted: f64 = parts.iter().map(|part| values[part].data()[place]).sum();
            assert!((found - wanted).abs() < 1e-12, "at {place}: {found} for {wanted}");
        }
        for id in graph.nodes() {
            let map = matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Map(_)));
            assert!(!map || graph.operands(id).len() <= OPERANDS);
        }
        graph.operator(sum).map(|op| op.label()).unwrap_or_default()
    }

    fn tiles(begins: &[usize]) -> impl FnOnce(&mut Graph, &mut Environment) -> Vec<NodeId> + '_ {
        move |graph, environment| {
            let one = |begin: &usize| {
                let part = input(graph, environment, &[3, 2]);
                graph.must(Pad::new(&[0, *begin], &[0, 6 - begin], 0.0), &[part])
            };
            begins.iter().map(one).collect()
        }
    }

    fn products(count: usize) -> impl FnOnce(&mut Graph, &mut Environment) -> Vec<NodeId> {
        move |graph, environment| {
            let one = |_| {
                let (a, b) = (input(graph, environment, &[4, 3]), input(graph, environment, &[4, 2]));
                graph.must(Contract::new("nk", "no", "ok"), &[a, b])
            };
            (0..count).map(one).collect()
        }
    }

    #[test]
    fn slices_that_tile_a_value_are_put_together() {
        assert_eq!(summed(tiles(&[4, 0, 6, 2])), Concat::new(1).label());
    }

    #[test]
    fn slices_that_every_step_takes_are_summed_before_they_are_put_together() {
        assert_eq!(summed(tiles(&[4, 0, 6, 2, 6, 0, 4, 2, 0, 2, 4, 6])), Concat::new(1).label());
        assert_eq!(summed(tiles(&[4, 4, 4])), Pad::new(&[0, 4], &[0, 2], 0.0).label());
    }

    #[test]
    fn slices_that_overlap_or_leave_gaps_are_added() {
        for begins in [[4, 0, 6, 3], [4, 0, 2, 1]] {
            assert!(summed(tiles(&begins)).starts_with("map"));
        }
    }

    #[test]
    fn products_over_many_steps_become_one() {
        assert!(summed(products(9)).starts_with("contract"));
        assert!(summed(products(2)).starts_with("map"));
    }

    #[test]
    fn sums_over_many_steps_become_one() {
        let sums = |graph: &mut Graph, environment: &mut Environment| {
            let one = |_| {
                let part = input(graph, environment, &[2, 3, 4]);
                graph.must(Reduce::new(Reduction::Sum, &[0, 2]), &[part])
            };
            (0..5).map(one).collect()
        };
        assert!(summed(sums).starts_with("reduce"));
    }

    #[test]
    fn products_of_what_is_stacked_already_sum_over_that_stack() {
        for (axis, form, shape) in [(1, "ntk,nto->ok", [4, 1, 2]), (0, "tnk,tno->ok", [1, 4, 2])] {
            let (mut graph, mut environment) = (Graph::new(), Environment::default());
            let pairs: Vec<[NodeId; 2]> = (0..6)
                .map(|_| [[4, 3], [4, 2]].map(|shape| input(&mut graph, &mut environment, &shape)))
                .collect();
            let rows: Vec<NodeId> = [3, 1, 0, 2, 5, 4].map(|k| graph.reshape(pairs[k][1], &shape)).to_vec();
            let known = graph.must(Concat::new(axis), &rows);
            let parts: Vec<NodeId> =
                pairs.iter().map(|pair| graph.must(Contract::new("nk", "no", "ok"), pair)).collect();
            let sum = total(&mut graph, &parts);
            let values = evaluate(&graph, &environment);
            for (place, found) in values[&sum].data().iter().enumerate() {
                let wanted: f64 = parts.iter().map(|part| values[part].data()[place]).sum();
                assert!((found - wanted).abs() < 1e-12, "at {place}: {found} for {wanted}");
            }
            let letters = |text: &str| text.replace('t', "a");
            let label = graph.operator(sum).map(|op| op.label()).unwrap_or_default();
            assert_eq!(label, format!("contract{{{}}}", letters(form)));
            let right = graph.operands(sum)[1];
            assert_eq!(values[&right].data(), values[&known].data());
        }
    }

    #[test]
    fn many_parts_are_added_in_small_groups() {
        let parts = |graph: &mut Graph, environment: &mut Environment| {
            (0..40).map(|_| input(graph, environment, &[5])).collect()
        };
        assert!(summed(parts).starts_with("map"));
    }
}

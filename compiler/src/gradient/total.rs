//! The sum of the gradients that the readers of one value send.
//!
//! Most values have few readers, whose gradients are added. Recurrences have one for every step, and there the sum
//! has a better form: what came from slices that tile the value is put together instead of being padded and added,
//! and products that sum over one axis become one product over a longer one.

use std::collections::BTreeMap;

use nnc_wgsl::Binary;

use crate::ir::{Graph, NodeId};
use crate::ops::{Concat, Contract, Lowering};

/// The fewest products that are worth copying their operands together.
const PRODUCTS: usize = 4;
/// The most operands of one addition: a kernel binds no more than 8 tensors on every device.
const OPERANDS: usize = 6;

/// The sum of `parts`, all of one type.
pub(super) fn total(graph: &mut Graph, parts: &[NodeId]) -> NodeId {
    if let [one] = parts {
        return *one;
    }
    let parts = tiles_joined(graph, parts);
    let mut parts = products_joined(graph, &parts);
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

/// Products of one form, each summed over an axis: one product of the operands laid one after the other there.
fn products_joined(graph: &mut Graph, parts: &[NodeId]) -> Vec<NodeId> {
    let mut by_form: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for &part in parts {
        let Some(op) = graph.operator(part) else { continue };
        if matches!(op.lower(), Lowering::Contract { .. }) {
            let types: Vec<String> =
                graph.operands(part).iter().map(|operand| graph.ty(*operand).to_string()).collect();
            by_form.entry(format!("{} {types:?}", op.label())).or_default().push(part);
        }
    }
    let mut left = parts.to_vec();
    for products in by_form.into_values().filter(|products| products.len() >= PRODUCTS) {
        if let Some(product) = joined_product(graph, &products) {
            left.retain(|part| !products.contains(part));
            left.push(product);
        }
    }
    left
}

fn joined_product(graph: &mut Graph, products: &[NodeId]) -> Option<NodeId> {
    let Lowering::Contract { left, right, result } = graph.operator(products[0])?.lower() else {
        return None;
    };
    let summed = left.iter().find(|letter| right.contains(letter) && !result.contains(letter))?;
    let mut sides = Vec::with_capacity(2);
    for (side, letters) in [&left, &right].into_iter().enumerate() {
        let axis = letters.iter().position(|letter| letter == summed)?;
        let operands: Vec<NodeId> = products.iter().map(|product| graph.operands(*product)[side]).collect();
        let same = operands.iter().all(|operand| *operand == operands[0]);
        if same {
            return None;
        }
        sides.push(graph.must(Concat::new(axis), &operands));
    }
    let text = |letters: &[char]| letters.iter().collect::<String>();
    Some(graph.must(Contract::new(&text(&left), &text(&right), &text(&result)), &sides))
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
    fn slices_that_overlap_or_leave_gaps_are_added() {
        for begins in [[4, 0, 6, 3], [4, 0, 6, 0]] {
            assert!(summed(tiles(&begins)).starts_with("map"));
        }
    }

    #[test]
    fn products_over_many_steps_become_one() {
        assert!(summed(products(9)).starts_with("contract"));
        assert!(summed(products(2)).starts_with("map"));
    }

    #[test]
    fn many_parts_are_added_in_small_groups() {
        let parts = |graph: &mut Graph, environment: &mut Environment| {
            (0..40).map(|_| input(graph, environment, &[5])).collect()
        };
        assert!(summed(parts).starts_with("map"));
    }
}

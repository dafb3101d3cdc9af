//! The order of weights in their region: those of convolutions that read one value lie side by side, so that the pass
//! `siblings` can read them as one tensor.

use std::collections::BTreeMap;

use nnc_wgsl::schedule::ConvKind;

use crate::ir::{ALIGNMENT, Graph, NodeId};
use crate::ops::Lowering;

/// What convolutions have in common whose weights belong together: what they read, their window, and the shape of a
/// weight without its first axis.
type Family = (NodeId, String, Vec<usize>);

/// Weights with their gradients in the order of their region: each family in the place of its first weight. In a family
/// those come last behind which a gap would begin.
pub(super) fn side_by_side(graph: &Graph, weights: Vec<(NodeId, NodeId)>) -> Vec<(NodeId, NodeId)> {
    let mut first: BTreeMap<Family, usize> = BTreeMap::new();
    let place = |(number, (weight, _)): (usize, &(NodeId, NodeId))| match family(graph, *weight) {
        Some(family) => *first.entry(family).or_insert(number),
        None => number,
    };
    let places: Vec<usize> = weights.iter().enumerate().map(place).collect();
    let leaves_gap = |weight: NodeId| !graph.ty(weight).size().is_multiple_of(ALIGNMENT);
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&number| (places[number], leaves_gap(weights[number].0), number));
    order.into_iter().map(|number| weights[number]).collect()
}

/// The family of the first convolution by a weight.
fn family(graph: &Graph, weight: NodeId) -> Option<Family> {
    graph.readers(weight).into_iter().find_map(|(reader, slot)| {
        let op = graph.operator(reader)?;
        match op.lower() {
            Lowering::Conv { kind: ConvKind::Forward, geometry } if slot == 1 && geometry.groups == 1 => {
                let shape = graph.ty(weight).shape[1..].to_vec();
                Some((graph.operands(reader)[0], op.label(), shape))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Source, TensorType};
    use crate::ops::{Conv, ConvGeometry};

    #[test]
    fn weights_of_one_value_follow_each_other_and_gaps_come_last() {
        let mut graph = Graph::new();
        let given = |graph: &mut Graph, name: &str, shape: &[usize]| {
            graph.source(Source::Input { name: name.to_owned(), batched: false }, TensorType::f32(shape))
        };
        let (x, z) = (given(&mut graph, "x", &[1, 8, 4, 4]), given(&mut graph, "z", &[1, 8, 4, 4]));
        let weight = |graph: &mut Graph, name: &str, of: NodeId, shape: &[usize]| {
            let weight = given(graph, name, shape);
            graph.must(Conv::new(ConvGeometry::plain(2)), &[of, weight]);
            (weight, weight)
        };
        let weights = vec![
            weight(&mut graph, "odd", x, &[3, 8, 1, 1]),
            weight(&mut graph, "other value", z, &[8, 8, 1, 1]),
            weight(&mut graph, "even", x, &[16, 8, 1, 1]),
            weight(&mut graph, "other window", x, &[8, 8, 3, 3]),
        ];
        let found = side_by_side(&graph, weights.clone());
        assert_eq!(found, [2, 0, 1, 3].map(|number| weights[number]));
    }
}

//! Packed gradients, of which several are one now.

use std::collections::BTreeMap;

use crate::ir::{Graph, NodeId};
use crate::ops::{Lowering, Pack};

pub(super) fn lowering(graph: &Graph, id: NodeId) -> Option<Lowering> {
    graph.operator(id).map(|op| op.lower())
}

/// The pack that is the only reader of a gradient.
pub(super) fn pack_of(graph: &Graph, gradient: NodeId) -> Option<NodeId> {
    let [(pack, _)] = graph.readers(gradient)[..] else { return None };
    matches!(lowering(graph, pack), Some(Lowering::Pack { .. })).then_some(pack)
}

/// Makes each pack anew, with one part for those that are one now.
pub(super) fn put_into_packs(graph: &mut Graph, packs: &BTreeMap<NodeId, Vec<(Vec<NodeId>, NodeId)>>) {
    for (&pack, wholes) in packs {
        let Some(Lowering::Pack { offsets }) = lowering(graph, pack) else { continue };
        let whole_of: BTreeMap<NodeId, (NodeId, bool)> = wholes
            .iter()
            .flat_map(|(parts, whole)| {
                parts.iter().enumerate().map(move |(number, part)| (*part, (*whole, number == 0)))
            })
            .collect();
        let parts = graph.operands(pack).into_iter().zip(offsets);
        let kept = parts.filter_map(|(part, offset)| match whole_of.get(&part) {
            Some((whole, true)) => Some((*whole, offset)),
            Some((_, false)) => None,
            None => Some((part, offset)),
        });
        let (parts, offsets): (Vec<NodeId>, Vec<usize>) = kept.unzip();
        graph.set_origin(graph.node(pack).origin.clone());
        let length = graph.ty(pack).size();
        let made = graph.must(Pack::new(&offsets, length), &parts);
        graph.replace(pack, made);
    }
}

//! Generators: a map of nothing but constants, host scalars, coordinates and random numbers is computed again by
//! each reader instead of being stored, so that a dropout mask takes no memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use nnc_wgsl::Profile;

use super::Pass;
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::ops::{Lowering, Operator};

pub(super) const PASS: Pass = Pass {
    name: "generators",
    about: "masks of random numbers are computed by each reader, and stored by none",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, _: &Profile) {
    let mut generators: BTreeSet<NodeId> = BTreeSet::new();
    for id in graph.order() {
        if !is_generator(graph, id, &generators) {
            continue;
        }
        generators.insert(id);
        let others: Vec<(NodeId, usize)> = graph.readers(id).into_iter().skip(1).collect();
        if graph.is_output(id) || others.is_empty() {
            continue;
        }
        if !graph.allowance.take() {
            return;
        }
        let Some(op) = graph.operator(id).cloned() else { continue };
        let operands = graph.operands(id);
        graph.set_origin(graph.node(id).origin.clone());
        for (reader, slot) in others {
            generators.insert(copy_for(graph, &op, &operands, (reader, slot)));
        }
    }
}

/// A copy of an operator for one reader.
fn copy_for(
    graph: &mut Graph,
    op: &Arc<dyn Operator>,
    operands: &[NodeId],
    reader: (NodeId, usize),
) -> NodeId {
    match graph.apply_shared(op.clone(), operands) {
        Ok(copy) => {
            graph.set_operand(reader.0, reader.1, copy);
            copy
        }
        Err(error) => panic!("an operator fits its own operands: {error}"),
    }
}

/// Whether the value is a map of what needs no memory; `known` are the generators among its operands.
fn is_generator(graph: &Graph, id: NodeId, known: &BTreeSet<NodeId>) -> bool {
    let generated = |v: &NodeId| match &graph.node(*v).kind {
        Kind::Source(Source::Random { .. } | Source::Host { .. } | Source::Constant(_)) => true,
        Kind::Source(_) => false,
        Kind::Operator(op) => known.contains(v) || matches!(op.lower(), Lowering::Iota { .. }),
    };
    matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Map(_)))
        && graph.operands(id).iter().all(generated)
}

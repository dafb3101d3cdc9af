//! Dead code: removes what no result and no next value of a stored tensor needs.

use std::collections::BTreeSet;

use nnc_wgsl::Profile;

use crate::ir::{Graph, NodeId};

pub(super) fn run(graph: &mut Graph, _: &Profile) {
    let mut needed: BTreeSet<NodeId> = BTreeSet::new();
    let mut open: Vec<NodeId> = graph.results.iter().map(|(_, v)| *v).collect();
    for assignment in &graph.assignments {
        open.extend([assignment.target, assignment.value]);
    }
    while let Some(id) = open.pop() {
        if needed.insert(id) {
            open.extend(graph.operands(id));
        }
    }
    for id in graph.order().into_iter().rev() {
        if !needed.contains(&id) {
            graph.remove(id);
        }
    }
}

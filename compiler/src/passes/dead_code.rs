//! Dead code: removes what no result and no next value of a stored tensor needs.

use std::collections::BTreeSet;

use nnc_wgsl::Profile;

use super::Pass;
use crate::ir::{Graph, NodeId};

pub(super) const PASS: Pass =
    Pass { name: "dead_code", about: "what no result needs is removed", needed: None, parts: &[], run };

fn run(graph: &mut Graph, _: &Profile) {
    remove(graph, |graph| graph.allowance.take());
}

/// Removes what nothing needs, as long as each removal is allowed.
pub(super) fn remove(graph: &mut Graph, mut is_allowed: impl FnMut(&mut Graph) -> bool) {
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
        if needed.contains(&id) {
            continue;
        }
        if !is_allowed(graph) {
            return;
        }
        graph.remove(id);
    }
}

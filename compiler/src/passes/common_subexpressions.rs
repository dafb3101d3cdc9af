//! Common subexpressions: equal operators on equal operands, and equal sources, become one.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use super::Pass;
use crate::ir::{Graph, Kind, NodeId};

pub(super) const PASS: Pass =
    Pass { name: "common_subexpressions", about: "equal values become one", needed: None, parts: &[], run };

fn run(graph: &mut Graph, _: &Profile) {
    let mut seen: BTreeMap<(String, Vec<NodeId>), NodeId> = BTreeMap::new();
    for id in graph.order() {
        let node = graph.node(id);
        let what = match &node.kind {
            Kind::Operator(op) => op.label(),
            Kind::Source(source) => format!("{source:?}"),
        };
        let key = (format!("{what}: {}", node.ty), graph.operands(id));
        match seen.get(&key) {
            Some(_) if !graph.allowance.take() => return,
            Some(&first) => graph.replace(id, first),
            None => {
                seen.insert(key, id);
            }
        }
    }
}

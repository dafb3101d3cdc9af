//! Common subexpressions: equal operators on equal operands, and equal sources, become one.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use crate::ir::{Graph, Kind, NodeId};

pub(super) fn run(graph: &mut Graph, _: &Profile) {
    let mut seen: BTreeMap<(String, Vec<NodeId>), NodeId> = BTreeMap::new();
    for id in graph.order() {
        let node = graph.node(id);
        let what = match &node.kind {
            Kind::Operator(op) => op.label(),
            Kind::Source(source) => format!("{source:?}"),
        };
        let key = (format!("{what}: {}", node.ty), graph.operands(id));
        match seen.get(&key) {
            Some(&first) => graph.replace(id, first),
            None => {
                seen.insert(key, id);
            }
        }
    }
}

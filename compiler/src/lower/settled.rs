//! What is settled as soon as the stored tensors are: batch norms folded into weights, weights laid out anew.
//!
//! In use, the kernels that depend on nothing else come first, and a session runs them again only when a stored tensor has
//! changed or another program has worked in the memory in between.

use std::collections::BTreeMap;

use super::Lowered;
use crate::ir::{Graph, Kind, NodeId, Source};

impl Lowered {
    /// Brings the stages that depend on stored tensors alone before all others, unless a stored tensor changes in every
    /// run.
    pub fn settle(&mut self, graph: &Graph) {
        if !graph.assignments.is_empty() {
            return;
        }
        let depends = depends_on_runs(graph);
        let (settled, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stages)
            .into_iter()
            .partition(|stage| stage.cluster.members.iter().all(|member| !depends[member]));
        self.settled = settled.len();
        self.stages = settled;
        self.stages.extend(rest);
    }
}

/// Whether each value depends on something else than stored tensors.
fn depends_on_runs(graph: &Graph) -> BTreeMap<NodeId, bool> {
    let mut depends = BTreeMap::new();
    for id in graph.order() {
        let value = match &graph.node(id).kind {
            Kind::Source(Source::Input { .. } | Source::Host { .. } | Source::Random { .. }) => true,
            Kind::Source(Source::Stored(_) | Source::Region(_) | Source::Constant(_)) => false,
            Kind::Operator(_) => graph.operands(id).iter().any(|operand| depends[operand]),
        };
        depends.insert(id, value);
    }
    depends
}

//! What is computed more than once: values that are not kept, and what several kernels compute and none stores, as masks
//! of random numbers and values between products.

use std::collections::BTreeMap;

use super::words::listed;
use super::{FactKind, Place, Teller};
use crate::ir::{Kind, NodeId, Source};
use crate::ops::Lowering;

impl Teller<'_> {
    /// What is computed a second time, by the kernel that does.
    pub(super) fn seconds(&mut self) {
        let mut found: BTreeMap<(Place, usize), Vec<String>> = BTreeMap::new();
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            for member in stage.cluster.members.iter().filter(|id| self.graph().node(**id).again) {
                if let Some(line) = self.line(*member) {
                    found.entry((line, kernel)).or_default().push(self.name(*member));
                }
            }
        }
        for ((line, kernel), names) in found {
            let text = format!("k{kernel} computes {} a second time instead of keeping it", listed(names));
            self.tell(Some(line), FactKind::Again, text);
        }
    }

    /// What several kernels compute.
    pub(super) fn computed_again(&mut self) {
        let mut found: BTreeMap<(Place, String, Option<NodeId>), Vec<usize>> = BTreeMap::new();
        for (kernel, stage) in self.built.lowered.stages.iter().enumerate() {
            let written: Vec<NodeId> =
                stage.work.iter().flat_map(|work| work.writes.iter().copied()).collect();
            for &member in stage.cluster.members.iter().filter(|member| !written.contains(member)) {
                if let Some(line) = self.line(member)
                    && let Some((what, stream)) = self.repeated(member)
                {
                    found.entry((line, what, stream)).or_default().push(kernel);
                }
            }
        }
        for ((line, what, _), mut kernels) in found {
            kernels.dedup();
            if kernels.len() > 1 {
                let kernels = listed(kernels.iter().map(|kernel| format!("k{kernel}")));
                let text = format!("{what} is computed in each of {kernels}, and stored by none");
                self.tell(Some(line), FactKind::Again, text);
            }
        }
    }

    /// What a value is called that is computed where it is read: one of a row between products, or of random numbers, and
    /// then of which.
    fn repeated(&self, node: NodeId) -> Option<(String, Option<NodeId>)> {
        let graph = self.graph();
        let operands = graph.operands(node);
        let is_random = |id: &NodeId| matches!(graph.node(*id).kind, Kind::Source(Source::Random { .. }));
        if let Some(stream) = operands.iter().copied().find(is_random) {
            return Some((format!("the random mask of {}", self.name(node)), Some(stream)));
        }
        let is_row = graph.node(node).product_row.is_some();
        let is_product = matches!(graph.operator(node)?.lower(), Lowering::Contract { .. });
        (is_row && is_product).then(|| (format!("the product before {}", self.after_product(node)), None))
    }

    /// What reads a product between rows.
    fn after_product(&self, node: NodeId) -> String {
        listed(self.graph().readers(node).into_iter().map(|(reader, _)| self.name(reader)))
    }
}

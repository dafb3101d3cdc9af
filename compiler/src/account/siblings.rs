//! Which convolutions of one value are one, and why the others are not.

use std::collections::BTreeSet;

use super::words::{listed, operator_name};
use super::{FactKind, Place, Teller};
use crate::ir::{Lone, NodeId, Origin, Refusal};

impl Teller<'_> {
    pub(super) fn siblings(&mut self) {
        let mut found: Vec<(Place, String, String)> = Vec::new();
        for node in self.graph().nodes() {
            self.joined(node);
            if let Some(Refusal::Lone(why)) = self.graph().node(node).refusal
                && let Some(line) = self.line(node)
            {
                let operator = operator_name(self.graph(), node);
                let text =
                    format!("is no one {operator} with others of the same value, because {}", lone(why));
                found.push((line, text, self.place_name(self.origin(node), node)));
            }
        }
        self.tell_grouped(FactKind::Apart, found);
    }

    /// Tells every line that has a part in a value which others were joined in.
    fn joined(&mut self, node: NodeId) {
        let origins = &self.graph().node(node).joined;
        if origins.is_empty() {
            return;
        }
        let names = listed(origins.iter().map(|origin| self.place_name(origin, node)));
        let stages = &self.built.lowered.stages;
        let kernel = stages.iter().position(|stage| stage.cluster.members.contains(&node));
        let kernel = kernel.map_or(String::new(), |kernel| format!(", in k{kernel}"));
        let text = format!("one {} for {names}{kernel}", operator_name(self.graph(), node));
        let lines: BTreeSet<Place> = origins.iter().filter_map(|origin| self.line_of(origin)).collect();
        for line in lines {
            self.tell(Some(line), FactKind::Fused, text.clone());
        }
    }

    /// The path of a place in the model, or what stands there.
    fn place_name(&self, origin: &Origin, node: NodeId) -> String {
        if origin.path.is_empty() { self.name(node) } else { format!("`{}`", origin.path) }
    }
}

/// Why a convolution is not one with others of the same value.
pub(super) fn lone(why: Lone) -> &'static str {
    match why {
        Lone::Leaves => "it leaves the program",
        Lone::Read => "something reads it in one piece",
        Lone::Ends => "maps alone read it, which end its own kernel",
        Lone::Weights => "its weight does not lie beside those of the others",
        Lone::Gradient => "the gradient that it reads cannot be written beside those of the others",
        Lone::Length => "together they are longer than a binding",
        Lone::Waits => "one of them waits for another",
    }
}

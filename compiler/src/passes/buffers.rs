//! How many storage buffers a kernel binds for the values that it touches in memory.
//!
//! Values of the arenas lie in one memory: where a kernel touches more values than a device has buffers, it binds the
//! memory once for each type of element, one by one and in fours ([`nnc_wgsl::share`]). Inputs, stored tensors, results
//! and the parts of a region keep a binding each. [`crate::bind`] holds what was counted here against what is bound, and
//! a program whose arenas are too large for that is built again with a buffer for every value.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::{Element, Profile};

use super::product_rows::base;
use crate::ir::{Graph, Kind, NodeId};
use crate::ops::Lowering;

/// The most values that a kernel touches in memory, where sharing lets it touch more than the device has buffers.
const VALUES: usize = 27;

/// The buffers kept for what a schedule hands from one launch to the next.
pub(super) const SCRATCH: usize = 1;

/// The bindings that one memory takes for one type of element: one by one, and in fours.
const WIDTHS: usize = 2;

/// Whether kernels for a profile may bind values together: elsewhere [`Graph::apart`] changes nothing.
pub(crate) fn may_share(profile: &Profile) -> bool {
    (profile.storage_buffers as usize).saturating_sub(SCRATCH) < VALUES
}

/// Which values have buffers of their own, and how many buffers there are.
#[derive(Debug)]
pub(super) struct Buffers<'a> {
    graph: &'a Graph,
    /// Computed values that lie in no arena.
    own: BTreeSet<NodeId>,
    buffers: usize,
    values: usize,
}

impl Buffers<'_> {
    /// The buffers of a profile for the kernels of a graph, of which `spare` are kept for scratch memory.
    pub(super) fn new<'a>(graph: &'a Graph, profile: &Profile, spare: usize) -> Buffers<'a> {
        let buffers = (profile.storage_buffers as usize).saturating_sub(spare);
        let results = graph.results.iter().map(|(_, id)| *id);
        let mut own: BTreeSet<NodeId> = results.chain(graph.assignments.iter().map(|a| a.value)).collect();
        for id in graph.nodes() {
            if matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Pack { .. })) {
                own.insert(id);
                own.extend(graph.operands(id).into_iter().map(|operand| base(graph, operand)));
            }
        }
        let values = if graph.apart { buffers } else { buffers.max(VALUES) };
        Buffers { graph, own, buffers, values }
    }

    /// Whether one kernel can touch these values, each as often as it is bound where nothing is shared. Each is named
    /// by the value whose memory holds it.
    pub(super) fn hold(&self, touched: impl IntoIterator<Item = NodeId>) -> bool {
        let (mut own, mut shared) = (0, BTreeMap::<Element, usize>::new());
        for id in touched {
            if self.is_shared(id) {
                *shared.entry(self.graph.ty(id).element).or_default() += 1;
            } else {
                own += 1;
            }
        }
        let values = own + shared.values().sum::<usize>();
        let bound = own + shared.values().map(|&count| count.min(WIDTHS)).sum::<usize>();
        values <= self.buffers || (values <= self.values && bound <= self.buffers)
    }

    /// Whether a value lies in an arena.
    fn is_shared(&self, id: NodeId) -> bool {
        matches!(self.graph.node(id).kind, Kind::Operator(_)) && !self.own.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_values_apart_changes_nothing_where_none_are_shared() {
        let (together, mut apart) = (Graph::default(), Graph::default());
        apart.apart = true;
        let default = Profile::named("webgpu-default").unwrap();
        for storage_buffers in 1..64 {
            let profile = Profile { storage_buffers, ..default.clone() };
            let differs = |spare| {
                let values = |graph| Buffers::new(graph, &profile, spare).values;
                values(&together) != values(&apart)
            };
            assert_eq!(may_share(&profile), differs(SCRATCH), "{storage_buffers} buffers");
            assert!(may_share(&profile) || !differs(0), "{storage_buffers} buffers");
        }
    }
}

//! Whether one kernel can compute the values of a cluster: each reads the others at its own point, the levels fit
//! the anchor, and the kernel binds no more buffers than the profile has.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Profile;

use super::{Anchor, Cluster};
use crate::ir::{Graph, NodeId};
use crate::lower::{
    Homes, Layout, Level, at_own_point, fits_anchor, homes, is_in_memory, is_view, layouts, level_of,
    member_place, part_offset,
};
use crate::ops::Lowering;
use crate::passes::buffers::{Buffers, SCRATCH};

/// A value in memory and where a kernel reads it: its strides and its offset.
type Read = (NodeId, Vec<i64>, i64);

/// What the kernel of a sound cluster binds and does.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// What is read from memory besides the operands of the anchor.
    pub(super) reads: BTreeSet<Read>,
    /// The operands of the anchor, by the value whose memory holds each.
    pub(super) anchor_operands: Vec<NodeId>,
    /// The members whose values leave the cluster, and the value in whose memory each of its places lies.
    pub(super) written: BTreeMap<NodeId, Vec<NodeId>>,
    /// How many reductions there are.
    pub(super) reductions: usize,
}

impl Summary {
    /// What the kernel touches in memory, as often as it is bound: the values whose memory that is.
    pub(super) fn touched(&self) -> impl Iterator<Item = NodeId> {
        let reads = self.reads.iter().map(|(base, ..)| *base);
        reads.chain(self.anchor_operands.iter().copied()).chain(self.written.values().flatten().copied())
    }
}

/// What the rules look at: the graph before clusters are formed.
pub(super) struct Rules<'a> {
    pub(super) graph: &'a Graph,
    /// Where the elements of each value lie, by node number.
    pub(super) layouts: Vec<Option<Layout>>,
    /// Where each value lies in memory.
    pub(super) homes: Homes,
    /// What leaves the program.
    pub(super) results: BTreeSet<NodeId>,
    /// What a kernel may bind.
    pub(super) buffers: Buffers<'a>,
}

impl<'a> Rules<'a> {
    /// The rules for a graph and a profile.
    pub(super) fn new(graph: &'a Graph, profile: &Profile) -> Rules<'a> {
        let layouts = layouts(graph);
        let homes = homes(graph, &layouts);
        let numbers = layouts.keys().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut by_number = vec![None; numbers];
        for (id, layout) in layouts {
            by_number[id.index()] = Some(layout);
        }
        let results = graph.results.iter().map(|(_, id)| *id);
        let results = results.chain(graph.assignments.iter().map(|a| a.value)).collect();
        Rules { graph, layouts: by_number, homes, results, buffers: Buffers::new(graph, profile, SCRATCH) }
    }

    /// Whether a kernel may bind what a cluster touches.
    pub(super) fn may_bind(&self, summary: &Summary) -> bool {
        self.buffers.hold(summary.touched())
    }

    /// Where the elements of a value lie.
    pub(super) fn layout(&self, id: NodeId) -> &Layout {
        self.layouts[id.index()].as_ref().expect("every value has a layout")
    }

    /// The summary of a cluster; `None` where it is unsound. Bindings are not counted.
    pub(super) fn summary(&self, cluster: &Cluster, is_member: impl Fn(NodeId) -> bool) -> Option<Summary> {
        let mut summary = Summary::default();
        for &id in &cluster.members {
            self.add(&mut summary, cluster, id, &is_member)?;
        }
        Some(summary)
    }

    /// Adds what a member does to the summary of those before it; `None` where the cluster is unsound with it.
    pub(super) fn add(
        &self,
        summary: &mut Summary,
        cluster: &Cluster,
        id: NodeId,
        is_member: &impl Fn(NodeId) -> bool,
    ) -> Option<()> {
        let member = level_of(self.graph, cluster, id)?;
        let element = member.level == Level::Element;
        if element && matches!(cluster.anchor, Anchor::Column(_)) && self.leaves(id, is_member) {
            return None;
        }
        let lowering = self.graph.operator(id).expect("a member is computed").lower();
        let padded = matches!(lowering, Lowering::Pad { .. });
        if padded && cluster.anchor != Anchor::Map {
            return None;
        }
        summary.reductions += usize::from(matches!(lowering, Lowering::Reduce { .. }));
        let anchored = matches!(
            lowering,
            Lowering::Conv { .. }
                | Lowering::Contract { .. }
                | Lowering::Window { .. }
                | Lowering::Lines { .. }
        );
        for operand in self.graph.operands(id) {
            let layout = self.layout(operand);
            let base = layout.base;
            if anchored {
                summary.anchor_operands.push(self.homes.memory(operand).base);
                if is_member(base) {
                    return None;
                }
                continue;
            }
            let place = member_place(cluster, member, &self.graph.ty(id).shape, layout);
            if is_member(base) {
                let written = level_of(self.graph, cluster, base)?;
                if padded || !at_own_point(cluster, member, written.level, &place) {
                    return None;
                }
                if !self.is_written(base, is_member) {
                    summary.written.remove(&base);
                }
            } else {
                let layout = self.homes.memory(operand);
                let place = member_place(cluster, member, &self.graph.ty(id).shape, layout);
                if !fits_anchor(self.graph, cluster, &place) {
                    return None;
                }
                if is_in_memory(self.graph, base) {
                    let parts = if member.reads == Level::Whole { cluster.parts() } else { 1 };
                    for part in 0..parts {
                        let offset = place.offset + part_offset(cluster, part, &place);
                        summary.reads.insert((layout.base, place.strides.clone(), offset));
                    }
                }
            }
        }
        if self.is_written(id, is_member) {
            let places = self.homes.places(self.graph, id);
            let parts = if member.level == Level::Whole { cluster.parts() } else { 1 };
            let space = if parts > 1 { cluster.whole_space() } else { cluster.space.clone() };
            let fits =
                |layout: &Layout| layout.base == id || fits_anchor(self.graph, cluster, &layout.over(&space));
            if member.level != Level::Row && !places.iter().all(fits) {
                return None;
            }
            let roots = places.iter().flat_map(|place| std::iter::repeat_n(place.base, parts));
            summary.written.insert(id, roots.collect());
        }
        Some(())
    }

    /// Whether a member's value leaves the cluster.
    pub(super) fn is_written(&self, id: NodeId, is_member: &impl Fn(NodeId) -> bool) -> bool {
        self.results.contains(&id) || self.graph.readers(id).iter().any(|(reader, _)| !is_member(*reader))
    }

    /// Whether a member's value, looked at in whatever way, is computed with outside the cluster.
    pub(super) fn leaves(&self, id: NodeId, is_member: &impl Fn(NodeId) -> bool) -> bool {
        let mut open = vec![id];
        while let Some(value) = open.pop() {
            for (reader, _) in self.graph.readers(value) {
                if self.graph.operator(reader).is_some_and(|op| is_view(&op.lower())) {
                    open.push(reader);
                } else if !is_member(reader) {
                    return true;
                }
            }
        }
        self.results.contains(&id)
    }
}

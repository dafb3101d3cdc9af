//! Whether each row between products can be one kernel: its values are read at their own points, what it needs is known
//! before it runs, a workgroup holds a row, and the profile has buffers for what it binds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use nnc_wgsl::{Profile, schedule};

use super::{base, units};
use crate::ir::{Graph, NodeId, Refusal};
use crate::lower::{
    Layout, Level, at_own_point, closing_axis, is_in_memory, layouts, level_of, member_place, opening_sides,
    product_row_cluster, product_row_parts,
};
use crate::ops::Lowering;
use crate::passes::Cluster;
use crate::passes::buffers::Buffers;

/// Holds the rows of these numbers against the rules.
///
/// # Errors
/// If a row breaks one: the first that it breaks.
pub(super) fn soundness(graph: &Graph, rows: Range<u32>, profile: &Profile) -> Result<(), Refusal> {
    let units = units(graph).ok_or(Refusal::Form)?;
    let layouts = layouts(graph);
    let of_row = |unit: &&Vec<NodeId>| graph.node(unit[0]).product_row.is_some_and(|row| rows.contains(&row));
    units.iter().filter(of_row).try_for_each(|members| {
        if product_row_parts(graph, members).openings.is_empty() {
            return Err(Refusal::Form);
        }
        let row = Row { graph, layouts: &layouts, cluster: product_row_cluster(graph, members.clone()) };
        row.fits(profile)?;
        if row.products_fit() && row.values_fit() { Ok(()) } else { Err(Refusal::Form) }
    })
}

struct Row<'a> {
    graph: &'a Graph,
    layouts: &'a BTreeMap<NodeId, Layout>,
    cluster: Cluster,
}

impl Row<'_> {
    /// Whether every product has its operands along the row as the schedule reads them, and one sum or batch in common.
    fn products_fit(&self) -> bool {
        let (graph, axis) = (self.graph, self.cluster.reduced()[0]);
        let parts = product_row_parts(graph, &self.cluster.members);
        let last = (0..self.cluster.space.len()).rfind(|&a| a != axis);
        let closes = |&(id, slot): &(NodeId, usize)| {
            let Some(Lowering::Contract { left, right, .. }) = graph.operator(id).map(|op| op.lower()) else {
                return false;
            };
            let (value, other) = if slot == 0 { (left, right) } else { (right, left) };
            let shares = |a: usize| other.contains(&value[a]);
            let batch = (0..value.len()).any(|a| a != axis && Some(a) != last && shares(a));
            closing_axis(graph, id, slot) == Some(axis)
                && batch
                && shares(axis)
                && last.is_some_and(|last| !shares(last))
        };
        let opens = |&id: &NodeId| {
            graph.ty(id).shape == self.cluster.space && opening_sides(graph, id, axis).is_some()
        };
        parts.openings.iter().all(opens) && parts.closings.iter().all(closes)
    }

    /// Whether every other value has an element a point or a row, and is read there.
    fn values_fit(&self) -> bool {
        let (graph, cluster) = (self.graph, &self.cluster);
        let parts = product_row_parts(graph, &cluster.members);
        let closes = |id: NodeId| parts.closings.iter().any(|(closing, _)| *closing == id);
        cluster.members.iter().all(|&id| {
            if closes(id) {
                return true;
            }
            let Some(member) = level_of(graph, cluster, id) else { return false };
            let stays = member.level == Level::Row || !self.leaves(id);
            let opening = parts.openings.contains(&id);
            stays
                && graph.operands(id).into_iter().all(|operand| {
                    let below = base(graph, operand);
                    if opening || !cluster.members.contains(&below) {
                        return !cluster.members.contains(&below);
                    }
                    let Some(written) = level_of(graph, cluster, below) else { return false };
                    let layout = &self.layouts[&operand];
                    let place = member_place(cluster, member, &graph.ty(id).shape, layout);
                    layout.base == below && at_own_point(cluster, member, written.level, &place)
                })
        })
    }

    /// Whether a value is read outside of its kernel, in whatever way.
    fn leaves(&self, id: NodeId) -> bool {
        let outside = |(reader, _): (NodeId, usize)| !self.cluster.members.contains(&reader);
        self.graph.is_output(id) || self.graph.readers(id).into_iter().any(outside)
    }

    /// Whether the device has the memory and the buffers.
    fn fits(&self, profile: &Profile) -> Result<(), Refusal> {
        let graph = self.graph;
        let parts = product_row_parts(graph, &self.cluster.members);
        let depth = |id: &NodeId| match graph.operator(*id).map(|op| op.lower()) {
            Some(Lowering::Contract { left, result, .. }) => {
                let shape = &graph.ty(graph.operands(*id)[0]).shape;
                let summed = left.iter().zip(shape).filter(|(c, _)| !result.contains(c));
                summed.map(|(_, extent)| *extent).product()
            }
            _ => 1,
        };
        let depths: Vec<usize> = parts.openings.iter().map(depth).collect();
        let length = self.cluster.space[self.cluster.reduced()[0]];
        if !schedule::product_row_fits(length, &depths, parts.closings.len(), profile) {
            return Err(Refusal::Length(length));
        }
        let fits = Buffers::new(graph, profile, 0).hold(self.touched());
        if fits { Ok(()) } else { Err(Refusal::Buffers(profile.storage_buffers)) }
    }

    /// What the kernel touches in memory, as often as it is bound at most: the values whose memory that is.
    fn touched(&self) -> Vec<NodeId> {
        let graph = self.graph;
        let (mut factors, mut reads, mut written) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for &id in &self.cluster.members {
            let product = matches!(graph.operator(id).map(|op| op.lower()), Some(Lowering::Contract { .. }));
            for operand in graph.operands(id) {
                let layout = &self.layouts[&operand];
                if self.cluster.members.contains(&base(graph, operand)) {
                    continue;
                }
                if product {
                    factors.insert(layout.base);
                } else if is_in_memory(graph, layout.base) {
                    reads.insert((layout, graph.ty(id).shape.len()));
                }
            }
            written.extend((graph.is_output(id) || self.is_read_outside(id)).then_some(id));
        }
        factors.into_iter().chain(reads.into_iter().map(|(layout, _)| layout.base)).chain(written).collect()
    }

    /// Whether a kernel reads the value or a view of it.
    fn is_read_outside(&self, id: NodeId) -> bool {
        self.graph.readers(id).into_iter().any(|(reader, _)| {
            let view = self.graph.operator(reader).is_some_and(|op| crate::lower::is_view(&op.lower()));
            let outside = !view && !self.cluster.members.contains(&reader);
            outside || (view && (self.graph.is_output(reader) || self.is_read_outside(reader)))
        })
    }
}

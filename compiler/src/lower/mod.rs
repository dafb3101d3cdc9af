//! From clusters to kernels: each cluster becomes a specification for its schedule, with formulas and places.

mod anchored;
mod coalesce;
mod formula;
mod groups;
mod homes;
mod hosts;
mod layout;
mod member;
mod moves;
mod product_row;
mod row;
mod settled;
mod spec;
mod stores;

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::schedule::Spec;
use nnc_wgsl::{Profile, Schedule};

use crate::ir::{Graph, Kind, NodeId, Part};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster, clusters};

pub use coalesce::coalesce;
pub use groups::{ContractGroups, contract_groups};
pub use homes::{Copied, Homes, homes};
pub use hosts::HostTable;
pub use layout::{Layout, is_view, layouts, settle};
pub use member::{
    Level, Member, at_own_point, fits_anchor, is_in_memory, kept, level_of, member_place, part_offset,
};
pub use product_row::{
    RowProducts, RowSides, closing_axis, opening_sides, product_row_cluster, product_row_parts,
};
pub(crate) use spec::written;

/// The kernels of a program, in order.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// One for each cluster.
    pub stages: Vec<Stage>,
    /// How many of them, the first ones, are [settled](Lowered::settle) before anything is given.
    pub settled: usize,
    /// The numbers the host computes.
    pub hosts: HostTable,
    /// Where each value's elements lie.
    pub layouts: BTreeMap<NodeId, Layout>,
    /// Where each value lies in memory.
    pub homes: Homes,
    /// Parts of packs that are written in place: part, the pack it is part of, and where it begins there, in elements.
    pub parts: BTreeMap<NodeId, (NodeId, usize)>,
}

/// A cluster and the schedules that compute it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// What computes it; a concat has one for each run of operands that are copied, and none where all are written in
    /// place.
    pub work: Vec<Work>,
    /// What it is, for people: `conv + map x2`.
    pub label: String,
}

/// A schedule and the values its slots stand for.
#[derive(Clone, Debug)]
pub struct Work {
    /// What is computed.
    pub spec: Spec,
    /// The launches.
    pub schedule: Schedule,
    /// The value of `Slot::Read(i)`; `None` for reads that bind no memory.
    pub reads: Vec<Option<NodeId>>,
    /// The value of `Slot::Write(i)`; a value that is written at several places has several.
    pub writes: Vec<NodeId>,
    /// The value in whose memory `Slot::Write(i)` lies: the written one, or a concat of which it is a part.
    pub into: Vec<NodeId>,
    /// Whether each read is at the very point that is written, so that a result may take its memory.
    pub pointwise: Vec<bool>,
}

/// Lowers a graph whose clusters are formed.
#[must_use]
pub fn lower(graph: &Graph, profile: &Profile) -> Lowered {
    let layouts = layouts(graph);
    let homes = homes(graph, &layouts);
    let clusters = clusters(graph, profile);
    let parts = parts_in_place(graph, &layouts, &homes);
    let given = spec::Given { graph, layouts: &layouts, homes: &homes };
    let mut hosts = HostTable::default();
    let mut stages = Vec::with_capacity(clusters.len());
    for cluster in clusters {
        let work = match cluster.anchor {
            Anchor::Move(id) => moves::moves(graph, id, &homes, &parts, &mut hosts, profile),
            _ => vec![spec::kernel(given, &cluster, &mut hosts, profile)],
        };
        let label = label(graph, &cluster);
        stages.push(Stage { cluster, work, label });
    }
    Lowered { stages, settled: 0, hosts, layouts, homes, parts }
}

/// The operands of packs that can be written in place by the kernels that compute them.
fn parts_in_place(
    graph: &Graph,
    layouts: &BTreeMap<NodeId, Layout>,
    homes: &Homes,
) -> BTreeMap<NodeId, (NodeId, usize)> {
    let mut parts: BTreeMap<NodeId, (NodeId, usize)> = BTreeMap::new();
    let mut refused: BTreeSet<NodeId> = BTreeSet::new();
    let mut allowance = graph.allowance.clone();
    for id in graph.order() {
        let Some(Lowering::Pack { offsets }) = graph.operator(id).map(|op| op.lower()) else { continue };
        for (operand, offset) in graph.operands(id).into_iter().zip(offsets) {
            let layout = &layouts[&operand];
            let base = layout.base;
            let computed = matches!(&graph.node(base).kind, Kind::Operator(op)
                if !matches!(op.lower(), Lowering::Iota { .. } | Lowering::Pack { .. } | Lowering::Concat { .. }));
            let whole = layout.is_contiguous()
                && layout.offset == 0
                && graph.ty(base).size() == graph.ty(operand).size();
            if !computed
                || !whole
                || homes.root(base) != base
                || graph.is_output(base)
                || parts.contains_key(&base)
                || !allowance.take_part(Part::Packs)
            {
                refused.insert(base);
            }
            parts.entry(base).or_insert((id, offset));
        }
    }
    parts.retain(|base, _| !refused.contains(base));
    parts
}

fn label(graph: &Graph, cluster: &Cluster) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for &id in &cluster.members {
        let label = graph.operator(id).expect("a member is computed").label();
        let name = label.split('{').next().unwrap_or_default().to_owned();
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let text: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| if count == 1 { name } else { format!("{name} x{count}") })
        .collect();
    text.join(" + ")
}

//! The specification of each cluster for its schedule.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::schedule::{MapSpec, Reduction, Spec};
use nnc_wgsl::{Place, Profile, Read, Write};

use super::Work;
use super::anchored::anchored;
use super::coalesce::{coalesce, word};
use super::formula::Formulas;
use super::homes::Homes;
use super::hosts::HostTable;
use super::layout::{Layout, signed};
use super::product_row;
use super::row::row;
use super::stores::{Stores, element_place};
use crate::ir::{Graph, NodeId, contiguous_strides};
use crate::ops::Lowering;
use crate::passes::{Anchor, Cluster};

/// The graph of a program, and where its values lie.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) graph: &'a Graph,
    /// The layouts of views over the values that they look at.
    pub(super) layouts: &'a BTreeMap<NodeId, Layout>,
    pub(super) homes: &'a Homes,
}

/// The kernel of a cluster that is not a move.
pub(super) fn kernel(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    match &cluster.anchor {
        Anchor::Map => map(given, cluster, hosts, profile),
        Anchor::Row(_) | Anchor::Column(_) => row(given, cluster, hosts, profile),
        Anchor::ProductRow(_) => product_row::work(given, cluster, hosts, profile),
        Anchor::Contract(id)
        | Anchor::Parts(id, _)
        | Anchor::Conv(id)
        | Anchor::Window(id)
        | Anchor::Lines(id) => anchored(given, cluster, *id, hosts, profile),
        Anchor::Move(_) => unreachable!("moves are lowered operand by operand"),
    }
}

/// The members that leave the cluster, in order.
pub(crate) fn written(graph: &Graph, cluster: &Cluster) -> Vec<NodeId> {
    let members: BTreeSet<NodeId> = cluster.members.iter().copied().collect();
    let leaves = |id: &NodeId| {
        let mut open: Vec<NodeId> = vec![*id];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if graph.is_output(at) {
                return true;
            }
            for (reader, _) in graph.readers(at) {
                let view = graph.operator(reader).is_some_and(|op| super::is_view(&op.lower()));
                if view && seen.insert(reader) {
                    open.push(reader);
                } else if !view && !members.contains(&reader) {
                    return true;
                }
            }
        }
        false
    };
    cluster.members.iter().copied().filter(leaves).collect()
}

/// The members that reduce, in order.
pub(super) fn reductions(graph: &Graph, cluster: &Cluster) -> Vec<(NodeId, Reduction)> {
    let reduction = |&id: &NodeId| match graph.operator(id)?.lower() {
        Lowering::Reduce { reduction, .. } => Some((id, reduction)),
        _ => None,
    };
    cluster.members.iter().filter_map(reduction).collect()
}

pub(super) fn own_place(shape: &[usize]) -> Place {
    Place { offset: 0, strides: contiguous_strides(shape).into_iter().map(signed).collect() }
}

/// Where a read lies, if it depends on the point.
pub(super) fn place_of(read: &Read) -> Option<&Place> {
    match read {
        Read::Buffer { place, .. }
        | Read::Padded { place, .. }
        | Read::Iota { place }
        | Read::Random { place, .. } => Some(place),
        Read::Host { .. } => None,
    }
}

fn with_place(read: &Read, place: Place) -> Read {
    match read.clone() {
        Read::Buffer { element, .. } => Read::Buffer { element, place },
        Read::Padded { element, inside, value, .. } => Read::Padded { element, place, inside, value },
        Read::Iota { .. } => Read::Iota { place },
        Read::Random { stream, .. } => Read::Random { stream, place },
        Read::Host { slot, element } => Read::Host { slot, element },
    }
}

/// The reads with each place changed by `f`.
pub(super) fn replaced(reads: &[Read], mut f: impl FnMut(&Place) -> Place) -> Vec<Read> {
    reads
        .iter()
        .map(|read| place_of(read).map_or_else(|| read.clone(), |place| with_place(read, f(place))))
        .collect()
}

/// Extents and accesses coalesced together; padded reads keep every axis.
pub(super) fn coalesced(
    space: &[usize],
    reads: &[Read],
    writes: &[Write],
) -> (Vec<u32>, Vec<Read>, Vec<Write>) {
    if reads.iter().any(|r| matches!(r, Read::Padded { .. })) {
        return (space.iter().map(|&e| word(e)).collect(), reads.to_vec(), writes.to_vec());
    }
    let places: Vec<Place> =
        reads.iter().filter_map(place_of).chain(writes.iter().map(|w| &w.place)).cloned().collect();
    let (extents, places) = coalesce(space, &places);
    let mut places = places.into_iter();
    let mut next = || places.next().expect("each access has a place");
    let reads = replaced(reads, |_| next());
    let writes = writes.iter().map(|w| Write { element: w.element, place: next() }).collect();
    (extents, reads, writes)
}

/// Which reads are at the point that is computed, whose place is `own`.
pub(super) fn pointwise(reads: &[Read], own: &Place) -> Vec<bool> {
    reads.iter().map(|read| matches!(read, Read::Buffer { place, .. } if place == own)).collect()
}

fn map(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    let formulas = Formulas::new(given, cluster, hosts, Vec::new(), Vec::new());
    let results = written(given.graph, cluster);
    let stores = Stores::new(given, &results, |id, layout| element_place(cluster, id, layout));
    let pointwise = pointwise(&formulas.reads, &own_place(&cluster.space));
    let expr = formulas.expr(&stores.pieces, 0);
    let (extents, reads, writes) = coalesced(&cluster.space, &formulas.reads, &stores.writes);
    let spec = Spec::Map(MapSpec { extents, reads, expr, writes });
    Work {
        schedule: spec.schedule(profile),
        spec,
        reads: formulas.bound,
        writes: stores.values,
        into: stores.into,
        pointwise,
    }
}

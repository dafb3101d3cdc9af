//! The kernels of clusters that reduce: rows with the maps around them, and columns.

use nnc_wgsl::schedule::{RowSpec, RowStep, Spec};
use nnc_wgsl::{Place, Profile, Read, Write};

use super::Work;
use super::coalesce::coalesce;
use super::formula::{Formulas, kept_first};
use super::hosts::HostTable;
use super::member::{Level, Member, kept, level_of, member_place};
use super::spec::{Given, own_place, place_of, reductions, replaced, written};
use super::stores::{Stores, element_place};
use crate::ir::NodeId;
use crate::passes::{Anchor, Cluster};

/// The kernel of a cluster with reductions.
pub(super) fn row(given: Given<'_>, cluster: &Cluster, hosts: &mut HostTable, profile: &Profile) -> Work {
    let graph = given.graph;
    let reductions = reductions(graph, cluster);
    let after: Vec<NodeId> = reductions.iter().map(|(id, _)| *id).collect();
    let formulas = Formulas::new(given, cluster, hosts, Vec::new(), after);
    let results = written(graph, cluster);
    let level = |id: &NodeId| level_of(graph, cluster, *id).expect("a member has a level").level;
    let (rows, elements): (Vec<NodeId>, Vec<NodeId>) = results.iter().partition(|id| level(id) == Level::Row);
    let steps: Vec<RowStep> = reductions
        .iter()
        .enumerate()
        .map(|(k, (id, reduction))| RowStep { reduction: *reduction, expr: formulas.combined(*id, k) })
        .collect();
    let kept_extents = kept(cluster);
    let reduced_extents: Vec<usize> = cluster.reduced().iter().map(|&a| cluster.space[a]).collect();
    let row_place = own_place(&kept_extents);
    let rows = Stores::new(given, &rows, |id, layout| match layout.base == id {
        true => row_place.clone(),
        false => {
            let member = Member { level: Level::Row, reads: Level::Row };
            member_place(cluster, member, &graph.ty(id).shape, layout)
        }
    });
    let elements = Stores::new(given, &elements, |id, layout| {
        let place = element_place(cluster, id, layout);
        Place { offset: place.offset, strides: kept_first(cluster, &place.strides) }
    });
    let (row_writes, element_writes) = (&rows.writes, &elements.writes);
    let element_expr = formulas.expr(&elements.pieces, steps.len());
    let own_row = |read: &Read| {
        matches!(read, Read::Buffer { place, .. } if place.offset == 0
            && place.strides[..row_place.strides.len()] == row_place.strides
            && place.strides[row_place.strides.len()..].iter().all(|&s| s == 0))
    };
    let pointwise: Vec<bool> = (0..formulas.reads.len())
        .map(|k| {
            own_row(&formulas.reads[k]) && !element_expr.uses(k) && steps.iter().all(|s| !s.expr.uses(k))
        })
        .collect();
    let split = |place: &Place, from: usize, to: usize| Place {
        offset: place.offset,
        strides: place.strides[from..to].to_vec(),
    };
    let (k, all) = (kept_extents.len(), kept_extents.len() + reduced_extents.len());
    let places: Vec<Place> = formulas.reads.iter().filter_map(place_of).cloned().collect();
    let kept_places: Vec<Place> = places
        .iter()
        .map(|p| split(p, 0, k))
        .chain(row_writes.iter().map(|w| w.place.clone()))
        .chain(element_writes.iter().map(|w| split(&w.place, 0, k)))
        .collect();
    let reduced_places: Vec<Place> = places
        .iter()
        .map(|p| split(p, k, all))
        .chain(element_writes.iter().map(|w| split(&w.place, k, all)))
        .collect();
    let (kept_words, kept_places) = coalesce(&kept_extents, &kept_places);
    let (reduced_words, reduced_places) = coalesce(&reduced_extents, &reduced_places);
    let joined = |outer: &Place, inner: &Place| Place {
        offset: outer.offset,
        strides: outer.strides.iter().chain(&inner.strides).copied().collect(),
    };
    let mut at = 0;
    let reads = replaced(&formulas.reads, |_| {
        at += 1;
        joined(&kept_places[at - 1], &reduced_places[at - 1])
    });
    let rows_at = places.len();
    let elements_at = rows_at + row_writes.len();
    let spec = RowSpec {
        kept: kept_words,
        reduced: reduced_words,
        reads,
        row_expr: formulas.expr(&rows.pieces, steps.len()),
        element_expr,
        steps,
        row_writes: (0..row_writes.len())
            .map(|i| Write { element: row_writes[i].element, place: kept_places[rows_at + i].clone() })
            .collect(),
        element_writes: (0..element_writes.len())
            .map(|i| Write {
                element: element_writes[i].element,
                place: joined(&kept_places[elements_at + i], &reduced_places[places.len() + i]),
            })
            .collect(),
    };
    let spec = match cluster.anchor {
        Anchor::Row(_) => Spec::Row(spec),
        _ => Spec::Column(spec),
    };
    Work {
        schedule: spec.schedule(profile),
        spec,
        reads: formulas.bound,
        writes: [rows.values, elements.values].concat(),
        into: [rows.into, elements.into].concat(),
        pointwise,
    }
}

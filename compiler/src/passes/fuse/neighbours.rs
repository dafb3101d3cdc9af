//! Clusters that become one though neither waits for the other: they share an operand, are small, or what a value reads
//! from lies beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::forming::{Formed, State};
use super::{Anchor, Cluster, cluster_of, part_of};
use crate::ir::{NodeId, Part};

/// Kernels over spaces up to this size are joined though they share no operand, in elements.
const SMALL: usize = 1 << 16;

/// How many clusters of its kind, the last before it, a cluster is held against: what was joined is the last of them, and
/// the steps of a walk, each of which needs the one before, are as many as there are steps.
const LOOK_BACK: usize = 16;

impl State<'_> {
    /// Joins clusters that share an operand, or are small, though neither reads the other.
    pub(super) fn join_neighbours(&mut self) {
        let mut alike: BTreeMap<(bool, Vec<usize>, Vec<usize>), Vec<usize>> = BTreeMap::new();
        for b in 0..self.clusters.len() {
            let Some(Formed { cluster, .. }) = &self.clusters[b] else { continue };
            if !matches!(cluster.anchor, Anchor::Map | Anchor::Row(_)) || self.is_again(b) {
                continue;
            }
            let is_map = cluster.anchor == Anchor::Map;
            let key = (is_map, cluster.reduced().to_vec(), cluster.space.clone());
            let earlier = alike.entry(key).or_default();
            for &a in &earlier[earlier.len().saturating_sub(LOOK_BACK)..] {
                let tied = |one, other| self.order.depends_around(one, other);
                if self.are_neighbours(a, b) && self.may_merge(a, b) && !tied(a, b) && !tied(b, a) {
                    self.merge(a, b, Some(Part::Neighbours));
                }
            }
            earlier.retain(|&a| self.clusters[a].is_some());
            earlier.push(b);
        }
    }

    /// Whether two clusters over one space are small or share an operand.
    fn are_neighbours(&self, a: usize, b: usize) -> bool {
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return false };
        if left.cluster.space.iter().product::<usize>() <= SMALL {
            return true;
        }
        let bases = |formed: &Formed| -> BTreeSet<NodeId> {
            let members = formed.cluster.members.iter();
            let operands = members.flat_map(|&id| self.rules.graph.operands(id));
            operands.map(|operand| self.rules.layout(operand).base).collect()
        };
        !bases(left).is_disjoint(&bases(right))
    }

    /// Whether two clusters are of kinds that one kernel computes, with as many bindings as it may have.
    pub(super) fn may_merge(&self, a: usize, b: usize) -> bool {
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return false };
        let kinds = match (&left.cluster.anchor, &right.cluster.anchor) {
            (
                Anchor::Map,
                Anchor::Map
                | Anchor::Row(_)
                | Anchor::Conv(_)
                | Anchor::Contract(_)
                | Anchor::Parts(..)
                | Anchor::Window(_)
                | Anchor::Lines(_),
            )
            | (Anchor::Row(_), Anchor::Map) => true,
            (Anchor::Row(x), Anchor::Row(y)) => x == y,
            _ => false,
        };
        let together = kinds && left.cluster.space == right.cluster.space;
        if !together && !is_of_rows(&left.cluster, &right.cluster) {
            return false;
        }
        let (Some(left), Some(right)) = (&left.summary, &right.summary) else { return true };
        let is_inside = |one: NodeId| [Some(a), Some(b)].contains(&self.home[one.index()]);
        let outside = |read: &&(NodeId, Vec<i64>, i64)| !is_inside(read.0);
        let reads = left.reads.union(&right.reads).filter(outside).map(|(base, ..)| *base);
        let written = left.written.iter().chain(&right.written);
        let written = written.filter(|(id, _)| self.rules.is_written(**id, &is_inside));
        let written = written.flat_map(|(_, roots)| roots.iter().copied());
        let anchors = left.anchor_operands.iter().chain(&right.anchor_operands).copied();
        self.rules.buffers.hold(reads.chain(written).chain(anchors))
    }

    /// Puts all of cluster `a` into cluster `b` if that is sound; `part` is what that is called, if not after their kind.
    pub(super) fn merge(&mut self, a: usize, b: usize, part: Option<Part>) -> bool {
        let (left, right) = (&self.formed(a).cluster, &self.formed(b).cluster);
        let mut members: Vec<NodeId> = left.members.iter().chain(&right.members).copied().collect();
        members.sort_by_key(|id| self.rank[id.index()]);
        let cluster = cluster_of(self.rules.graph, members, self.profile);
        let is_member = |one: NodeId| [Some(a), Some(b)].contains(&self.home[one.index()]);
        let summary = self.rules.summary(&cluster, is_member);
        let Some(summary) = summary.filter(|known| self.rules.may_bind(known)) else { return false };
        if !self.allowance.take_part(part.unwrap_or_else(|| part_of(&cluster.anchor, &cluster.space))) {
            return false;
        }
        for id in &cluster.members {
            self.home[id.index()] = Some(b);
        }
        self.order.merge(a, b);
        self.clusters[a] = None;
        self.clusters[b] = Some(Formed { cluster, summary: Some(summary) });
        true
    }
}

/// Whether maps have a point for each row of a cluster that reduces.
fn is_of_rows(maps: &Cluster, rows: &Cluster) -> bool {
    if matches!(rows.anchor, Anchor::ProductRow(_)) {
        return false;
    }
    let reduced = rows.reduced();
    let kept = rows.space.iter().enumerate().filter(|(axis, _)| !reduced.contains(axis));
    maps.anchor == Anchor::Map && !reduced.is_empty() && kept.map(|(_, extent)| extent).eq(&maps.space)
}

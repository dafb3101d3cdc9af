//! Fuse: sorts the computed values into kernels.
//!
//! A cluster is a set of values that one kernel computes. Around an anchor (a product, a convolution, a pooling)
//! lie the elementwise maps that follow it; maps over one space lie together; a reduction over trailing, row-sized
//! axes lies with the maps before, between and after it, any other reduction with the maps before it. A value
//! joins the last cluster it reads from when
//!
//! * it reads that cluster's values at the very point it computes,
//! * no other operand depends on the cluster (the clusters stay without cycles),
//! * the kernel binds no more buffers than the profile has.
//!
//! Nothing is rewritten: a cluster is a number on the node, and each value keeps its own meaning and origin.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::Profile;

use crate::ir::{Graph, Kind, NodeId};
use crate::lower::{
    Layout, Level, at_own_point, fits_anchor, is_in_memory, is_view, layouts, level_of, member_place,
};
use crate::ops::Lowering;

/// The longest row that one workgroup reduces, in elements.
const ROW: usize = 8192;
/// Kernels over spaces up to this size are joined though they share no operand, in elements.
const SMALL: usize = 1 << 16;

/// What a kernel is built around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing: elementwise work.
    Map,
    /// Reductions over these axes of the space, each row in one workgroup.
    Row(Vec<usize>),
    /// One reduction over these axes of the space.
    Column(Vec<usize>),
    /// A matrix product.
    Contract(NodeId),
    /// A convolution.
    Conv(NodeId),
    /// A pooling.
    Window(NodeId),
    /// A concat or pack: one copy for each operand.
    Move(NodeId),
}

/// The values that one kernel computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What it is built around.
    pub anchor: Anchor,
    /// The iteration space.
    pub space: Vec<usize>,
    /// The values, each after those it reads.
    pub members: Vec<NodeId>,
}

impl Cluster {
    /// The axes that are reduced.
    #[must_use]
    pub fn reduced(&self) -> &[usize] {
        match &self.anchor {
            Anchor::Row(axes) | Anchor::Column(axes) => axes,
            _ => &[],
        }
    }
}

pub(super) fn run(graph: &mut Graph, profile: &Profile) {
    let mut state = State::new(graph, profile);
    for id in graph.order() {
        state.place(id);
    }
    state.join_neighbours();
    let clusters = state.finish();
    for (number, cluster) in clusters.iter().enumerate() {
        for &member in &cluster.members {
            graph.node_mut(member).cluster = Some(u32::try_from(number).expect("fewer than 2^32 kernels"));
        }
    }
}

/// The clusters that [`run`](super::PIPELINE) formed, in an order in which each comes after those it reads from.
#[must_use]
pub fn clusters(graph: &Graph) -> Vec<Cluster> {
    let mut members: BTreeMap<u32, Vec<NodeId>> = BTreeMap::new();
    for id in graph.order() {
        if let Some(number) = graph.node(id).cluster {
            members.entry(number).or_default().push(id);
        }
    }
    members.into_values().map(|members| cluster_of(graph, members)).collect()
}

/// The cluster of these values: its anchor and space follow from them.
fn cluster_of(graph: &Graph, members: Vec<NodeId>) -> Cluster {
    for &id in &members {
        let lowering = graph.operator(id).expect("a member is computed").lower();
        let anchor = match lowering {
            Lowering::Conv { .. } => Anchor::Conv(id),
            Lowering::Contract { .. } => Anchor::Contract(id),
            Lowering::Window { .. } => Anchor::Window(id),
            Lowering::Concat { .. } | Lowering::Pack { .. } => Anchor::Move(id),
            Lowering::Reduce { axes, .. } => {
                let space = graph.ty(graph.operands(id)[0]).shape.clone();
                return Cluster { anchor: reduction_anchor(&space, axes), space, members };
            }
            _ => continue,
        };
        return Cluster { anchor, space: graph.ty(id).shape.clone(), members };
    }
    Cluster { anchor: Anchor::Map, space: graph.ty(members[0]).shape.clone(), members }
}

fn reduction_anchor(space: &[usize], axes: Vec<usize>) -> Anchor {
    let trailing = axes.iter().rev().zip((0..space.len()).rev()).all(|(&a, b)| a == b);
    let length: usize = axes.iter().map(|&a| space[a]).product();
    if trailing && length <= ROW { Anchor::Row(axes) } else { Anchor::Column(axes) }
}

struct State<'a> {
    graph: &'a Graph,
    profile: &'a Profile,
    layouts: BTreeMap<NodeId, Layout>,
    /// What holds each operand of a node.
    bases: BTreeMap<NodeId, Vec<NodeId>>,
    /// Where each node stands in the graph's order.
    rank: BTreeMap<NodeId, usize>,
    home: BTreeMap<NodeId, usize>,
    clusters: Vec<Option<Cluster>>,
}

impl<'a> State<'a> {
    fn new(graph: &'a Graph, profile: &'a Profile) -> State<'a> {
        let layouts = layouts(graph);
        let order = graph.order();
        let bases = order
            .iter()
            .map(|&id| (id, graph.operands(id).iter().map(|v| layouts[v].base).collect()))
            .collect();
        let rank = order.into_iter().enumerate().map(|(rank, id)| (id, rank)).collect();
        State { graph, profile, layouts, bases, rank, home: BTreeMap::new(), clusters: Vec::new() }
    }

    fn place(&mut self, id: NodeId) {
        let Kind::Operator(op) = &self.graph.node(id).kind else { return };
        let lowering = op.lower();
        if is_view(&lowering) || matches!(lowering, Lowering::Iota { .. }) {
            return;
        }
        if matches!(lowering, Lowering::Map(_) | Lowering::Reduce { .. }) {
            for candidate in self.candidates(id) {
                if self.join(candidate, id) {
                    self.absorb_sources(id);
                    return;
                }
            }
        }
        self.home.insert(id, self.clusters.len());
        self.clusters.push(Some(cluster_of(self.graph, vec![id])));
    }

    /// The clusters a value may join: those with an anchor first, the last first.
    fn candidates(&self, id: NodeId) -> Vec<usize> {
        let is_map = |k: &usize| matches!(&self.clusters[*k], Some(c) if c.anchor == Anchor::Map);
        let (maps, anchored): (Vec<usize>, Vec<usize>) = self.sources(id).into_iter().rev().partition(is_map);
        anchored.into_iter().chain(maps).collect()
    }

    /// The clusters a value reads from, in order.
    fn sources(&self, id: NodeId) -> BTreeSet<usize> {
        self.bases[&id].iter().filter_map(|base| self.home.get(base).copied()).collect()
    }

    /// Puts a value into a cluster if that is right.
    fn join(&mut self, into: usize, id: NodeId) -> bool {
        let Some(cluster) = &self.clusters[into] else { return false };
        let mut members = cluster.members.clone();
        members.push(id);
        let joined = cluster_of(self.graph, members);
        let depends = self.sources(id).into_iter().any(|source| source != into && self.depends(source, into));
        if depends || !self.may_grow(cluster, &joined) || !self.is_sound(&joined) {
            return false;
        }
        self.home.insert(id, into);
        self.clusters[into] = Some(joined);
        true
    }

    /// Whether a cluster may become another kind by taking one more value.
    fn may_grow(&self, from: &Cluster, to: &Cluster) -> bool {
        match (&from.anchor, &to.anchor) {
            (Anchor::Map, Anchor::Map) | (Anchor::Window(_), _) => from.space == to.space,
            (Anchor::Map, Anchor::Row(_)) => from.space == to.space,
            (Anchor::Row(a), Anchor::Row(b)) => a == b && from.space == to.space,
            (Anchor::Map, Anchor::Column(_)) => {
                let reduction = to.members[to.members.len() - 1];
                let read = self.layouts[&self.graph.operands(reduction)[0]].base;
                let outputs = self.outputs(&from.members, Some(reduction));
                from.space == to.space && from.members.contains(&read) && outputs.is_empty()
            }
            (Anchor::Column(a), Anchor::Column(b)) => a == b && from.space == to.space && self.steps(to) == 1,
            (Anchor::Contract(_) | Anchor::Conv(_), _) => from.anchor == to.anchor && self.steps(to) == 0,
            _ => false,
        }
    }

    fn steps(&self, cluster: &Cluster) -> usize {
        let is_reduction = |id: &&NodeId| {
            matches!(self.graph.operator(**id).map(|op| op.lower()), Some(Lowering::Reduce { .. }))
        };
        cluster.members.iter().filter(is_reduction).count()
    }

    /// Whether each value reads the others at its own point, the levels fit the anchor, and bindings suffice.
    fn is_sound(&self, cluster: &Cluster) -> bool {
        let members: BTreeSet<NodeId> = cluster.members.iter().copied().collect();
        let mut bound: BTreeSet<(NodeId, Vec<i64>, i64)> = BTreeSet::new();
        let mut anchor_operands = 0;
        for &id in &cluster.members {
            let Some(member) = level_of(self.graph, cluster, id) else { return false };
            if member.level == Level::Element && matches!(cluster.anchor, Anchor::Column(_)) {
                let leaves = self.outputs(&[id], None).into_iter().any(|reader| !members.contains(&reader));
                if leaves || self.graph.is_output(id) {
                    return false;
                }
            }
            let lowering = self.graph.operator(id).expect("a member is computed").lower();
            if matches!(lowering, Lowering::Pad { .. }) && cluster.anchor != Anchor::Map {
                return false;
            }
            let anchored = matches!(
                lowering,
                Lowering::Conv { .. } | Lowering::Contract { .. } | Lowering::Window { .. }
            );
            for operand in self.graph.operands(id) {
                let base = self.layouts[&operand].base;
                if anchored {
                    anchor_operands += 1;
                    if members.contains(&base) {
                        return false;
                    }
                    continue;
                }
                let place = member_place(cluster, member, &self.graph.ty(id).shape, &self.layouts[&operand]);
                if members.contains(&base) {
                    let Some(written) = level_of(self.graph, cluster, base) else { return false };
                    let padded = matches!(lowering, Lowering::Pad { .. });
                    if padded || !at_own_point(cluster, member, written.level, &place) {
                        return false;
                    }
                } else {
                    if !fits_anchor(self.graph, cluster, &place) {
                        return false;
                    }
                    if is_in_memory(self.graph, base) {
                        bound.insert((base, place.strides, place.offset));
                    }
                }
            }
        }
        let written = cluster
            .members
            .iter()
            .filter(|id| {
                self.graph.is_output(**id)
                    || self.graph.readers(**id).iter().any(|(reader, _)| !members.contains(reader))
            })
            .count();
        bound.len() + anchor_operands + written < self.profile.storage_buffers as usize
    }

    /// The readers outside `members` of their values, without `but`; outputs of the program count as readers of
    /// themselves.
    fn outputs(&self, members: &[NodeId], but: Option<NodeId>) -> BTreeSet<NodeId> {
        let mut readers = BTreeSet::new();
        for &id in members {
            if self.graph.is_output(id) {
                readers.insert(id);
            }
            let mut open: Vec<NodeId> =
                self.graph.readers(id).into_iter().map(|(reader, _)| reader).collect();
            while let Some(reader) = open.pop() {
                let view = self.graph.operator(reader).is_some_and(|op| is_view(&op.lower()));
                if view {
                    open.extend(self.graph.readers(reader).into_iter().map(|(reader, _)| reader));
                } else if !members.contains(&reader) && Some(reader) != but {
                    readers.insert(reader);
                }
            }
        }
        readers
    }

    /// Whether cluster `a` needs something of cluster `b`.
    fn depends(&self, a: usize, b: usize) -> bool {
        let mut seen = BTreeSet::from([a]);
        let mut open = vec![a];
        while let Some(at) = open.pop() {
            let Some(cluster) = &self.clusters[at] else { continue };
            for source in cluster.members.iter().flat_map(|&id| self.sources(id)) {
                if source == b {
                    return true;
                }
                if seen.insert(source) {
                    open.push(source);
                }
            }
        }
        false
    }

    /// Takes the clusters that a freshly placed value reads from into its own where that is right.
    fn absorb_sources(&mut self, id: NodeId) {
        let home = self.home[&id];
        for source in self.sources(id) {
            if source != home {
                self.merge(source, home);
            }
        }
    }

    /// Joins clusters that share an operand, or are small, though neither reads the other.
    fn join_neighbours(&mut self) {
        for b in 0..self.clusters.len() {
            for a in 0..b {
                if self.are_neighbours(a, b) {
                    self.merge(a, b);
                }
            }
        }
    }

    fn are_neighbours(&self, a: usize, b: usize) -> bool {
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return false };
        let same_kind = left.anchor == right.anchor && matches!(left.anchor, Anchor::Map | Anchor::Row(_));
        let bases = |cluster: &Cluster| -> BTreeSet<NodeId> {
            cluster.members.iter().flat_map(|id| self.bases[id].iter().copied()).collect()
        };
        let small = left.space.iter().product::<usize>() <= SMALL;
        same_kind && left.space == right.space && (small || !bases(left).is_disjoint(&bases(right)))
    }

    /// Puts all of cluster `a` into cluster `b` if that is right.
    fn merge(&mut self, a: usize, b: usize) {
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return };
        if left.space != right.space {
            return;
        }
        let kinds = match (&left.anchor, &right.anchor) {
            (
                Anchor::Map,
                Anchor::Map | Anchor::Row(_) | Anchor::Conv(_) | Anchor::Contract(_) | Anchor::Window(_),
            ) => true,
            (Anchor::Row(x), Anchor::Row(y)) => x == y,
            (Anchor::Row(_), Anchor::Map) => true,
            _ => false,
        };
        if !kinds || self.depends_around(a, b) || self.depends_around(b, a) {
            return;
        }
        let together: BTreeSet<NodeId> = left.members.iter().chain(&right.members).copied().collect();
        let mut members: Vec<NodeId> = together.into_iter().collect();
        members.sort_by_key(|id| self.rank[id]);
        let merged = cluster_of(self.graph, members);
        if !self.is_sound(&merged) {
            return;
        }
        for id in &merged.members {
            self.home.insert(*id, b);
        }
        self.clusters[a] = None;
        self.clusters[b] = Some(merged);
    }

    /// Whether `a` needs something of `b` by way of a third cluster.
    fn depends_around(&self, a: usize, b: usize) -> bool {
        let Some(cluster) = &self.clusters[a] else { return false };
        let sources: BTreeSet<usize> = cluster.members.iter().flat_map(|&id| self.sources(id)).collect();
        sources.into_iter().any(|source| source != a && source != b && self.depends(source, b))
    }

    /// The clusters in an order in which each comes after those it reads from; those that give stored tensors
    /// their next values come last, after all readers of the present ones.
    fn finish(self) -> Vec<Cluster> {
        let assigned: BTreeSet<usize> =
            self.graph.assignments.iter().filter_map(|a| self.home.get(&a.value).copied()).collect();
        let mut waiting: BTreeSet<(bool, usize)> = BTreeSet::new();
        for (number, cluster) in self.clusters.iter().enumerate() {
            if cluster.is_some() {
                waiting.insert((assigned.contains(&number), number));
            }
        }
        let mut done: BTreeSet<usize> = BTreeSet::new();
        let mut order = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let next = waiting
                .iter()
                .copied()
                .find(|(_, number)| {
                    let cluster = self.clusters[*number].as_ref().expect("a waiting cluster exists");
                    let mut sources = cluster.members.iter().flat_map(|&id| self.sources(id));
                    sources.all(|source| source == *number || done.contains(&source))
                })
                .expect("clusters have no cycles");
            waiting.remove(&next);
            done.insert(next.1);
            order.push(self.clusters[next.1].clone().expect("a waiting cluster exists"));
        }
        order
    }
}

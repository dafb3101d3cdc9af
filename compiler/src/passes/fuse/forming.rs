//! Clusters while they are formed: each value in the graph's order finds its place, then neighbours are joined.
//!
//! What is known of a cluster is kept with it, so that a value that joins costs what it reads, not what the
//! cluster holds.

use std::collections::BTreeSet;

use nnc_wgsl::Profile;

use super::order::Order;
use super::soundness::{Rules, Summary};
use super::{Anchor, Cluster, cluster_of, part_of, parts_pay, product_cluster};
use crate::ir::{Allowance, Graph, Kind, NodeId};
use crate::lower::is_view;
use crate::ops::Lowering;
use crate::passes::product_rows::units;

/// The members of each cluster, in an order in which each cluster comes after those it reads from; those that give
/// stored tensors their next values come last, after all readers of the present ones.
pub(super) fn form(graph: &Graph, profile: &Profile) -> Vec<Vec<NodeId>> {
    let mut state = State::new(graph, profile);
    for unit in units(graph).expect("the pass `product_rows` left no cycles") {
        match unit.as_slice() {
            [id] if graph.node(*id).product_row.is_none() => state.place(*id),
            _ => state.place_together(unit),
        }
    }
    state.sink();
    state.join_neighbours();
    state.finish()
}

/// A cluster with what is known of it; `None` where no kernel but that of its one member's own can compute it.
pub(super) struct Formed {
    pub(super) cluster: Cluster,
    pub(super) summary: Option<Summary>,
}

pub(super) struct State<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) profile: &'a Profile,
    /// Where each node stands in the graph's order, by node number.
    pub(super) rank: Vec<usize>,
    /// The cluster of each node, by node number.
    pub(super) home: Vec<Option<usize>>,
    pub(super) clusters: Vec<Option<Formed>>,
    pub(super) order: Order,
    pub(super) allowance: Allowance,
}

impl<'a> State<'a> {
    fn new(graph: &'a Graph, profile: &'a Profile) -> State<'a> {
        let order = graph.order();
        let numbers = order.iter().map(|id| id.index() + 1).max().unwrap_or(0);
        let mut rank = vec![0; numbers];
        for (place, id) in order.into_iter().enumerate() {
            rank[id.index()] = place;
        }
        State {
            rules: Rules::new(graph, profile),
            profile,
            rank,
            home: vec![None; numbers],
            clusters: Vec::new(),
            order: Order::default(),
            allowance: graph.allowance.clone(),
        }
    }

    fn place(&mut self, id: NodeId) {
        let Kind::Operator(op) = &self.rules.graph.node(id).kind else { return };
        let lowering = op.lower();
        if is_view(&lowering) || matches!(lowering, Lowering::Iota { .. }) {
            return;
        }
        let sources = self.sources(id);
        if matches!(lowering, Lowering::Map(_) | Lowering::Reduce { .. }) {
            let again = self.rules.graph.node(id).again;
            for candidate in self.candidates(&sources) {
                if (!again || self.is_again(candidate)) && self.join(candidate, id, &sources) {
                    self.absorb_sources(id);
                    return;
                }
            }
        }
        let number = self.order.add();
        for source in sources {
            self.order.link(number, source);
        }
        self.home[id.index()] = Some(number);
        let cluster = cluster_of(self.rules.graph, vec![id], self.profile);
        let moves = matches!(cluster.anchor, Anchor::Move(_));
        let summary = (!moves).then(|| self.rules.summary(&cluster, |one| one == id)).flatten();
        let summary = summary.filter(|summary| self.rules.may_bind(summary));
        self.clusters.push(Some(Formed { cluster, summary }));
    }

    /// Makes a cluster of values that are one kernel already.
    fn place_together(&mut self, members: Vec<NodeId>) {
        let number = self.order.add();
        let sources: BTreeSet<usize> = members.iter().flat_map(|&id| self.sources(id)).collect();
        for source in sources {
            self.order.link(number, source);
        }
        for id in &members {
            self.home[id.index()] = Some(number);
        }
        let cluster = cluster_of(self.rules.graph, members, self.profile);
        self.clusters.push(Some(Formed { cluster, summary: None }));
    }

    pub(super) fn formed(&self, number: usize) -> &Formed {
        self.clusters[number].as_ref().expect("a cluster that is the home of a value exists")
    }

    /// Lets a cluster be another one, of which this is known.
    pub(super) fn put(&mut self, number: usize, cluster: Cluster, summary: Summary) {
        self.clusters[number] = Some(Formed { cluster, summary: Some(summary) });
    }

    /// Whether all that a cluster computes is computed a second time, so that it can wait until it is needed.
    pub(super) fn is_again(&self, number: usize) -> bool {
        self.formed(number).cluster.members.iter().all(|id| self.rules.graph.node(*id).again)
    }

    /// The clusters a value may join: those with an anchor first, the last first.
    fn candidates(&self, sources: &BTreeSet<usize>) -> Vec<usize> {
        let is_map = |k: &usize| self.formed(*k).cluster.anchor == Anchor::Map;
        let (maps, anchored): (Vec<usize>, Vec<usize>) = sources.iter().copied().rev().partition(is_map);
        anchored.into_iter().chain(maps).collect()
    }

    /// The clusters a value reads from, in order.
    pub(super) fn sources(&self, id: NodeId) -> BTreeSet<usize> {
        let operands = self.rules.graph.operands(id).into_iter();
        operands.filter_map(|operand| self.home[self.rules.layout(operand).base.index()]).collect()
    }

    /// Puts a value into a cluster if that is right.
    fn join(&mut self, into: usize, id: NodeId, sources: &BTreeSet<usize>) -> bool {
        let Some(summary) = self.joined(into, id) else { return false };
        if sources.iter().any(|&source| source != into && self.order.depends(source, into)) {
            return false;
        }
        let Cluster { anchor, space, .. } = self.kind_with(&self.formed(into).cluster, id);
        if !self.allowance.take_part(part_of(&anchor, &space)) {
            return false;
        }
        for &source in sources {
            self.order.link(into, source);
        }
        self.home[id.index()] = Some(into);
        let mut formed = self.clusters[into].take().expect("a candidate exists");
        formed.cluster.members.push(id);
        let cluster = Cluster { anchor, space, members: formed.cluster.members };
        self.clusters[into] = Some(Formed { cluster, summary: Some(summary) });
        true
    }

    /// What would be known of a cluster with one more value; `None` where the value may not join it.
    fn joined(&self, into: usize, id: NodeId) -> Option<Summary> {
        let Formed { cluster, summary } = self.formed(into);
        let kind = self.kind_with(cluster, id);
        if !self.may_grow(into, &kind, id) {
            return None;
        }
        let is_member = |one: NodeId| one == id || self.home[one.index()] == Some(into);
        let joined = match summary {
            Some(summary) if kind.anchor == cluster.anchor && kind.space == cluster.space => {
                let mut summary = summary.clone();
                self.rules.add(&mut summary, &kind, id, &is_member)?;
                summary
            }
            _ => {
                let members = cluster.members.iter().copied().chain([id]).collect();
                self.rules.summary(&Cluster { members, ..kind }, is_member)?
            }
        };
        self.rules.may_bind(&joined).then_some(joined)
    }

    /// The anchor and the space of a cluster that takes one more value, with no members.
    fn kind_with(&self, cluster: &Cluster, id: NodeId) -> Cluster {
        let Cluster { anchor, space, .. } = cluster;
        if *anchor == Anchor::Map {
            let alone = cluster_of(self.rules.graph, vec![id], self.profile);
            if alone.anchor != Anchor::Map {
                return Cluster { members: Vec::new(), ..alone };
            }
        }
        if let Anchor::Contract(product) = anchor
            && self.rules.graph.ty(id).shape != *space
            && self.is_read_in_parts(cluster, id)
            && parts_pay(self.rules.graph, *product, self.profile)
        {
            let with = product_cluster(self.rules.graph, *product, vec![*product, id]);
            return Cluster { members: Vec::new(), ..with };
        }
        Cluster { anchor: anchor.clone(), space: space.clone(), members: Vec::new() }
    }

    /// Whether what a value reads of a cluster is read by maps alone, so that nothing needs it in one piece.
    fn is_read_in_parts(&self, cluster: &Cluster, id: NodeId) -> bool {
        let graph = self.rules.graph;
        let operands = graph.operands(id).into_iter().map(|operand| self.rules.layout(operand).base);
        let mut open: Vec<NodeId> = operands.filter(|base| cluster.members.contains(base)).collect();
        while let Some(value) = open.pop() {
            if self.rules.results.contains(&value) {
                return false;
            }
            for (reader, _) in graph.readers(value) {
                match graph.operator(reader).map(|op| op.lower()) {
                    Some(Lowering::Map(_)) => {}
                    Some(lowering) if is_view(&lowering) => open.push(reader),
                    _ => return false,
                }
            }
        }
        true
    }

    /// Whether a cluster may become another kind by taking one more value.
    fn may_grow(&self, from: usize, to: &Cluster, id: NodeId) -> bool {
        let Formed { cluster, summary } = self.formed(from);
        let reduces =
            matches!(self.rules.graph.operator(id).map(|op| op.lower()), Some(Lowering::Reduce { .. }));
        let reductions = summary.as_ref().map_or_else(|| self.reductions(cluster), |known| known.reductions);
        let reductions = reductions + usize::from(reduces);
        let same_space = cluster.space == to.space;
        match (&cluster.anchor, &to.anchor) {
            (Anchor::Map, Anchor::Map | Anchor::Row(_)) | (Anchor::Window(_) | Anchor::Lines(_), _) => {
                same_space
            }
            (Anchor::Row(a), Anchor::Row(b)) => a == b && same_space,
            (Anchor::Map, Anchor::Column(_)) => {
                let operand = self.rules.graph.operands(id)[0];
                let read = self.rules.layout(operand).base;
                let is_inside = |one: NodeId| one == id || self.home[one.index()] == Some(from);
                same_space
                    && self.home[read.index()] == Some(from)
                    && !cluster.members.iter().any(|&member| self.rules.leaves(member, &is_inside))
            }
            (Anchor::Column(a), Anchor::Column(b)) => a == b && same_space && reductions == 1,
            (Anchor::Contract(one), Anchor::Parts(other, _)) => one == other && reductions == 0,
            (Anchor::Contract(_) | Anchor::Parts(..) | Anchor::Conv(_), _) => {
                cluster.anchor == to.anchor && reductions == 0
            }
            _ => false,
        }
    }

    fn reductions(&self, cluster: &Cluster) -> usize {
        let is_reduction = |id: &&NodeId| {
            matches!(self.rules.graph.operator(**id).map(|op| op.lower()), Some(Lowering::Reduce { .. }))
        };
        cluster.members.iter().filter(is_reduction).count()
    }

    /// Takes the clusters that a freshly placed value reads from into its own where that is right.
    fn absorb_sources(&mut self, id: NodeId) {
        let home = self.home[id.index()].expect("the value has been placed");
        for source in self.sources(id) {
            let waits = self.is_again(home) && !self.is_again(source);
            if source != home && !waits && self.may_merge(source, home) {
                let tied = self.order.depends_around(source, home) || self.order.depends_around(home, source);
                if !tied {
                    self.merge(source, home, None);
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Vec<NodeId>> {
        let assigned = self.rules.graph.assignments.iter();
        let assigned: BTreeSet<usize> = assigned.filter_map(|a| self.home[a.value.index()]).collect();
        let mut missing = vec![0; self.clusters.len()];
        let mut ready: BTreeSet<(bool, usize)> = BTreeSet::new();
        let waits: Vec<bool> =
            (0..self.clusters.len()).map(|k| self.clusters[k].is_some() && self.is_again(k)).collect();
        for (number, cluster) in self.clusters.iter().enumerate() {
            missing[number] = self.order.sources(number).len();
            if cluster.is_some() && missing[number] == 0 {
                ready.insert((assigned.contains(&number), number));
            }
        }
        let mut order = Vec::with_capacity(self.clusters.len());
        while let Some((_, number)) = ready.pop_first() {
            if !waits[number] {
                self.emit(number, &mut order);
            }
            for &reader in self.order.readers(number) {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.insert((assigned.contains(&reader), reader));
                }
            }
        }
        assert!(self.clusters.iter().all(Option::is_none), "clusters have no cycles, and each has a reader");
        order
    }

    /// Appends the members of a cluster, after those of the clusters it reads from that have waited until now.
    fn emit(&mut self, number: usize, order: &mut Vec<Vec<NodeId>>) {
        let mut open = vec![number];
        while let Some(&last) = open.last() {
            let members = self.formed(last).cluster.members.iter();
            let mut sources = members.flat_map(|id| self.sources(*id)).filter(|source| *source != last);
            let waiting = sources.find(|source| self.clusters[*source].is_some());
            if let Some(source) = waiting {
                open.push(source);
            } else {
                open.pop();
                order.extend(self.clusters[last].take().map(|formed| formed.cluster.members));
            }
        }
    }
}

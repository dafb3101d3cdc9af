//! Why kernels that read from one another are apart, asked after the clusters are formed.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;

use super::order::Order;
use super::soundness::Rules;
use super::{Anchor, Cluster, cluster_of, clusters};
use crate::ir::{Graph, NodeId};
use crate::ops::Lowering;

/// Why two values, one of which reads the other, are computed by two kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Separate {
    /// The reader is a product, a convolution, a pooling or a lookup, which walks its operands in memory.
    ReadsFromMemory,
    /// One of them is a concat or a pack.
    Moves,
    /// The reader reduces, and the producer's kernel is a product, a convolution, a pooling or a lookup.
    AnchorTakesMapsOnly,
    /// One of them is a row between products, which takes nothing more.
    BetweenProducts,
    /// They are computed over different spaces.
    OtherSpace(Vec<usize>, Vec<usize>),
    /// This kernel comes between them.
    Around(usize),
    /// The reader needs other elements than the one that it computes.
    OtherElements,
    /// Together they bind more buffers than the profile has.
    Buffers(u32),
    /// They could be one, but each had its place when they met.
    Settled,
}

/// For each pair of a producer and its reader that lie in different kernels of `graph`: why.
///
/// # Panics
/// If one of them lies in no kernel.
#[must_use]
pub fn why_separate(graph: &Graph, profile: &Profile, pairs: &[(NodeId, NodeId)]) -> Vec<Separate> {
    let kernels = Kernels::new(graph, profile);
    pairs.iter().map(|(producer, reader)| kernels.separate(profile, *producer, *reader)).collect()
}

/// The clusters of a graph and what ties them.
struct Kernels<'a> {
    rules: Rules<'a>,
    clusters: Vec<Cluster>,
    home: BTreeMap<NodeId, usize>,
    rank: BTreeMap<NodeId, usize>,
    order: Order,
}

impl<'a> Kernels<'a> {
    fn new(graph: &'a Graph, profile: &Profile) -> Kernels<'a> {
        let rank: BTreeMap<NodeId, usize> =
            graph.order().into_iter().enumerate().map(|(rank, id)| (id, rank)).collect();
        let rules = Rules::new(graph, profile);
        let clusters = clusters(graph, profile);
        let (mut home, mut order) = (BTreeMap::new(), Order::default());
        for cluster in &clusters {
            let number = order.add();
            home.extend(cluster.members.iter().map(|member| (*member, number)));
            let operands = cluster.members.iter().flat_map(|member| graph.operands(*member));
            for source in operands.filter_map(|operand| home.get(&rules.layout(operand).base).copied()) {
                if source != number {
                    order.link(number, source);
                }
            }
        }
        Kernels { rules, clusters, home, rank, order }
    }

    fn separate(&self, profile: &Profile, producer: NodeId, reader: NodeId) -> Separate {
        let graph = self.rules.graph;
        let (from, to) = (self.home[&producer], self.home[&reader]);
        let (left, right) = (&self.clusters[from], &self.clusters[to]);
        if [left, right].iter().any(|one| matches!(one.anchor, Anchor::ProductRow(_))) {
            return Separate::BetweenProducts;
        }
        match (graph.operator(reader).expect("a member is computed").lower(), &left.anchor) {
            (
                Lowering::Conv { .. }
                | Lowering::Contract { .. }
                | Lowering::Window { .. }
                | Lowering::Lines { .. },
                _,
            ) => {
                return Separate::ReadsFromMemory;
            }
            (Lowering::Concat { .. } | Lowering::Pack { .. }, _) | (_, Anchor::Move(_)) => {
                return Separate::Moves;
            }
            (
                Lowering::Reduce { .. },
                Anchor::Conv(_)
                | Anchor::Contract(_)
                | Anchor::Parts(..)
                | Anchor::Window(_)
                | Anchor::Lines(_),
            ) => {
                return Separate::AnchorTakesMapsOnly;
            }
            _ => {}
        }
        if left.space != right.space {
            return Separate::OtherSpace(left.space.clone(), right.space.clone());
        }
        let sources = self.order.sources(to).iter().copied();
        if let Some(between) = sources.filter(|&one| one != from).find(|&one| self.order.depends(one, from)) {
            return Separate::Around(between);
        }
        let mut members: Vec<NodeId> = left.members.iter().chain(&right.members).copied().collect();
        members.sort_by_key(|id| self.rank[id]);
        let together = cluster_of(graph, members, profile);
        let is_member = |one: NodeId| self.home.get(&one).is_some_and(|home| [from, to].contains(home));
        match self.rules.summary(&together, is_member) {
            None => Separate::OtherElements,
            Some(summary) if !self.rules.may_bind(&summary) => Separate::Buffers(profile.storage_buffers),
            Some(_) => Separate::Settled,
        }
    }
}

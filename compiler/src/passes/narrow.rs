//! Narrow: which values between kernels are stored in half precision.
//!
//! Kernels compute and sum in `f32` whatever they read; storing a value in `f16` halves the memory it takes and the bytes
//! that move. Only what passes from kernel to kernel on the way of the examples is narrowed, activations and their
//! gradients. These stay `f32`:
//!
//! * what is stored or leaves the program: weights, states, inputs, results;
//! * what depends on no example: weights as kernels want them, what an update makes of them;
//! * gradients of weights, with everything that is added up to one: there are as many terms as examples;
//! * statistics, which are reductions and what is computed from these alone: means, variances, sums, losses;
//! * values that a statistic has centred or scaled and that are nothing but reduced again over the same axes, such as the
//!   terms of a variance or of a loss: they span the most orders of magnitude;
//! * numbers that are put in order, and what `@precision(f32)` says.
//!
//! A concat and its parts lie in one memory and are narrowed together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use nnc_wgsl::schedule::LineKind;
use nnc_wgsl::{Element, Profile};

use super::Pass;
use super::fuse::{Cluster, clusters};
use super::product_rows::base;
use crate::ir::{Graph, Kind, NodeId, Source};
use crate::lower::{homes, is_view, layouts, written};
use crate::ops::Lowering;

/// The reductions that a value knows of: the extents that were reduced, and the axes.
type Reductions = BTreeSet<(Vec<usize>, Vec<usize>)>;

pub(super) const PASS: Pass = Pass {
    name: "narrow",
    about: "values between kernels are stored in f16, where the precision asks for it",
    needed: None,
    parts: &[],
    run,
};

fn run(graph: &mut Graph, profile: &Profile) {
    if !graph.narrow || !profile.f16 {
        return;
    }
    for id in graph.nodes() {
        graph.node_mut(id).narrow = false;
    }
    let clusters = clusters(graph, profile);
    let known = Known::of(graph, &clusters);
    let mut narrow: BTreeSet<NodeId> = BTreeSet::new();
    for (number, cluster) in clusters.iter().enumerate() {
        let fits = |id: &NodeId| {
            known.may_be_narrow(graph, *id) && !known.is_but_reduced(graph, *id, number, &clusters)
        };
        narrow.extend(written(graph, cluster).into_iter().filter(fits));
    }
    let homes = homes(graph, &layouts(graph));
    let mut together: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (part, whole) in homes.parts() {
        together.entry(part).or_default().push(whole);
        together.entry(whole).or_default().push(part);
    }
    let beside = |id: NodeId| together.get(&id).into_iter().flatten().copied();
    let mut open: Vec<NodeId> = together.keys().copied().filter(|id| !narrow.contains(id)).collect();
    while let Some(id) = open.pop() {
        open.extend(beside(id).filter(|other| narrow.remove(other)));
    }
    while let Some(&id) = narrow.first() {
        if !graph.allowance.take() {
            return;
        }
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if narrow.remove(&id) {
                graph.node_mut(id).narrow = true;
                open.extend(beside(id));
            }
        }
    }
}

/// What is known of the values of a graph.
struct Known {
    /// Those that depend on an example, by way of no packed gradient.
    of_examples: BTreeSet<NodeId>,
    /// Statistics, each with the reductions that it comes from.
    statistics: BTreeMap<NodeId, Reductions>,
    /// Values that are added up to a gradient of weights, or put in order.
    wide: BTreeSet<NodeId>,
    /// By value, the reductions whose results its kernel centres or scales it with.
    scaled: BTreeMap<NodeId, Reductions>,
    /// By value, the kernels that read it.
    readers: BTreeMap<NodeId, BTreeSet<usize>>,
}

impl Known {
    fn of(graph: &Graph, clusters: &[Cluster]) -> Known {
        let mut known = Known {
            of_examples: BTreeSet::new(),
            statistics: BTreeMap::new(),
            wide: wide(graph),
            scaled: BTreeMap::new(),
            readers: BTreeMap::new(),
        };
        let mut kernel: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (number, cluster) in clusters.iter().enumerate() {
            for &id in &cluster.members {
                kernel.insert(id, number);
                for operand in graph.operands(id) {
                    known.readers.entry(base(graph, operand)).or_default().insert(number);
                }
            }
        }
        for id in graph.order() {
            known.learn(graph, id, &kernel);
        }
        known
    }

    /// What follows for a value from its operands.
    fn learn(&mut self, graph: &Graph, id: NodeId, kernel: &BTreeMap<NodeId, usize>) {
        let operands = graph.operands(id);
        let lowering = match &graph.node(id).kind {
            Kind::Source(Source::Input { .. } | Source::Random { .. }) => {
                self.of_examples.insert(id);
                return;
            }
            Kind::Source(_) => return,
            Kind::Operator(op) => op.lower(),
        };
        let given: Vec<NodeId> =
            operands.iter().copied().filter(|operand| self.of_examples.contains(operand)).collect();
        if given.is_empty() || matches!(lowering, Lowering::Pack { .. }) {
            return;
        }
        self.of_examples.insert(id);
        match lowering {
            Lowering::Reduce { axes, .. } => {
                let reduced = (graph.ty(operands[0]).shape.clone(), axes);
                self.statistics.insert(id, [reduced].into());
            }
            Lowering::Map(_) => {
                let largest = given.iter().map(|operand| graph.ty(base(graph, *operand)).size()).max();
                let grows = largest.is_some_and(|largest| graph.ty(id).size() > largest);
                let all = given.iter().all(|operand| self.statistics.contains_key(operand));
                let reductions = self.scales(graph, id, &given, kernel);
                if all && !grows {
                    self.statistics.insert(id, reductions);
                } else {
                    self.scaled.insert(id, reductions);
                }
            }
            view if is_view(&view) => {
                if let Some(reductions) = self.statistics.get(&operands[0]).cloned() {
                    self.statistics.insert(id, reductions);
                }
            }
            _ => {}
        }
    }

    /// The reductions of the statistics among the operands, and those of values that the same kernel computes.
    fn scales(
        &self,
        graph: &Graph,
        id: NodeId,
        operands: &[NodeId],
        kernel: &BTreeMap<NodeId, usize>,
    ) -> Reductions {
        let mut reductions = Reductions::new();
        for operand in operands {
            let from = base(graph, *operand);
            let here = kernel.get(&from) == kernel.get(&id);
            let inherited = self.scaled.get(&from).filter(|_| here);
            reductions.extend(self.statistics.get(operand).or(inherited).into_iter().flatten().cloned());
        }
        reductions
    }

    fn may_be_narrow(&self, graph: &Graph, id: NodeId) -> bool {
        let ty = graph.ty(id);
        ty.element == Element::F32
            && ty.rank() > 0
            && self.of_examples.contains(&id)
            && !self.statistics.contains_key(&id)
            && !self.wide.contains(&id)
            && !graph.is_output(id)
            && !graph.node(id).origin.wide
    }

    /// Whether other kernels do nothing with the value but reduce it over axes that a statistic in it was reduced over.
    fn is_but_reduced(&self, graph: &Graph, id: NodeId, kernel: usize, clusters: &[Cluster]) -> bool {
        let Some(reductions) = self.scaled.get(&id).filter(|reductions| !reductions.is_empty()) else {
            return false;
        };
        let reduces = |reader: &usize| {
            let cluster = &clusters[*reader];
            let elements = |id: &NodeId| graph.ty(*id).shape == cluster.space;
            !cluster.reduced().is_empty()
                && !written(graph, cluster).iter().any(elements)
                && reductions.contains(&(cluster.space.clone(), cluster.reduced().to_vec()))
        };
        let mut readers = self.readers.get(&id).into_iter().flatten().filter(|reader| **reader != kernel);
        readers.all(reduces)
    }
}

/// Values that elementwise work takes to a gradient of weights, or whose bits are put in order.
fn wide(graph: &Graph) -> BTreeSet<NodeId> {
    let mut wide: BTreeSet<NodeId> = BTreeSet::new();
    for id in graph.order().into_iter().rev() {
        let Some(lowering) = graph.operator(id).map(|op| op.lower()) else { continue };
        let passes = match &lowering {
            Lowering::Pack { .. } | Lowering::Lines { kind: LineKind::Order { .. }, .. } => true,
            Lowering::Map(_) | Lowering::Concat { .. } | Lowering::Pad { .. } => wide.contains(&id),
            view => is_view(view) && wide.contains(&id),
        };
        if passes {
            wide.extend(graph.operands(id));
        }
    }
    wide
}

//! The training step: gradients of all weights in one flat tensor, the optimizer's formula over it, and a guard.
//!
//! Weights, their gradients and each optimizer moment are flat tensors of one length, so the formula is
//! elaborated once and becomes one kernel. The [guard](mod@guard) keeps what is not finite out of them; in mixed precision
//! the gradients are those of a [scaled](mod@scale) loss.
//!
//! Where `train` wants a moving average of the weights, it is one more flat tensor, which the kernel of the optimizer
//! moves as well. Evaluation and use read it in place of the weights.
//!
//! Several updates in one step (a discriminator, then a generator) each have a region, a gradient and an optimizer of
//! their own; a later one's loss is computed with the weights that the earlier ones left.

mod again;
mod clip;
mod gather;
mod guard;
mod scale;
mod side_by_side;
mod step;

use std::collections::BTreeMap;

use nnc_runtime::artifact::{StoredKind, average_of};
use nnc_wgsl::Binary;

use crate::diagnostic::Checked;
use crate::elaborate::Group;
use crate::ir::{
    Assignment, FlatRegion, Graph, Kind, NodeId, Source, StoredId, StoredTensor, TensorType, flat_layout,
};
use crate::ops::Pack;
use again::{again, parts_of};
use clip::clip;
use gather::{Gathered, gather};
pub use guard::guard;
use scale::LossScale;
use side_by_side::side_by_side;
pub use step::training_step;

/// The name of the region of trained weights.
pub const WEIGHTS: &str = "weights";

/// The region of the weights that one update moves: [`WEIGHTS`], or its part for a named group.
#[must_use]
pub fn region_of(group: &str) -> String {
    named(WEIGHTS, group)
}

fn named(what: &str, group: &str) -> String {
    if group.is_empty() { what.to_owned() } else { format!("{what}.{group}") }
}

/// Packs the gradients of those weights that have one, and declares their region. `None` where none has.
#[must_use]
pub fn pack_gradients(
    graph: &mut Graph,
    group: &str,
    weights: &[NodeId],
    gradients: &[Option<NodeId>],
) -> Option<NodeId> {
    let trained: Vec<(NodeId, NodeId)> =
        weights.iter().zip(gradients).filter_map(|(w, g)| g.map(|g| (*w, g))).collect();
    let trained = side_by_side(graph, trained);
    let sizes: Vec<usize> = trained.iter().map(|(w, _)| graph.ty(*w).size()).collect();
    let (offsets, elements) = flat_layout(&sizes);
    let members =
        trained.iter().zip(&offsets).map(|((w, _), offset)| (stored_of(graph, *w), *offset)).collect();
    if trained.is_empty() {
        return None;
    }
    graph.regions.push(FlatRegion { name: region_of(group), elements, members, fill: 0.0 });
    let parts: Vec<NodeId> = trained.iter().map(|(_, g)| *g).collect();
    Some(graph.must(Pack::new(&offsets, elements), &parts))
}

fn stored_of(graph: &Graph, weight: NodeId) -> StoredId {
    match &graph.node(weight).kind {
        Kind::Source(Source::Stored(id)) => *id,
        _ => panic!("a trained weight is a stored tensor"),
    }
}

/// One update of a training step, with its gradients on their way to the optimizer.
struct Moving<'a> {
    /// The weights that it moves, and how.
    group: &'a Group,
    gathered: Option<Gathered>,
    gradients: NodeId,
    /// What the gradients are of is so many times the loss.
    scale: Option<LossScale>,
}

impl<'a> Moving<'a> {
    /// Of packed gradients, `batches` of which are gathered for an update.
    fn new(
        graph: &mut Graph,
        group: &'a Group,
        packed: NodeId,
        batches: usize,
        scale: Option<LossScale>,
    ) -> Moving<'a> {
        if batches == 1 {
            return Moving { group, gathered: None, gradients: packed, scale };
        }
        let gradients = scale.map_or(packed, |scale| scale.unscaled(graph, packed));
        let gathered = gather(graph, gradients, batches, &named("gathered", &group.name));
        Moving { group, gradients: gathered.gradients, gathered: Some(gathered), scale: None }
    }
}

/// Bounds the norms of the gradients of updates that move at once: by itself that of a group with a `clip` of its own, by
/// `shared` that of all the others together.
fn bound(graph: &mut Graph, moving: &mut [Moving<'_>], shared: Option<f64>) {
    let (own, others): (Vec<_>, Vec<_>) = moving.iter_mut().partition(|one| one.group.clip.is_some());
    let mut together = |moving: Vec<&mut Moving<'_>>, norm: Option<f64>| {
        let Some(norm) = norm else { return };
        let gradients: Vec<NodeId> = moving.iter().map(|one| one.gradients).collect();
        let scale = moving.iter().find_map(|one| one.scale).map(|scale| scale.scale);
        for (one, clipped) in moving.into_iter().zip(clip(graph, &gradients, norm, scale)) {
            one.gradients = clipped;
            one.scale = None;
        }
    };
    for one in own {
        let norm = one.group.clip;
        together(vec![one], norm);
    }
    together(others, shared);
}

/// Applies the optimizer to the gradients. The group's flat weights as they are afterwards; absent after an error in the
/// optimizer's formula.
fn add_update(graph: &mut Graph, moving: &Moving<'_>) -> Checked<Option<NodeId>> {
    let Moving { group, gathered, gradients, scale } = moving;
    let gradients = &scale.map_or(*gradients, |scale| scale.unscaled(graph, *gradients));
    let ty = graph.ty(*gradients).clone();
    let weights = graph.source(Source::Region(region_of(&group.name)), ty.clone());
    let Checked { value, diagnostics } = group.optimizer.apply(graph, weights, *gradients);
    let Some(update) = value else { return Checked { value: None, diagnostics } };
    let settle = |graph: &mut Graph, before: NodeId, after: NodeId| {
        gathered.as_ref().map_or(after, |gathered| gathered.at_last(graph, before, after))
    };
    let next = settle(graph, weights, update.w);
    graph.assignments.push(Assignment { target: weights, value: next });
    for state in update.states {
        let Kind::Source(Source::Region(name)) = &graph.node(state.before).kind else {
            panic!("an optimizer's state is a region")
        };
        let region =
            FlatRegion { name: name.clone(), elements: ty.size(), members: Vec::new(), fill: state.init };
        graph.regions.push(region);
        let value = settle(graph, state.before, state.after);
        graph.assignments.push(Assignment { target: state.before, value });
    }
    if let Some(kept) = update.average {
        let before = averages(graph, &group.name, &ty);
        let after = graph.map(&[kept, before, next], |b, x| {
            let one = b.real(1.0);
            let rest = b.binary(Binary::Sub, one, x[0]);
            let old = b.binary(Binary::Mul, x[0], x[1]);
            let new = b.binary(Binary::Mul, rest, x[2]);
            b.binary(Binary::Add, old, new)
        });
        let value = settle(graph, before, after);
        graph.assignments.push(Assignment { target: before, value });
    }
    Checked { value: Some(next), diagnostics }
}

/// The moving averages of the group's weights, which lie in a region of their own as the weights do in theirs.
fn averages(graph: &mut Graph, group: &str, ty: &TensorType) -> NodeId {
    let weights = graph.regions.iter().find(|region| region.name == region_of(group));
    let weights = weights.expect("packing the gradients declared the region").members.clone();
    let mut members = Vec::with_capacity(weights.len());
    for (weight, offset) in weights {
        let StoredTensor { path, ty, init, .. } = graph.stored[weight.0].clone();
        members.push((StoredId(graph.stored.len()), offset));
        graph.stored.push(StoredTensor { path: average_of(&path), kind: StoredKind::Average, ty, init });
    }
    let name = named("average", group);
    graph.regions.push(FlatRegion { name: name.clone(), elements: ty.size(), members, fill: 0.0 });
    graph.source(Source::Region(name), ty.clone())
}

/// Makes a program that only uses the weights read the moving averages of those that have one.
pub fn use_averages(graph: &mut Graph) {
    let places: BTreeMap<&str, StoredId> = graph
        .stored
        .iter()
        .enumerate()
        .map(|(place, stored)| (stored.path.as_str(), StoredId(place)))
        .collect();
    let averaged: Vec<(NodeId, StoredId)> = graph
        .nodes()
        .into_iter()
        .filter_map(|node| match &graph.node(node).kind {
            Kind::Source(Source::Stored(id)) => {
                Some((node, *places.get(average_of(&graph.stored[id.0].path).as_str())?))
            }
            _ => None,
        })
        .collect();
    for (node, average) in averaged {
        graph.node_mut(node).kind = Kind::Source(Source::Stored(average));
    }
}

/// The weights of the group, by their nodes, where its flat weights are `flat`.
///
/// # Panics
/// If no gradients were packed for the group.
#[must_use]
fn moved(graph: &mut Graph, group: &str, flat: NodeId) -> BTreeMap<NodeId, NodeId> {
    let region = graph.regions.iter().find(|region| region.name == region_of(group)).cloned();
    parts_of(graph, &region.expect("packing the gradients declared the region"), flat).into_iter().collect()
}

/// A loss computed with the weights that earlier updates of the step left.
#[must_use]
fn after(graph: &mut Graph, loss: NodeId, changed: &BTreeMap<NodeId, NodeId>) -> NodeId {
    again(graph, loss, changed)
}

/// The sum of the losses of several updates.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn sum_of_losses(graph: &mut Graph, losses: &[NodeId]) -> NodeId {
    if let [one] = losses {
        return *one;
    }
    graph.map(losses, |b, x| x[1..].iter().fold(x[0], |sum, &loss| b.binary(Binary::Add, sum, loss)))
}

/// Makes the results `loss` and `loss_<group>` those with which the weights were moved.
fn report_losses(graph: &mut Graph, groups: &[Group], losses: &[NodeId]) {
    let total = sum_of_losses(graph, losses);
    for (name, value) in &mut graph.results {
        if name == "loss" {
            *value = total;
        }
        let mut pairs = groups.iter().zip(losses);
        if let Some((_, loss)) = pairs.find(|(group, _)| *name == format!("loss_{}", group.name)) {
            *value = *loss;
        }
    }
}

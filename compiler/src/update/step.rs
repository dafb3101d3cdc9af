//! The training step as the groups of `train` say: which weights move at once, and by which loss.

use std::collections::BTreeMap;

use nnc_runtime::artifact::Role;
use nnc_wgsl::Binary;

use super::guard::{guard_scaled, overflow};
use super::scale::LossScale;
use super::{Moving, add_update, after, bound, guard, moved, pack_gradients, region_of, report_losses};
use crate::diagnostic::Diagnostic;
use crate::elaborate::{Elaborated, missing_gradients};
use crate::gradient::{NoGradient, differentiate_scaled};
use crate::ir::{Graph, NodeId, Source};
use crate::size::too_large;

/// Adds the gradients and, for training, the updates; what is wrong with them.
pub fn training_step(elaborated: &mut Elaborated, role: Role) -> Vec<Diagnostic> {
    let mut diagnostics = differentiated(elaborated, role);
    diagnostics.extend(too_large(&elaborated.graph, elaborated.loss_span.unwrap_or_default()));
    diagnostics
}

fn differentiated(elaborated: &mut Elaborated, role: Role) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let groups = elaborated.groups.clone();
    let Some(joint) = groups.first().map(|group| group.joint) else { return diagnostics };
    if elaborated.trained.is_empty()
        && let Some(at) = elaborated.settings.freeze_span
    {
        let frozen = elaborated.settings.freeze.join(", ");
        let diagnostic = Diagnostic::error("E0502", "all weights are frozen", at)
            .fact(format!("every weight of the model lies below {frozen}"))
            .help("leave out of `freeze` what is to be trained");
        diagnostics.push(diagnostic);
        return diagnostics;
    }
    let (clip, batches) = (elaborated.settings.clip, elaborated.settings.accumulate.unwrap_or(1));
    let mut changed: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut found: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut packs: Vec<(String, NodeId)> = Vec::new();
    let mut losses: Vec<NodeId> = Vec::new();
    let mixed = role == Role::Train && elaborated.settings.is_mixed();
    let initial = elaborated.settings.loss_scale;
    let scale = mixed.then(|| LossScale::add(&mut elaborated.graph, initial));
    let mut otherwise: Vec<(NodeId, NodeId)> = Vec::new();
    let at_once = if joint { groups.len() } else { 1 };
    for set in groups.chunks(at_once) {
        let graph = &mut elaborated.graph;
        let loss = after(graph, set[0].loss, &changed);
        let weights = if joint { &elaborated.trained } else { &set[0].trained };
        found.extend(slopes(graph, loss, weights, scale));
        let mut moving: Vec<Moving<'_>> = Vec::new();
        for group in set {
            let gradients: Vec<Option<NodeId>> =
                group.trained.iter().map(|weight| found.get(weight).copied()).collect();
            let Some(packed) = pack_gradients(graph, &group.name, &group.trained, &gradients) else {
                if groups.len() > 1 && !joint || group.trained.is_empty() {
                    let message = "no gradient flows from this loss to any weight";
                    let diagnostic = Diagnostic::error("E0502", message, group.span)
                        .help("use a smooth function of the model's outputs");
                    diagnostics.push(diagnostic);
                }
                continue;
            };
            losses.push(loss);
            packs.push((region_of(&group.name), packed));
            if role != Role::Gradient {
                let one = Moving::new(graph, group, packed, batches, scale);
                otherwise.extend(one.gathered.as_ref().map(|gathered| gathered.without_batch(graph)));
                moving.push(one);
            }
        }
        bound(graph, &mut moving, clip);
        for moving in moving {
            let applied = add_update(graph, &moving);
            diagnostics.extend(applied.diagnostics);
            if let Some(flat) = applied.value.filter(|_| !joint && losses.len() < groups.len()) {
                let flat = match (scale, packs.last()) {
                    (Some(_), Some((region, packed))) => sound(graph, region, *packed, flat),
                    _ => flat,
                };
                changed.extend(moved(graph, &moving.group.name, flat));
            }
        }
    }
    let gradients: Vec<Option<NodeId>> =
        elaborated.trained.iter().map(|weight| found.get(weight).copied()).collect();
    diagnostics.extend(missing_gradients(elaborated, &gradients));
    let graph = &mut elaborated.graph;
    if role == Role::Gradient {
        graph.assignments.clear();
        graph.results.retain(|(name, _)| name == "loss");
        graph.results.extend(packs);
    } else {
        if groups.len() > 1 && !joint {
            report_losses(graph, &groups, &losses);
        }
        let packed: Vec<NodeId> = packs.into_iter().map(|(_, packed)| packed).collect();
        match scale {
            Some(scale) => guard_scaled(graph, &losses, &packed, scale, &otherwise),
            None => guard(graph, &losses, &packed),
        }
    }
    diagnostics
}

/// The gradients of those weights that have one.
fn slopes(
    graph: &mut Graph,
    loss: NodeId,
    weights: &[NodeId],
    scale: Option<LossScale>,
) -> Vec<(NodeId, NodeId)> {
    match differentiate_scaled(graph, loss, weights, scale.map(|scale| scale.scale)) {
        Ok(slopes) => {
            weights.iter().zip(slopes).filter_map(|(weight, slope)| Some((*weight, slope?))).collect()
        }
        Err(NoGradient { reason, .. }) => panic!(
            "the operators that a formula is made of have gradients, and no gradient of theirs is \
             differentiated: {reason}"
        ),
    }
}

/// The flat weights of a region as the next loss sees them: `flat`, or the present ones where the gradient that made it
/// overflowed.
fn sound(graph: &mut Graph, region: &str, packed: NodeId, flat: NodeId) -> NodeId {
    let bad = overflow(graph, packed);
    let present = graph.source(Source::Region(region.to_owned()), graph.ty(flat).clone());
    graph.map(&[bad, flat, present], |b, x| {
        let zero = b.real(0.0);
        let good = b.binary(Binary::Eq, x[0], zero);
        b.select(good, x[1], x[2])
    })
}

//! Convolutions of one value by several weights.

use std::collections::BTreeMap;

use nnc_wgsl::Profile;
use nnc_wgsl::schedule::ConvKind;

use super::concat::part;
use super::order::Ranks;
use super::weights::{Place, Places};
use super::{note, refuse};
use crate::ir::{Graph, Lone, NodeId, Origin};
use crate::ops::Lowering;

/// What convolutions have in common that can be one: the value, the window, the shape of a weight without its first axis,
/// and whether they stay in `f32`.
type Family = (NodeId, String, Vec<usize>, bool);

/// Joins the convolutions of each value that have one window and can lie in one.
pub(super) fn join(graph: &mut Graph, places: &mut Places, profile: &Profile) {
    for siblings in families(graph) {
        let mut fit: Vec<(Place, NodeId)> = Vec::with_capacity(siblings.len());
        for id in siblings {
            match is_fit(graph, places, id) {
                Ok(place) => fit.push((place, id)),
                Err(why) => refuse(graph, id, why),
            }
        }
        fit.sort_unstable();
        for run in fit.chunk_by(|(before, _), (place, _)| place.follows(*before)) {
            let run: Vec<NodeId> = run.iter().map(|(_, id)| *id).collect();
            match joins(graph, &run, profile) {
                Ok(()) if !graph.allowance.take() => return,
                Ok(()) => joined(graph, places, &run),
                Err(why) => run.into_iter().for_each(|id| refuse(graph, id, why)),
            }
        }
    }
}

/// The convolutions of one value by windows of one kind, where there are several.
fn families(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut families: BTreeMap<Family, Vec<NodeId>> = BTreeMap::new();
    for id in graph.order() {
        let Some(op) = graph.operator(id) else { continue };
        let Lowering::Conv { kind: ConvKind::Forward, geometry } = op.lower() else { continue };
        if geometry.groups == 1 {
            let operands = graph.operands(id);
            let kernel = graph.ty(operands[1]).shape[1..].to_vec();
            let is_wide = graph.node(id).origin.wide;
            families.entry((operands[0], op.label(), kernel, is_wide)).or_default().push(id);
        }
    }
    families.into_values().filter(|family| family.len() > 1).collect()
}

/// Whether a convolution can be a part of one, and where its weight lies.
fn is_fit(graph: &Graph, places: &Places, id: NodeId) -> Result<Place, Lone> {
    if graph.is_output(id) {
        return Err(Lone::Leaves);
    }
    let examples = graph.ty(id).shape[0];
    let mut is_reduced = false;
    let mut open = vec![id];
    while let Some(value) = open.pop() {
        for (reader, _) in graph.readers(value) {
            match graph.operator(reader).map(|op| op.lower()) {
                Some(Lowering::Reduce { .. }) => is_reduced = true,
                Some(Lowering::Map(_)) => {}
                Some(Lowering::Reshape) if graph.ty(reader).shape.first() == Some(&examples) => {
                    open.push(reader);
                }
                _ => return Err(Lone::Read),
            }
        }
    }
    if !is_reduced {
        return Err(Lone::Ends);
    }
    places.place(graph, graph.operands(id)[1]).ok_or(Lone::Weights)
}

/// Whether these convolutions, whose weights follow each other, can be one.
fn joins(graph: &Graph, run: &[NodeId], profile: &Profile) -> Result<(), Lone> {
    if run.len() < 2 {
        return Err(Lone::Weights);
    }
    let bytes: usize = run.iter().map(|id| graph.ty(*id).bytes()).sum();
    if bytes as u64 > profile.binding_bytes {
        return Err(Lone::Length);
    }
    let weights: Vec<NodeId> = run.iter().map(|id| graph.operands(*id)[1]).collect();
    if weights.iter().any(|weight| graph.operator(*weight).is_some())
        && Ranks::of(graph).wait(graph, &weights, run)
    {
        return Err(Lone::Waits);
    }
    Ok(())
}

/// Puts one convolution in the place of these.
fn joined(graph: &mut Graph, places: &mut Places, run: &[NodeId]) {
    let op = graph.operator(run[0]).cloned().expect("a convolution is computed");
    let operands: Vec<Vec<NodeId>> = run.iter().map(|id| graph.operands(*id)).collect();
    let weights: Vec<NodeId> = operands.iter().map(|operands| operands[1]).collect();
    graph.set_origin(Origin::of_derived(&graph.node(run[0]).origin));
    let weight = places.joined(graph, &weights);
    let whole = graph.must_shared(op, &[operands[0][0], weight]);
    note(graph, whole, run.iter().copied());
    let mut begin = 0;
    for &id in run {
        graph.set_origin(graph.node(id).origin.clone());
        let channels = graph.ty(id).shape[1];
        let own = part(graph, whole, 1, begin, channels);
        graph.replace(id, own);
        begin += channels;
    }
}

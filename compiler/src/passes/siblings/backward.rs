//! Gradients of convolutions of one value: for their weights, and for the value, summed.

use std::collections::BTreeMap;

use nnc_wgsl::schedule::ConvKind;
use nnc_wgsl::{Binary, Expr, Profile, Scalar};

use super::concat::{concat, is_written, part};
use super::order::Ranks;
use super::packs::{lowering, pack_of, put_into_packs};
use super::weights::{Place, Places};
use super::{note, refuse};
use crate::ir::{Graph, Lone, NodeId, Origin};
use crate::ops::Lowering;

/// The gradients that one `dy` sends: for a weight, for the value that the weight was moved over, or both.
#[derive(Clone, Copy, Debug)]
struct Branch {
    dy: NodeId,
    /// `conv_weight_gradient(x, dy)`.
    weight: Option<NodeId>,
    /// `conv_input_gradient(dy, w)`.
    input: Option<NodeId>,
}

impl Branch {
    fn members(&self) -> impl Iterator<Item = NodeId> {
        self.weight.into_iter().chain(self.input)
    }
}

/// What the branches of a family have in common: the value, the sum of the gradients for it, the windows, the shape of a
/// weight without its first axis, and whether they stay in `f32`.
type Family = (Option<NodeId>, Option<NodeId>, Vec<String>, Vec<usize>, bool);

/// Where a branch's gradient for the weight goes, and where its weight lies; branches that follow each other in both are
/// joined.
type Spot = (Option<Place>, Option<Place>);

/// Joins the gradients of siblings.
pub(super) fn join(graph: &mut Graph, places: &mut Places, profile: &Profile) {
    let mut ranks = Ranks::of(graph);
    let mut packs: BTreeMap<NodeId, Vec<(Vec<NodeId>, NodeId)>> = BTreeMap::new();
    let mut sums: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for branches in families(graph) {
        let mut fit: Vec<(Spot, usize)> = Vec::with_capacity(branches.len());
        for (number, branch) in branches.iter().enumerate() {
            match is_fit(graph, places, branch) {
                Ok(spot) => fit.push((spot, number)),
                Err(why) => branch.members().for_each(|id| refuse(graph, id, why)),
            }
        }
        fit.sort_unstable();
        for run in fit.chunk_by(|(before, _), (spot, _)| follows(*before, *spot)) {
            let joined: Vec<Branch> = run.iter().map(|(_, number)| branches[*number]).collect();
            if let Err(why) = joins(graph, &ranks, &joined, profile) {
                let members = joined.iter().flat_map(Branch::members);
                members.for_each(|id| refuse(graph, id, why));
                continue;
            }
            if !graph.allowance.take() {
                put_into_packs(graph, &packs);
                return;
            }
            graph.set_origin(Origin::of_derived(&graph.node(joined[0].dy).origin));
            let dys: Vec<NodeId> = joined.iter().map(|branch| branch.dy).collect();
            let dy = concat(graph, &dys, 1);
            let weights: Vec<NodeId> = joined.iter().filter_map(|branch| branch.weight).collect();
            if !weights.is_empty() {
                let whole = one_weight_gradient(graph, &weights, dy);
                match pack_of(graph, weights[0]) {
                    Some(pack) => packs.entry(pack).or_default().push((weights, whole)),
                    None => put_parts(graph, &weights, whole),
                }
            }
            let inputs: Vec<NodeId> = joined.iter().filter_map(|branch| branch.input).collect();
            if !inputs.is_empty() {
                one_input_gradient(graph, places, &inputs, dy, &mut sums);
            }
            let settled = |place: Option<Place>| place != Some(Place::Anywhere);
            if !run.iter().all(|((packed, weight), _)| settled(*packed) && settled(*weight)) {
                ranks = Ranks::of(graph);
            }
        }
    }
    put_into_packs(graph, &packs);
}

/// The gradients that belong together, where there are several.
fn families(graph: &Graph) -> Vec<Vec<Branch>> {
    let mut branches: BTreeMap<NodeId, (Vec<NodeId>, Vec<NodeId>)> = BTreeMap::new();
    for id in graph.order() {
        let Some(Lowering::Conv { kind, geometry }) = graph.operator(id).map(|op| op.lower()) else {
            continue;
        };
        let operands = graph.operands(id);
        match kind {
            ConvKind::WeightGradient if geometry.groups == 1 => {
                branches.entry(operands[1]).or_default().0.push(id);
            }
            ConvKind::InputGradient if geometry.groups == 1 => {
                branches.entry(operands[0]).or_default().1.push(id);
            }
            _ => {}
        }
    }
    let mut families: BTreeMap<Family, Vec<Branch>> = BTreeMap::new();
    for (dy, (weights, inputs)) in branches {
        if weights.len() > 1 || inputs.len() > 1 {
            continue;
        }
        let branch = Branch { dy, weight: weights.first().copied(), input: inputs.first().copied() };
        let x = branch.weight.map(|id| graph.operands(id)[0]);
        let sum = branch.input.and_then(|id| sum_of(graph, id));
        if branch.input.is_some() && sum.is_none() {
            continue;
        }
        let labels = branch.members().filter_map(|id| graph.operator(id)).map(|op| op.label()).collect();
        let kernel = branch.input.map(|id| graph.ty(graph.operands(id)[1]).shape[1..].to_vec());
        let is_wide = [dy].into_iter().chain(branch.members()).any(|id| graph.node(id).origin.wide);
        families.entry((x, sum, labels, kernel.unwrap_or_default(), is_wide)).or_default().push(branch);
    }
    families.into_values().filter(|family| family.len() > 1).collect()
}

/// The sum that an input gradient is a term of and nothing else.
fn sum_of(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let [(sum, _)] = graph.readers(id)[..] else { return None };
    let Lowering::Map(expr) = graph.operator(sum)?.lower() else { return None };
    let same = graph.operands(sum).iter().all(|term| graph.ty(*term) == graph.ty(sum));
    (same && !graph.is_output(id) && expr == added(expr.operands().len())).then_some(sum)
}

/// The sum of so many terms, as gradients are summed.
fn added(terms: usize) -> Expr {
    Expr::build(&vec![Scalar::F32; terms], |b, x| {
        x[1..].iter().fold(x[0], |sum, term| b.binary(Binary::Add, sum, *term))
    })
}

/// Whether a branch can be joined to others, and where what it has of its own lies.
fn is_fit(graph: &Graph, places: &Places, branch: &Branch) -> Result<Spot, Lone> {
    if graph.is_output(branch.dy) || branch.weight.is_some_and(|id| graph.is_output(id)) {
        return Err(Lone::Leaves);
    }
    let takes_strides = |reader: NodeId| {
        let lowering = graph.operator(reader).map(|op| op.lower());
        matches!(lowering, Some(Lowering::Map(_) | Lowering::Reduce { .. }))
    };
    let mut readers = graph.readers(branch.dy).into_iter().map(|(reader, _)| reader);
    if !readers.all(|reader| branch.members().any(|id| id == reader) || takes_strides(reader)) {
        return Err(Lone::Read);
    }
    if !is_written(graph, branch.dy) {
        return Err(Lone::Gradient);
    }
    let packed = branch.weight.map(|id| match graph.readers(id)[..] {
        [(pack, slot)] if matches!(lowering(graph, pack), Some(Lowering::Pack { .. })) => {
            let Some(Lowering::Pack { offsets }) = lowering(graph, pack) else { return Err(Lone::Read) };
            Ok(Place::Region(pack.index(), offsets[slot], graph.ty(id).size()))
        }
        _ if graph.readers(id).into_iter().all(|(reader, _)| takes_strides(reader)) => Ok(Place::Anywhere),
        _ => Err(Lone::Read),
    });
    let weight = branch.input.map(|id| places.place(graph, graph.operands(id)[1]).ok_or(Lone::Weights));
    Ok((packed.transpose()?, weight.transpose()?))
}

fn follows(before: Spot, spot: Spot) -> bool {
    let follow = |before: Option<Place>, place: Option<Place>| match (before, place) {
        (Some(before), Some(place)) => place.follows(before),
        (before, place) => before == place,
    };
    follow(before.0, spot.0) && follow(before.1, spot.1)
}

/// Whether the gradients of these branches, of which each follows the one before, can be one.
fn joins(graph: &Graph, ranks: &Ranks, run: &[Branch], profile: &Profile) -> Result<(), Lone> {
    if run.len() < 2 {
        return Err(Lone::Weights);
    }
    let bytes: usize = run.iter().map(|branch| graph.ty(branch.dy).bytes()).sum();
    if bytes as u64 > profile.binding_bytes {
        return Err(Lone::Length);
    }
    let members: Vec<NodeId> = run.iter().flat_map(Branch::members).collect();
    let given: Vec<NodeId> = members
        .iter()
        .flat_map(|id| graph.operands(*id))
        .filter(|operand| graph.operator(*operand).is_some())
        .collect();
    if ranks.wait(graph, &given, &members) { Err(Lone::Waits) } else { Ok(()) }
}

/// One gradient for several weights.
fn one_weight_gradient(graph: &mut Graph, gradients: &[NodeId], dy: NodeId) -> NodeId {
    let op = graph.operator(gradients[0]).cloned().expect("a gradient is computed");
    let x = graph.operands(gradients[0])[0];
    graph.set_origin(Origin::of_derived(&graph.node(gradients[0]).origin));
    let whole = graph.must_shared(op, &[x, dy]);
    note(graph, whole, gradients.iter().copied());
    whole
}

/// Makes readers of several gradients find them in one.
fn put_parts(graph: &mut Graph, gradients: &[NodeId], whole: NodeId) {
    let mut begin = 0;
    for &id in gradients {
        graph.set_origin(graph.node(id).origin.clone());
        let channels = graph.ty(id).shape[0];
        let own = part(graph, whole, 0, begin, channels);
        graph.replace(id, own);
        begin += channels;
    }
}

/// One gradient in place of several terms of a sum. `sums` has each sum that was made anew.
fn one_input_gradient(
    graph: &mut Graph,
    places: &mut Places,
    gradients: &[NodeId],
    dy: NodeId,
    sums: &mut BTreeMap<NodeId, NodeId>,
) {
    let op = graph.operator(gradients[0]).cloned().expect("a gradient is computed");
    let weights: Vec<NodeId> = gradients.iter().map(|id| graph.operands(*id)[1]).collect();
    let (first, _) = graph.readers(gradients[0])[0];
    let sum = sums.get(&first).copied().unwrap_or(first);
    graph.set_origin(Origin::of_derived(&graph.node(gradients[0]).origin));
    let weight = places.joined(graph, &weights);
    let whole = graph.must_shared(op, &[dy, weight]);
    note(graph, whole, gradients.iter().copied());
    let mut terms = graph.operands(sum);
    let place = terms.iter().position(|term| gradients.contains(term)).expect("a gradient is a term of it");
    terms[place] = whole;
    terms.retain(|term| !gradients.contains(term));
    graph.set_origin(graph.node(sum).origin.clone());
    let made = match terms.as_slice() {
        [one] => *one,
        _ => graph.formula(added(terms.len()), &terms).expect("the terms of a sum are of one type"),
    };
    graph.replace(sum, made);
    sums.insert(first, made);
}
